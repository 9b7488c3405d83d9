import { ConsiliumError } from "@consilium/base/errors"
import { residuesOf, wordsOf } from "../ring/crt.js"
import type { Payload } from "../ring/kernel.js"
import { inverseModulo, residueOf } from "../ring/modular.js"
import type { Coefficients, Ring } from "../ring/ring.js"
import type { ValueCodec } from "./value-codec.js"
import { sumsKernel } from "./wide-gaussian.js"

export interface QuotientOptions {
  /** Numbers in one coefficient: 1 to 4. */
  readonly lanes: number
  /** Bits of a lane, 2 to 31. */
  readonly laneBits: number
  /** The largest size that a number or a sum may have. */
  readonly largest: number
}

/** Bits of x / Q below those of Q itself, so that what is cut off counts for less than one unit of x. */
const SPARE_BITS = 36

/**
 * Whole numbers in the coefficients of a polynomial as BFV has them: a plaintext modulus 2^P, P = lanes x laneBits, and
 * Delta = floor(Q / 2^P), so that the room for errors is all that Q leaves. Sums are right modulo 2^P by construction.
 *
 * Math:   coefficient = Delta (v_0 + 2^w v_1 + ...); decoded as round(2^P x / Q) mod 2^P, centred lane by lane
 * Error:  exact while |error| + 2^(P-1) < Delta / 2: a message times Delta lies within 2^(P-1) of its multiple of Q / 2^P
 * Timing: depends on no number
 * Source: Fan and Vercauteren 2012, eprint 2012/144; Halevi, Polyakov, Shoup 2018, eprint 2018/117 (sum of y_i / q_i)
 */
export class QuotientCodec implements ValueCodec {
  readonly ring: Ring
  readonly lanes: number
  readonly largest: number
  readonly capacity: number
  readonly delta: bigint
  readonly #factors: readonly Uint32Array[]
  readonly #inverses: Uint32Array
  readonly #layout: { readonly degree: number; readonly lanes: number; readonly width: number } & {
    readonly words: number
    readonly table: Uint32Array
  }

  /** @throws {ConsiliumError} "lattice/bad-ring" if the lanes do not fit, with the numbers */
  constructor(ring: Ring, { lanes, laneBits, largest }: QuotientOptions) {
    const whole = (value: number, least: number, most: number): boolean =>
      Number.isInteger(value) && value >= least && value <= most
    if (!whole(lanes, 1, 4) || !whole(laneBits, 2, 31) || !whole(largest, 1, 2 ** (laneBits - 1) - 1))
      throw new ConsiliumError(
        "lattice/bad-ring",
        `${lanes} lanes of ${laneBits} bits up to ${largest} are no packing: 1 to 4 lanes of 2 to 31 bits are.`,
      )
    const plainBits = lanes * laneBits
    this.ring = ring
    this.lanes = lanes
    this.largest = largest
    this.capacity = lanes * ring.degree
    this.delta = ring.modulus >> BigInt(plainBits)
    if (this.delta < 1n << 30n)
      throw new ConsiliumError(
        "lattice/bad-ring",
        `${lanes} lanes of ${laneBits} bits leave less than 30 bits of ${ring.modulus.toString(2).length} for errors.`,
      )
    this.#factors = Array.from({ length: lanes }, (_, lane) =>
      residuesOf(ring.primes, this.delta << BigInt(lane * laneBits)),
    )
    this.#inverses = Uint32Array.from(ring.primes, (q) =>
      inverseModulo(residueOf(ring.modulus / BigInt(q), q), q),
    )
    const words = Math.ceil((ring.modulus.toString(2).length + SPARE_BITS) / 32)
    this.#layout = {
      degree: ring.degree,
      lanes,
      width: laneBits,
      words,
      table: Uint32Array.from(
        ring.primes.flatMap((q) => [...wordsOf((1n << BigInt(32 * words)) / BigInt(q), words)]),
      ),
    }
  }

  blocks(length: number): number {
    return Math.ceil(length / this.capacity)
  }

  /** The numbers of one block as a row's message; places beyond the end of the vector are zero. */
  message(vector: Int32Array, block: number): Omit<Payload, "error"> {
    const { degree } = this.ring
    const start = block * this.capacity
    const lanes = this.#factors.flatMap((factors, lane) => {
      const part = vector.subarray(start + lane * degree, start + (lane + 1) * degree)
      if (part.length === 0) return []
      const values = new Int32Array(degree)
      values.set(part)
      return [{ values, factors }]
    })
    return { lanes }
  }

  /** Gives the largest distance of a coefficient from a multiple of Q / 2^P beside the numbers. */
  decode(
    a: Coefficients,
    kernel = sumsKernel(),
  ): { readonly values: Int32Array; readonly remainder: bigint } {
    const values = new Int32Array(this.capacity)
    const y = this.ring.scaleByResidues(a, this.#inverses)
    const fraction = kernel.decodeQuotient(y, this.#layout, values)
    y.fill(0)
    if (!this.ring.isWithin(values, this.largest)) {
      values.fill(0)
      throw new ConsiliumError(
        "lattice/out-of-range",
        `A decoded number is larger than ${this.largest}: not all parts belong together, or values were too large.`,
        { remedy: "Check that the openings are for exactly the polynomials that were added." },
      )
    }
    return { values, remainder: (fraction * this.delta) >> 64n }
  }
}
