import { ConsiliumError } from "@consilium/base/errors"
import { productOf, residuesOf } from "../ring/crt.js"
import { inverseModulo } from "../ring/modular.js"
import { nttPrimes } from "../ring/primes.js"
import { type Coefficients, type Evaluations, Ring } from "../ring/ring.js"
import { type Extension, MixedRadix } from "../rlwe/mixed-radix.js"
import type { RlweParameters } from "../rlwe/parameters.js"

const PRIME_BITS = 30

/** The fewest largest 30-bit primes outside `taken` whose product is above a bound. */
const auxiliaryPrimes = (degree: number, taken: readonly number[], above: bigint): readonly number[] => {
  for (let count = 1; taken.length + count <= 32; count++) {
    const primes = nttPrimes(degree, PRIME_BITS, count + taken.length)
      .filter((q) => !taken.includes(q))
      .slice(0, count)
    if (productOf(primes) > above) return primes
  }
  throw new ConsiliumError(
    "lattice/bad-ring",
    `Products modulo ${taken.length} primes need more than 32 primes in all for their exact value.`,
    { remedy: "Take fewer primes or a smaller plaintext modulus." },
  )
}

/** A polynomial modulo Q and modulo the auxiliary B. */
interface Both {
  readonly q: Evaluations
  readonly b: Evaluations
}

/**
 * Products of ciphertexts: the exact product over the whole numbers, times t / Q, rounded. Every step is exact: numbers
 * go from one set of primes to the other by their mixed-radix digits, not by an estimate.
 *
 * Math:   w = round(t z / Q), z the product of the centred lifts: r = t z mod Q centred, w = (t z - r) / Q modulo B, and
 *         back to Q; |w| <= t N Q / 2 + 1 < B / 2
 * Shape:  two ciphertexts of size 2 to one of size 3, limbs x N each, NTT form
 * Timing: depends on no secret
 * Source: Fan, Vercauteren 2012, eprint 2012/144; residues after Bajard et al. 2016, eprint 2016/510
 */
export class BfvMultiplier {
  readonly #ringQ: Ring
  readonly #ringB: Ring
  readonly #radixQ: MixedRadix
  readonly #radixB: MixedRadix
  readonly #toB: Extension
  readonly #toQ: Extension
  readonly #inverseQ: Uint32Array
  readonly #t: bigint

  constructor(parameters: RlweParameters, limbs: number, plainModulus: number) {
    const ring = parameters.ringOf(limbs)
    const { degree } = ring
    this.#t = BigInt(plainModulus)
    const primes = auxiliaryPrimes(degree, ring.primes, this.#t * BigInt(degree) * ring.modulus + 2n)
    this.#ringQ = ring
    this.#ringB = Ring.of(degree, primes)
    this.#radixQ = new MixedRadix(this.#ringQ)
    this.#radixB = new MixedRadix(this.#ringB)
    this.#toB = this.#radixQ.extension(this.#ringB)
    this.#toQ = this.#radixB.extension(this.#ringQ)
    this.#inverseQ = residuesOf(primes, ring.modulus).map((q, i) => inverseModulo(q, primes[i] as number))
  }

  #extended(q: Evaluations): Both {
    const b = this.#toB(this.#radixQ.digits(this.#ringQ.inverse(q)))
    return { q, b: this.#ringB.forward(b, b) }
  }
  #product(x: Both, y: Both): Both {
    return { q: this.#ringQ.multiply(x.q, y.q), b: this.#ringB.multiply(x.b, y.b) }
  }
  #sum(x: Both, y: Both): Both {
    return { q: this.#ringQ.add(x.q, y.q), b: this.#ringB.add(x.b, y.b) }
  }
  /** round(t z / Q) */
  #scaledDown(z: Both): Evaluations {
    const [ringQ, ringB] = [this.#ringQ, this.#ringB]
    const remainder = this.#toB(this.#radixQ.digits(ringQ.inverse(ringQ.scale(z.q, this.#t))))
    const w: Coefficients = ringB.inverse(ringB.scale(z.b, this.#t))
    ringB.scaleByResidues(ringB.subtract(w, remainder, w), this.#inverseQ, w)
    const out = this.#toQ(this.#radixB.digits(w))
    return ringQ.forward(out, out)
  }

  multiply(a: readonly Evaluations[], b: readonly Evaluations[]): readonly Evaluations[] {
    const [a0, a1] = a.map((part) => this.#extended(part)) as [Both, Both]
    const [b0, b1] = (a === b ? [a0, a1] : b.map((part) => this.#extended(part))) as [Both, Both]
    const middle = this.#sum(this.#product(a0, b1), this.#product(a1, b0))
    return [this.#product(a0, b0), middle, this.#product(a1, b1)].map((part) => this.#scaledDown(part))
  }
}
