import { mixedRadixInverses, residuesOf } from "../ring/crt.js"
import type { Coefficients, Ring } from "../ring/ring.js"

/**
 * Residues modulo an odd q as the nearest signed numbers.
 *
 * Math:   v for v <= (q - 1) / 2, else v - q
 * Timing: depends on no residue
 */
export const centred = (residues: Uint32Array, q: number): Int32Array => {
  const half = (q - 1) / 2
  const out = new Int32Array(residues.length)
  for (let i = 0; i < out.length; i++) {
    const value = residues[i] as number
    out[i] = value - (q & ((half - value) >> 31))
  }
  return out
}

/**
 * The coefficients of a polynomial as whole numbers in balanced mixed radix. Every number of the centred range has one
 * such form, so no comparison with the middle is needed, and all of it is arithmetic modulo single primes.
 *
 * Math:   x = d_0 + d_1 q_0 + d_2 q_0 q_1 + ..., |d_i| <= (q_i - 1) / 2, |x| <= (Q - 1) / 2
 * Timing: depends on no coefficient
 * Source: Garner 1959, "The residue number system", with balanced digits
 */
export class MixedRadix {
  readonly ring: Ring
  readonly #tails: readonly Ring[]
  readonly #inverses: readonly Uint32Array[]

  constructor(ring: Ring) {
    const { primes } = ring
    const inverses = mixedRadixInverses(primes)
    this.ring = ring
    this.#tails = primes.slice(1).map((_, i) => ring.sub(primes.slice(i + 1).map((_, k) => i + 1 + k)))
    this.#inverses = primes
      .slice(1)
      .map((_, i) => Uint32Array.from(inverses.slice(i + 1), (row) => row[i] as number))
  }

  /** The digits, lowest first, N each. Cost: L (L - 1) / 2 limbs times a subtraction and a product. */
  digits(a: Coefficients): Int32Array[] {
    const { degree, primes } = this.ring
    let rest: Uint32Array = a.slice()
    const out = [centred(rest.subarray(0, degree), primes[0] as number)]
    this.#tails.forEach((tail, i) => {
      rest = rest.subarray(degree)
      const digit = tail.fromSmall(out[i] as Int32Array)
      tail.subtract(rest as Coefficients, digit, rest)
      tail.scaleByResidues(rest as Coefficients, this.#inverses[i] as Uint32Array, rest)
      digit.fill(0)
      out.push(centred(rest.subarray(0, degree), primes[i + 1] as number))
    })
    rest.fill(0)
    return out
  }

  /** The whole numbers as doubles. Error: relative, 6 L 2^-53 at most */
  toDoubles(digits: readonly Int32Array[]): Float64Array {
    const { primes } = this.ring
    const out = Float64Array.from(digits[primes.length - 1] as Int32Array)
    for (let limb = primes.length - 2; limb >= 0; limb--) {
      const q = primes[limb] as number
      const digit = digits[limb] as Int32Array
      for (let i = 0; i < out.length; i++) out[i] = (out[i] as number) * q + (digit[i] as number)
    }
    return out
  }

  /** The whole numbers over Q, in (-1/2, 1/2), as doubles. Error: 2 L 2^-53 at most */
  toFractions(digits: readonly Int32Array[]): Float64Array {
    const { degree, primes } = this.ring
    const out = new Float64Array(degree)
    primes.forEach((q, limb) => {
      const digit = digits[limb] as Int32Array
      // not divided: a processor may take longer for some quotients
      const share = 1 / q
      for (let i = 0; i < degree; i++) out[i] = ((out[i] as number) + (digit[i] as number)) * share
    })
    return out
  }

  /** What takes digits to residues modulo other primes. */
  extension(to: Ring): Extension {
    let radix = 1n
    const factors = this.ring.primes.map((q) => {
      const residues = residuesOf(to.primes, radix)
      radix *= BigInt(q)
      return residues
    })
    return (digits) =>
      to.combine({ lanes: digits.map((values, i) => ({ values, factors: factors[i] as Uint32Array })) })
  }
}

/** From mixed-radix digits to the polynomial with the same whole numbers in another ring; exact. */
export type Extension = (digits: readonly Int32Array[]) => Coefficients
