import { ConsiliumError } from "@consilium/base/errors"
import { networkShape } from "@consilium/learning/network/description"
import type { Network } from "@consilium/learning/network/network"
import { type FlatLayer, SQUARE } from "./intervals.js"

/** A layer of the learning engine that can be computed on encrypted numbers, and where its parameters lie. */
export interface EncryptableLayer {
  readonly flat: FlatLayer
  readonly weightsAt: number
  readonly biasesAt: number
}

const unsuitable = (message: string): never => {
  throw new ConsiliumError("inference/bad-model", message, {
    remedy:
      "Train with dense layers and square or polynomial activations, a sigmoid cross-entropy and one output.",
  })
}

/**
 * The layers of a network of one logit, over an array of parameters that they look into. Dropout is left out: it does nothing
 * outside training.
 * @throws {ConsiliumError} "inference/bad-model" on a layer that cannot be computed on encrypted numbers
 */
export const encryptableLayers = (
  { description }: Network,
  parameters: Float32Array | Float64Array,
): readonly EncryptableLayer[] => {
  const shape = networkShape(description)
  if (shape.outputs !== 1 || description.loss !== "sigmoid-cross-entropy")
    unsuitable("The network does not give one logit.")
  const layers = shape.layers.flatMap(
    ({ layer, input, parameterStart, parameterCount }, at): readonly EncryptableLayer[] => {
      const end = parameterStart + parameterCount
      const none = { weightsAt: end, biasesAt: end }
      switch (layer.kind) {
        case "dense": {
          const { outputs } = layer
          const biasesAt = end - outputs
          const weights = parameters.subarray(parameterStart, biasesAt)
          const biases = parameters.subarray(biasesAt, end)
          const flat: FlatLayer = { kind: "dense", inputs: input[0], outputs, weights, biases }
          return [{ flat, weightsAt: parameterStart, biasesAt }]
        }
        case "square":
          return [{ flat: { kind: "polynomial", coefficients: SQUARE }, ...none }]
        case "polynomial":
          return [{ flat: { kind: "polynomial", coefficients: layer.coefficients }, ...none }]
        case "dropout":
          return []
        default:
          return unsuitable(`Layer ${at + 1} (${layer.kind}) cannot be computed on encrypted numbers.`)
      }
    },
  )
  if (layers.some(({ flat }, at) => flat.kind === "polynomial" && layers[at - 1]?.flat.kind !== "dense"))
    unsuitable("An activation does not follow a dense layer.")
  if (layers.at(-1)?.flat.kind !== "dense") unsuitable("The last layer is not dense.")
  return layers
}
