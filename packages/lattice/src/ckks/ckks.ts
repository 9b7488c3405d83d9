import { ConsiliumError } from "@consilium/base/errors"
import { type RandomSource, systemRandom } from "@consilium/base/random"
import { RlweArithmetic, rotationExponent } from "../rlwe/arithmetic.js"
import { checkParameters } from "../rlwe/ciphertext.js"
import { encryptWithPublic, encryptWithSecret, phase } from "../rlwe/encryption.js"
import { galoisKeyOf, type PublicKey, publicKeyOf, RlweSecret, relinearisationKeyOf } from "../rlwe/keys.js"
import { type ParameterOptions, type RlweParameters, rlweParameters } from "../rlwe/parameters.js"
import type { GaloisKey, RelinearisationKey } from "../rlwe/switching-key.js"
import { ciphertextFromBytes, ciphertextToBytes, KIND } from "../rlwe/wire.js"
import { CkksEncoder, type CkksPlaintext } from "./encoder.js"
import { type CkksCiphertext, CkksEvaluator, type EvaluationKeys } from "./evaluator.js"
import type { EncodeAt, Reals } from "./operations.js"
import { ShapeRules } from "./rules.js"
import { CkksSimulator, type SimulatedKeys } from "./simulator.js"

export interface CkksOptions extends ParameterOptions {
  /** What numbers are multiplied by before they are rounded, unless `encode` is told otherwise. */
  readonly scale: number
}

/**
 * Approximate arithmetic on encrypted real numbers: keys, encoding, encryption, and the evaluator without keys.
 *
 * What is decrypted carries the error of its ciphertexts, which can betray the secret key if it is given to others
 * (eprint 2020/1533): give out rounded results only.
 */
export class Ckks extends CkksEvaluator {
  readonly parameters: RlweParameters
  readonly scale: number
  /** Numbers in one ciphertext. */
  readonly slots: number
  /** The level of fresh ciphertexts. */
  readonly topLevel: number

  private constructor(parameters: RlweParameters, scale: number) {
    const encoder = new CkksEncoder(parameters)
    const rules = new ShapeRules(parameters)
    rules.plain(rules.topLevel, scale)
    super({ encoder, rules, arithmetic: new RlweArithmetic(parameters), scale })
    this.parameters = parameters
    this.scale = scale
    this.slots = encoder.slots
    this.topLevel = rules.topLevel
  }
  /** As `ckks`. */
  static of(options: CkksOptions): Ckks {
    return new Ckks(rlweParameters(options), options.scale)
  }
  /** With parameters that are made already. */
  static with(parameters: RlweParameters, scale: number): Ckks {
    return new Ckks(parameters, scale)
  }

  newSecret(random: RandomSource = systemRandom): RlweSecret {
    return RlweSecret.generate(this.parameters, random)
  }
  publicKey(secret: RlweSecret, random: RandomSource = systemRandom): PublicKey {
    checkParameters(this.parameters, secret)
    return publicKeyOf(secret, random)
  }
  relinearisationKey(secret: RlweSecret, random: RandomSource = systemRandom): RelinearisationKey {
    checkParameters(this.parameters, secret)
    return relinearisationKeyOf(secret, random)
  }
  /** One key for each rotation. */
  rotationKeys(
    secret: RlweSecret,
    steps: readonly number[],
    random: RandomSource = systemRandom,
  ): readonly GaloisKey[] {
    checkParameters(this.parameters, secret)
    const exponents = new Set(steps.map((count) => rotationExponent(this.parameters.degree, count)))
    exponents.delete(1)
    return [...exponents].map((exponent) => galoisKeyOf(secret, exponent, random))
  }
  conjugationKey(secret: RlweSecret, random: RandomSource = systemRandom): GaloisKey {
    checkParameters(this.parameters, secret)
    return galoisKeyOf(secret, 2 * this.parameters.degree - 1, random)
  }

  /**
   * Encrypts numbers, or what is encoded already. With the secret key the ciphertext is half as long on the wire.
   * Timing: depends on neither key nor numbers
   */
  encrypt(
    message: Reals | CkksPlaintext,
    key: PublicKey | RlweSecret,
    random: RandomSource = systemRandom,
  ): CkksCiphertext {
    const plain = "values" in message && "scale" in message ? message : this.encode(message as Reals)
    checkParameters(this.parameters, plain, key)
    const { level, scale } = plain
    const encrypted =
      key instanceof RlweSecret
        ? encryptWithSecret(key, plain.values, random)
        : encryptWithPublic(key, plain.values, random)
    return { ...encrypted, level, scale, size: 2 }
  }
  /** Timing: depends on neither key nor numbers */
  decryptToPlain(ciphertext: CkksCiphertext, secret: RlweSecret): CkksPlaintext {
    const { level, scale } = ciphertext
    return { parameters: this.parameters, values: phase(secret, ciphertext), level, scale }
  }
  /** The numbers in all slots, real parts. */
  decrypt(ciphertext: CkksCiphertext, secret: RlweSecret): Float64Array {
    return this.decode(this.decryptToPlain(ciphertext, secret))
  }
  /** The numbers in all coefficients. */
  decryptCoefficients(ciphertext: CkksCiphertext, secret: RlweSecret): Float64Array {
    return this.decodeCoefficients(this.decryptToPlain(ciphertext, secret))
  }

  /** The real parts of all slots. */
  decode(plain: CkksPlaintext): Float64Array {
    return this.decodeComplex(plain).real
  }
  decodeComplex(plain: CkksPlaintext): { readonly real: Float64Array; readonly imaginary: Float64Array } {
    checkParameters(this.parameters, plain)
    return this.own.encoder.plainToSlots(plain)
  }
  decodeCoefficients(plain: CkksPlaintext): Float64Array {
    checkParameters(this.parameters, plain)
    return this.own.encoder.plainToCoefficients(plain)
  }

  /** The bytes of a ciphertext. */
  toBytes(ciphertext: CkksCiphertext): Uint8Array {
    checkParameters(this.parameters, ciphertext)
    const extra = new DataView(new ArrayBuffer(8))
    extra.setFloat64(0, ciphertext.scale)
    return ciphertextToBytes(ciphertext, { kind: KIND.ckks, extra })
  }
  /**
   * @throws {ConsiliumError} "lattice/malformed" unless `toBytes` could have written the bytes, "lattice/foreign" if they
   *   are for other parameters
   */
  fromBytes(bytes: Uint8Array): CkksCiphertext {
    const { ciphertext, extra } = ciphertextFromBytes(this.parameters, KIND.ckks, bytes)
    const shape = { level: ciphertext.limbs - 1, scale: extra.getFloat64(0), size: ciphertext.parts.length }
    if (!this.own.rules.fits(shape))
      throw new ConsiliumError("lattice/malformed", "A ciphertext has a scale that does not fit its level.")
    return { ...ciphertext, ...shape }
  }

  /** The evaluator with keys. */
  evaluator(keys: EvaluationKeys): CkksEvaluator {
    return new CkksEvaluator(this.own, keys)
  }
  /** Levels and scales without the computation. */
  simulator(keys: SimulatedKeys = {}): CkksSimulator {
    return new CkksSimulator(this.parameters, this.scale, keys)
  }
  /** At what level and scale a ciphertext is; for `encode`. */
  at(value: { readonly level: number; readonly scale: number }): Required<EncodeAt> {
    return { level: value.level, scale: value.scale }
  }
}

/**
 * Encrypted arithmetic on real numbers.
 *
 *     const ctx = ckks({ degree: 8192, bits: [30, 27, 27, 30], special: 1, scale: 2 ** 27 })
 *     const secret = ctx.newSecret()
 *     const sum = ctx.add(ctx.encrypt([0.5, -1], secret), ctx.encrypt([2, 3], secret))
 *     ctx.decrypt(sum, secret)
 *
 * @throws {ConsiliumError} "lattice/insecure" or "lattice/bad-ring" as `rlweParameters`, "scale/out-of-range" if the scale
 *   does not fit
 */
export const ckks = (options: CkksOptions): Ckks => Ckks.of(options)
