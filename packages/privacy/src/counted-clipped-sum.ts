import { clippedSumNoiseMultiplier } from "./adaptive-clipping.js"
import { clippedRow, type RowBound } from "./clipped-row.js"
import { addWhole, checkRows, gridSensitivity } from "./clipped-sum.js"
import { mustBeCount, mustBePositive } from "./events.js"
import { checkStep } from "./grid.js"
import { UPWARD } from "./mechanism.js"

/**
 * How a clipped sum and the count of rows within the clip norm are put into one vector of whole numbers. The grid step is a
 * fixed share of the clip norm, so that sensitivity and noise in steps are the same whatever the clip norm has become.
 */
export interface CountedGrid {
  /** Numbers in a row, without the count. */
  readonly dimension: number
  /** Grid step / clip norm, a power of two. */
  readonly relativeStep: number
  /** What one row adds to the last entry: `weight` if it is within the clip norm, -`weight` if not. */
  readonly weight: number
  /** Largest L2 norm, in steps, of what one row adds to the vector. */
  readonly sensitivity: number
}

/**
 * The vector for a noise multiplier in all and a standard deviation of the count.
 *
 * The count is one more coordinate under the same noise: weight w times the sum of 2b - 1, which moves by w. So the joint
 * release is a single discrete Gaussian vector with the noise multiplier z, accounted as such, exactly, also on samples.
 *
 * Math:   D = 1 / relativeStep + sqrt(dimension) / 2; sensitivity = sqrt(D^2 + w^2); sigma = z sensitivity on all entries.
 *         With r = z / (2 sigma_b), w = D r / sqrt(1 - r^2), rounded to a whole number of 1 or more, the count has noise
 *         sigma / w = 2 sigma_b and the sum sigma / D = z / sqrt(1 - r^2) = z_delta, as in theorem 1
 * Units:  z: standard deviation / L2 sensitivity; sigma_b: standard deviation of the noise on the sum of b - 1/2
 * Error:  rounding w moves sigma_b by at most 1 / (2 w) of itself and z_delta to match; z is exact
 * Source: Andrew, Thakkar, McMahan and Ramaswamy 2021 (arXiv:1905.03871), theorem 1
 * @throws {ConsiliumError} "privacy/bad-parameter" if the count alone costs more than z allows
 */
export const countedGrid = (
  z: number,
  countSigma: number,
  dimension: number,
  relativeStep: number,
): CountedGrid => {
  mustBePositive("A noise multiplier", z)
  mustBeCount("A dimension", dimension, 1)
  checkStep(relativeStep)
  const ofSum = gridSensitivity({ maxNorm: 1, dimension, step: relativeStep })
  // sigma / (2 sigma_b), where sigma is z_delta D
  const weight = Math.round((ofSum * clippedSumNoiseMultiplier(z, countSigma)) / (2 * countSigma))
  const whole = Math.max(1, weight)
  mustBeCount("The weight of the count", whole, 1)
  return {
    dimension,
    relativeStep,
    weight: whole,
    sensitivity: Math.sqrt(ofSum * ofSum + whole * whole) * UPWARD,
  }
}

/**
 * The sum of rows, each clipped to clipNorm and rounded to the grid, with the weighted count of rows within the norm as
 * last entry; in whole steps.
 *
 * Math:   (sum of round(clip(row) / step), weight * sum of (2b - 1)), b = 1 for a row within clipNorm; step = relativeStep clipNorm
 * Shape:  rows of `dimension` numbers; the result `dimension` + 1 whole numbers, held in doubles
 * Units:  rows and clipNorm alike; the result in steps; neighbours by adding or removing one row
 * Timing: depends on the rows, which are the facility's own
 * Source: Andrew et al. 2021 (arXiv:1905.03871), algorithm 1
 * @throws {ConsiliumError} "privacy/bad-parameter" as `clippedSum`
 */
export const countedClippedSum = (
  rows: readonly Float64Array[],
  clipNorm: number,
  { dimension, relativeStep, weight, sensitivity }: CountedGrid,
): Float64Array => {
  mustBePositive("A clip norm", clipNorm)
  checkRows(rows, dimension, sensitivity)
  const bound: RowBound = {
    norm: "l2",
    maxNorm: clipNorm,
    step: relativeStep * clipNorm,
    sensitivity: gridSensitivity({ maxNorm: 1, dimension, step: relativeStep }),
  }
  const sum = new Float64Array(dimension + 1)
  for (const row of rows) {
    const { whole, within } = clippedRow(row, bound)
    addWhole(whole, sum)
    sum[dimension] = (sum[dimension] as number) + (within ? weight : -weight)
  }
  return sum
}
