import { ConsiliumError } from "@consilium/base/errors"
import { mixedRadixInverses, residuesOf, wordsOf } from "./crt.js"
import type { LaneLayout, Payload } from "./kernel.js"
import type { Coefficients, Ring } from "./ring.js"

export interface LaneOptions {
  /** Numbers in one coefficient: 1 to 4. */
  readonly lanes: number
  /** Bits of a lane, 2 to 31. */
  readonly laneBits: number
  /** Delta = 2^deltaBits, 1 to 56: room for errors below the numbers. */
  readonly deltaBits: number
  /** The largest size that a number or a sum may have; 2^(laneBits - 1) - 1 unless said otherwise. */
  readonly largest?: number
}

export interface Decoded {
  /** Lane after lane, N numbers each. */
  readonly values: Int32Array
  /** The largest distance of a coefficient from a multiple of Delta: the size of the error. */
  readonly remainder: bigint
}

/**
 * Whole numbers in the coefficients of a polynomial, several side by side, above room for errors.
 *
 * Math:   coefficient = Delta (v_0 + 2^w v_1 + 2^2w v_2 + ...), exact for |v| <= largest and errors below Delta / 2
 * Shape:  a vector is cut into blocks of lanes x N numbers; lane k of a block holds its numbers k N to (k + 1) N - 1
 * Timing: depends on no number
 */
export class LaneCodec {
  readonly ring: Ring
  readonly lanes: number
  readonly largest: number
  /** Numbers in one polynomial. */
  readonly capacity: number
  readonly #factors: readonly Uint32Array[]
  /** What the kernel decodes by. */
  readonly layout: LaneLayout

  /** @throws {ConsiliumError} "lattice/bad-ring" if the lanes do not fit, with the numbers */
  constructor(ring: Ring, options: LaneOptions) {
    const { lanes, laneBits, deltaBits } = options
    const largest = options.largest ?? 2 ** (laneBits - 1) - 1
    const within = (value: number, least: number, most: number, name: string): void => {
      if (!Number.isInteger(value) || value < least || value > most)
        throw new ConsiliumError("lattice/bad-ring", `${name} must be in [${least}, ${most}], not ${value}.`)
    }
    within(lanes, 1, 4, "The number of lanes")
    within(laneBits, 2, 31, "The bits of a lane")
    within(deltaBits, 1, 56, "The bits of Delta")
    within(largest, 1, 2 ** (laneBits - 1) - 1, "The largest number")
    let reach = 0n
    for (let lane = 0; lane < lanes; lane++) reach += BigInt(largest) << BigInt(lane * laneBits)
    const middle = ring.modulus / 2n
    const half = 1n << BigInt(deltaBits - 1)
    if ((reach << BigInt(deltaBits)) + half > middle)
      throw new ConsiliumError(
        "lattice/bad-ring",
        `${lanes} lanes of ${laneBits} bits up to ${largest} above ${deltaBits} bits do not fit into ` +
          `${ring.modulus.toString(2).length} bits of modulus: the largest coefficient would pass Q / 2.`,
        {
          remedy: "Take fewer or narrower lanes, a smaller Delta, a smaller largest number, or more primes.",
        },
      )
    this.ring = ring
    this.lanes = lanes
    this.largest = largest
    this.capacity = lanes * ring.degree
    this.#factors = Array.from({ length: lanes }, (_, lane) =>
      residuesOf(ring.primes, 1n << BigInt(deltaBits + lane * laneBits)),
    )
    const words = Math.ceil(ring.modulus.toString(2).length / 32) + 1
    const quotient = (w: number, q: number): number => Number((BigInt(w) << 32n) / BigInt(q))
    const middles = residuesOf(ring.primes, middle)
    const inverses = mixedRadixInverses(ring.primes)
    this.layout = {
      lanes,
      width: laneBits,
      shift: deltaBits,
      words,
      table: Uint32Array.from([
        ...ring.primes.flatMap((q, i) => [q, quotient(1, q), middles[i] as number, 0]),
        ...ring.primes.flatMap((q, i) => (inverses[i] ?? []).flatMap((w) => [w, quotient(w, q)])),
        ...wordsOf(half - middle, words),
      ]),
    }
  }

  /** Polynomials that a vector of this length takes. */
  blocks(length: number): number {
    return Math.ceil(length / this.capacity)
  }

  /**
   * The numbers of one block as a row's message; places beyond the end of the vector are zero.
   * @throws {ConsiliumError} "lattice/out-of-range" if a number is larger than `largest`
   */
  message(vector: Int32Array, block: number): Omit<Payload, "error"> {
    const { degree } = this.ring
    const start = block * this.capacity
    if (!Number.isInteger(block) || block < 0 || block >= this.blocks(vector.length))
      throw new ConsiliumError(
        "lattice/bad-polynomial",
        `A vector of ${vector.length} numbers has ${this.blocks(vector.length)} blocks; block ${block} is none.`,
      )
    if (!this.ring.isWithin(vector.subarray(start, start + this.capacity), this.largest))
      throw new ConsiliumError(
        "lattice/out-of-range",
        `A number of block ${block} is larger than ${this.largest}.`,
      )
    const lanes = this.#factors.flatMap((factors, lane) => {
      const part = vector.subarray(start + lane * degree, start + (lane + 1) * degree)
      if (part.length === 0) return []
      if (part.length === degree) return [{ values: part, factors }]
      const padded = new Int32Array(degree)
      padded.set(part)
      return [{ values: padded, factors }]
    })
    return { lanes }
  }

  /** The polynomial of one block. */
  encode(vector: Int32Array, block: number): Coefficients {
    return this.ring.combine(this.message(vector, block))
  }

  /**
   * The numbers in a polynomial, each coefficient rounded to a multiple of Delta.
   * @throws {ConsiliumError} "lattice/out-of-range" if a number is beyond its lane or larger than `largest`
   */
  decode(a: Coefficients): Decoded {
    const { values, within, remainder } = this.ring.decodeLanes(a, this.layout)
    if (!within || !this.ring.isWithin(values, this.largest)) {
      values.fill(0)
      throw new ConsiliumError(
        "lattice/out-of-range",
        `A decoded number is larger than ${this.largest}: not all parts belong together, or values were too large.`,
        { remedy: "Check that the openings are for exactly the polynomials that were added." },
      )
    }
    return { values, remainder }
  }
}
