import { ConsiliumError } from "@consilium/base/errors"
import type { RandomSource } from "@consilium/base/random"
import { addCorrection, type Correction } from "@consilium/learning/correction"
import type { Examples } from "@consilium/learning/data"
import { gradient } from "@consilium/learning/logistic"
import { addProximalGradient } from "@consilium/learning/proximal"
import { settled } from "@consilium/learning/train"
import { DpOptimizer } from "@consilium/privacy/dp-optimizer"
import type { DpEvent } from "@consilium/privacy/events"
import { RdpAccountant } from "@consilium/privacy/rdp"
import type { PrivateStudy } from "./privacy-plan.js"
import { stepParameters } from "./step-release.js"

export interface PrivateTraining {
  readonly study: PrivateStudy
  readonly parameters: Float64Array
  /** Corrects the drift of the steps; null for none. */
  readonly correction?: Correction | null
  readonly examples: Examples
  /** Whose each row is: all rows of a patient are clipped together. */
  readonly patients: ArrayLike<number>
  readonly random: RandomSource
  /** Norms that clipping goes on from, where it adapts; absent or empty before the first round. */
  readonly clipNorms?: readonly number[]
}

export interface PrivateResult {
  readonly parameters: Float64Array
  /** Steps taken, each of which released `event`. */
  readonly steps: number
  readonly event: DpEvent
}

/** The rows of each patient, patients in the order of their first rows. */
export const rowsOfPatients = (patients: ArrayLike<number>): readonly Uint32Array[] => {
  const rows = new Map<number, number[]>()
  for (let row = 0; row < patients.length; row++) {
    const patient = patients[row] as number
    const known = rows.get(patient)
    if (known === undefined) rows.set(patient, [row])
    else known.push(row)
  }
  return [...rows.values()].map((of) => Uint32Array.from(of))
}

/**
 * A patient's gradient: the sum over the patient's rows. One that is not finite counts as none: an error would tell of the
 * patient, to a leader that announces a model with which only certain rows overflow.
 */
export const patientGradient = (
  parameters: Float64Array,
  examples: Examples,
  rows: Uint32Array,
): Float64Array => {
  const mean = new Float64Array(parameters.length)
  gradient(parameters, examples, rows, mean)
  const sum = mean.map((value) => value * rows.length)
  return sum.every(Number.isFinite) ? sum : new Float64Array(parameters.length)
}

/**
 * A facility's part of a round by DP-SGD: `training.steps` steps, each over a Poisson sample of the patients, with every
 * patient's gradient clipped, the clipped sum on the whole-number grid, exact discrete noise on it, and the expected batch
 * size as divisor. A step whose sample is empty takes its noise alone. The study says how gradients are clipped and which
 * noise it is; where the clip norm adapts, it goes on from round to round, as a function of what the steps released.
 *
 * A proximal term is added to the noisy sum's mean, never to a patient's gradient. It is a function of the round's global
 * model, which is public, and of the parameters so far, which are that model moved by noisy sums that are charged: it
 * reads no row, so it costs nothing, and the clip bounds what a patient does to a step as if there were no such term. A
 * correction by control variates is added in the same place: they are functions of the updates that were sent, noise
 * included, and of what was announced.
 *
 * Math:   w <- w - learningRate (1 / (q N) (sum over the sample of clip_C(g_patient) + noise) + mu (w - w_global)
 *         + c - c_i), `steps` times
 * Shape:  parameters: columns + 1; patients: one number per row
 * Units:  neighbours by adding or removing one patient, N as declared
 * Timing: depends on the rows, which are the facility's own
 * Source: Abadi et al. 2016, arXiv:1607.00133, algorithm 1; the proximal term: Li et al. 2020, arXiv:1812.06127
 * @throws {ConsiliumError} "learning/no-examples" without rows; "learning/bad-examples" if patients and rows disagree;
 *   "learning/diverged" if a parameter overflows; "privacy/bad-parameter" if a number of the study is unusable
 */
export const trainPrivately = (
  work: PrivateTraining,
): PrivateResult & {
  /** Norms that the next round's clipping goes on from; none where it does not adapt. */
  readonly clipNorms: readonly number[]
} => {
  const { study, examples, patients, random, correction = null } = work
  const { privacy, training } = study
  if (examples.rows === 0)
    throw new ConsiliumError("learning/no-examples", "There are no rows to draw a batch from.")
  if (patients.length !== examples.rows)
    throw new ConsiliumError(
      "learning/bad-examples",
      `${examples.rows} rows name ${patients.length} patients: with differential privacy every row says whose it is.`,
    )
  const people = rowsOfPatients(patients)
  const parameters = Float64Array.from(work.parameters)
  const [goesOnFrom] = work.clipNorms ?? []
  const optimizer = new DpOptimizer({
    ...stepParameters(privacy, parameters.length),
    ...(goesOnFrom === undefined ? {} : { clipNorm: goesOnFrom }),
    sampleRate: privacy.sampleRate,
    datasetSize: people.length,
    learningRate: training.learningRate,
    random,
    // the ledger charges the steps at all orders; one order is enough to count them here
    accountant: new RdpAccountant({ orders: [2] }),
  })
  const proximal = { mu: training.proximalMu, towards: work.parameters }
  for (let step = 0; step < training.steps; step++) {
    const gradients = Array.from(optimizer.nextBatch(), (patient) =>
      patientGradient(parameters, examples, people[patient] as Uint32Array),
    )
    const pull = new Float64Array(parameters.length)
    addProximalGradient(pull, parameters, proximal)
    if (correction !== null) addCorrection(pull, correction)
    optimizer.step(parameters, gradients)
    for (let j = 0; j < pull.length; j++)
      parameters[j] = (parameters[j] as number) - training.learningRate * (pull[j] as number)
  }
  return {
    parameters: settled(parameters),
    steps: optimizer.steps,
    event: optimizer.event,
    clipNorms: privacy.clipping.type === "adaptive" ? [optimizer.clipNorm] : [],
  }
}
