import { insecureSeededRandom } from "@consilium/base/testing"
import type { TrainedModel } from "@consilium/inference/model/model"
import { trainedNetwork } from "@consilium/inference/model/trained-network"
import { activationBounds, intervalsOf, largestSize } from "@consilium/inference/training/activation-bounds"
import { encryptableNetwork, SQUARE_ACTIVATION } from "@consilium/inference/training/activations"
import { trainForEncryption } from "@consilium/inference/training/train-for-encryption"
import { networkReach, type Reach } from "@consilium/inference/training/within-limits"
import { startCursor } from "@consilium/learning/batches"
import { encodeModel } from "@consilium/learning/model-file"
import type { NetworkDescription } from "@consilium/learning/network/description"
import { initialNetwork, type Network } from "@consilium/learning/network/network"
import { encodeNetworkModel } from "@consilium/learning/network/network-file"
import { ADAM } from "@consilium/learning/network/optimiser"
import { networkOutputs } from "@consilium/learning/network/predict"
import { trainNetwork } from "@consilium/learning/network/train-network"
import { publicStream } from "@consilium/learning/public-stream"
import { type LocalResult, trainLocally } from "@consilium/learning/train"
import { HEART_DECLARED_STANDARDISER, HEART_FEATURES } from "@consilium/records/heart-schema"
import type { LabelledRows } from "@consilium/records/rows"
import { standardise } from "@consilium/records/standardise"
import { HEART_SCALING, logitsOf, scaledRanges } from "./heart-model.js"

/** What a model is written as. */
export interface Written {
  readonly model: TrainedModel
  readonly reach: Reach
  /** The model file of `@consilium/learning`. */
  readonly container: (study: string, flags: readonly string[]) => Uint8Array
}

/** One way to train, and what came of it. */
export interface Trained {
  readonly training: "logistic" | "encryption-friendly" | "freely" | "plain"
  /** Shape: rows as in their file; one logit each */
  readonly logits: (rows: LabelledRows) => Float64Array
  /** Null where the network cannot be computed on encrypted patients. */
  readonly written: Written | null
}

/** How each training is called on screen. */
export const TRAINING_WORDS: Readonly<Record<Trained["training"], string>> = {
  logistic: "logistic regression",
  "encryption-friendly": "encryption-friendly: squares, kept within limits",
  freely: "freely: squares, without limits",
  plain: "plain: ReLU, not for encrypted patients",
}

const NAMES = HEART_FEATURES.map(({ name }) => name)
const COLUMNS = NAMES.length
const HIDDEN = 16
/** How large a logit may become over the declared ranges. */
const LOGIT_LIMIT = 32

/** Steps far, then short ones that take off what the order of the rows left over. */
const LINEAR_STEPS = [
  { steps: 4000, learningRate: 0.2 },
  { steps: 1000, learningRate: 0.02 },
] as const
const LINEAR_ROWS = 512

/** Steps of all rows, or of 512 of them, along the gradient: the loss of a logistic regression has one lowest point. */
export const trainLinear = (rows: LabelledRows, seed: number): Trained => {
  const architecture = { kind: "logistic-regression", inputs: COLUMNS } as const
  const shared = {
    architecture,
    examples: standardise(HEART_DECLARED_STANDARDISER, rows),
    batchSize: Math.min(rows.rows, LINEAR_ROWS),
    random: insecureSeededRandom(seed, "infer", "order"),
  }
  const { parameters } = LINEAR_STEPS.reduce<Omit<LocalResult, "steps">>(
    ({ parameters, cursor }, stage) => trainLocally({ ...shared, ...stage, parameters, cursor }),
    { parameters: new Float64Array(COLUMNS + 1), cursor: startCursor() },
  )
  const weights = [...parameters.subarray(0, COLUMNS)]
  const bias = parameters[COLUMNS] as number
  const model: TrainedModel = { kind: "linear", weights, bias }
  const bounds = activationBounds([{ kind: "dense", weights: [weights], biases: [bias] }], scaledRanges())
  return {
    training: "logistic",
    logits: (asked) => logitsOf(model, HEART_SCALING, asked),
    written: {
      model,
      reach: {
        activation: 0,
        logit: bounds.reduce((most, { output }) => Math.max(most, largestSize(output)), 0),
      },
      container: (study, flags) =>
        encodeModel({
          architecture,
          parameters,
          featureNames: NAMES,
          provenance: { study, round: 0, flags },
        }),
    },
  }
}

/** Chosen on made-up rows: with 150 of them more steps learn them by heart. */
const FEWEST_STEPS = 400
const EPOCHS = 20
const NETWORK_ROWS = 32
const NETWORK_RATE = 0.01

const inputsOf = (rows: LabelledRows): Float32Array =>
  Float32Array.from(standardise(HEART_DECLARED_STANDARDISER, rows).features)

/** What all trainings of a network share: the first weights, the order of the rows, Adam, the rate along a cosine to 0. */
const settingsOf = (description: NetworkDescription, rows: LabelledRows, seed: number) => {
  const steps = Math.max(FEWEST_STEPS, Math.ceil((EPOCHS * rows.rows) / NETWORK_ROWS))
  return {
    network: initialNetwork(description, publicStream(String(seed), "infer", "initial"), "glorot"),
    examples: { rows: rows.rows, inputs: inputsOf(rows), targets: Float32Array.from(rows.labels) },
    steps,
    batchSize: NETWORK_ROWS,
    optimiser: ADAM,
    schedule: { kind: "cosine" as const, rate: NETWORK_RATE, floor: 0, steps },
    cursor: startCursor(),
    random: insecureSeededRandom(seed, "infer", "order"),
  }
}

const encryptable = (training: Trained["training"], network: Network): Trained => {
  const model = trainedNetwork(network.description, network.parameters)
  return {
    training,
    logits: (asked) => logitsOf(model, HEART_SCALING, asked),
    written: {
      model,
      reach: networkReach(network, intervalsOf(scaledRanges())),
      container: (study, flags) =>
        encodeNetworkModel({ network, inputNames: NAMES, provenance: { study, round: 0, flags } }),
    },
  }
}

const SQUARES = encryptableNetwork(COLUMNS, HIDDEN, SQUARE_ACTIVATION)
const RELU: NetworkDescription = {
  ...SQUARES,
  layers: SQUARES.layers.map((layer) => (layer.kind === "square" ? { kind: "relu" } : layer)),
}

/** The same network of 13-16-1 trained for encryption, without limits, and with the units of plain networks, from the same start. */
export const trainNetworks = (rows: LabelledRows, seed: number): readonly Trained[] => {
  const held = trainForEncryption({
    ...settingsOf(SQUARES, rows, seed),
    ranges: scaledRanges(),
    limits: { activation: SQUARE_ACTIVATION.interval, logit: LOGIT_LIMIT },
  })
  const free = trainNetwork(settingsOf(SQUARES, rows, seed))
  const plain = trainNetwork(settingsOf(RELU, rows, seed)).network
  return [
    encryptable("encryption-friendly", held.network),
    encryptable("freely", free.network),
    {
      training: "plain",
      logits: (asked) => Float64Array.from(networkOutputs(plain, asked.rows, inputsOf(asked))),
      written: null,
    },
  ]
}
