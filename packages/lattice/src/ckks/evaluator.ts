import { ConsiliumError } from "@consilium/base/errors"
import { type RlweArithmetic, rotationExponent } from "../rlwe/arithmetic.js"
import { checkParameters, type RlweCiphertext } from "../rlwe/ciphertext.js"
import type { GaloisKey, RelinearisationKey } from "../rlwe/switching-key.js"
import type { CkksEncoder, CkksPlaintext } from "./encoder.js"
import type { CkksOperations, EncodeAt, Reals } from "./operations.js"
import type { CipherShape, ShapeRules } from "./rules.js"

/** Encrypted numbers. */
export interface CkksCiphertext extends RlweCiphertext, CipherShape {}

/** Keys for evaluating; they are public. */
export interface EvaluationKeys {
  readonly relinearisation?: RelinearisationKey
  readonly galois?: readonly GaloisKey[]
}

/** Whole factors up to this size: exact in doubles. */
export const MOST_FACTOR = Number.MAX_SAFE_INTEGER

/** @throws {ConsiliumError} "lattice/out-of-range" if the factor is no whole number in (-2^53, 2^53) */
export const checkFactor = (factor: number): void => {
  if (!Number.isSafeInteger(factor))
    throw new ConsiliumError("lattice/out-of-range", `A factor is a whole number below 2^53, not ${factor}.`)
}

/** What an evaluator is made of. */
export interface EvaluatorParts {
  readonly encoder: CkksEncoder
  readonly rules: ShapeRules
  readonly arithmetic: RlweArithmetic
  readonly scale: number
}

/**
 * Computes on ciphertexts. Nothing is changed by it: every result is new, and bad input throws before anything is made.
 *
 * Timing: depends on no secret
 * Source: Cheon, Kim, Kim, Song 2017, eprint 2016/421; with residues: Cheon, Han, Kim, Kim, Song 2018, eprint 2018/931
 */
export class CkksEvaluator implements CkksOperations<CkksCiphertext, CkksPlaintext> {
  protected readonly own: EvaluatorParts
  readonly #keys: EvaluationKeys
  readonly #galois: ReadonlyMap<number, GaloisKey>

  /** @throws {ConsiliumError} "lattice/foreign" if a key is for other parameters */
  constructor(own: EvaluatorParts, keys: EvaluationKeys = {}) {
    const galois = keys.galois ?? []
    const { relinearisation } = keys
    checkParameters(
      own.rules.parameters,
      ...galois,
      ...(relinearisation === undefined ? [] : [relinearisation]),
    )
    this.own = own
    this.#keys = keys
    this.#galois = new Map(galois.map((key) => [key.from.exponent, key]))
  }

  encode(values: Reals, at: EncodeAt = {}): CkksPlaintext {
    return this.own.encoder.slotsToPlain(values, [], this.#at(at))
  }
  /** Complex numbers for slots. */
  encodeComplex(real: Reals, imaginary: Reals, at: EncodeAt = {}): CkksPlaintext {
    return this.own.encoder.slotsToPlain(real, imaginary, this.#at(at))
  }
  encodeCoefficients(values: Reals, at: EncodeAt = {}): CkksPlaintext {
    return this.own.encoder.coefficientsToPlain(values, this.#at(at))
  }
  encodeConstant(value: number, at: EncodeAt = {}): CkksPlaintext {
    return this.own.encoder.constantToPlain(value, this.#at(at))
  }
  #at({ level = this.own.rules.topLevel, scale = this.own.scale }: EncodeAt) {
    return this.own.rules.plain(level, scale)
  }

  #make(shape: CipherShape, parts: RlweCiphertext["parts"]): CkksCiphertext {
    const { level, scale, size } = shape
    return { parameters: this.own.rules.parameters, parts, limbs: level + 1, level, scale, size }
  }
  #check(...values: readonly { readonly parameters: RlweCiphertext["parameters"] }[]): void {
    checkParameters(this.own.rules.parameters, ...values)
  }

  add(a: CkksCiphertext, b: CkksCiphertext): CkksCiphertext {
    this.#check(a, b)
    return this.#make(this.own.rules.add(a, b), this.own.arithmetic.add(a.parts, b.parts))
  }
  subtract(a: CkksCiphertext, b: CkksCiphertext): CkksCiphertext {
    this.#check(a, b)
    return this.#make(this.own.rules.add(a, b), this.own.arithmetic.subtract(a.parts, b.parts))
  }
  negate(a: CkksCiphertext): CkksCiphertext {
    this.#check(a)
    return this.#make(a, this.own.arithmetic.negate(a.parts))
  }
  addPlain(a: CkksCiphertext, b: CkksPlaintext): CkksCiphertext {
    this.#check(a, b)
    return this.#make(this.own.rules.addPlain(a, b), this.own.arithmetic.add(a.parts, [b.values]))
  }
  subtractPlain(a: CkksCiphertext, b: CkksPlaintext): CkksCiphertext {
    this.#check(a, b)
    return this.#make(this.own.rules.addPlain(a, b), this.own.arithmetic.subtract(a.parts, [b.values]))
  }
  multiplyPlain(a: CkksCiphertext, b: CkksPlaintext): CkksCiphertext {
    this.#check(a, b)
    return this.#make(this.own.rules.multiplyPlain(a, b), this.own.arithmetic.multiplyEach(a.parts, b.values))
  }
  multiplyInteger(a: CkksCiphertext, factor: number): CkksCiphertext {
    this.#check(a)
    checkFactor(factor)
    return this.#make(a, this.own.arithmetic.scaleEach(a.parts, BigInt(factor)))
  }
  multiply(a: CkksCiphertext, b: CkksCiphertext): CkksCiphertext {
    this.#check(a, b)
    return this.#make(this.own.rules.multiply(a, b), this.own.arithmetic.tensor(a.parts, b.parts))
  }
  relinearise(a: CkksCiphertext): CkksCiphertext {
    this.#check(a)
    const { relinearisation } = this.#keys
    const shape = this.own.rules.relinearise(a, relinearisation !== undefined)
    return a.size === 2
      ? a
      : this.#make(shape, this.own.arithmetic.relinearise(a.parts, relinearisation as RelinearisationKey))
  }
  /**
   * Math:   c' = round(c / q_l), per part
   * Error:  adds at most (1 + h) / 2 per coefficient, h = weight of the ternary secret
   * Cost:   one inverse and level forward transforms for each part
   * Timing: depends on no secret
   * Source: eprint 2018/931
   * @throws {ConsiliumError} "level/none-left" if level is 0, "scale/out-of-range" if the scale would be below 1
   */
  rescale(a: CkksCiphertext, primes = 1): CkksCiphertext {
    this.#check(a)
    return this.#make(this.own.rules.rescale(a, primes), this.own.arithmetic.divide(a.parts, primes))
  }
  dropTo(a: CkksCiphertext, level: number): CkksCiphertext {
    this.#check(a)
    return this.#make(this.own.rules.drop(a, level), this.own.arithmetic.drop(a.parts, level + 1))
  }
  rotate(a: CkksCiphertext, steps: number): CkksCiphertext {
    return this.rotateMany(a, [steps])[0] as CkksCiphertext
  }
  rotateMany(a: CkksCiphertext, steps: readonly number[]): readonly CkksCiphertext[] {
    const { degree } = this.own.rules.parameters
    return this.#automorphisms(
      a,
      steps.map((count) => ({ exponent: rotationExponent(degree, count), what: `${count} steps` })),
    )
  }
  conjugate(a: CkksCiphertext): CkksCiphertext {
    const exponent = 2 * this.own.rules.parameters.degree - 1
    return this.#automorphisms(a, [{ exponent, what: "conjugation" }])[0] as CkksCiphertext
  }
  #automorphisms(
    a: CkksCiphertext,
    wanted: readonly { readonly exponent: number; readonly what: string }[],
  ): readonly CkksCiphertext[] {
    this.#check(a)
    for (const { exponent, what } of wanted)
      this.own.rules.automorphism(a, exponent === 1 || this.#galois.has(exponent), what)
    const moving = wanted.flatMap(({ exponent }) => this.#galois.get(exponent) ?? [])
    const moved = moving.length === 0 ? [] : this.own.arithmetic.automorphisms(a.parts, moving)
    return wanted.map(({ exponent }) => {
      const at = moving.findIndex((key) => key.from.exponent === exponent)
      return at < 0 ? a : this.#make(a, moved[at] as RlweCiphertext["parts"])
    })
  }
}
