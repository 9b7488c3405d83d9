import type { RandomSource } from "@consilium/base/random"
import type { Architecture } from "@consilium/learning/architecture"
import { startCursor } from "@consilium/learning/batches"
import type { Examples } from "@consilium/learning/data"
import { trainLocally } from "@consilium/learning/train"
import type { LocalState } from "./local-state.js"
import type { Ditto } from "./local-strategy.js"

export interface PersonalRound {
  readonly architecture: Architecture
  readonly ditto: Ditto
  readonly batchSize: number
  /** The global model that the round starts from: what the personal one is drawn towards, and what it begins as. */
  readonly towards: Float64Array
  readonly examples: Examples
  readonly before: LocalState["personal"]
  readonly random: RandomSource
}

/**
 * A round's steps of a facility's own model. It has its own pass over the rows, so the integers that are sent are those of a
 * study without personal models; it never leaves the facility.
 *
 * Math:   v <- v - eta (mean gradient of the batch at v + lambda (v - w)), `steps` times; v = w before the first round
 * Shape:  towards: parameterCount(architecture)
 * Source: Li, Hu, Beirami and Smith 2021, Ditto: Fair and Robust Federated Learning Through Personalization,
 *         arXiv:2012.04221, algorithm 1
 * @throws {ConsiliumError} as `trainLocally`
 */
export const trainPersonal = (work: PersonalRound): NonNullable<LocalState["personal"]> => {
  const { architecture, ditto, batchSize, towards, examples, before, random } = work
  const { parameters, cursor } = trainLocally({
    architecture,
    parameters: before?.parameters ?? towards,
    examples,
    steps: ditto.steps,
    batchSize,
    learningRate: ditto.learningRate,
    cursor: before?.cursor ?? startCursor(),
    random,
    proximal: { mu: ditto.lambda, towards },
  })
  return { parameters, cursor }
}
