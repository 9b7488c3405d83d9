import { ConsiliumError } from "@consilium/base/errors"
import { clippedRow, type RowBound } from "./clipped-row.js"
import { checkStep } from "./grid.js"
import { UPWARD } from "./mechanism.js"

/** How rows are clipped and put on the grid. */
export interface ClippedGrid {
  /** L2 norm to which a row is clipped, in units of the rows. */
  readonly maxNorm: number
  /** Numbers in a row. */
  readonly dimension: number
  /** Grid step, a power of two, in units of the rows. */
  readonly step: number
}

/**
 * Largest L2 norm, in steps, of a row that was clipped to maxNorm and rounded to the grid: what adding or removing
 * a row can move the sum.
 *
 * Math: maxNorm / step + sqrt(dimension) / 2
 */
export const gridSensitivity = ({ maxNorm, dimension, step }: ClippedGrid): number =>
  (maxNorm / step + Math.sqrt(dimension) / 2) * UPWARD

/**
 * Refuses rows that cannot be summed.
 * @throws {ConsiliumError} "privacy/bad-parameter" if a row has another length or is not finite, or the sum may pass 2^52 steps
 */
export const checkRows = (rows: readonly Float64Array[], dimension: number, sensitivity: number): void => {
  if (rows.length * sensitivity > 2 ** 52)
    throw new ConsiliumError(
      "privacy/bad-parameter",
      `A sum of ${rows.length} rows may pass 2^52 grid steps.`,
      {
        remedy: "Take a coarser grid.",
      },
    )
  for (const row of rows) {
    if (!(row instanceof Float64Array) || row.length !== dimension)
      throw new ConsiliumError("privacy/bad-parameter", `A row is no Float64Array of ${dimension} numbers.`)
    for (const value of row)
      if (!Number.isFinite(value))
        throw new ConsiliumError("privacy/bad-parameter", "A row holds a number that is not finite.")
  }
}

/** Adds whole numbers to a sum, from a place on. */
export const addWhole = (whole: Float64Array, sum: Float64Array, from = 0): void => {
  for (let i = 0; i < whole.length; i++) sum[from + i] = (sum[from + i] as number) + (whole[i] as number)
}

/**
 * The sum of rows, each clipped to an L2 norm and rounded to a grid before it is added, in whole steps. Since the
 * addition is exact, adding or removing a row moves the sum by exactly that row: `gridSensitivity` bounds it without any
 * allowance for rounding in sums, which floating-point sums would need.
 *
 * Shape:  rows of `dimension` numbers; the result `dimension` whole numbers, held in doubles
 * Units:  rows and maxNorm alike; the result in steps; neighbours by adding or removing one row
 * Cost:   3 passes over each row
 * Timing: depends on the rows, which are the facility's own
 * Source: Abadi et al. 2016, arXiv:1607.00133, algorithm 1; on the grid as Kairouz, Liu, Steinke 2021, arXiv:2102.06387
 * @throws {ConsiliumError} "privacy/bad-parameter" if a row has another length or is not finite, or the sum may pass 2^52 steps
 */
export const clippedSum = (rows: readonly Float64Array[], grid: ClippedGrid): Float64Array => {
  checkStep(grid.step)
  const { maxNorm, dimension, step } = grid
  const sensitivity = gridSensitivity(grid)
  checkRows(rows, dimension, sensitivity)
  const sum = new Float64Array(dimension)
  const bound: RowBound = { norm: "l2", maxNorm, step, sensitivity }
  for (const row of rows) addWhole(clippedRow(row, bound).whole, sum)
  return sum
}
