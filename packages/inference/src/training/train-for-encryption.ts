import { ConsiliumError } from "@consilium/base/errors"
import type { RandomSource } from "@consilium/base/random"
import { type BatchCursor, nextBatch } from "@consilium/learning/batches"
import type { NetworkExamples } from "@consilium/learning/network/examples"
import type { Network } from "@consilium/learning/network/network"
import type { Optimiser } from "@consilium/learning/network/optimiser"
import type { Schedule } from "@consilium/learning/network/schedule"
import { NetworkTrainer } from "@consilium/learning/network/trainer"
import { checkPositive, checkWhole } from "@consilium/learning/settings"
import { intervalsOf } from "./activation-bounds.js"
import { encryptableLayers } from "./network-layers.js"
import { type RangeLimits, rangePenalty } from "./range-penalty.js"
import { networkReach, type Reach, withinLimits } from "./within-limits.js"

export interface EncryptionTraining {
  /** Dense layers, square or polynomial activations, one logit. */
  readonly network: Network
  readonly examples: NetworkExamples
  /** Where each input lies, as declared, in the form that the network takes it. */
  readonly ranges: readonly (readonly [number, number])[]
  readonly limits: RangeLimits
  /** How much the range penalty counts beside the loss; 1 unless told. */
  readonly strength?: number
  readonly steps: number
  readonly batchSize: number
  readonly optimiser: Optimiser
  readonly schedule: Schedule
  readonly cursor: BatchCursor
  /** Where the order of the rows comes from. */
  readonly random: RandomSource
}

export interface EncryptionResult {
  readonly network: Network
  readonly cursor: BatchCursor
  readonly steps: number
  /** The mean loss of each batch before its step, without the penalty. */
  readonly losses: Float64Array
  /** How far the network goes over the declared ranges: within the limits. */
  readonly reach: Reach
  /** Units that the penalty had not brought inside and that were made smaller after the last step. */
  readonly scaled: number
}

/** The penalty begins a little before the limits, so that what it leaves over lies inside them. */
const PENALISED_SHARE = 0.98

/**
 * Trains a network so that nothing inside it leaves its limits, for any patient within the declared ranges: first units are
 * made small enough, then a penalty on what could leave is added to the loss of every step, and what little is left over is
 * taken off at the end. The penalty depends on weights and declarations alone.
 *
 * Math:   step along mean gradient of the batch + strength * gradient of `rangePenalty`
 * Error:  none of the limits is passed; same bits in every engine
 * @throws {ConsiliumError} "inference/bad-model" on a network or ranges that do not fit; as `trainNetwork` otherwise
 */
export const trainForEncryption = (training: EncryptionTraining): EncryptionResult => {
  const { examples, limits, steps, batchSize, random, optimiser, schedule, strength = 1 } = training
  checkWhole("number of steps", steps, 0)
  checkPositive("limit of what goes into an activation", limits.activation)
  checkPositive("limit of the logit", limits.logit)
  checkPositive("strength of the range penalty", strength)
  const inputs = intervalsOf(training.ranges)
  const start = withinLimits(training.network, inputs, limits).network
  if (inputs.low.length * examples.rows !== examples.inputs.length)
    throw new ConsiliumError(
      "inference/bad-model",
      `${inputs.low.length} ranges do not fit ${examples.inputs.length} inputs of ${examples.rows} rows.`,
    )
  const trainer = new NetworkTrainer({ network: start, examples, batchSize, optimiser, schedule })
  const parameters = start.parameters.slice()
  const layers = encryptableLayers(start, parameters)
  const penalised = {
    activation: PENALISED_SHARE * limits.activation,
    logit: PENALISED_SHARE * limits.logit,
  }
  const losses = new Float64Array(steps)
  let { cursor } = training
  for (let step = 0; step < steps; step++) {
    const batch = nextBatch(cursor, examples.rows, batchSize, random)
    cursor = batch.cursor
    losses[step] = trainer.accumulate(batch.indices)
    const { gradient } = rangePenalty(layers, parameters.length, inputs, penalised)
    // what the trainer adds to the sum of the rows, be it noise or this, is divided by their number with it
    const divisor = batch.indices.length
    trainer.apply({ divisor, noise: gradient.map((slope) => slope * strength * divisor) })
    parameters.set(trainer.network().parameters)
  }
  const { network, scaled } = withinLimits(trainer.network(), inputs, limits)
  return { network, cursor, steps, losses, reach: networkReach(network, inputs), scaled }
}
