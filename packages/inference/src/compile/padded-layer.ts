import type { SlotLayer } from "../model/integer-model.js"

/**
 * An activation over real numbers up to y that are off by some complex number: the largest it gives, its largest slope, and what a step
 * changes beyond the slope's part.
 */
interface ActivationBounds {
  readonly size: (y: number, off: number) => number
  readonly slope: (y: number, off: number) => number
  readonly rest: (y: number, step: number) => number
}

const squareBounds: ActivationBounds = {
  size: (y, off) => (y + off) * (y + off),
  slope: (y, off) => 2 * (y + off),
  rest: (_, step) => step * step,
}

/** Of y^3 + p y, which for p below 0 turns at sqrt(-p / 3). */
const cubeBounds = (p: number): ActivationBounds => {
  const turn = p < 0 ? Math.sqrt(-p / 3) : Infinity
  const largest = (y: number): number =>
    Math.max(Math.abs(y * (y * y + p)), turn < y ? (-2 / 3) * p * turn : 0)
  const steepest = (y: number): number => Math.max(Math.abs(p), Math.abs(3 * y * y + p))
  const rest = (y: number, step: number): number => (3 * y + step) * step * step
  return {
    size: (y, off) => largest(y) + steepest(y) * off + rest(y, off),
    slope: (y, off) => steepest(y) + (6 * y + 3 * off) * off,
    rest,
  }
}

export interface PaddedOptions {
  /** The largest sizes of what goes into the activation, and how far roundings of doubles take it from the model's. */
  readonly sizes: Float64Array
  readonly offs: Float64Array
  readonly width: number
}

/** A layer with its numbers up to the padded width; what is beyond its units is zero but for errors. */
export class PaddedLayer {
  readonly width: number
  readonly #layer: SlotLayer
  readonly #sizes: Float64Array
  readonly #offs: Float64Array

  constructor(layer: SlotLayer, { sizes, offs, width }: PaddedOptions) {
    this.width = width
    this.#layer = layer
    this.#sizes = sizes
    this.#offs = offs
  }
  size(unit: number): number {
    return this.#sizes[unit] ?? 0
  }
  off(unit: number): number {
    return this.#offs[unit] ?? 0
  }
  bounds(unit: number): ActivationBounds {
    return this.#layer.slopes.length === 0 ? squareBounds : cubeBounds(this.#layer.slopes[unit] ?? 0)
  }
  get degree(): 2 | 3 {
    return this.#layer.slopes.length === 0 ? 2 : 3
  }
  /** The largest weight and the largest bias, whatever their signs. */
  largest(): { readonly weight: number; readonly bias: number } {
    const most = (row: Float64Array): number => row.reduce((so, x) => Math.max(so, Math.abs(x)), 0)
    return { weight: Math.max(...this.#layer.weights.map(most)), bias: most(this.#layer.biases) }
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
