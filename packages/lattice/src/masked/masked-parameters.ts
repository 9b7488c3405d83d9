import { encode, list, u8, u16, u32 } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { hash } from "@consilium/base/hash"
import { DEGREES, nttPrimes } from "../ring/primes.js"
import { Ring, type RingOptions } from "../ring/ring.js"
import { rlweParameters } from "../rlwe/parameters.js"
import { bitsText, laneBitsOf, packingFits, searchPacking } from "../sums/packing-search.js"
import { type Packing, type ValueCodec, valueCodec } from "../sums/value-codec.js"
import { rootUp } from "../sums/whole-root.js"
import { sumsKernel, WideGaussian } from "../sums/wide-gaussian.js"
import type { Choice, SumDemand } from "../threshold/choose-parameters.js"
import { checkDemand } from "../threshold/threshold-parameters.js"

/**
 * How mask keys are drawn and shared.
 *
 * - "gaussian": discrete Gaussian coefficients of deviation 2^15, shared modulo one prime of 26 bits, where their
 *   sum is a whole number below half of it: 13,312 bytes a recipient at degree 4096.
 * - "uniform": uniform modulo every prime, and shared modulo every prime: four times as much for four primes.
 *
 * The sum of the keys is opened, so it must not tell the keys. Uniform ones it tells nothing of. Gaussian ones it
 * narrows: given the sum of two, each is a discrete Gaussian of deviation 2^14.5 about half of it, far wider than the
 * ternary keys of the security table, and errors given their sum keep 4.69 / sqrt(2) = 3.3.
 */
export type MaskKeys = "gaussian" | "uniform"

export interface MaskedLiteral extends Packing {
  readonly form: "ckks"
  readonly keys: MaskKeys
  readonly degree: number
  readonly primes: readonly number[]
  readonly facilities: number
  readonly threshold: number
  readonly values: number
  readonly largest: number
}

/** Pairs of bits of an error: deviation sqrt(22) = 4.69, since the sum of the errors becomes known. */
export const MASKED_ERROR_PAIRS = 44
/** Deviation of "gaussian" keys: sixteen deviations of the sum of 1024 stay below 2^24, half of the smallest prime. */
export const MASK_KEY_SIGMA = 2n ** 15n
const KEY_PRIME_BITS = 26

/** Eight deviations of the sum of n errors. */
const noiseOf = (facilities: number): bigint => rootUp(32n * BigInt(MASKED_ERROR_PAIRS) * BigInt(facilities))

const refuse = (message: string): never => {
  throw new ConsiliumError("lattice/no-parameters", message)
}

/** Checked, immutable parameters of masked sums. */
export class MaskedParameters {
  readonly literal: MaskedLiteral
  readonly ring: Ring
  /** The ring that keys are shared in. */
  readonly keyRing: Ring
  readonly codec: ValueCodec
  readonly keyGaussian: WideGaussian
  readonly noise: bigint
  readonly blocks: number
  readonly #id: Uint8Array

  private constructor(literal: MaskedLiteral, options: RingOptions) {
    const { degree, primes, facilities, largest, values, keys } = literal
    this.literal = Object.freeze({ ...literal, primes: Object.freeze([...primes]) })
    this.ring = rlweParameters({ degree, primes, ...options }).ring
    this.keyRing =
      keys === "uniform" ? this.ring : Ring.of(degree, nttPrimes(degree, KEY_PRIME_BITS, 1), options)
    this.noise = noiseOf(facilities)
    const largestSum = BigInt(facilities) * BigInt(largest)
    if (!packingFits(this.ring.modulus, literal, largestSum, this.noise))
      refuse("Values and errors do not fit into the modulus.")
    this.codec = valueCodec(this.ring, literal, Number(largestSum))
    this.keyGaussian = new WideGaussian(MASK_KEY_SIGMA, sumsKernel(options.kernel))
    this.blocks = this.codec.blocks(values)
    this.#id = hash(
      "lattice/masked-parameters",
      encode(u8, keys === "gaussian" ? 0 : 1),
      encode(u16, degree),
      encode(list(u32, 32), primes),
      encode(u8, literal.lanes),
      encode(u8, literal.laneBits),
      encode(u8, literal.deltaBits),
      encode(u16, facilities),
      encode(u16, literal.threshold),
      encode(u32, values),
      encode(u32, largest),
    )
    Object.freeze(this)
  }

  /** @throws {ConsiliumError} "lattice/no-parameters", "lattice/insecure", "lattice/bad-ring" */
  static of(literal: MaskedLiteral, options: RingOptions = {}): MaskedParameters {
    checkDemand(literal)
    if (literal.laneBits !== laneBitsOf(literal.facilities, literal.largest))
      refuse(`A lane needs ${laneBitsOf(literal.facilities, literal.largest)} bits, not ${literal.laneBits}.`)
    return new MaskedParameters(literal, options)
  }

  id(): Uint8Array {
    return this.#id.slice()
  }
}

export interface MaskedDemand extends Omit<SumDemand, "form" | "polynomialsPerEpoch" | "statisticalBits"> {
  /** "gaussian" unless said otherwise. */
  readonly keys?: MaskKeys
}

/** The smallest parameters for a demand, and how they follow from it; or why there are none. */
export const chooseMaskedParameters = (demand: MaskedDemand): Choice<MaskedLiteral> => {
  const { facilities, threshold, values, largest, keys = "gaussian" } = demand
  try {
    checkDemand(demand)
  } catch (error) {
    if (error instanceof ConsiliumError) return { literal: null, explanation: [error.message] }
    throw error
  }
  const noise = noiseOf(facilities)
  const degrees = demand.degree === undefined ? DEGREES : [demand.degree]
  const { best, reasons } = searchPacking({
    form: "ckks",
    facilities,
    values,
    largest,
    degrees,
    noise: () => noise,
  })
  const asked = [
    `${facilities} facilities, any ${threshold} of them open; ${values} values, each at most ${largest} in size.`,
    `Sums reach ${facilities * largest}: a lane of ceil(log2(2 x ${facilities} x ${largest} + 1)) bits.`,
    `Errors: centred binomial of 88 bits, deviation 4.69, of which 3.3 is left when their sum is known; ` +
      `a sum of ${facilities} stays below 8 x 4.69 x sqrt(${facilities}) = ${noise}.`,
  ]
  if (best === null)
    return {
      literal: null,
      explanation: [...asked, ...reasons, "No set of parameters exists for this demand."],
    }
  const { degree, primes, packing, bytes } = best
  const keyBits =
    keys === "gaussian" ? KEY_PRIME_BITS : primes.reduce((sum, q) => sum + 32 - Math.clz32(q), 0)
  return {
    literal: { ...packing, form: "ckks", keys, degree, primes, facilities, threshold, values, largest },
    explanation: [
      ...asked,
      `Delta = 2^${packing.deltaBits}; degree ${degree} with ${primes.length} primes of ` +
        `${primes.map((q) => 32 - Math.clz32(q)).join(", ")} bits: log2 Q = ` +
        `${bitsText(primes.reduce((product, q) => product * BigInt(q), 1n))}, safe at 128 bits; ` +
        `${packing.lanes} lane(s) of ${packing.laneBits} bits.`,
      `${Math.ceil(values / (packing.lanes * degree))} polynomial(s), ${bytes} bytes a vector` +
        `${values === 0 ? "" : `, ${(bytes / values).toFixed(2)} a value`}.`,
      `Keys: ${keys}, ${(keyBits * degree) / 8} bytes to each recipient and in each answer, whatever the vector's length.`,
    ],
  }
}
