import type { Coefficients, Evaluations, Ring } from "../ring/ring.js"
import { TailDivision } from "./division.js"
import { type Extension, MixedRadix } from "./mixed-radix.js"
import type { RlweParameters } from "./parameters.js"
import type { KeyRow, SwitchingKey } from "./switching-key.js"

/** A polynomial cut into small ones, one for each group of primes, modulo Q_l P in NTT form. */
export type Decomposition = readonly Evaluations[]

/**
 * Key switching for ciphertexts of some number of primes: the polynomial is cut by groups of primes, each small piece
 * multiplied by its row of the key, and the sum divided by P.
 *
 * Math:   d = sum_j g_j d_j mod Q_l, |d_j| <= D_j / 2, D_j the product of group j;
 *         result = round(sum_j d_j (b_j, a_j) / P), which is d s' under s
 * Shape:  d: limbs x N, NTT form; the result two of them
 * Error:  (sum_j d_j e_j) / P + rounding, see `keySwitchNoise`
 * Cost:   limbs inverse and groups x (limbs + special) forward transforms, then two divisions by P
 * Timing: depends on no secret
 * Source: Han, Ki 2020, eprint 2019/688; decomposition by primes after Bajard et al. 2016, eprint 2016/510
 */
export class KeySwitcher {
  readonly #ring: Ring
  readonly #wide: Ring
  readonly #groups: readonly { readonly start: number; readonly end: number; readonly radix: MixedRadix }[]
  readonly #extend: readonly Extension[]
  readonly #divide: TailDivision
  readonly #limbs: number
  readonly #allLimbs: number

  constructor(parameters: RlweParameters, limbs: number) {
    const special = parameters.specialPrimes.length
    const all = parameters.primes.length
    const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)
    this.#limbs = limbs
    this.#allLimbs = all
    this.#ring = parameters.ringOf(limbs)
    this.#wide = parameters.keyRing.sub([...range(0, limbs), ...range(all, all + special)])
    this.#groups = Array.from({ length: Math.ceil(limbs / special) }, (_, j) => {
      const [start, end] = [j * special, Math.min((j + 1) * special, limbs)]
      return { start, end, radix: new MixedRadix(parameters.keyRing.sub(range(start, end))) }
    })
    this.#extend = this.#groups.map(({ radix }) => radix.extension(this.#wide))
    this.#divide = new TailDivision(this.#wide, limbs)
  }

  decompose(a: Evaluations): Decomposition {
    const { degree } = this.#ring
    const coefficients = this.#ring.inverse(a)
    return this.#groups.map(({ start, end, radix }, j) => {
      const part = coefficients.subarray(start * degree, end * degree) as Coefficients
      const wide = (this.#extend[j] as Extension)(radix.digits(part))
      return this.#wide.forward(wide, wide)
    })
  }

  /** The decomposition of a(X^g) from that of a. */
  automorphism(pieces: Decomposition, exponent: number): Decomposition {
    return pieces.map((piece) => this.#wide.automorphismOfEvaluations(piece, exponent))
  }

  /** The pair under the key's secret. */
  apply(pieces: Decomposition, key: SwitchingKey): readonly [Evaluations, Evaluations] {
    const ring = this.#wide
    const b = ring.zeroEvaluations()
    const a = ring.zeroEvaluations()
    pieces.forEach((piece, j) => {
      const row = key.rows[j] as KeyRow
      ring.multiplyAdd(piece, this.#atLevel(row.b), b, b)
      ring.multiplyAdd(piece, this.#atLevel(row.a), a, a)
    })
    return [this.#divide.divide(b), this.#divide.divide(a)]
  }

  /** The limbs of a key's polynomial that are used with so many primes. */
  #atLevel(whole: Evaluations): Evaluations {
    if (this.#limbs === this.#allLimbs) return whole
    const { degree } = this.#ring
    const out = this.#wide.zeroEvaluations()
    out.set(whole.subarray(0, this.#limbs * degree))
    out.set(whole.subarray(this.#allLimbs * degree), this.#limbs * degree)
    return out
  }
}
