import type { Examples } from "@consilium/learning/data"
import { gradient, predictLogits } from "@consilium/learning/logistic"
import { softplus } from "@consilium/learning/math"

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0
  for (let j = 0; j < a.length; j++) sum += (a[j] as number) * (b[j] as number)
  return sum
}

/**
 * How familiar a model finds each row: what it was trained on it predicts better.
 *
 * Math:   minus the cross-entropy of the row; higher means "was in it"
 * Shape:  parameters: columns + 1; result: rows
 * Units:  nats
 * Source: Yeom, Giacomelli, Fredrikson, Jha 2018, arXiv:1709.01604
 */
export const familiarity = (parameters: Float64Array, examples: Examples): Float64Array =>
  predictLogits(parameters, examples).map(
    (logit, row) => -softplus(examples.labels[row] === 1 ? -logit : logit),
  )

/**
 * How far an update goes the way that each row would have pushed it.
 *
 * Math:   -<u, g_i> / |g_i|, g_i the row's gradient at the model that training began with
 * Shape:  update: columns + 1; result: rows
 * Source: Melis, Song, De Cristofaro, Shmatikov 2019, arXiv:1805.04049; Nasr, Shokri, Houmansadr 2019, arXiv:1812.00910
 */
export const alignments = (
  update: ArrayLike<number>,
  parameters: Float64Array,
  examples: Examples,
): Float64Array => {
  const slope = new Float64Array(parameters.length)
  return Float64Array.from({ length: examples.rows }, (_, row) => {
    gradient(parameters, examples, Uint32Array.of(row), slope)
    const norm = Math.sqrt(dot(slope, slope))
    return norm === 0 ? 0 : -dot(update, slope) / norm
  })
}
