import { type Codec, f64, list, nullable, oneOf, record, text } from "@consilium/base/encoding"
import { type NetworkDescription, networkShape, rowSize } from "@consilium/learning/network/description"
import { descriptionCodec } from "@consilium/learning/network/description-codec"

/**
 * What a study trains. Kinds are told apart by one word, and each is encoded by itself: a study of one kind has the bytes
 * that it had before there were others.
 */
export const MODEL_KINDS = ["logistic-regression", "network"] as const
export type ModelKind = (typeof MODEL_KINDS)[number]

export interface LogisticModel {
  readonly kind: "logistic-regression"
  /** Names of the input features, in the order of the model's weights. */
  readonly features: readonly string[]
}

/** How images become a network's inputs, by constants that come from no patient of the study. */
export interface ImageInputs {
  /** What label 0 and label 1 stand for; the model gives the probability of the second. */
  readonly classes: readonly string[]
  /** For each channel: pixels in [0, 1] less this mean, over this standard deviation. */
  readonly means: readonly number[]
  readonly deviations: readonly number[]
}

/** A network with one output: the probability of label 1. */
export interface StudyNetwork {
  readonly kind: "network"
  /** Names of the inputs where they are columns of a table; none where they are pixels. */
  readonly features: readonly string[]
  readonly description: NetworkDescription
  readonly images: ImageInputs | null
}

export type StudyModel = LogisticModel | StudyNetwork

const kindCodec = oneOf(...MODEL_KINDS)
const logisticCodec = record({ features: list(text(64), 4096) })
const networkCodec = record({
  features: list(text(64), 4096),
  description: descriptionCodec,
  images: nullable(record({ classes: list(text(64), 2), means: list(f64, 4), deviations: list(f64, 4) })),
})

export const modelCodec: Codec<StudyModel> = {
  write(writer, model) {
    kindCodec.write(writer, model.kind)
    if (model.kind === "network") networkCodec.write(writer, model)
    else logisticCodec.write(writer, model)
  },
  read(reader) {
    const kind = kindCodec.read(reader)
    return kind === "network"
      ? { kind, ...networkCodec.read(reader) }
      : { kind, ...logisticCodec.read(reader) }
  },
}

/** Parameters of a study's model: of a logistic regression one weight per feature and the bias. */
export const parameterCount = ({ model }: { readonly model: StudyModel }): number =>
  model.kind === "network" ? networkShape(model.description).parameters : model.features.length + 1

interface Problem {
  readonly message: string
  readonly remedy: string
}

const imagesProblem = ({ images, features, description }: StudyNetwork): Problem | null => {
  const { input } = description
  if (images === null)
    return input.length === 1 && input[0] === features.length
      ? null
      : {
          message: `A network of ${rowSize(input)} inputs is given ${features.length} features.`,
          remedy: "Name one feature for each input, or say in model.images how images become inputs.",
        }
  const { classes, means, deviations } = images
  if (input.length !== 3 || features.length !== 0)
    return {
      message: "A network on images takes height, width and channels, and no features.",
      remedy: "Leave model.features out, and give the size of the images.",
    }
  if (classes.length !== 2 || classes[0] === classes[1] || classes.includes(""))
    return {
      message: `${classes.length} classes are named; a study tells two apart.`,
      remedy: "Name two different classes in model.images.classes.",
    }
  if (
    means.length !== input[2] ||
    deviations.length !== input[2] ||
    !means.every(Number.isFinite) ||
    !deviations.every((value) => Number.isFinite(value) && value > 0)
  )
    return {
      message: `Images of ${input[2]} channels were given ${means.length} means and ${deviations.length} deviations that can be used.`,
      remedy:
        "Declare a finite mean and a deviation above 0 for each channel; they must come from no patient of the study.",
    }
  return null
}

/** What of a study its model has a say in. */
interface ModelRules {
  readonly model: StudyModel
  readonly training: { readonly optimiser: string; readonly proximalMu: number }
  readonly reporting: { readonly subgroups: readonly unknown[] }
  readonly data: unknown
  readonly privacy: unknown
}

/** What is wrong with a study's model, or with rules that do not go with it, and what to do; or null. */
export const modelProblem = (study: ModelRules): Problem | null => {
  const { model, training } = study
  if (model.kind === "logistic-regression")
    return training.optimiser === "sgd"
      ? null
      : {
          message: `A logistic regression is trained by plain steps, not by ${training.optimiser}.`,
          remedy: "Set training.optimiser to sgd, or train a network.",
        }
  const { loss, layers } = model.description
  const { outputs } = networkShape(model.description)
  if (loss !== "sigmoid-cross-entropy" || outputs !== 1)
    return {
      message: `A network of ${outputs} outputs with the loss ${loss} gives no single probability.`,
      remedy: "End the network with a dense layer of one output, and use sigmoid-cross-entropy.",
    }
  if (training.proximalMu !== 0)
    return {
      message: "A network's local steps have no proximal term.",
      remedy: "Set training.proximal_mu to 0, or use another strategy.",
    }
  if (study.reporting.subgroups.length > 0)
    return {
      message: "Groups of patients are told apart for logistic regressions only.",
      remedy: "Leave reporting.subgroups out.",
    }
  if (model.images !== null && study.data !== null)
    return {
      message: "The study prepares tables, but its network takes images.",
      remedy: "Leave data out.",
    }
  if (study.privacy !== null && layers.some(({ kind }) => kind === "dropout"))
    return {
      message:
        "With differential privacy a patient's gradient must depend on that patient alone; dropout draws for all in turn.",
      remedy: "Leave dropout layers out: the noise already keeps the network from learning rows by heart.",
    }
  return imagesProblem(model)
}
