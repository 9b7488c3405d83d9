import { clippedRow, type RowBound } from "./clipped-row.js"
import { addWhole, type ClippedGrid, checkRows } from "./clipped-sum.js"
import { checkStep } from "./grid.js"
import { UPWARD } from "./mechanism.js"

/**
 * Largest L1 norm, in whole steps, of a row that was clipped to an L1 norm and rounded to the grid.
 *
 * Math:  floor(maxNorm / step + dimension / 2)
 * Units: steps; neighbours by adding or removing one row
 */
export const l1GridSensitivity = ({ maxNorm, dimension, step }: ClippedGrid): number =>
  Math.floor((maxNorm / step + dimension / 2) * UPWARD)

/**
 * The sum of rows, each clipped to the L1 norm `grid.maxNorm` and rounded to the grid before it is added, in whole steps.
 *
 * Independent discrete Laplace noise of scale b on every entry then costs no more than on one number that moves by the
 * whole sensitivity s, whatever is accounted: let G_a(x) be the greatest power of a test of size x for a shift by a on one
 * coordinate. Noise of a log-concave law has monotone likelihood ratios, so the best tests are thresholds and
 * G_a(G_c(x)) = G_(a+c)(x). Shifting the coordinates one after another, by v_1, v_2, ..., raises the power of any test of
 * the vector from x to at most G_v1(G_v2(...)) = G_|v|(x): a vector that moves by |v| <= s in L1 is told apart no better
 * than one number that moves by s. By Blackwell's theorem the same holds on samples and for all divergences.
 *
 * Shape:  rows of `dimension` numbers; the result `dimension` whole numbers, held in doubles
 * Units:  rows and maxNorm alike; the result in steps; neighbours by adding or removing one row
 * Timing: depends on the rows, which are the facility's own
 * Source: Dwork, McSherry, Nissim and Smith 2006 (noise by L1 sensitivity); the argument is group privacy of trade-off
 *         functions, Dong, Roth and Su 2022 (arXiv:1905.02383), section 2.5, taken coordinate by coordinate
 * @throws {ConsiliumError} "privacy/bad-parameter" as `clippedSum`
 */
export const l1ClippedSum = (rows: readonly Float64Array[], grid: ClippedGrid): Float64Array => {
  const { maxNorm, dimension, step } = grid
  checkStep(step)
  const sensitivity = l1GridSensitivity(grid)
  checkRows(rows, dimension, sensitivity)
  const sum = new Float64Array(dimension)
  const bound: RowBound = { norm: "l1", maxNorm, step, sensitivity }
  for (const row of rows) addWhole(clippedRow(row, bound).whole, sum)
  return sum
}
