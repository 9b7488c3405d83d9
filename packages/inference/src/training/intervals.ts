import { type PolynomialRange, polynomialRange } from "./polynomial-range.js"

/** Where each of some numbers lies, ends included. */
export interface Intervals {
  readonly low: Float64Array
  readonly high: Float64Array
}

/** A layer whose numbers lie flat: weights[i * outputs + o] goes from input i to output o. */
export type FlatLayer =
  | {
      readonly kind: "dense"
      readonly inputs: number
      readonly outputs: number
      readonly weights: ArrayLike<number>
      readonly biases: ArrayLike<number>
    }
  | { readonly kind: "polynomial"; readonly coefficients: readonly number[] }

/** The activation x^2 as a polynomial. */
export const SQUARE: readonly number[] = [0, 0, 1]

/** What went into a layer and came out of it, and for a polynomial where its extremes are. */
export interface LayerIntervals {
  readonly layer: FlatLayer
  readonly input: Intervals
  readonly output: Intervals
  readonly ranges: readonly PolynomialRange[]
}

const EPSILON = 2 ** -52

const denseIntervals = (
  layer: Extract<FlatLayer, { kind: "dense" }>,
  { low, high }: Intervals,
): Intervals => {
  const { inputs, outputs, weights, biases } = layer
  const out = { low: new Float64Array(outputs), high: new Float64Array(outputs) }
  for (let o = 0; o < outputs; o++) {
    const bias = biases[o] as number
    let least = bias
    let most = bias
    let sizes = Math.abs(bias)
    for (let i = 0; i < inputs; i++) {
      const w = weights[i * outputs + o] as number
      const a = w * (low[i] as number)
      const b = w * (high[i] as number)
      least += Math.min(a, b)
      most += Math.max(a, b)
      sizes += Math.max(Math.abs(a), Math.abs(b))
    }
    // the error of a sum of n rounded products is under n units in the last place of the sum of sizes
    const slack = (inputs + 4) * EPSILON * sizes
    out.low[o] = least - slack
    out.high[o] = most + slack
  }
  return out
}

/**
 * Where the numbers between the layers can lie when the inputs lie anywhere in theirs.
 *
 * Math:   interval arithmetic; exact for what the first dense layer gives and for each activation alone, wider than the truth
 *         from the second dense layer on, since it takes units for independent
 * Error:  ends are moved outwards by more than all rounding
 * Source: Moore 1966; Gowal et al. 2018, arXiv:1810.12715 (for networks)
 */
export const networkIntervals = (
  layers: readonly FlatLayer[],
  inputs: Intervals,
): readonly LayerIntervals[] => {
  const out: LayerIntervals[] = []
  let input = inputs
  for (const layer of layers) {
    if (layer.kind === "dense") {
      const output = denseIntervals(layer, input)
      out.push({ layer, input, output, ranges: [] })
      input = output
      continue
    }
    const { low, high } = input
    const ranges = Array.from(low, (least, k) =>
      polynomialRange(layer.coefficients, least, high[k] as number),
    )
    const output = {
      low: Float64Array.from(ranges, (range) => range.low),
      high: Float64Array.from(ranges, (range) => range.high),
    }
    out.push({ layer, input, output, ranges })
    input = output
  }
  return out
}
