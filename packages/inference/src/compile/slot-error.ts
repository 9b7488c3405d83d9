import type { SlotNetwork } from "../model/integer-model.js"
import type { FeatureLayout } from "../plan/feature-layout.js"
import { diagonalSteps } from "../plan/feature-stages.js"
import type { ChainReach } from "./chain.js"
import { PaddedLayer } from "./padded-layer.js"
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

/** Doubles have 53 bits. The transform spreads its roundings over all slots: relative to the largest number, it loses fewer than 13. */
const DOUBLES = 2 ** -40
/** More polynomials than are encoded for a layer. */
const MOST_ENCODED = 2 ** 11
const SLACK = 1 + 2 ** -20

/** Errors that come into being between one activation and the next. */
interface Source {
  /** Along a direction, a unit each: what random noise adds. */
  readonly variance: Float64Array
  /** What else is added at most, whatever the patient. */
  readonly fixed: Float64Array
  /** Both together at most. */
  readonly most: Float64Array
}

/** An activation over all that can come into it, errors included. */
interface Active {
  readonly layer: PaddedLayer
  /** The largest sizes of what comes in and out, and the largest slope. */
  readonly input: Float64Array
  readonly output: Float64Array
  readonly slope: Float64Array
  /** What the activation itself adds to the errors of what it gives. */
  readonly added: Float64Array
  /** The most that what comes in is off. */
  readonly total: Float64Array
  readonly source: Source
}

const units = (width: number, of: (unit: number) => number): Float64Array =>
  Float64Array.from({ length: width }, (_, unit) => of(unit))
const sumOf = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0)
/** sum_u a_u b_u c_u */
const sumOfProducts = (...factors: readonly Float64Array[]): number =>
  sumOf(
    units(factors[0]?.length ?? 0, (u) => factors.reduce((product, one) => product * (one[u] as number), 1)),
  )

/** The layers one after the other, with the errors of each at its worst. */
class ForwardErrors {
  readonly layers: readonly Active[]
  readonly #sizes: SlotSizes
  readonly #scales: SlotScales
  /** The largest rounding of what is encoded, before its scale. */
  readonly #rounding: number

  constructor(layers: readonly PaddedLayer[], sizes: SlotSizes, scales: SlotScales) {
    const { degree } = sizes
    this.#sizes = sizes
    this.#scales = scales
    this.#rounding = largestSlot(encodingVariance(degree), (MOST_ENCODED * degree) / 2)
    const done: Active[] = []
    for (const layer of layers) {
      const before = done[done.length - 1]
      done.push(this.#active(layer, done.length, this.#source(layer, done.length, before), before))
    }
    this.layers = done
  }

  /** The scale of what comes into an activation. */
  #scale(l: number): number {
    return 2 ** (this.#scales.scaleBits[l] as number)
  }
  #switch(stage: number): number {
    return this.#sizes.switches[stage] as number
  }

  #source(layer: PaddedLayer, l: number, before: Active | undefined): Source {
    const { degree, layout, dropped } = this.#sizes
    const [scale, one, slots] = [this.#scale(l), this.#switch(l), degree / 2]
    const comesIn =
      before === undefined ? 2 ** this.#scales.inputBits : this.#scale(l - 1) ** before.layer.degree
    // before the primes are given up
    const wide = scale * (dropped[l] as number)
    const fresh = before === undefined ? freshVariance(degree) / comesIn ** 2 : 0
    const division = divisionVariance(degree) / scale ** 2
    const variance = units(layer.width, (u) => layer.squares(u) * fresh + division)
    const { weight, bias } = layer.largest()
    const weightError = (this.#rounding * comesIn) / wide + DOUBLES * weight
    const { switches, sizes } =
      before === undefined
        ? {
            switches: layout.columnsEach - 1,
            sizes:
              layout.columnsEach * layout.ciphertexts * (1 + largestSlot(fresh, slots * layout.ciphertexts)),
          }
        : {
            switches: this.#innerSwitches(before.layer.width, layer.width),
            sizes: sumOf(before.output) + sumOf(before.added) + (before.layer.width * one) / comesIn,
          }
    const inputError = (i: number): number =>
      before === undefined ? DOUBLES : (before.added[i] as number) + one / comesIn
    const fixed = units(
      layer.width,
      (u) =>
        layer.weighted(u, inputError) +
        weightError * sizes +
        (switches * one) / wide +
        this.#rounding / scale +
        DOUBLES * bias +
        layer.off(u),
    )
    const most = units(layer.width, (u) => largestSlot(variance[u] as number, slots) + (fixed[u] as number))
    return { variance, fixed, most }
  }

  /** Switches by giant steps and sums, each as often as it is doubled afterwards. */
  #innerSwitches(from: number, to: number): number {
    const { diagonals, babies } = diagonalSteps(from, to)
    return (diagonals / babies) * Math.max(1, from / to)
  }

  #active(layer: PaddedLayer, l: number, source: Source, before: Active | undefined): Active {
    const { width } = layer
    const total = units(
      width,
      (u) =>
        (source.most[u] as number) +
        (before === undefined
          ? 0
          : layer.weighted(u, (i) => (before.slope[i] as number) * (before.total[i] as number))),
    )
    const [scale, one] = [this.#scale(l), this.#switch(l + 1)]
    const input = units(width, (u) => layer.size(u) + (total[u] as number))
    const output = units(width, (u) => layer.bounds(u).size(layer.size(u), total[u] as number))
    const slope = units(width, (u) => layer.bounds(u).slope(layer.size(u), total[u] as number))
    const added = units(width, (u) => {
      const product = layer.degree === 2 ? 0 : ((one + this.#rounding) / scale ** 2) * (input[u] as number)
      return product + one / scale ** layer.degree + DOUBLES * (output[u] as number)
    })
    return { layer, input, output, slope, added, total, source }
  }

  /** What is added behind the last activation: by switches, and by the bias. */
  answerError(bias: number): number {
    const last = this.layers.length - 1
    const { layer, added } = this.layers[last] as Active
    const answer = this.#scale(last) ** layer.degree
    const summed = ((layer.width - 1) * this.#switch(last + 1) + this.#rounding) / answer
    return sumOf(added) + summed + DOUBLES * Math.abs(bias)
  }
}

/** How fast the logit changes at most with what comes into each activation. */
const gradientBounds = (layers: readonly Active[]): readonly Float64Array[] => {
  const gradients: Float64Array[] = []
  let onwards = (_: number): number => 1
  for (const { layer, slope } of [...layers].reverse()) {
    const after = onwards
    const gradient = units(layer.width, (u) => (slope[u] as number) * after(u))
    gradients.unshift(gradient)
    onwards = (i) => gradient.reduce((sum, g, u) => sum + g * layer.weight(u, i), 0)
  }
  return gradients
}

/** What the errors of one source do to the logit beyond first order. */
const beyondFirstOrder = (layers: readonly Active[], from: number): number => {
  let first = (layers[from] as Active).source.most
  let rest: Float64Array = new Float64Array(first.length)
  for (const [l, { layer, input, slope }] of layers.entries()) {
    if (l < from) continue
    const [before, left] = [first, rest]
    const step =
      l === from ? before : units(layer.width, (u) => layer.weighted(u, (i) => before[i] as number))
    const off = l === from ? left : units(layer.width, (u) => layer.weighted(u, (i) => left[i] as number))
    first = units(layer.width, (u) => (slope[u] as number) * (step[u] as number))
    rest = units(
      layer.width,
      (u) =>
        (slope[u] as number) * (off[u] as number) +
        layer.bounds(u).rest(input[u] as number, (step[u] as number) + (off[u] as number)),
    )
  }
  return sumOf(rest)
}

/**
 * How far logits are off at most, over all declared patients.
 *
 * Math:  with F_l from what comes into activation l to the logit and d_l the error that comes into being there, the logit is off by
 *        sum_l F_l(y_l + d_l) - F_l(y_l), y_l all that came before, which d_l does not depend on. To first order that is the gradient
 *        times d_l: sub-Gaussian with sum_u G_u^2 variance_u for random noise, at most sum_u G_u fixed_u for the rest, G bounds of the
 *        gradient over the widened intervals. What is left is bounded by carrying (first order, rest) through the layers.
 * Error: but for a chance of 2^-38 a request, taking roundings as independent and uniform
 */
export const slotError = (
  network: SlotNetwork,
  reach: Pick<ChainReach, "sizes" | "offs" | "off">,
  sizes: SlotSizes,
  scales: SlotScales,
): SlotError => {
  const { layout } = sizes
  const padded = network.layers.map(
    (layer, l) =>
      new PaddedLayer(layer, {
        sizes: reach.sizes[l] as Float64Array,
        offs: reach.offs[l] as Float64Array,
        width: layout.widths[l] as number,
      }),
  )
  const forward = new ForwardErrors(padded, sizes, scales)
  const { layers } = forward
  const gradients = gradientBounds(layers)
  let error = forward.answerError(network.bias) + reach.off
  for (const [l, { source }] of layers.entries()) {
    const gradient = gradients[l] as Float64Array
    error += largestReal(sumOfProducts(gradient, gradient, source.variance), layout.stride * layers.length)
    error += sumOfProducts(gradient, source.fixed) + beyondFirstOrder(layers, l)
  }
  return {
    error: error * SLACK,
    inputs: layers.map(({ input }) => SLACK * Math.max(...input)),
    outputs: layers.map(({ output }) => SLACK * Math.max(...output)),
  }
}
