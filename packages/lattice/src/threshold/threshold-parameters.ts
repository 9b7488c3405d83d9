import { encode, list, u8, u16, u32 } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { hash } from "@consilium/base/hash"
import type { Ring, RingOptions } from "../ring/ring.js"
import { rlweParameters } from "../rlwe/parameters.js"
import { laneBitsOf, packingFits } from "../sums/packing-search.js"
import { MOST_FACILITIES } from "../sums/sum-context.js"
import { type Packing, type ValueCodec, valueCodec } from "../sums/value-codec.js"
import { MOST_SIGMA, sumsKernel, WideGaussian } from "../sums/wide-gaussian.js"
import { floodingSigma, openedNoise } from "./flooding-bound.js"

/** What all parties to a study's sums agree on, as it stands in the study's description. */
export interface ThresholdLiteral extends Packing {
  readonly degree: number
  readonly primes: readonly number[]
  /** n: facilities with a key of their own. */
  readonly facilities: number
  /** t: how many open together. */
  readonly threshold: number
  /** Values in a vector. */
  readonly values: number
  /** B_u: the largest size of one facility's value, noise included. */
  readonly largest: number
  /** tau: polynomials opened under one epoch's keys, the n of the ceremony included. */
  readonly polynomialsPerEpoch: number
  /** s, at least 50. */
  readonly statisticalBits: number
}

export const LEAST_STATISTICAL_BITS = 50
export const MOST_VALUES = 2 ** 27

/**
 * Checked, immutable parameters of threshold sums.
 *
 * Math:  8 sigma sqrt(t) + B < 31/32 Delta / 2; lane = ceil(log2(2 n B_u + 1)); log2 Q within the security table
 */
export class ThresholdParameters {
  readonly literal: ThresholdLiteral
  readonly ring: Ring
  readonly codec: ValueCodec
  /** The deviation of the flooding. */
  readonly floodSigma: bigint
  readonly flooding: WideGaussian
  /** What an opened coefficient may be off by. */
  readonly noise: bigint
  /** Polynomials of one vector. */
  readonly blocks: number
  readonly #id: Uint8Array

  private constructor(literal: ThresholdLiteral, options: RingOptions) {
    this.literal = Object.freeze({ ...literal, primes: Object.freeze([...literal.primes]) })
    const { degree, primes, facilities, threshold, largest, values } = literal
    this.ring = rlweParameters({ degree, primes, ...options }).ring
    this.floodSigma = floodingSigma({ ...literal, polynomials: literal.polynomialsPerEpoch })
    this.noise = openedNoise(this.floodSigma, threshold, facilities)
    if (this.floodSigma > MOST_SIGMA)
      refuse(`Flooding of 2^${this.floodSigma.toString(2).length} is needed; the sampler reaches 2^50.`)
    const largestSum = BigInt(facilities) * BigInt(largest)
    if (!packingFits(this.ring.modulus, literal, largestSum, this.noise))
      refuse("Values and flooding do not fit into the modulus.")
    const room =
      literal.form === "bfv" ? this.noise + (1n << BigInt(literal.lanes * literal.laneBits - 1)) : this.noise
    this.noise = room
    this.codec = valueCodec(this.ring, literal, Number(largestSum))
    this.flooding = new WideGaussian(this.floodSigma, sumsKernel(options.kernel))
    this.blocks = this.codec.blocks(values)
    this.#id = idOf(literal)
    Object.freeze(this)
  }

  /**
   * @throws {ConsiliumError} "lattice/no-parameters" if the numbers do not fit together, "lattice/insecure" if the
   *   modulus is over the table, "lattice/bad-ring" if the ring cannot be made
   */
  static of(literal: ThresholdLiteral, options: RingOptions = {}): ThresholdParameters {
    checkDemand(literal)
    if (literal.polynomialsPerEpoch <= literal.facilities)
      refuse(
        `${literal.polynomialsPerEpoch} polynomials an epoch leave none: the ceremony opens ${literal.facilities}.`,
      )
    if (literal.laneBits !== laneBitsOf(literal.facilities, literal.largest))
      refuse(
        `A lane needs ceil(log2(2 n B_u + 1)) = ${laneBitsOf(literal.facilities, literal.largest)} bits, not ${literal.laneBits}.`,
      )
    return new ThresholdParameters(literal, options)
  }

  /** Polynomials that an epoch's sums may open: what a `SeedLedger` begins with. */
  get openable(): number {
    return this.literal.polynomialsPerEpoch - this.literal.facilities
  }
  /** 32 bytes that no other parameters have. */
  id(): Uint8Array {
    return this.#id.slice()
  }
}

const refuse = (message: string): never => {
  throw new ConsiliumError("lattice/no-parameters", message)
}

/** Refuses numbers of facilities, values and bits that no parameters can have. */
export const checkDemand = (demand: {
  readonly facilities: number
  readonly threshold: number
  readonly values: number
  readonly largest: number
  readonly polynomialsPerEpoch?: number
  readonly statisticalBits?: number
}): void => {
  const within = (value: number, least: number, most: number, name: string): void => {
    if (!Number.isInteger(value) || value < least || value > most)
      refuse(`${name} must be a whole number in [${least}, ${most}], not ${value}.`)
  }
  const { facilities, threshold, values, largest, polynomialsPerEpoch, statisticalBits } = demand
  within(facilities, 2, MOST_FACILITIES, "The number of facilities")
  within(threshold, 2, facilities, "The threshold")
  within(values, 0, MOST_VALUES, "The number of values")
  within(largest, 1, 2 ** 30 - 1, "The largest value")
  if (polynomialsPerEpoch !== undefined)
    within(polynomialsPerEpoch, 1, 2 ** 31 - 1, "The number of polynomials an epoch")
  if (statisticalBits !== undefined)
    within(statisticalBits, LEAST_STATISTICAL_BITS, 128, "The statistical bits")
}

const idOf = (literal: ThresholdLiteral): Uint8Array =>
  hash(
    "lattice/threshold-parameters",
    encode(u8, literal.form === "ckks" ? 0 : 1),
    encode(u16, literal.degree),
    encode(list(u32, 32), literal.primes),
    encode(u8, literal.lanes),
    encode(u8, literal.laneBits),
    encode(u8, literal.deltaBits),
    encode(u16, literal.facilities),
    encode(u16, literal.threshold),
    encode(u32, literal.values),
    encode(u32, literal.largest),
    encode(u32, literal.polynomialsPerEpoch),
    encode(u8, literal.statisticalBits),
  )
