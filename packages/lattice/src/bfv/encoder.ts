import { ConsiliumError } from "@consilium/base/errors"
import { residuesOf } from "../ring/crt.js"
import type { Evaluations, SmallPolynomial } from "../ring/ring.js"
import { MixedRadix } from "../rlwe/mixed-radix.js"
import type { RlweParameters } from "../rlwe/parameters.js"
import { isBatchModulus, MOST_BATCH_BITS, PlainTransform } from "./plain-transform.js"

/** A polynomial modulo t. */
export interface BfvPlaintext {
  readonly parameters: RlweParameters
  readonly plainModulus: number
  /** N coefficients in [-t/2, t/2). */
  readonly coefficients: SmallPolynomial
}

/** Whole numbers to be encoded. */
export type Wholes = Int32Array | readonly number[]

/** The most bits of a plaintext modulus. */
export const MOST_PLAIN_BITS = 30

/**
 * Between whole numbers and polynomials modulo t, and between those and what is encrypted.
 *
 * Math:   scaled(m) = floor(Q / t) m + round((Q mod t) m / t), which is within 1 of Q m / t
 * Timing: depends on no number
 * Source: Fan, Vercauteren 2012, eprint 2012/144
 */
export class BfvEncoder {
  readonly parameters: RlweParameters
  readonly plainModulus: number
  readonly #transform: PlainTransform | undefined
  readonly #radixes = new Map<number, MixedRadix>()

  /** @throws {ConsiliumError} "lattice/bad-ring" if t is not a whole number in [2, 2^30), or not below every prime */
  constructor(parameters: RlweParameters, plainModulus: number) {
    const least = Math.min(...parameters.primes, 2 ** MOST_PLAIN_BITS)
    if (!Number.isInteger(plainModulus) || plainModulus < 2 || plainModulus >= least)
      throw new ConsiliumError(
        "lattice/bad-ring",
        `The plaintext modulus is a whole number in [2, ${least}), below every prime, not ${plainModulus}.`,
      )
    this.parameters = parameters
    this.plainModulus = plainModulus
    if (isBatchModulus(plainModulus, parameters.degree))
      this.#transform = new PlainTransform(parameters.degree, plainModulus)
  }

  get canBatch(): boolean {
    return this.#transform !== undefined
  }
  #batching(): PlainTransform {
    const { plainModulus: t, parameters } = this
    if (this.#transform === undefined)
      throw new ConsiliumError(
        "lattice/bad-ring",
        `Slots need a plaintext modulus that is a prime below 2^${MOST_BATCH_BITS} and 1 modulo ${2 * parameters.degree}, not ${t}.`,
        { remedy: "Take such a prime, 65537 for example, or encode into coefficients." },
      )
    return this.#transform
  }

  #checked(values: Wholes): Int32Array {
    const { plainModulus: t, parameters } = this
    if (values.length > parameters.degree)
      throw new ConsiliumError(
        "lattice/out-of-range",
        `There are ${values.length} numbers; one plaintext holds ${parameters.degree}.`,
      )
    const out = new Float64Array(parameters.degree)
    out.set(values)
    let outside = 0
    for (let i = 0; i < out.length; i++) {
      const value = out[i] as number
      // below t/2, and not below -t/2, in one comparison; NaN is neither
      outside |= Number(!(Math.abs(value + 0.25) < t / 2 + 0.25)) | Number(value !== Math.floor(value))
    }
    if (outside !== 0) {
      out.fill(0)
      throw new ConsiliumError(
        "lattice/out-of-range",
        `A number is not whole or not in [-${t}/2, ${t}/2): the plaintext modulus is ${t}.`,
      )
    }
    const whole = new Int32Array(out.length)
    whole.set(out)
    out.fill(0)
    return whole
  }
  /** [-t/2, t/2) to [0, t), in place. */
  #lifted(values: Int32Array): Int32Array {
    const t = this.plainModulus
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number
      values[i] = value + (t & (value >> 31))
    }
    return values
  }
  /** [0, t) to [-t/2, t/2), in place. */
  #centred(values: Int32Array): Int32Array {
    const t = this.plainModulus
    const half = Math.ceil(t / 2)
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number
      values[i] = value - (t & ((half - 1 - value) >> 31))
    }
    return values
  }
  #plain(coefficients: SmallPolynomial): BfvPlaintext {
    return { parameters: this.parameters, plainModulus: this.plainModulus, coefficients }
  }

  /** N numbers or fewer, one for each slot: two rows of N / 2. */
  slotsToPlain(values: Wholes): BfvPlaintext {
    const transform = this.#batching()
    return this.#plain(this.#centred(transform.toCoefficients(this.#lifted(this.#checked(values)))))
  }
  coefficientsToPlain(values: Wholes): BfvPlaintext {
    return this.#plain(this.#checked(values))
  }
  plainToSlots(plain: BfvPlaintext): Int32Array {
    const lifted = this.#lifted(plain.coefficients.slice())
    return this.#centred(this.#batching().toSlots(lifted))
  }

  /** What is encrypted, in NTT form. */
  scaled({ coefficients }: BfvPlaintext, limbs: number): Evaluations {
    const ring = this.parameters.ringOf(limbs)
    const t = this.plainModulus
    const share = Number(ring.modulus % BigInt(t)) / t
    const carry = new Int32Array(coefficients.length)
    for (let i = 0; i < carry.length; i++) carry[i] = Math.floor((coefficients[i] as number) * share + 0.5)
    const message = ring.combine({
      lanes: [
        { values: coefficients, factors: residuesOf(ring.primes, ring.modulus / BigInt(t)) },
        { values: carry, factors: residuesOf(ring.primes, 1n) },
      ],
    })
    carry.fill(0)
    return ring.forward(message, message)
  }
  /** The polynomial itself, in NTT form: what a ciphertext is multiplied by. */
  lifted({ coefficients }: BfvPlaintext, limbs: number): Evaluations {
    const ring = this.parameters.ringOf(limbs)
    const out = ring.fromSmall(coefficients)
    return ring.forward(out, out)
  }

  /** t x / Q for what opens a ciphertext: the message modulo t, and errors. */
  #overModulus(phase: Evaluations, limbs: number): Float64Array {
    const ring = this.parameters.ringOf(limbs)
    const radix = this.#radixes.get(limbs) ?? new MixedRadix(ring)
    this.#radixes.set(limbs, radix)
    const x = ring.inverse(phase)
    const digits = radix.digits(x)
    x.fill(0)
    ring.erase()
    const out = radix.toFractions(digits)
    for (const digit of digits) digit.fill(0)
    for (let i = 0; i < out.length; i++) out[i] = (out[i] as number) * this.plainModulus
    return out
  }

  /**
   * From message and error to the message.
   *
   * Math:   m = round(t x / Q) mod t
   * Error:  exact while `distance` is above 2^-20
   * Timing: depends on neither message nor error
   */
  fromPhase(phase: Evaluations, limbs: number): BfvPlaintext {
    const t = this.plainModulus
    const numbers = this.#overModulus(phase, limbs)
    const values = new Int32Array(numbers.length)
    for (let i = 0; i < values.length; i++) {
      const whole = Math.floor((numbers[i] as number) + 0.5) | 0
      const above = whole + (t & (whole >> 31))
      values[i] = above - (t & ((t - 1 - above) >> 31))
    }
    numbers.fill(0)
    return this.#plain(this.#centred(values))
  }

  /** How far the error is from making the message another: 1/2 - max |t x / Q - round(t x / Q)|. */
  distance(phase: Evaluations, limbs: number): number {
    return this.#overModulus(phase, limbs).reduce(
      (least, value) => Math.min(least, 0.5 - Math.abs(value - Math.floor(value + 0.5))),
      0.5,
    )
  }
}
