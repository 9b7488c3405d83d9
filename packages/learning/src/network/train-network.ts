import { ConsiliumError } from "@consilium/base/errors"
import type { RandomSource } from "@consilium/base/random"
import { type BatchCursor, checkCursor, nextBatch } from "../batches.js"
import { checkWhole } from "../settings.js"
import type { Network } from "./network.js"
import { NetworkTrainer, type TrainerSettings } from "./trainer.js"

export interface NetworkTraining extends TrainerSettings {
  readonly steps: number
  readonly cursor: BatchCursor
  /** Where the order of the rows comes from. */
  readonly random: RandomSource
}

export interface NetworkResult {
  readonly network: Network
  readonly cursor: BatchCursor
  /** Steps taken: what a privacy ledger charges. */
  readonly steps: number
  /** The mean loss of each batch before its step. */
  readonly losses: Float64Array
}

/**
 * Trains a network for a number of steps, each on the next batch of a cursor. No input is written to; zero steps give back
 * the parameters and the cursor as they were, with any number of rows. One row, one class or a constant column need no
 * special care and get none.
 *
 * @throws {ConsiliumError} "learning/no-examples" if there are steps to take but no rows; "learning/diverged" if a number
 *   leaves the finite ones; "learning/bad-setting", "learning/bad-parameters", "learning/bad-examples",
 *   "learning/bad-cursor" on input that does not fit
 */
export const trainNetwork = (training: NetworkTraining): NetworkResult => {
  const { steps, batchSize, random, examples } = training
  checkWhole("number of steps", steps, 0)
  checkCursor(training.cursor, examples.rows)
  const trainer = new NetworkTrainer(training)
  if (steps > 0 && examples.rows === 0)
    throw new ConsiliumError("learning/no-examples", `There are ${steps} steps to take, but no rows.`)
  if (training.clipNorm !== undefined)
    throw new ConsiliumError(
      "learning/bad-setting",
      "Rows are clipped for the sake of noise, and this function adds none.",
      { remedy: "Use NetworkTrainer, and give `apply` the noise." },
    )
  const losses = new Float64Array(steps)
  let { cursor } = training
  for (let step = 0; step < steps; step++) {
    const batch = nextBatch(cursor, examples.rows, batchSize, random)
    cursor = batch.cursor
    losses[step] = trainer.step(batch.indices)
  }
  return { network: trainer.network(), cursor, steps: trainer.steps, losses }
}
