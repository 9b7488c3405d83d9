import { productOf, residuesOf } from "../ring/crt.js"
import { inverseModulo } from "../ring/modular.js"
import type { Coefficients, Evaluations, Ring } from "../ring/ring.js"
import { type Extension, MixedRadix } from "./mixed-radix.js"

const range = (from: number, to: number): readonly number[] =>
  Array.from({ length: to - from }, (_, i) => from + i)

/**
 * Division by the product of a ring's last primes, rounded to the nearest: what rescaling and key switching end with.
 *
 * Math:   a' = (a - r) / D, D = q_kept ... q_(L-1), r = a mod D in (-D/2, D/2)
 * Shape:  L x N to kept x N, NTT form
 * Error:  at most 1/2 per coefficient
 * Cost:   L - kept inverse and kept forward transforms
 * Timing: depends on no coefficient
 */
export class TailDivision {
  readonly #kept: Ring
  readonly #tail: Ring
  readonly #radix: MixedRadix
  readonly #extend: Extension
  readonly #inverses: Uint32Array

  constructor(ring: Ring, kept: number) {
    this.#kept = ring.sub(range(0, kept))
    this.#tail = ring.sub(range(kept, ring.primes.length))
    this.#radix = new MixedRadix(this.#tail)
    this.#extend = this.#radix.extension(this.#kept)
    const divisor = residuesOf(this.#kept.primes, productOf(this.#tail.primes))
    this.#inverses = divisor.map((d, i) => inverseModulo(d, this.#kept.primes[i] as number))
  }

  divide(a: Evaluations): Evaluations {
    const ring = this.#kept
    const tail = this.#tail.inverse(a.subarray(ring.size) as Evaluations)
    const rest: Coefficients = this.#extend(this.#radix.digits(tail))
    const remainder = ring.forward(rest, rest)
    ring.subtract(a.subarray(0, ring.size) as Evaluations, remainder, remainder)
    return ring.scaleByResidues(remainder, this.#inverses, remainder)
  }
}
