import { type Intervals, type LayerIntervals, networkIntervals } from "./intervals.js"
import type { EncryptableLayer } from "./network-layers.js"
import { derivativeOf, polynomialValue } from "./polynomial-range.js"

/** How far numbers inside a network may go, for all that its columns are declared to hold. */
export interface RangeLimits {
  /** What goes into an activation lies in [-activation, activation]: the interval that its polynomial was fitted on. */
  readonly activation: number
  /** The logit lies in [-logit, logit]: what a scale has to leave room for. */
  readonly logit: number
}

/** A penalty and its gradient, one number a parameter of the network. */
export interface RangePenalty {
  readonly value: number
  readonly gradient: Float64Array
}

/** Slopes of the penalty by the ends of intervals. */
interface EndSlopes {
  readonly low: Float64Array
  readonly high: Float64Array
}

const noSlopes = (size: number): EndSlopes => ({ low: new Float64Array(size), high: new Float64Array(size) })

/** Adds what ends beyond a limit cost, and its slopes. */
const addExcess = ({ low, high }: Intervals, limit: number, slopes: EndSlopes): number => {
  let sum = 0
  for (let k = 0; k < low.length; k++) {
    const below = Math.max(-limit - (low[k] as number), 0)
    const above = Math.max((high[k] as number) - limit, 0)
    sum += (below * below + above * above) / 2
    slopes.low[k] = (slopes.low[k] as number) - below
    slopes.high[k] = (slopes.high[k] as number) + above
  }
  return sum
}

const throughPolynomial = (
  { input, ranges }: LayerIntervals,
  coefficients: readonly number[],
  slopes: EndSlopes,
): EndSlopes => {
  const derivative = derivativeOf(coefficients)
  const out = noSlopes(input.low.length)
  for (const [k, { lowAt, highAt }] of ranges.entries())
    for (const [at, slope] of [
      [lowAt, slopes.low[k] as number],
      [highAt, slopes.high[k] as number],
    ] as const) {
      // between the ends the derivative is 0, or the extreme is no end's
      const end = at === input.low[k] ? out.low : at === input.high[k] ? out.high : null
      if (end !== null) end[k] = (end[k] as number) + slope * polynomialValue(derivative, at)
    }
  return out
}

const throughDense = (
  { input, layer }: LayerIntervals,
  { weightsAt, biasesAt }: EncryptableLayer,
  slopes: EndSlopes,
  gradient: Float64Array,
): EndSlopes => {
  const out = noSlopes(input.low.length)
  if (layer.kind !== "dense") return out
  const { inputs, outputs, weights } = layer
  for (let o = 0; o < outputs; o++) {
    const byLow = slopes.low[o] as number
    const byHigh = slopes.high[o] as number
    gradient[biasesAt + o] = (gradient[biasesAt + o] as number) + byLow + byHigh
    for (let i = 0; i < inputs; i++) {
      const at = i * outputs + o
      const w = weights[at] as number
      // the lower end of the output comes from the lower end of an input with a positive weight, else from its upper end
      const [forLow, forHigh] = w >= 0 ? [input.low, input.high] : [input.high, input.low]
      gradient[weightsAt + at] =
        (gradient[weightsAt + at] as number) + byLow * (forLow[i] as number) + byHigh * (forHigh[i] as number)
      const [slopeOfLow, slopeOfHigh] = w >= 0 ? [out.low, out.high] : [out.high, out.low]
      slopeOfLow[i] = (slopeOfLow[i] as number) + byLow * w
      slopeOfHigh[i] = (slopeOfHigh[i] as number) + byHigh * w
    }
  }
  return out
}

/**
 * What a network pays for numbers that could leave their limits, for any patient within the declared ranges. It looks at
 * weights and ranges only, at no patient: it needs no privacy budget, and holds for patients nobody has seen.
 *
 * Math:   1/2 sum over activations and the logit of (high - limit)_+^2 + (-limit - low)_+^2, with the ends of
 *         `networkIntervals`; the gradient goes back through the end that each extreme comes from
 * Shape:  gradient: one number a parameter
 * Source: interval bounds in training: Gowal et al. 2018, arXiv:1810.12715
 */
export const rangePenalty = (
  layers: readonly EncryptableLayer[],
  parameterCount: number,
  inputs: Intervals,
  limits: RangeLimits,
): RangePenalty => {
  const intervals = networkIntervals(
    layers.map(({ flat }) => flat),
    inputs,
  )
  const gradient = new Float64Array(parameterCount)
  let slopes = noSlopes(1)
  let value = addExcess((intervals.at(-1) as LayerIntervals).output, limits.logit, slopes)
  for (let at = layers.length - 1; at >= 0; at--) {
    const place = layers[at] as EncryptableLayer
    const here = intervals[at] as LayerIntervals
    if (here.layer.kind === "dense") slopes = throughDense(here, place, slopes, gradient)
    else {
      slopes = throughPolynomial(here, here.layer.coefficients, slopes)
      value += addExcess(here.input, limits.activation, slopes)
    }
  }
  return { value, gradient }
}
