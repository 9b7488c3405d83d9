import { ConsiliumError } from "@consilium/base/errors"
import { type RandomSource, systemRandom } from "@consilium/base/random"
import type { Evaluations } from "../ring/ring.js"
import { RlweArithmetic, rotationExponent } from "../rlwe/arithmetic.js"
import { checkParameters, type RlweCiphertext } from "../rlwe/ciphertext.js"
import { encryptWithPublic, encryptWithSecret, phase } from "../rlwe/encryption.js"
import { galoisKeyOf, type PublicKey, publicKeyOf, RlweSecret, relinearisationKeyOf } from "../rlwe/keys.js"
import { type ParameterOptions, type RlweParameters, rlweParameters } from "../rlwe/parameters.js"
import type { GaloisKey, RelinearisationKey } from "../rlwe/switching-key.js"
import { ciphertextFromBytes, ciphertextToBytes, KIND } from "../rlwe/wire.js"
import { BfvEncoder, type BfvPlaintext, type Wholes } from "./encoder.js"
import { BfvMultiplier } from "./multiplication.js"

export interface BfvOptions extends ParameterOptions {
  /** t: numbers are whole numbers modulo it. For slots a prime below 2^26 that is 1 modulo 2 N, such as 65537. */
  readonly plainModulus: number
}

/** Encrypted whole numbers modulo t. */
export interface BfvCiphertext extends RlweCiphertext {
  readonly plainModulus: number
}

/**
 * Exact arithmetic modulo t on encrypted whole numbers. Nothing is changed by it: every result is new, and bad input
 * throws before anything is made.
 *
 * Math:   c_0 + c_1 s = Q m / t + error modulo Q; exact while |error| < Q / (2 t)
 * Timing: keys, encryption and decryption depend on no secret; the rest has none
 * Source: Brakerski 2012, eprint 2012/078; Fan, Vercauteren 2012, eprint 2012/144
 */
export class Bfv {
  readonly parameters: RlweParameters
  readonly plainModulus: number
  /** Numbers in one ciphertext. */
  readonly slots: number
  readonly #encoder: BfvEncoder
  readonly #arithmetic: RlweArithmetic
  readonly #multipliers = new Map<number, BfvMultiplier>()

  private constructor(parameters: RlweParameters, plainModulus: number) {
    this.#encoder = new BfvEncoder(parameters, plainModulus)
    this.#arithmetic = new RlweArithmetic(parameters)
    this.parameters = parameters
    this.plainModulus = plainModulus
    this.slots = parameters.degree
  }
  /** As `bfv`. */
  static of(options: BfvOptions): Bfv {
    return new Bfv(rlweParameters(options), options.plainModulus)
  }
  /** With parameters that are made already. */
  static with(parameters: RlweParameters, plainModulus: number): Bfv {
    return new Bfv(parameters, plainModulus)
  }

  newSecret(random: RandomSource = systemRandom): RlweSecret {
    return RlweSecret.generate(this.parameters, random)
  }
  publicKey(secret: RlweSecret, random: RandomSource = systemRandom): PublicKey {
    this.#check(secret)
    return publicKeyOf(secret, random)
  }
  relinearisationKey(secret: RlweSecret, random: RandomSource = systemRandom): RelinearisationKey {
    this.#check(secret)
    return relinearisationKeyOf(secret, random)
  }
  /** The key of one rotation of both rows. */
  rotationKey(secret: RlweSecret, steps: number, random: RandomSource = systemRandom): GaloisKey {
    this.#check(secret)
    return galoisKeyOf(secret, rotationExponent(this.parameters.degree, steps), random)
  }
  /** The key of exchanging the rows. */
  swapKey(secret: RlweSecret, random: RandomSource = systemRandom): GaloisKey {
    this.#check(secret)
    return galoisKeyOf(secret, 2 * this.parameters.degree - 1, random)
  }

  /** Numbers in [-t/2, t/2) for slots: two rows of N / 2. Operations go slot by slot. */
  encode(values: Wholes): BfvPlaintext {
    return this.#encoder.slotsToPlain(values)
  }
  /** Numbers in [-t/2, t/2) for coefficients. Products are then products of polynomials. */
  encodeCoefficients(values: Wholes): BfvPlaintext {
    return this.#encoder.coefficientsToPlain(values)
  }
  decode(plain: BfvPlaintext): Int32Array {
    this.#check(plain)
    return this.#encoder.plainToSlots(plain)
  }
  decodeCoefficients(plain: BfvPlaintext): Int32Array {
    this.#check(plain)
    return plain.coefficients.slice()
  }

  /** Encrypts numbers, or what is encoded already. With the secret key the ciphertext is half as long on the wire. */
  encrypt(
    message: Wholes | BfvPlaintext,
    key: PublicKey | RlweSecret,
    random: RandomSource = systemRandom,
  ): BfvCiphertext {
    const plain = "coefficients" in message ? message : this.encode(message)
    this.#check(plain, key)
    const scaled = this.#encoder.scaled(plain, this.parameters.primes.length)
    const encrypted =
      key instanceof RlweSecret
        ? encryptWithSecret(key, scaled, random)
        : encryptWithPublic(key, scaled, random)
    scaled.fill(0)
    return { ...encrypted, plainModulus: this.plainModulus }
  }
  decryptToPlain(ciphertext: BfvCiphertext, secret: RlweSecret): BfvPlaintext {
    return this.#encoder.fromPhase(this.#opened(ciphertext, secret), ciphertext.limbs)
  }
  /** The numbers in all slots. */
  decrypt(ciphertext: BfvCiphertext, secret: RlweSecret): Int32Array {
    return this.decode(this.decryptToPlain(ciphertext, secret))
  }
  /**
   * How far a ciphertext is from failing: 1/2 is a perfect one, near 0 means that the result may be wrong.
   * Math: 1/2 - t max |error| / Q
   */
  margin(ciphertext: BfvCiphertext, secret: RlweSecret): number {
    return this.#encoder.distance(this.#opened(ciphertext, secret), ciphertext.limbs)
  }
  #opened(ciphertext: BfvCiphertext, secret: RlweSecret): Evaluations {
    this.#check(ciphertext, secret)
    return phase(secret, ciphertext)
  }

  #check(
    ...values: readonly { readonly parameters: RlweParameters; readonly plainModulus?: number }[]
  ): void {
    checkParameters(this.parameters, ...values)
    for (const { plainModulus = this.plainModulus } of values)
      if (plainModulus !== this.plainModulus)
        throw new ConsiliumError(
          "lattice/foreign",
          `A value is modulo ${plainModulus}; these parameters have ${this.plainModulus}.`,
        )
  }
  #pair(a: BfvCiphertext, b: BfvCiphertext): void {
    this.#check(a, b)
    if (a.limbs !== b.limbs)
      throw new ConsiliumError("level/mismatch", `One value has ${a.limbs} primes, the other ${b.limbs}.`)
  }
  #sizeTwo(a: BfvCiphertext): void {
    if (a.parts.length !== 2)
      throw new ConsiliumError(
        "level/mismatch",
        `A ciphertext of size ${a.parts.length} is used where size 2 is needed; relinearise first.`,
      )
  }
  #make(parts: RlweCiphertext["parts"], limbs: number): BfvCiphertext {
    return { parameters: this.parameters, parts, limbs, plainModulus: this.plainModulus }
  }

  add(a: BfvCiphertext, b: BfvCiphertext): BfvCiphertext {
    this.#pair(a, b)
    return this.#make(this.#arithmetic.add(a.parts, b.parts), a.limbs)
  }
  subtract(a: BfvCiphertext, b: BfvCiphertext): BfvCiphertext {
    this.#pair(a, b)
    return this.#make(this.#arithmetic.subtract(a.parts, b.parts), a.limbs)
  }
  negate(a: BfvCiphertext): BfvCiphertext {
    this.#check(a)
    return this.#make(this.#arithmetic.negate(a.parts), a.limbs)
  }
  addPlain(a: BfvCiphertext, b: BfvPlaintext): BfvCiphertext {
    this.#check(a, b)
    return this.#make(this.#arithmetic.add(a.parts, [this.#encoder.scaled(b, a.limbs)]), a.limbs)
  }
  subtractPlain(a: BfvCiphertext, b: BfvPlaintext): BfvCiphertext {
    this.#check(a, b)
    return this.#make(this.#arithmetic.subtract(a.parts, [this.#encoder.scaled(b, a.limbs)]), a.limbs)
  }
  /** Error: times the sum of the sizes of the plaintext's coefficients. */
  multiplyPlain(a: BfvCiphertext, b: BfvPlaintext): BfvCiphertext {
    this.#check(a, b)
    return this.#make(this.#arithmetic.multiplyEach(a.parts, this.#encoder.lifted(b, a.limbs)), a.limbs)
  }
  /** The result has size 3; `relinearise` makes it 2. */
  multiply(a: BfvCiphertext, b: BfvCiphertext): BfvCiphertext {
    this.#pair(a, b)
    this.#sizeTwo(a)
    this.#sizeTwo(b)
    const multiplier =
      this.#multipliers.get(a.limbs) ?? new BfvMultiplier(this.parameters, a.limbs, this.plainModulus)
    this.#multipliers.set(a.limbs, multiplier)
    return this.#make(multiplier.multiply(a.parts, b.parts), a.limbs)
  }
  relinearise(a: BfvCiphertext, key: RelinearisationKey): BfvCiphertext {
    this.#check(a, key)
    return this.#make(this.#arithmetic.relinearise(a.parts, key), a.limbs)
  }
  /** What the key moves: both rows rotated by its steps, or the rows exchanged. */
  move(a: BfvCiphertext, key: GaloisKey): BfvCiphertext {
    this.#check(a, key)
    this.#sizeTwo(a)
    return this.#make(this.#arithmetic.automorphisms(a.parts, [key])[0] as RlweCiphertext["parts"], a.limbs)
  }
  /**
   * The same numbers with fewer primes: shorter, at the price of the error that a division adds.
   * @throws {ConsiliumError} "level/none-left" if there is only one prime
   */
  shorten(a: BfvCiphertext, primes = 1): BfvCiphertext {
    this.#check(a)
    if (!Number.isInteger(primes) || primes < 1 || primes >= a.limbs)
      throw new ConsiliumError(
        "level/none-left",
        `A ciphertext with ${a.limbs} primes cannot give up ${primes} and keep one.`,
      )
    return this.#make(this.#arithmetic.divide(a.parts, primes), a.limbs - primes)
  }

  toBytes(ciphertext: BfvCiphertext): Uint8Array {
    this.#check(ciphertext)
    const extra = new DataView(new ArrayBuffer(8))
    extra.setBigUint64(0, BigInt(this.plainModulus))
    return ciphertextToBytes(ciphertext, { kind: KIND.bfv, extra })
  }
  /**
   * @throws {ConsiliumError} "lattice/malformed" unless `toBytes` could have written the bytes, "lattice/foreign" if
   *   they are for other parameters or another plaintext modulus
   */
  fromBytes(bytes: Uint8Array): BfvCiphertext {
    const { ciphertext, extra } = ciphertextFromBytes(this.parameters, KIND.bfv, bytes)
    const found = extra.getBigUint64(0)
    if (found !== BigInt(this.plainModulus))
      throw new ConsiliumError(
        "lattice/foreign",
        `A ciphertext is modulo ${found}; these parameters have ${this.plainModulus}.`,
      )
    return { ...ciphertext, plainModulus: this.plainModulus }
  }
}

/**
 * Encrypted arithmetic on whole numbers.
 *
 *     const ctx = bfv({ degree: 8192, bits: [30, 30, 30, 30], special: 1, plainModulus: 65537 })
 *     const secret = ctx.newSecret()
 *     const sum = ctx.add(ctx.encrypt([1, -2], secret), ctx.encrypt([40, 2], secret))
 *     ctx.decrypt(sum, secret)
 *
 * @throws {ConsiliumError} "lattice/insecure" or "lattice/bad-ring" as `rlweParameters`
 */
export const bfv = (options: BfvOptions): Bfv => Bfv.of(options)
