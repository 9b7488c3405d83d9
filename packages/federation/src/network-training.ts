import type { RandomSource } from "@consilium/base/random"
import type { BatchCursor } from "@consilium/learning/batches"
import { checkExamples, type Examples } from "@consilium/learning/data"
import type { NetworkExamples } from "@consilium/learning/network/examples"
import type { Network } from "@consilium/learning/network/network"
import { ADAM, type Optimiser } from "@consilium/learning/network/optimiser"
import { networkOutputs } from "@consilium/learning/network/predict"
import { trainNetwork } from "@consilium/learning/network/train-network"
import type { Study } from "./study.js"
import type { StudyNetwork } from "./study-model.js"

/** A study that trains a network. */
export type NetworkStudy = Study & { readonly model: StudyNetwork }
export const isNetwork = (study: Study): study is NetworkStudy => study.model.kind === "network"

/** How a network's steps go along a gradient. What an optimiser remembers is forgotten between rounds. */
export const optimiserOf = ({ training }: Pick<Study, "training">): Optimiser => {
  switch (training.optimiser) {
    case "sgd":
      return { kind: "sgd" }
    case "momentum":
      return { kind: "momentum", decay: 0.9 }
    case "adam":
      return ADAM
  }
}

/** The network that parameters stand for: 64-bit floats between rounds, of which 32 bits are used. */
export const networkOf = ({ model }: NetworkStudy, parameters: Float64Array): Network => ({
  description: model.description,
  parameters: Float32Array.from(parameters),
})

const converted = new WeakMap<Examples, NetworkExamples>()

/** Rows as networks take them. They are converted once: a facility's rows stay the same for a whole study. */
export const networkExamplesOf = (examples: Examples): NetworkExamples => {
  const known = converted.get(examples)
  if (known !== undefined) return known
  checkExamples(examples)
  const made = {
    rows: examples.rows,
    inputs: Float32Array.from(examples.features),
    targets: Float32Array.from(examples.labels),
  }
  converted.set(examples, made)
  return made
}

export interface NetworkSteps {
  readonly study: NetworkStudy
  readonly parameters: Float64Array
  readonly examples: Examples
  readonly cursor: BatchCursor
  readonly steps: number
  readonly learningRate: number
  /** Where the order of rows, and what dropout leaves out, come from. */
  readonly batches: RandomSource
  readonly dropout: RandomSource
}

/**
 * A facility's steps of a round on a network. Batches go on where the round before ended, as with logistic regression; the
 * optimiser begins anew.
 *
 * @throws {ConsiliumError} "learning/no-examples", "learning/diverged", "learning/bad-examples"
 */
export const stepNetwork = (
  work: NetworkSteps,
): { readonly parameters: Float64Array; readonly cursor: BatchCursor } => {
  const { study, examples, steps, cursor, learningRate } = work
  const { network, cursor: next } = trainNetwork({
    network: networkOf(study, work.parameters),
    examples: networkExamplesOf(examples),
    steps,
    batchSize: study.training.batchSize,
    optimiser: optimiserOf(study),
    schedule: { kind: "constant", rate: learningRate },
    cursor,
    random: work.batches,
    dropout: work.dropout,
  })
  return { parameters: Float64Array.from(network.parameters), cursor: next }
}

/** The logits that a network gives for rows. */
export const networkLogits = (
  study: NetworkStudy,
  parameters: Float64Array,
  examples: Examples,
): Float64Array => {
  const { rows, inputs } = networkExamplesOf(examples)
  return Float64Array.from(networkOutputs(networkOf(study, parameters), rows, inputs))
}
