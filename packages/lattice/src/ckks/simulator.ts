import { ConsiliumError } from "@consilium/base/errors"
import { rotationExponent } from "../rlwe/arithmetic.js"
import type { RlweParameters } from "../rlwe/parameters.js"
import { checkFactor } from "./evaluator.js"
import type { CkksOperations, EncodeAt, Reals } from "./operations.js"
import { type CipherShape, type PlainShape, ShapeRules } from "./rules.js"

/** Which keys the evaluator would have. */
export interface SimulatedKeys {
  readonly relinearisation?: boolean
  /** Steps of rotation. */
  readonly rotations?: readonly number[]
  readonly conjugation?: boolean
}

/**
 * Levels and scales of a computation without the computation: what the evaluator does on ciphertexts, on descriptions of
 * them. It throws where the evaluator would, but for numbers that are too large to be encoded.
 */
export class CkksSimulator implements CkksOperations<CipherShape, PlainShape> {
  readonly #rules: ShapeRules
  readonly #scale: number
  readonly #keys: SimulatedKeys
  readonly #exponents: ReadonlySet<number>

  constructor(parameters: RlweParameters, scale: number, keys: SimulatedKeys = {}) {
    this.#rules = new ShapeRules(parameters)
    this.#scale = scale
    this.#keys = keys
    const { degree } = parameters
    this.#exponents = new Set((keys.rotations ?? []).map((steps) => rotationExponent(degree, steps)))
  }

  /** A fresh ciphertext. */
  encrypted(at: EncodeAt = {}): CipherShape {
    return { ...this.#at(at), size: 2 }
  }
  encode(values: Reals, at: EncodeAt = {}): PlainShape {
    return this.#plain(values.length, this.#rules.parameters.degree / 2, at)
  }
  encodeCoefficients(values: Reals, at: EncodeAt = {}): PlainShape {
    return this.#plain(values.length, this.#rules.parameters.degree, at)
  }
  encodeConstant(_value: number, at: EncodeAt = {}): PlainShape {
    return this.#at(at)
  }
  #at({ level = this.#rules.topLevel, scale = this.#scale }: EncodeAt): PlainShape {
    return this.#rules.plain(level, scale)
  }
  #plain(count: number, most: number, at: EncodeAt): PlainShape {
    const shape = this.#at(at)
    if (count > most)
      throw new ConsiliumError(
        "lattice/out-of-range",
        `There are ${count} numbers; one plaintext holds ${most}.`,
      )
    return shape
  }

  add(a: CipherShape, b: CipherShape): CipherShape {
    return this.#rules.add(a, b)
  }
  subtract(a: CipherShape, b: CipherShape): CipherShape {
    return this.#rules.add(a, b)
  }
  negate(a: CipherShape): CipherShape {
    return a
  }
  addPlain(a: CipherShape, b: PlainShape): CipherShape {
    return this.#rules.addPlain(a, b)
  }
  subtractPlain(a: CipherShape, b: PlainShape): CipherShape {
    return this.#rules.addPlain(a, b)
  }
  multiplyPlain(a: CipherShape, b: PlainShape): CipherShape {
    return this.#rules.multiplyPlain(a, b)
  }
  multiplyInteger(a: CipherShape, factor: number): CipherShape {
    checkFactor(factor)
    return a
  }
  multiply(a: CipherShape, b: CipherShape): CipherShape {
    return this.#rules.multiply(a, b)
  }
  relinearise(a: CipherShape): CipherShape {
    return this.#rules.relinearise(a, this.#keys.relinearisation === true)
  }
  rescale(a: CipherShape, primes = 1): CipherShape {
    return this.#rules.rescale(a, primes)
  }
  dropTo(a: CipherShape, level: number): CipherShape {
    return this.#rules.drop(a, level)
  }
  rotate(a: CipherShape, steps: number): CipherShape {
    return this.rotateMany(a, [steps])[0] as CipherShape
  }
  rotateMany(a: CipherShape, steps: readonly number[]): readonly CipherShape[] {
    return steps.map((count) => {
      const exponent = rotationExponent(this.#rules.parameters.degree, count)
      return this.#rules.automorphism(a, exponent === 1 || this.#exponents.has(exponent), `${count} steps`)
    })
  }
  conjugate(a: CipherShape): CipherShape {
    return this.#rules.automorphism(a, this.#keys.conjugation === true, "conjugation")
  }
}
