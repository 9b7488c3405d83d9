import { powerModulo } from "../ring/modular.js"
import { isPrime, primitiveRoot } from "../ring/primes.js"

/** The most bits of a modulus whose products are exact in doubles. */
export const MOST_BATCH_BITS = 26

/** Whether numbers modulo t can be batched: t is prime, 1 modulo 2 N and below 2^26. */
export const isBatchModulus = (t: number, degree: number): boolean =>
  t < 2 ** MOST_BATCH_BITS && t % (2 * degree) === 1 && isPrime(t)

/**
 * Between the coefficients of a polynomial modulo t and its values at the roots of X^N + 1, ordered as slots: two rows of
 * N / 2, those of the first row at psi^(3^i), those of the second at psi^(-3^i), psi the smallest primitive root.
 *
 * Timing: depends on no value
 * Source: Smart, Vercauteren 2014, eprint 2011/133
 */
export class PlainTransform {
  readonly #degree: number
  readonly #t: number
  readonly #inverseT: number
  /** psi^r for r = i with its bits reversed; then the inverses. */
  readonly #powers: Float64Array
  readonly #inversePowers: Float64Array
  readonly #share: number
  /** Where slot i stands in bit-reversed order. */
  readonly #places: Uint32Array

  constructor(degree: number, t: number) {
    this.#degree = degree
    this.#t = t
    this.#inverseT = 1 / t
    this.#share = powerModulo(degree, t - 2, t)
    const bits = 31 - Math.clz32(degree)
    const reversed = (i: number): number => {
      let out = 0
      for (let b = 0; b < bits; b++) out |= ((i >> b) & 1) << (bits - 1 - b)
      return out
    }
    const table = (root: number): Float64Array => {
      const out = new Float64Array(degree)
      let power = 1
      for (let i = 0; i < degree; i++) {
        out[reversed(i)] = power
        power = this.#product(power, root)
      }
      return out
    }
    const psi = primitiveRoot(t, degree)
    this.#powers = table(psi)
    this.#inversePowers = table(powerModulo(psi, t - 2, t))
    this.#places = new Uint32Array(degree)
    let exponent = 1
    for (let i = 0; i < degree / 2; i++) {
      this.#places[i] = reversed((exponent - 1) / 2)
      this.#places[degree / 2 + i] = reversed((2 * degree - exponent - 1) / 2)
      exponent = (3 * exponent) % (2 * degree)
    }
  }

  /**
   * a b mod t for a, b in [0, t). The quotient is below 2^26 and off by one at most either way; the rest is right in its
   * low 32 bits. No operation here takes longer for zero, as `Math.floor` of a product was found to.
   */
  #product(a: number, b: number): number {
    const p = a * b
    const quotient = (p * this.#inverseT) | 0
    return this.#within(((p | 0) - Math.imul(quotient, this.#t)) | 0)
  }
  /** From (-t, 2 t) to [0, t), without a branch. */
  #within(r: number): number {
    const above = (r + (this.#t & (r >> 31))) | 0
    const below = (above - this.#t) | 0
    return (below + (this.#t & (below >> 31))) | 0
  }

  /** Coefficients in [0, t) to slots in [0, t). */
  toSlots(coefficients: Int32Array): Int32Array {
    const x = coefficients.slice()
    const n = this.#degree
    for (let groups = 1, half = n / 2; half >= 1; groups *= 2, half /= 2)
      for (let group = 0; group < groups; group++) {
        const w = this.#powers[groups + group] as number
        const start = 2 * half * group
        for (let i = start; i < start + half; i++) {
          const y = this.#product(x[i + half] as number, w)
          const a = x[i] as number
          x[i + half] = this.#within((a - y) | 0)
          x[i] = this.#within((a + y) | 0)
        }
      }
    const out = new Int32Array(n)
    for (let i = 0; i < n; i++) out[i] = x[this.#places[i] as number] as number
    return out
  }

  /** Slots in [0, t) to coefficients in [0, t). */
  toCoefficients(slots: Int32Array): Int32Array {
    const n = this.#degree
    const x = new Int32Array(n)
    for (let i = 0; i < n; i++) x[this.#places[i] as number] = slots[i] as number
    for (let groups = n / 2, half = 1; groups >= 1; groups /= 2, half *= 2)
      for (let group = 0; group < groups; group++) {
        const w = this.#inversePowers[groups + group] as number
        const start = 2 * half * group
        for (let i = start; i < start + half; i++) {
          const a = x[i] as number
          const b = x[i + half] as number
          x[i] = this.#within((a + b) | 0)
          x[i + half] = this.#product(this.#within((a - b) | 0), w)
        }
      }
    for (let i = 0; i < n; i++) x[i] = this.#product(x[i] as number, this.#share)
    return x
  }
}
