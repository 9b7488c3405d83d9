import { ConsiliumError } from "@consilium/base/errors"
import type { RandomSource } from "@consilium/base/random"
import type { Examples } from "@consilium/learning/data"
import { clippedSum } from "@consilium/privacy/clipped-sum"
import type { PrivateStudy } from "./privacy-plan.js"
import { patientGradient, rowsOfPatients } from "./private-training.js"
import { withNoiseShare } from "./sum-noise.js"

export interface GradientSum {
  readonly study: PrivateStudy
  /** The global model the round starts from. */
  readonly parameters: Float64Array
  readonly examples: Examples
  /** Whose each row is: all rows of a patient are clipped together. */
  readonly patients: ArrayLike<number>
  readonly random: RandomSource
}

/**
 * A facility's part of a round whose noise is on the sum: the descent direction summed over all of its patients, each
 * patient's gradient clipped and put on the grid, plus the facility's share of the noise. What one patient moves is bounded
 * before anything is added up, so nothing is clipped or rounded afterwards. The sum is not divided by how many patients
 * there are: every facility weighs by its patients, and `meanUpdate` divides by a declared number.
 *
 * Math:   v = sum over patients of round(clip_C(-g_patient) 2^f) + N
 * Shape:  parameters: columns + 1; patients: one number per row; result columns + 1 integers
 * Units:  grid steps of 2^-f of a gradient; neighbours by adding or removing one patient
 * Timing: depends on the rows, which are the facility's own
 * Source: Abadi et al. 2016, arXiv:1607.00133, algorithm 1, at a sample rate of 1; the noise as `withNoiseShare`
 * @throws {ConsiliumError} "learning/no-examples" without rows; "learning/bad-examples" if patients and rows disagree;
 *   "privacy/too-many-patients" if there are more than the study's sums are made for
 */
export const noisyGradientSum = (work: GradientSum): Int32Array => {
  const { study, parameters, examples, patients, random } = work
  const { mostPatients, maxGradNorm } = study.privacy
  if (examples.rows === 0)
    throw new ConsiliumError("learning/no-examples", "There are no rows to draw a batch from.")
  if (patients.length !== examples.rows)
    throw new ConsiliumError(
      "learning/bad-examples",
      `${examples.rows} rows name ${patients.length} patients: with differential privacy every row says whose it is.`,
    )
  const people = rowsOfPatients(patients)
  if (people.length > mostPatients)
    throw new ConsiliumError(
      "privacy/too-many-patients",
      `This facility trains on more patients than the ${mostPatients} that the study's sums are made for.`,
    )
  const descents = people.map((rows) => patientGradient(parameters, examples, rows).map((value) => -value))
  const grid = {
    maxNorm: maxGradNorm,
    dimension: parameters.length,
    step: 2 ** -study.quantisation.fractionBits,
  }
  return withNoiseShare(clippedSum(descents, grid), study, random)
}
