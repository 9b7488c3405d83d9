import { ConsiliumError, isConsiliumError } from "@consilium/base/errors"
import type { RandomSource } from "@consilium/base/random"
import type { Examples } from "@consilium/learning/data"
import { NetworkTrainer } from "@consilium/learning/network/trainer"
import { DpOptimizer } from "@consilium/privacy/dp-optimizer"
import { RdpAccountant } from "@consilium/privacy/rdp"
import { type NetworkStudy, networkExamplesOf, networkOf, optimiserOf } from "./network-training.js"
import type { PrivateStudy } from "./privacy-plan.js"
import { type PrivateResult, rowsOfPatients } from "./private-training.js"

export interface PrivateNetworkTraining {
  readonly study: NetworkStudy & PrivateStudy
  readonly parameters: Float64Array
  readonly examples: Examples
  /** Whose each row is: all rows of a patient are clipped together. */
  readonly patients: ArrayLike<number>
  readonly random: RandomSource
}

/** One row at a time: a row's gradient then has the same bits whoever else is in the sample. */
const ALONE = { batchSize: 1, shards: 1 } as const

/**
 * A patient's gradient: the sum over the patient's rows. One that is not finite counts as none; an error would tell of the
 * patient.
 */
const gradientOf = (trainer: NetworkTrainer, rows: Uint32Array): Float64Array => {
  try {
    for (const row of rows) trainer.accumulate(Uint32Array.of(row))
  } catch (error) {
    if (!isConsiliumError(error, "learning/diverged")) throw error
    return new Float64Array(trainer.plan.shape.parameters)
  }
  return Float64Array.from(trainer.takeGradientSum())
}

/**
 * A facility's part of a round on a network by DP-SGD: `training.steps` steps, each over a Poisson sample of the patients.
 * Every patient's gradient is clipped, put on a grid of whole numbers, and added there, where adding is exact; exact discrete
 * Gaussian noise joins in whole numbers too. So a patient who comes or goes moves the sum by its own clipped row and nothing
 * else, and `gridSensitivity` bounds that: no allowance for the rounding of floating-point sums is needed. For the same
 * reason rows go through the network one by one: in a batch the last bits of one row's gradient could depend on its
 * neighbours.
 *
 * The noisy sum is divided by `training.batchSize`, the same number at every facility. So a facility moves the model as much
 * as it has patients, as if all had been in one place, and nothing tells how many they are. The optimiser sees noisy sums
 * alone, so whatever it makes of them costs nothing. An empty sample takes its noise like any other.
 *
 * Math:   G = step (sum over the sample of round(clip_C(g_patient) / step) + N(0, sigma^2) on whole numbers);
 *         w <- optimiser(w, G / batchSize), `steps` times
 * Shape:  parameters: those of the network; patients: one number per row
 * Units:  neighbours by adding or removing one patient
 * Cost:   a forward and a backward pass per row of the sample; memory: 8 bytes per parameter and patient of the sample
 * Timing: depends on the rows, which are the facility's own
 * Source: Abadi et al. 2016, arXiv:1607.00133, algorithm 1; on the grid as Kairouz, Liu, Steinke 2021, arXiv:2102.06387
 * @throws {ConsiliumError} "learning/no-examples" without rows; "learning/bad-examples" if patients and rows disagree;
 *   "learning/diverged" if a parameter overflows; "privacy/bad-parameter" if a number of the study is unusable
 */
export const trainNetworkPrivately = (work: PrivateNetworkTraining): PrivateResult => {
  const { study, examples, patients, random } = work
  const { privacy, training } = study
  if (examples.rows === 0)
    throw new ConsiliumError("learning/no-examples", "There are no rows to draw a batch from.")
  if (patients.length !== examples.rows)
    throw new ConsiliumError(
      "learning/bad-examples",
      `${examples.rows} rows name ${patients.length} patients: with differential privacy every row says whose it is.`,
    )
  const people = rowsOfPatients(patients)
  const trainer = new NetworkTrainer({
    network: networkOf(study, work.parameters),
    examples: networkExamplesOf(examples),
    optimiser: optimiserOf(study),
    schedule: { kind: "constant", rate: training.learningRate },
    ...ALONE,
  })
  const sums = new DpOptimizer({
    noiseMultiplier: privacy.noiseMultiplier,
    maxGradNorm: privacy.maxGradNorm,
    sampleRate: privacy.sampleRate,
    datasetSize: people.length,
    dimension: work.parameters.length,
    learningRate: training.learningRate,
    random,
    // the ledger charges the steps at all orders; one order is enough to count them here
    accountant: new RdpAccountant({ orders: [2] }),
  })
  for (let step = 0; step < training.steps; step++) {
    const gradients = Array.from(sums.nextBatch(), (patient) =>
      gradientOf(trainer, people[patient] as Uint32Array),
    )
    const noisy = sums.noisyClippedSum(gradients)
    trainer.apply({
      divisor: training.batchSize,
      noise: Float64Array.from(noisy, (whole) => Number(whole) * sums.grid.step),
    })
  }
  return {
    parameters: Float64Array.from(trainer.network().parameters),
    steps: sums.steps,
    event: sums.event,
  }
}
