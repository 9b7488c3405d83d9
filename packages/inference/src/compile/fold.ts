import { badModel, type ColumnScaling, SCALING_FLOOR } from "../model/model.js"
import { columnRange, type InputColumn, type InputSchema } from "../schema/fields.js"

/** An affine function of unit values: weights u + bias. */
export interface UnitAffine {
  readonly weights: readonly number[]
  readonly bias: number
  /** How far roundings of doubles take it from the model's, at most, over all declared values: here, at the asker, and in the model itself. */
  readonly off: number
}

/**
 * The most that roundings of doubles take from a sum of so many terms, each computed in a few steps.
 * Math: a step is off by 2^-53 of what it gives, an addition by 2^-53 of all before
 */
export const doublesOff = (terms: number, size: number): number => (terms + 16) * 2 ** -52 * size

/**
 * Refuses scaling that is of one facility alone, or does not fit the columns.
 * @throws {ConsiliumError} "inference/bad-model"
 */
export const checkScaling = (scaling: ColumnScaling | null, columns: number): void => {
  if (scaling === null) return
  const { source, means, deviations } = scaling
  if (source !== "study" && source !== "declared")
    badModel("Columns are scaled by neither the study's nor declared numbers; a facility's own stay with it.")
  if (means.length !== columns || deviations.length !== columns)
    badModel(`There are ${means.length} means and ${deviations.length} deviations for ${columns} columns.`)
  if (!means.every(Number.isFinite) || !deviations.every((value) => Number.isFinite(value) && value >= 0))
    badModel("A mean or a deviation is not finite, or a deviation is below 0.")
}

/**
 * Takes scaling and the declared ranges into the weights, so that what is encrypted lies in [-1, 1].
 *
 * Math:  w'_j = w_j f_j h_j, b' = b + sum_j w_j f_j (c_j - m_j), f_j = 1 / (deviation_j + 1e-9) or 0, c_j and h_j the middle and half
 *        the width of the range
 * Error: `off`; a range far from zero has a middle, and values, with few digits left for its width
 */
export const foldIntoUnits = (
  schema: InputSchema,
  scaling: ColumnScaling | null,
  weights: readonly number[],
  bias: number,
): UnitAffine => {
  let shifted = bias
  let size = Math.abs(bias)
  const folded = weights.map((weight, j) => {
    const [low, high] = columnRange(schema, schema.columns[j] as InputColumn)
    const deviation = scaling === null ? null : (scaling.deviations[j] as number)
    const factor = deviation === null ? 1 : deviation === 0 ? 0 : 1 / (deviation + SCALING_FLOOR)
    const mean = scaling === null ? 0 : (scaling.means[j] as number)
    shifted += weight * factor * (low / 2 + high / 2 - mean)
    size += Math.abs(weight * factor) * (Math.max(Math.abs(low), Math.abs(high)) + Math.abs(mean))
    return weight * factor * (high / 2 - low / 2)
  })
  if (![...folded, shifted].every(Number.isFinite))
    badModel("A weight times the width of its column's range is not finite.")
  return { weights: folded, bias: shifted, off: doublesOff(weights.length, size) }
}

/** The sum of absolute values. */
export const absoluteSum = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + Math.abs(value), 0)

/** The least power of two that is not below a number. */
export const powerOfTwoAbove = (value: number): number => {
  let power = 2 ** -60
  while (power < value) power *= 2
  return power
}
