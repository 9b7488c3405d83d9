import { ERROR_PAIRS } from "../ring/ring.js"
import { rootUp } from "../sums/whole-root.js"

/** B squared: eight standard deviations of the sum of n errors, each of variance 21 / 2. */
const boundSquared = (facilities: number): bigint => 32n * BigInt(ERROR_PAIRS) * BigInt(facilities)

/** B = 8 sqrt(n 21 / 2), rounded up. */
export const errorBound = (facilities: number): bigint => rootUp(boundSquared(facilities))

/**
 * The deviation of the flooding, by which partial openings hide the errors of the ciphertexts.
 *
 * An opening of polynomial j shows the sum of the errors less the flooding, e_U - f. Whoever lacks one honest opener's
 * share could have made all else up, so what can leak is how f + e differs from f, e with |e_k| <= B in N tau places.
 * For a discrete Gaussian and whole shifts the Renyi divergence of order a is at most a e^2 / (2 sigma^2) a place; with
 * this sigma, over the whole epoch,
 *
 *   D_a <= a N tau B^2 / (2 sigma^2) = a 2^-s / 48.
 *
 * Three readings of that one number:
 * - a = 1 (Kullback-Leibler) is 2^-s / 48: s bits in the sense of Micciancio and Walter, under which an advantage d in
 *   telling two cases apart counts as d^2. Plainly (Pinsker), no observer's chance changes by more than 2^-(s/2 + 3.29).
 * - a = 2^s: whoever finds a key with probability p when it sees the openings finds it with 0.97 p^(1 + 2^-s) or more
 *   when it does not: for finding keys or values nothing is lost.
 * - B is eight deviations; the errors' own mean square is a 64th of B^2, which leaves 6 bits in reserve.
 *
 * Math:   sigma = B sqrt(24 N tau) 2^(s / 2), rounded up to a whole number
 * Source: Li, Micciancio, Schultz, Sorrell 2022, eprint 2022/816 (flooding by divergences); Micciancio and Walter 2018,
 *         eprint 2018/077 (bit security); Canonne, Kamath, Steinke 2020, arXiv 2004.00010 (shifted discrete Gaussians)
 */
export const floodingSigma = (setting: {
  readonly facilities: number
  readonly degree: number
  /** tau: all polynomials that are opened under one epoch's keys. */
  readonly polynomials: number
  readonly statisticalBits: number
}): bigint => {
  const { facilities, degree, polynomials, statisticalBits } = setting
  const squared = boundSquared(facilities) * 24n * BigInt(degree) * BigInt(polynomials)
  return rootUp(squared << BigInt(statisticalBits))
}

/**
 * What an opened coefficient is off by, at most: 8 sigma sqrt(t) + B. Beyond it lie 2 Q(8) = 2^-49 of all coefficients.
 */
export const openedNoise = (sigma: bigint, threshold: number, facilities: number): bigint =>
  rootUp(64n * sigma * sigma * BigInt(threshold)) + errorBound(facilities)
