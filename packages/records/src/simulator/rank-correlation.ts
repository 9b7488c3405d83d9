import { ConsiliumError } from "@consilium/base/errors"
import { type Marginal, sharesOf, thresholdsOf } from "./marginal.js"
import { normalDensity } from "./normal.js"

/**
 * How a correlation of two standard normals shows in the ranks of what they are turned into. Ranks are what both
 * marginals leave alone, whatever their shape; only codes, whose ranks are tied, weaken the correlation.
 */

/** Terms of the series. What is left out is below 0.9^120 / 120 of the whole: 3e-8. */
const TERMS = 120
/** The strongest correlation of two normals for which the series is used. */
const STRONGEST = 0.9

/** The Hermite polynomials 0 to `count` - 1 at z, scaled to mean square 1 under the standard normal. */
const hermite = (z: number, count: number): Float64Array => {
  const out = new Float64Array(count)
  let before = 0
  let here = 1
  for (let k = 0; k < count; k++) {
    out[k] = here
    const next = (z * here - Math.sqrt(k) * before) / Math.sqrt(k + 1)
    before = here
    here = next
  }
  return out
}

/** Coefficients of sqrt(12) (normalShare(z) - 1/2): the rank of a continuous value. */
const continuousGrade = (): Float64Array => {
  const out = new Float64Array(TERMS + 1)
  // (2m)! / (4^m m!^2), the coefficients of arcsine times 2m + 1
  let central = 1
  let power = 0.5
  for (let m = 0; 2 * m + 1 <= TERMS; m++) {
    if (m > 0) {
      central *= (2 * m - 1) / (2 * m)
      power /= 4
    }
    const square = ((6 / Math.PI) * central * power) / (2 * m + 1)
    out[2 * m + 1] = (m % 2 === 0 ? 1 : -1) * Math.sqrt(square)
  }
  return out
}

const CONTINUOUS = continuousGrade()

/** Coefficients of the middle rank of each code, a step at each threshold. */
const codeGrade = (shares: readonly number[], thresholds: readonly number[]): Float64Array => {
  const out = new Float64Array(TERMS + 1)
  thresholds.forEach((threshold, at) => {
    const step = ((shares[at] as number) + (shares[at + 1] as number)) / 2
    const values = hermite(threshold, TERMS)
    for (let k = 1; k <= TERMS; k++)
      out[k] =
        (out[k] as number) + (step * normalDensity(threshold) * (values[k - 1] as number)) / Math.sqrt(k)
  })
  let below = 0
  let variance = 0
  for (const share of shares) {
    const distance = below + share / 2 - 0.5
    variance += share * distance * distance
    below += share
  }
  const deviation = Math.sqrt(variance)
  return out.map((coefficient) => coefficient / deviation)
}

/**
 * The expansion of a marginal's standardised rank, ties counted in their middle, in Hermite polynomials of the standard
 * normal that it is made from.
 *
 * Math:   entry k is E[g(Z) h_k(Z)], h_k with mean square 1; the squares of all entries add up to 1
 * Source: for numbers the arcsine series, as Pearson's 1907 formula (6 / pi) arcsin(r / 2) requires; for codes
 *         E[1(Z > t) h_k(Z)] = density(t) h_(k-1)(t) / sqrt(k)
 */
export const gradeExpansion = (marginal: Marginal): Float64Array =>
  marginal.distribution === "bernoulli" || marginal.distribution === "categorical"
    ? codeGrade(sharesOf(marginal), thresholdsOf(marginal))
    : CONTINUOUS

/**
 * The rank correlation (Spearman's, ties in their middle) of two values whose normals correlate by r.
 *
 * Math:   sum over k of a_k b_k r^k
 * Source: Mehler 1866; Spearman's coefficient as a moment of ranks: Kruskal 1958
 */
export const rankCorrelation = (a: Float64Array, b: Float64Array, r: number): number => {
  let sum = 0
  for (let k = TERMS; k >= 1; k--) sum = (sum + (a[k] as number) * (b[k] as number)) * r
  return sum
}

/**
 * The correlation that two normals need for their values to show a rank correlation.
 *
 * Math:   bisection on [-0.9, 0.9]; the rank correlation rises with r
 * Error:  2^-50
 * @throws {ConsiliumError} "records/bad-profile" if no correlation up to 0.9 shows as much
 */
export const latentCorrelation = (a: Float64Array, b: Float64Array, wanted: number): number => {
  let low = -STRONGEST
  let high = STRONGEST
  if (rankCorrelation(a, b, low) > wanted || rankCorrelation(a, b, high) < wanted)
    throw new ConsiliumError(
      "records/bad-profile",
      `A rank correlation of ${wanted} is more than two columns with these shares can show.`,
      { remedy: "Ask for a weaker correlation, or for shares nearer to one half." },
    )
  if (wanted === 0) return 0
  for (let step = 0; step < 50; step++) {
    const middle = (low + high) / 2
    if (rankCorrelation(a, b, middle) < wanted) low = middle
    else high = middle
  }
  return (low + high) / 2
}
