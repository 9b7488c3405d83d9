/** How long a row is: by the root of its squares, or by its absolute values. */
export type Norm = "l1" | "l2"

const lengthOf = (norm: Norm, values: Float64Array): number =>
  norm === "l2"
    ? Math.sqrt(values.reduce((sum, value) => sum + value * value, 0))
    : values.reduce((sum, value) => sum + Math.abs(value), 0)

/** Of whole numbers the squared L2 norm or the L1 norm, both exact in doubles. */
const wholeLength = (norm: Norm, values: Float64Array): number => {
  let sum = 0
  if (norm === "l2") for (const value of values) sum += value * value
  else for (const value of values) sum += Math.abs(value)
  return sum
}

export interface RowBound {
  readonly norm: Norm
  /** Most that a row may measure, in its own units. */
  readonly maxNorm: number
  /** Grid step, in the same units. */
  readonly step: number
  /** Most that the rounded row may measure, in steps. */
  readonly sensitivity: number
}

export interface ClippedRow {
  /** Whole numbers of steps. */
  readonly whole: Float64Array
  /** False where the row was longer than maxNorm. */
  readonly within: boolean
}

const scaled = (row: Float64Array, { norm, maxNorm, step }: RowBound): [Float64Array, boolean] => {
  const largest = row.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  if (largest === 0) return [row, true]
  const relative = row.map((value) => value / largest)
  const root = lengthOf(norm, relative)
  if (largest * root <= maxNorm) return [row.map((value) => value / step), true]
  return [relative.map((value) => (value * (maxNorm / root)) / step), false]
}

/**
 * A row scaled down to a norm if it is longer, and rounded to whole steps. No intermediate value overflows. What comes out
 * is measured in whole numbers, which are exact in doubles, and is shrunk further should rounding in the scaling have
 * carried it over the sensitivity: so the bound holds whatever the step is and however the scaling was rounded.
 *
 * Math:  round(row min(1, maxNorm / |row|) / step), |result| <= sensitivity
 * Shape: as the row
 * Error: at most half a step a coordinate
 */
export const clippedRow = (row: Float64Array, bound: RowBound): ClippedRow => {
  const { norm, sensitivity } = bound
  const limit = norm === "l2" ? sensitivity ** 2 : sensitivity
  const [values, within] = scaled(row, bound)
  let shrink = 1
  for (;;) {
    const whole = values.map((value) => Math.round(value * shrink))
    if (wholeLength(norm, whole) <= limit) return { whole, within }
    shrink *= 1 - 2 ** -40
  }
}
