import { halfCircle, type Roots } from "./roots.js"

/**
 * Between the coefficients of a real polynomial of degree below N and its values at the roots of X^N + 1, N / 2 of them;
 * the others are their conjugates. Plain double arithmetic in a fixed order: the same bytes in every engine.
 *
 * Math:   slot i = m(z^(3^i)), z = exp(pi i / N). With u_k = m_k + i m_(k + N/2), m(z^t) = sum_k u_k z^(t k) for
 *         t = 1 mod 4: a complex transform of length N / 2. Of 3^i and -3^i one is 1 mod 4.
 * Timing: depends on no value; loops over them make no arrays of numbers, whose form would
 * Source: Cheon, Kim, Kim, Song 2017, eprint 2016/421
 */
export class Embedding {
  readonly slots: number
  readonly #roots: Roots
  /** Where slot i stands in the transform, and whether its conjugate does: 1 or -1. */
  readonly #places: Uint32Array
  readonly #signs: Int8Array

  constructor(degree: number) {
    const n = degree / 2
    this.slots = n
    this.#roots = halfCircle(degree)
    this.#places = new Uint32Array(n)
    this.#signs = new Int8Array(n)
    const bits = 31 - Math.clz32(n)
    let exponent = 1
    for (let i = 0; i < n; i++) {
      const conjugate = exponent % 4 === 3
      const j = ((conjugate ? 2 * degree - exponent : exponent) - 1) / 4
      let place = 0
      for (let b = 0; b < bits; b++) place |= ((j >> b) & 1) << (bits - 1 - b)
      this.#places[i] = place
      this.#signs[i] = conjugate ? -1 : 1
      exponent = (3 * exponent) % (2 * degree)
    }
  }

  /** The polynomial with these slots; both arrays have N / 2 numbers. */
  toCoefficients(real: Float64Array, imaginary: Float64Array): Float64Array {
    const n = this.slots
    const x = new Float64Array(n)
    const y = new Float64Array(n)
    for (let i = 0; i < n; i++) {
      const place = this.#places[i] as number
      x[place] = real[i] as number
      y[place] = (imaginary[i] as number) * (this.#signs[i] as number)
    }
    this.#inverse(x, y)
    const out = new Float64Array(2 * n)
    const { cos, sin } = this.#roots
    const share = 1 / n
    for (let k = 0; k < n; k++) {
      const a = x[k] as number
      const b = y[k] as number
      const c = cos[k] as number
      const s = sin[k] as number
      out[k] = (a * c + b * s) * share
      out[k + n] = (b * c - a * s) * share
    }
    x.fill(0)
    y.fill(0)
    return out
  }

  /** The slots of a polynomial of N coefficients. */
  toSlots(coefficients: Float64Array): { readonly real: Float64Array; readonly imaginary: Float64Array } {
    const n = this.slots
    const x = new Float64Array(n)
    const y = new Float64Array(n)
    const { cos, sin } = this.#roots
    for (let k = 0; k < n; k++) {
      const a = coefficients[k] as number
      const b = coefficients[k + n] as number
      const c = cos[k] as number
      const s = sin[k] as number
      x[k] = a * c - b * s
      y[k] = a * s + b * c
    }
    this.#forward(x, y)
    const real = new Float64Array(n)
    const imaginary = new Float64Array(n)
    for (let i = 0; i < n; i++) {
      const place = this.#places[i] as number
      real[i] = x[place] as number
      imaginary[i] = (y[place] as number) * (this.#signs[i] as number)
    }
    return { real, imaginary }
  }

  /** X_j = sum_k x_k w^(j k), w = exp(2 pi i / n): natural order in, bit-reversed out. */
  #forward(x: Float64Array, y: Float64Array): void {
    const n = this.slots
    const { cos, sin } = this.#roots
    for (let half = n / 2; half >= 1; half /= 2) {
      // the angle 2 pi k / (2 half) is place k (2 n / half) of pi / (2 n) each
      const step = (2 * n) / half
      for (let k = 0; k < half; k++) {
        const c = cos[k * step] as number
        const s = sin[k * step] as number
        for (let i = k; i < n; i += 2 * half) {
          const j = i + half
          const a = x[i] as number
          const b = y[i] as number
          const u = a - (x[j] as number)
          const v = b - (y[j] as number)
          x[i] = a + (x[j] as number)
          y[i] = b + (y[j] as number)
          x[j] = u * c - v * s
          y[j] = u * s + v * c
        }
      }
    }
  }
  /** The inverse but for the factor n: bit-reversed order in, natural out. */
  #inverse(x: Float64Array, y: Float64Array): void {
    const n = this.slots
    const { cos, sin } = this.#roots
    for (let half = 1; half < n; half *= 2) {
      const step = (2 * n) / half
      for (let k = 0; k < half; k++) {
        const c = cos[k * step] as number
        const s = sin[k * step] as number
        for (let i = k; i < n; i += 2 * half) {
          const j = i + half
          const a = x[i] as number
          const b = y[i] as number
          const d = x[j] as number
          const e = y[j] as number
          const u = d * c + e * s
          const v = e * c - d * s
          x[i] = a + u
          y[i] = b + v
          x[j] = a - u
          y[j] = b - v
        }
      }
    }
  }
}
