import { ConsiliumError } from "@consilium/base/errors"

/**
 * The record behind an update of a logistic regression that was trained on that record alone, however many local steps
 * it took: every step moves the weights by a multiple of the record and the bias by the same multiple of 1.
 *
 * Math:   u = c (x, 1), so x_j = u_j / u_bias; of several records it is their mean, weighed by what each contributed
 * Shape:  update: columns + 1; result: columns, or null where the bias did not move
 * Error:  of an update rounded to a grid of g: about g (1 + |x_j|) / |u_bias|
 * Source: Phong et al. 2018, IEEE TIFS 13(5):1333, section 3; Zhu, Liu, Han 2019, arXiv:1906.08935
 */
export const invertLinear = (update: ArrayLike<number>): Float64Array | null => {
  const columns = update.length - 1
  const bias = update[columns] as number
  if (!(Math.abs(bias) > 0)) return null
  return Float64Array.from({ length: columns }, (_, j) => (update[j] as number) / bias)
}

/** What the unit of a dense layer shows of the rows that it was active for. */
export interface UnitInversion {
  readonly unit: number
  readonly record: Float64Array
}

/**
 * What each unit of a network's first dense layer tells of the batch. A unit that was active for one row alone gives
 * that row exactly: a batch of one is given by every active unit, a larger one in part.
 *
 * Math:   gradient of unit k = sum over rows of delta_ik (x_i, 1), so a record = weights' part / bias' part
 * Shape:  update: weights (inputs x outputs, row by row), then biases (outputs), then other layers
 * Source: Phong et al. 2018; Boenisch et al. 2023, arXiv:2112.02918 (batches)
 * @throws {ConsiliumError} "learning/bad-parameters" if the update is too short for the layer
 */
export const invertDense = (
  update: ArrayLike<number>,
  layer: { readonly inputs: number; readonly outputs: number },
): readonly UnitInversion[] => {
  const { inputs, outputs } = layer
  if (update.length < (inputs + 1) * outputs)
    throw new ConsiliumError(
      "learning/bad-parameters",
      `A dense layer of ${inputs} inputs and ${outputs} outputs has ${(inputs + 1) * outputs} parameters, the update only ${update.length}.`,
    )
  return Array.from({ length: outputs }, (_, unit) => unit)
    .filter((unit) => Math.abs(update[inputs * outputs + unit] as number) > 0)
    .map((unit) => {
      const bias = update[inputs * outputs + unit] as number
      return {
        unit,
        record: Float64Array.from(
          { length: inputs },
          (_, j) => (update[j * outputs + unit] as number) / bias,
        ),
      }
    })
}

/** The largest difference of a feature between what was found and what is true. */
export const worstError = (found: ArrayLike<number>, truth: ArrayLike<number>): number => {
  let worst = 0
  for (let j = 0; j < truth.length; j++)
    worst = Math.max(worst, Math.abs((found[j] as number) - (truth[j] as number)))
  return worst
}

/** How near the best of an attack's findings comes to a record: its worst feature; Infinity without findings. */
export const nearestError = (findings: readonly ArrayLike<number>[], truth: ArrayLike<number>): number =>
  findings.reduce((least, found) => Math.min(least, worstError(found, truth)), Infinity)
