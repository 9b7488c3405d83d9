import type { SlotLayer, SlotNetwork } from "../model/integer-model.js"
import type { FeatureLayout } from "../plan/feature-layout.js"
import { diagonalSteps } from "../plan/feature-stages.js"
import { divisionVariance, encodingVariance, freshVariance, largestReal, largestSlot } from "./slot-noise.js"

/** What of a choice of parameters does not depend on scales. */
export interface SlotSizes {
  readonly degree: number
  readonly layout: FeatureLayout
  /** The largest error of a key switch, a stage each. */
  readonly switches: readonly number[]
  /** The product of the primes that are given up after each dense layer. */
  readonly dropped: readonly number[]
}

/** Powers of two: what inputs, and what goes into each activation, is multiplied by. */
export interface SlotScales {
  readonly inputBits: number
  readonly scaleBits: readonly number[]
}

export interface SlotError {
  /** No logit is further off. */
  readonly error: number
  /** The largest size of what goes into each activation, errors included, and of what comes out. */
  readonly inputs: readonly number[]
  readonly outputs: readonly number[]
}

/** Doubles have 53 bits; sums of thousands of products and the transform lose fewer than nine. */
const DOUBLES = 2 ** -44
const SLACK = 1 + 2 ** -20

/** An activation over sizes up to y: its largest size, slope, and what is left of a step beyond the slope's part. */
const squareBounds = {
  size: (y: number): number => y * y,
  slope: (y: number): number => 2 * y,
  rest: (_y: number, step: number): number => step * step,
}
const cubeBounds = (p: number): typeof squareBounds => ({
  size: (y) => Math.max(y * Math.abs(y * y + p), y * y * y + Math.abs(p) * y),
  slope: (y) => Math.max(Math.abs(p), Math.abs(3 * y * y + p)),
  rest: (y, step) => 3 * y * step * step + step * step * step,
})

/** A layer with its numbers up to the padded width; what is beyond its units is zero but for errors. */
class PaddedLayer {
  readonly width: number
  readonly #layer: SlotLayer
  readonly #sizes: Float64Array

  constructor(layer: SlotLayer, sizes: Float64Array, width: number) {
    this.width = width
    this.#layer = layer
    this.#sizes = sizes
  }
  size(unit: number): number {
    return this.#sizes[unit] ?? 0
  }
  bounds(unit: number): typeof squareBounds {
    return this.#layer.slopes.length === 0 ? squareBounds : cubeBounds(this.#layer.slopes[unit] ?? 0)
  }
  get degree(): 2 | 3 {
    return this.#layer.slopes.length === 0 ? 2 : 3
  }
  bias(unit: number): number {
    return Math.abs(this.#layer.biases[unit] ?? 0)
  }
  weight(unit: number, input: number): number {
    return Math.abs(this.#layer.weights[unit]?.[input] ?? 0)
  }
  /** sum_i |w_i| f(i) */
  weighted(unit: number, of: (input: number) => number): number {
    let sum = 0
    const row = this.#layer.weights[unit] ?? []
    for (let i = 0; i < row.length; i++) sum += Math.abs(row[i] as number) * of(i)
    return sum
  }
  squares(unit: number): number {
    let sum = 0
    for (const w of this.#layer.weights[unit] ?? []) sum += w * w
    return sum
  }
}

/** Errors that come into being between one activation and the next. */
interface Source {
  /** Along a direction, a unit each: what random noise adds. */
  readonly variance: Float64Array
  /** What else is added at most, whatever the patient. */
  readonly fixed: Float64Array
  /** Both together at most. */
  readonly most: Float64Array
  /** The most that a unit's number is off, with what came before. */
  readonly total: Float64Array
}

const units = (width: number, of: (unit: number) => number): Float64Array =>
  Float64Array.from({ length: width }, (_, unit) => of(unit))
const sumOf = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0)

/**
 * How far logits are off at most, over all declared patients.
 *
 * Math:  with F_l from what goes into activation l to the logit and d_l the error that comes into being there, the logit is off by
 *        sum_l F_l(y_l + d_l) - F_l(y_l), y_l all that came before, which d_l does not depend on. To first order that is the gradient
 *        times d_l: sub-Gaussian with sum_u G_u^2 variance_u for random noise, at most sum_u G_u fixed_u for the rest, G bounds of the
 *        gradient over the widened intervals. What is left is bounded by carrying (first order, rest) through the layers.
 * Error: but for a chance of 2^-38 a request, taking roundings as independent and uniform
 */
export const slotError = (
  network: SlotNetwork,
  reach: readonly Float64Array[],
  { degree, layout, switches, dropped }: SlotSizes,
  { inputBits, scaleBits }: SlotScales,
): SlotError => {
  const slots = degree / 2
  const layers = network.layers.map(
    (layer, l) => new PaddedLayer(layer, reach[l] as Float64Array, layout.widths[l] as number),
  )
  const columns = layout.columnsEach * layout.ciphertexts
  const rounding = largestSlot(encodingVariance(degree), 2 ** 10 * slots)
  const fresh = freshVariance(degree) / 4 ** inputBits
  const freshSlot = largestSlot(fresh, slots * layout.ciphertexts)

  /** Of an activation: the sizes it takes and gives, its slope, and the errors that key switching adds to what it gives. */
  const after = (layer: PaddedLayer, total: Float64Array, l: number) => {
    const scale = 2 ** (scaleBits[l] as number)
    const most = switches[l + 1] as number
    const { width } = layer
    const input = units(width, (u) => layer.size(u) + (total[u] as number))
    const output = units(width, (u) => layer.bounds(u).size(input[u] as number))
    const added = units(width, (u) => {
      const product = layer.degree === 2 ? 0 : ((most + rounding) / scale ** 2) * (input[u] as number)
      return product + most / scale ** layer.degree + DOUBLES * (output[u] as number)
    })
    const slope = units(width, (u) => layer.bounds(u).slope(input[u] as number))
    return { input, output, added, slope }
  }

  const sources: Source[] = []
  const active: ReturnType<typeof after>[] = []
  layers.forEach((layer, l) => {
    const before = active[l - 1]
    const scale = 2 ** (scaleBits[l] as number)
    const comesIn =
      before === undefined
        ? 2 ** inputBits
        : 2 ** ((layers[l - 1] as PaddedLayer).degree * (scaleBits[l - 1] as number))
    const wide = scale * (dropped[l] as number)
    const weightError = rounding / (wide / comesIn)
    const { width } = layer
    const variance = units(width, (u) => {
      const inputs = before === undefined ? layer.squares(u) * fresh : 0
      return inputs + divisionVariance(degree) / scale ** 2
    })
    const one = switches[l] as number
    let switched = (layout.columnsEach - 1) * one
    let sizes = columns * (1 + freshSlot)
    if (before !== undefined) {
      const from = (layers[l - 1] as PaddedLayer).width
      const { diagonals, babies } = diagonalSteps(from, width)
      switched = (diagonals / babies) * Math.max(1, from / width) * one
      sizes = sumOf(before.output) + sumOf(before.added) + (from * one) / comesIn
    }
    const fixed = units(width, (u) => {
      const carried =
        before === undefined ? 0 : layer.weighted(u, (i) => (before.added[i] as number) + one / comesIn)
      const whole =
        layer.weighted(u, (i) => (before === undefined ? 1 : (before.output[i] as number))) + layer.bias(u)
      return carried + weightError * sizes + switched / wide + rounding / scale + DOUBLES * whole
    })
    const most = units(width, (u) => largestSlot(variance[u] as number, slots) + (fixed[u] as number))
    const earlier = sources[l - 1]?.total
    const total = units(width, (u) => {
      const inherited =
        before === undefined || earlier === undefined
          ? 0
          : layer.weighted(u, (i) => (before.slope[i] as number) * (earlier[i] as number))
      return inherited + (most[u] as number)
    })
    sources.push({ variance, fixed, most, total })
    active.push(after(layer, total, l))
  })

  const last = layers.length - 1
  const gradients: Float64Array[] = []
  for (let l = last; l >= 0; l--) {
    const { slope } = active[l] as (typeof active)[number]
    const later = gradients[l + 1]
    const onwards = new Float64Array(slope.length).fill(later === undefined ? 1 : 0)
    if (later !== undefined) {
      const next = layers[l + 1] as PaddedLayer
      for (let i = 0; i < onwards.length; i++)
        onwards[i] = later.reduce((sum, g, u) => sum + g * next.weight(u, i), 0)
    }
    gradients[l] = units(slope.length, (u) => (slope[u] as number) * (onwards[u] as number))
  }

  /** What errors of one source do to the logit beyond first order. */
  const beyond = (from: number): number => {
    let first: Float64Array = (sources[from] as Source).most
    let rest: Float64Array = new Float64Array(first.length)
    for (let l = from; l <= last; l++) {
      const layer = layers[l] as PaddedLayer
      const { input, slope } = active[l] as (typeof active)[number]
      if (l > from) {
        const [carried, left] = [first, rest]
        first = units(layer.width, (u) => layer.weighted(u, (i) => carried[i] as number))
        rest = units(layer.width, (u) => layer.weighted(u, (i) => left[i] as number))
      }
      const [step, left] = [first, rest]
      first = units(layer.width, (u) => (slope[u] as number) * (step[u] as number))
      rest = units(
        layer.width,
        (u) =>
          (slope[u] as number) * (left[u] as number) +
          layer.bounds(u).rest(input[u] as number, (step[u] as number) + (left[u] as number)),
      )
    }
    return sumOf(rest)
  }

  const answer = 2 ** ((layers[last] as PaddedLayer).degree * (scaleBits[last] as number))
  const lastActive = active[last] as (typeof active)[number]
  const width = (layers[last] as PaddedLayer).width
  let error =
    sumOf(lastActive.added) +
    ((width - 1) * (switches[last + 1] as number) + rounding) / answer +
    DOUBLES * Math.abs(network.bias)
  sources.forEach(({ variance, fixed }, l) => {
    const gradient = gradients[l] as Float64Array
    const spread = gradient.reduce((sum, g, u) => sum + g * g * (variance[u] as number), 0)
    error += largestReal(spread, layout.stride * layers.length)
    error += gradient.reduce((sum, g, u) => sum + g * (fixed[u] as number), 0)
    error += beyond(l)
  })
  return {
    error: error * SLACK,
    inputs: active.map(({ input }) => SLACK * Math.max(...input)),
    outputs: active.map(({ output }) => SLACK * Math.max(...output)),
  }
}
