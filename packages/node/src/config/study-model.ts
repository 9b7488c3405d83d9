import type { StudyModel } from "@consilium/federation/study-model"
import type { LayerDescription } from "@consilium/learning/network/description"
import { z } from "zod"

const size = z.int().min(1).max(4096)
const pair = z.tuple([size, size])

/** One layer, as in study.yaml. Windows are height and width; padding is lines of zeros at the top, left, bottom and right. */
const layerSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("dense"), outputs: z.int().min(1) }),
  z.strictObject({
    kind: z.literal("conv2d"),
    channels: z.int().min(1),
    size: pair.default([3, 3]),
    stride: pair.default([1, 1]),
    padding: z.tuple([z.int().min(0), z.int().min(0), z.int().min(0), z.int().min(0)]).default([0, 0, 0, 0]),
  }),
  z.strictObject({ kind: z.literal("max-pool"), size: pair.default([2, 2]), stride: pair.default([2, 2]) }),
  z.strictObject({
    kind: z.literal("average-pool"),
    size: pair.default([2, 2]),
    stride: pair.default([2, 2]),
  }),
  z.strictObject({ kind: z.literal("group-norm"), groups: z.int().min(1) }),
  z.strictObject({ kind: z.literal("relu") }),
  z.strictObject({ kind: z.literal("square") }),
  z.strictObject({ kind: z.literal("flatten") }),
  z.strictObject({ kind: z.literal("dropout"), rate: z.number().min(0).lt(1) }),
])

const RELU = { kind: "relu" } as const
const POOL = { kind: "max-pool", size: [2, 2], stride: [2, 2] } as const
const convolution = (channels: number): LayerDescription => ({
  kind: "conv2d",
  channels,
  size: [3, 3],
  stride: [1, 1],
  padding: [0, 0, 0, 0],
})
const NORM = { kind: "group-norm", groups: 4 } as const
const END = [{ kind: "flatten" }, { kind: "dense", outputs: 1 }] as const

/**
 * Networks that have a name. `cnn-small`: two convolutions with pooling, 1,649 parameters on 28 x 28 grey pixels;
 * `cnn-group-norm`: the same with normalised groups of channels; `mlp-small`: one hidden layer of 16 for tables; `mlp-square`:
 * the same with squares, which can be evaluated on encrypted patients.
 */
export const NAMED_LAYERS = {
  "cnn-small": [convolution(8), RELU, POOL, convolution(16), RELU, POOL, ...END],
  "cnn-group-norm": [convolution(8), NORM, RELU, POOL, convolution(16), NORM, RELU, POOL, ...END],
  "mlp-small": [{ kind: "dense", outputs: 16 }, RELU, { kind: "dense", outputs: 1 }],
  "mlp-square": [{ kind: "dense", outputs: 16 }, { kind: "square" }, { kind: "dense", outputs: 1 }],
} as const satisfies Readonly<Record<string, readonly LayerDescription[]>>
export type NamedLayers = keyof typeof NAMED_LAYERS
const NAMES = Object.keys(NAMED_LAYERS) as [NamedLayers, ...NamedLayers[]]

const features = z.array(z.string().min(1).max(64)).max(4096)

/** `model` in study.yaml. */
export const studyModelSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("logistic-regression"), features: features.min(1) }),
  z.strictObject({
    kind: z.literal("network"),
    /** Columns that are the inputs; left out for images. */
    features: features.default([]),
    /** How images become inputs: their size, the two classes (the second is the answer 1), and each channel's constants. */
    images: z
      .strictObject({
        height: size,
        width: size,
        channels: z.union([z.literal(1), z.literal(3)]).default(1),
        classes: z.tuple([z.string().min(1).max(64), z.string().min(1).max(64)]),
        means: z.array(z.number()).min(1).max(3).default([0.5]),
        deviations: z.array(z.number().positive()).min(1).max(3).default([0.25]),
      })
      .nullable()
      .default(null),
    layers: z.union([z.enum(NAMES), z.array(layerSchema).min(1).max(256)]),
  }),
])
export type StudyModelFile = z.output<typeof studyModelSchema>

/** The model that a study file describes. What does not fit together is found by `checkStudy`. */
export const studyModelOf = (file: StudyModelFile): StudyModel => {
  if (file.kind === "logistic-regression") return file
  const { kind, images, layers } = file
  return {
    kind,
    features: file.features,
    description: {
      input:
        images === null
          ? [Math.max(1, file.features.length)]
          : [images.height, images.width, images.channels],
      layers: typeof layers === "string" ? NAMED_LAYERS[layers] : layers,
      loss: "sigmoid-cross-entropy",
    },
    images: images && { classes: images.classes, means: images.means, deviations: images.deviations },
  }
}
