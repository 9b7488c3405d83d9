import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { productOf } from "../ring/crt.js"
import { nttPrimes } from "../ring/primes.js"
import { ERROR_PAIRS, Ring, type RingOptions } from "../ring/ring.js"
import { seedOf } from "../ring/seeds.js"

/**
 * The most bits that the product of all primes may have, by the degree: 128 bits of security against classical
 * computers for ternary secrets and errors of standard deviation 3.2 or more.
 *
 * Source: Bossuat et al. 2024, "Security guidelines for implementing homomorphic encryption", eprint 2024/463
 */
export const MOST_MODULUS_BITS: Readonly<Record<number, number>> = Object.freeze({
  1024: 26,
  2048: 53,
  4096: 106,
  8192: 214,
  16384: 430,
})

/** Standard deviation of the errors: centred binomial with `ERROR_PAIRS` pairs of bits, sqrt(21 / 2). */
export const ERROR_DEVIATION = 3.24037034920393

export interface ParameterOptions extends RingOptions {
  /** N: 1024, 2048, 4096, 8192 or 16384. */
  readonly degree: number
  /** The primes themselves, each of 26 to 30 bits and 1 modulo 2 N; this or `bits`. */
  readonly primes?: readonly number[]
  /** The bits of each prime: for each size the largest primes there are, in the order of the list; this or `primes`. */
  readonly bits?: readonly number[]
  /** How many of the primes, from the end of the list, are for switching keys only; 0 unless said otherwise. */
  readonly special?: number
}

/**
 * A checked, immutable set of parameters for ring learning with errors.
 *
 * Math:   Z[X] / (X^N + 1); Q the product of `primes`, P that of `specialPrimes`; secrets uniform on {-1, 0, 1}^N,
 *         errors centred binomial with 42 bits; log2(Q P) within `MOST_MODULUS_BITS`
 * Source: eprint 2024/463
 */
export class RlweParameters {
  readonly degree: number
  /** The primes of ciphertexts. */
  readonly primes: readonly number[]
  /** The primes that only key switching uses; they count for security. */
  readonly specialPrimes: readonly number[]
  /** Bits of the product of all primes, special ones included. */
  readonly modulusBits: number
  /** Pairs of bits of an error. */
  readonly errorPairs: number
  /** The ring modulo Q, that of fresh ciphertexts. */
  readonly ring: Ring
  /** The ring modulo Q P, that of keys: the limbs of Q, then those of P. The same as `ring` where P = 1. */
  readonly keyRing: Ring
  readonly #rings: readonly Ring[]
  readonly #id: Uint8Array

  private constructor(keyRing: Ring, special: number, modulusBits: number) {
    const count = keyRing.primes.length - special
    this.degree = keyRing.degree
    this.primes = Object.freeze(keyRing.primes.slice(0, count))
    this.specialPrimes = Object.freeze(keyRing.primes.slice(count))
    this.modulusBits = modulusBits
    this.errorPairs = ERROR_PAIRS
    this.keyRing = keyRing
    this.#rings = this.primes.map((_, last) =>
      last + 1 === keyRing.primes.length
        ? keyRing
        : keyRing.sub(this.primes.slice(0, last + 1).map((_, i) => i)),
    )
    this.ring = this.ringOf(count)
    this.#id = seedOf("parameters", words([this.degree, special, ...keyRing.primes]))
    Object.freeze(this)
  }

  /** As `rlweParameters`. */
  static of(options: ParameterOptions): RlweParameters {
    const { degree, special = 0 } = options
    const bad = (message: string): never => {
      throw new ConsiliumError("lattice/bad-ring", message)
    }
    const most = MOST_MODULUS_BITS[degree]
    if (most === undefined)
      return bad(`The degree ${degree} is none of ${Object.keys(MOST_MODULUS_BITS).join(", ")}.`)
    if ((options.primes === undefined) === (options.bits === undefined))
      return bad("Parameters take either the primes or their bits.")
    const primes = options.primes ?? primesOfBits(degree, options.bits ?? [])
    if (!Number.isInteger(special) || special < 0 || special >= primes.length)
      return bad(
        `Of ${primes.length} primes ${special} cannot be for switching keys: at least one must be left.`,
      )
    const product = primes.every(Number.isSafeInteger) ? productOf(primes) : 0n
    const modulusBits = product.toString(2).length
    if (modulusBits > most)
      throw new ConsiliumError(
        "lattice/insecure",
        `The ${primes.length} primes have ${modulusBits} bits together; degree ${degree} allows ${most} for 128-bit ` +
          "security with ternary secrets.",
      )
    return new RlweParameters(Ring.of(degree, primes, options), special, modulusBits)
  }

  /**
   * The ring of the first `limbs` primes of Q.
   * @throws {ConsiliumError} "lattice/bad-ring" if there are not so many
   */
  ringOf(limbs: number): Ring {
    const ring = this.#rings[limbs - 1]
    if (ring === undefined)
      throw new ConsiliumError(
        "lattice/bad-ring",
        `Ciphertexts have 1 to ${this.primes.length} primes, not ${limbs}.`,
      )
    return ring
  }

  /** 32 bytes that no other degree, primes or number of special primes give. */
  id(): Uint8Array {
    return this.#id.slice()
  }

  toString(): string {
    return `N = ${this.degree}, ${this.primes.length} + ${this.specialPrimes.length} primes, ${this.modulusBits} bits, ${toHex(this.#id.subarray(0, 4))}`
  }
}

const words = (numbers: readonly number[]): Uint8Array => {
  const view = new DataView(new ArrayBuffer(4 * numbers.length))
  for (const [i, number] of numbers.entries()) view.setUint32(4 * i, number)
  return new Uint8Array(view.buffer)
}

/** The largest primes of each size, in the order of the list of sizes. */
const primesOfBits = (degree: number, bits: readonly number[]): readonly number[] => {
  const of = new Map(
    [...new Set(bits)].map((size) => [size, nttPrimes(degree, size, bits.filter((b) => b === size).length)]),
  )
  const used = new Map<number, number>()
  return bits.map((size) => {
    const at = used.get(size) ?? 0
    used.set(size, at + 1)
    return of.get(size)?.[at] as number
  })
}

/**
 * Checked parameters.
 *
 *     rlweParameters({ degree: 4096, bits: [26, 26, 26, 26] })
 *     rlweParameters({ degree: 8192, bits: [30, 27, 27, 27, 30], special: 1 })
 *
 * @throws {ConsiliumError} "lattice/insecure" if the product of all primes is over the table, "lattice/bad-ring" if a
 *   number cannot be used at all
 */
export const rlweParameters = (options: ParameterOptions): RlweParameters => RlweParameters.of(options)
