import { ConsiliumError } from "@consilium/base/errors"
import { DEGREES } from "../ring/primes.js"
import { bitsText, searchPacking } from "../sums/packing-search.js"
import type { Packing } from "../sums/value-codec.js"
import { errorBound, floodingSigma, openedNoise } from "./flooding-bound.js"
import { checkDemand, LEAST_STATISTICAL_BITS, type ThresholdLiteral } from "./threshold-parameters.js"

/** What a study wants of its sums. */
export interface SumDemand {
  readonly form?: Packing["form"]
  readonly facilities: number
  readonly threshold: number
  readonly values: number
  /** The largest size of one facility's value, noise included. */
  readonly largest: number
  /** Polynomials opened under one epoch's keys; 10,900 unless said otherwise. */
  readonly polynomialsPerEpoch?: number
  readonly statisticalBits?: number
  /** Only this degree. */
  readonly degree?: number
  /** No smaller degree, and no fewer bits of the modulus or of Delta, than these: more room, and more bytes, than it takes. */
  readonly leastDegree?: number
  readonly leastModulusBits?: number
  readonly leastDeltaBits?: number
}

/** A choice, or null; and the reasons for it, line by line, for people to read. */
export interface Choice<Literal> {
  readonly literal: Literal | null
  readonly explanation: readonly string[]
}

export const POLYNOMIALS_PER_EPOCH = 10_900

/** The smallest parameters for a demand, and how they follow from it; or why there are none. */
export const chooseSumParameters = (demand: SumDemand): Choice<ThresholdLiteral> => {
  const {
    form = "ckks",
    polynomialsPerEpoch = POLYNOMIALS_PER_EPOCH,
    statisticalBits = LEAST_STATISTICAL_BITS,
  } = demand
  const { facilities, threshold, values, largest } = demand
  try {
    checkDemand({ ...demand, polynomialsPerEpoch, statisticalBits })
  } catch (error) {
    if (error instanceof ConsiliumError) return { literal: null, explanation: [error.message] }
    throw error
  }
  if (polynomialsPerEpoch <= facilities)
    return {
      literal: null,
      explanation: [`An epoch of ${polynomialsPerEpoch} polynomials ends with the ceremony's ${facilities}.`],
    }
  const sigmaOf = (degree: number): bigint =>
    floodingSigma({ facilities, degree, polynomials: polynomialsPerEpoch, statisticalBits })
  const noiseOf = (degree: number): bigint => openedNoise(sigmaOf(degree), threshold, facilities)
  const { leastDegree = 0, leastModulusBits = 0, leastDeltaBits = 0 } = demand
  const degrees = (demand.degree === undefined ? DEGREES : [demand.degree]).filter((n) => n >= leastDegree)
  const least = { leastModulusBits, leastDeltaBits }
  const { best, reasons } = searchPacking({
    form,
    facilities,
    values,
    largest,
    degrees,
    noise: noiseOf,
    ...least,
  })
  const asked = [
    ...(leastDegree + leastModulusBits + leastDeltaBits === 0
      ? []
      : [
          `Asked for: degree ${leastDegree} or more, ${leastModulusBits} or more bits of modulus, Delta of 2^${leastDeltaBits} or more (0: as the numbers need).`,
        ]),
    `${facilities} facilities, any ${threshold} of them open; ${values} values, each at most ${largest} in size.`,
    `Sums reach ${facilities * largest}: a lane of ceil(log2(2 x ${facilities} x ${largest} + 1)) bits.`,
    `Errors: centred binomial of 42 bits, deviation 3.24; a sum of ${facilities} stays below ` +
      `B = 8 x 3.24 x sqrt(${facilities}) = ${errorBound(facilities)}.`,
  ]
  if (best === null)
    return {
      literal: null,
      explanation: [...asked, ...reasons, "No set of parameters exists for this demand."],
    }
  const { degree, primes, packing, bytes } = best
  const [sigma, noise] = [sigmaOf(degree), noiseOf(degree)]
  const literal: ThresholdLiteral = {
    ...packing,
    degree,
    primes,
    facilities,
    threshold,
    values,
    largest,
    polynomialsPerEpoch,
    statisticalBits,
  }
  const modulus = primes.reduce((product, q) => product * BigInt(q), 1n)
  const blocks = Math.ceil(values / (packing.lanes * degree))
  const openings = blocks === 0 ? null : Math.floor((polynomialsPerEpoch - facilities) / blocks)
  return {
    literal,
    explanation: [
      ...asked,
      `Flooding: sigma = B sqrt(24 x ${degree} x ${polynomialsPerEpoch}) 2^(${statisticalBits}/2) = 2^${bitsText(sigma)}. ` +
        `Over an epoch the Kullback-Leibler divergence is at most 2^-${statisticalBits} / 48: ${statisticalBits} bits in the sense of ` +
        `Micciancio and Walter; no observer's chance changes by more than 2^-${(statisticalBits / 2 + 3.29).toFixed(1)}.`,
      `An opened coefficient is off by at most 8 sigma sqrt(${threshold}) + B = 2^${bitsText(noise)}, which must stay below ` +
        `31/32 of Delta / 2; Delta = 2^${packing.deltaBits}${form === "bfv" ? ` and more, floor(Q / 2^${packing.lanes * packing.laneBits})` : ""}.`,
      `Degree ${degree} with ${primes.length} primes of ${primes.map((q) => 32 - Math.clz32(q)).join(", ")} bits: log2 Q = ` +
        `${bitsText(modulus)}, safe at 128 bits; ${packing.lanes} lane(s) of ${packing.laneBits} bits.`,
      `${blocks} polynomial(s), ${bytes} bytes a vector${values === 0 ? "" : `, ${(bytes / values).toFixed(2)} a value`}; ` +
        `the same for each of the ${threshold} partial openings.`,
      openings === null
        ? "An empty vector wears no key out."
        : `After ${openings} openings of the whole vector the epoch's keys are changed.`,
    ],
  }
}
