import { ConsiliumError } from "@consilium/base/errors"
import { residuesOf } from "../ring/crt.js"
import type { Coefficients, Evaluations } from "../ring/ring.js"
import { MixedRadix } from "../rlwe/mixed-radix.js"
import type { RlweParameters } from "../rlwe/parameters.js"
import { Embedding } from "./embedding.js"
import type { Reals } from "./operations.js"
import type { PlainShape } from "./rules.js"

/** An encoded polynomial: numbers times the scale, rounded. */
export interface CkksPlaintext extends PlainShape {
  readonly parameters: RlweParameters
  readonly values: Evaluations
}

const CHUNK = 2 ** 31
const MOST_CHUNKS = 3

/**
 * Between real numbers and polynomials.
 *
 * Math:   slots: round(scale * m), m real with m(z^(3^i)) = value i, z = exp(pi i / N); coefficients: round(scale * value)
 * Error:  1/2 per coefficient, and 2^-53 of the largest for each step of the transform
 * Timing: depends on no value
 * Source: Cheon, Kim, Kim, Song 2017, eprint 2016/421
 */
export class CkksEncoder {
  readonly parameters: RlweParameters
  readonly #embedding: Embedding
  readonly #radixes = new Map<number, MixedRadix>()

  constructor(parameters: RlweParameters) {
    this.parameters = parameters
    this.#embedding = new Embedding(parameters.degree)
  }

  get slots(): number {
    return this.#embedding.slots
  }

  #padded(values: Reals, length: number): Float64Array {
    if (values.length > length)
      throw new ConsiliumError(
        "lattice/out-of-range",
        `There are ${values.length} numbers; one plaintext holds ${length}.`,
      )
    const out = new Float64Array(length)
    out.set(values)
    return out
  }

  slotsToPlain(real: Reals, imaginary: Reals, shape: PlainShape): CkksPlaintext {
    const re = this.#padded(real, this.slots)
    const im = this.#padded(imaginary, this.slots)
    const coefficients = this.#embedding.toCoefficients(re, im)
    re.fill(0)
    im.fill(0)
    return this.#round(coefficients, shape)
  }
  coefficientsToPlain(values: Reals, shape: PlainShape): CkksPlaintext {
    return this.#round(this.#padded(values, this.parameters.degree), shape)
  }
  constantToPlain(value: number, shape: PlainShape): CkksPlaintext {
    const one = Float64Array.of(value)
    return this.#round(this.#padded(one, this.parameters.degree), shape)
  }

  /** Overwrites what it is given. */
  #round(coefficients: Float64Array, { level, scale }: PlainShape): CkksPlaintext {
    const { parameters } = this
    const ring = parameters.ringOf(level + 1)
    const middle = Number(ring.modulus) / 2
    const chunks = Math.min(MOST_CHUNKS, Math.ceil(ring.modulus.toString(2).length / 31))
    const limit = Math.min(middle, CHUNK ** chunks / 2)
    let outside = 0
    for (let i = 0; i < coefficients.length; i++) {
      const rounded = Math.floor((coefficients[i] as number) * scale + 0.5)
      coefficients[i] = rounded
      outside |= Number(!(Math.abs(rounded) < limit))
    }
    if (outside !== 0) {
      coefficients.fill(0)
      throw new ConsiliumError(
        "lattice/out-of-range",
        `A number is not finite, or times the scale ${scale} it is ${limit} or more, too large for level ${level}.`,
        { remedy: "Use smaller numbers, a smaller scale or a higher level." },
      )
    }
    const lanes = Array.from({ length: chunks }, (_, chunk) => {
      const part = new Int32Array(coefficients.length)
      const last = chunk === chunks - 1
      for (let i = 0; i < part.length; i++) {
        const value = coefficients[i] as number
        const above = last ? 0 : Math.floor(value / CHUNK)
        part[i] = value - above * CHUNK
        coefficients[i] = above
      }
      return { values: part, factors: residuesOf(ring.primes, BigInt(CHUNK) ** BigInt(chunk)) }
    })
    const values = ring.combine({ lanes })
    for (const lane of lanes) lane.values.fill(0)
    return { parameters, values: ring.forward(values, values), level, scale }
  }

  /** The numbers in the coefficients. Error: relative, 2^-50 */
  plainToCoefficients({ values, level, scale }: CkksPlaintext): Float64Array {
    const ring = this.parameters.ringOf(level + 1)
    const radix = this.#radixes.get(level) ?? new MixedRadix(ring)
    this.#radixes.set(level, radix)
    const coefficients: Coefficients = ring.inverse(values)
    const digits = radix.digits(coefficients)
    coefficients.fill(0)
    ring.erase()
    const out = radix.toDoubles(digits)
    for (const digit of digits) digit.fill(0)
    const share = 1 / scale
    for (let i = 0; i < out.length; i++) out[i] = (out[i] as number) * share
    return out
  }
  /** The complex numbers in the slots. */
  plainToSlots(plain: CkksPlaintext): { readonly real: Float64Array; readonly imaginary: Float64Array } {
    const coefficients = this.plainToCoefficients(plain)
    const slots = this.#embedding.toSlots(coefficients)
    coefficients.fill(0)
    return slots
  }
}
