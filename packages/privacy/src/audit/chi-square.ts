import { ConsiliumError } from "@consilium/base/errors"
import { exp, lgamma, log } from "../math.js"
import type { Interval } from "./clopper-pearson.js"

/** Terms after which a series is given up: it needs about 10 sqrt(a). */
const MOST_TERMS = 100_000
const RELATIVE = 1e-15
const TINY = 1e-300

/** x^a e^-x / Gamma(a + 1) */
const leading = (a: number, x: number): number => exp(a * log(x) - x - lgamma(a + 1))

/** The lower incomplete gamma function, regularised, for x < a + 1. */
const lowerSeries = (a: number, x: number): number => {
  let term = 1
  let sum = 1
  for (let n = 1; n < MOST_TERMS && term > sum * RELATIVE; n++) {
    term *= x / (a + n)
    sum += term
  }
  return sum * leading(a, x)
}

/** The upper incomplete gamma function, regularised, for x >= a + 1: Lentz's way through the continued fraction. */
const upperFraction = (a: number, x: number): number => {
  let b = x + 1 - a
  let c = 1 / TINY
  let d = 1 / b
  let fraction = d
  for (let n = 1; n < MOST_TERMS; n++) {
    const over = -n * (n - a)
    b += 2
    d = over * d + b
    d = 1 / (Math.abs(d) < TINY ? TINY : d)
    c = b + over / c
    if (Math.abs(c) < TINY) c = TINY
    const factor = c * d
    fraction *= factor
    if (Math.abs(factor - 1) < RELATIVE) break
  }
  return fraction * a * leading(a, x)
}

export interface Tails {
  /** P(X <= x) */
  readonly lower: number
  /** P(X >= x) */
  readonly upper: number
}

/**
 * Both tails of the chi-square distribution: of the sum of so many squared standard normal numbers.
 *
 * Math:   lower = P(n / 2, x / 2), upper = Q(n / 2, x / 2), the regularised incomplete gamma functions
 * Error:  relative, under 1e-10 of the smaller tail for n up to 1e5
 * Source: NIST Digital Library of Mathematical Functions 8.11.4 and 8.9.2
 * @throws {ConsiliumError} "privacy/bad-parameter" unless x >= 0 and n is a positive whole number
 */
export const chiSquareTails = (x: number, degreesOfFreedom: number): Tails => {
  if (!(x >= 0 && Number.isSafeInteger(degreesOfFreedom) && degreesOfFreedom > 0))
    throw new ConsiliumError(
      "privacy/bad-parameter",
      `The chi-square distribution of ${degreesOfFreedom} degrees of freedom says nothing of ${x}.`,
    )
  const a = degreesOfFreedom / 2
  const half = x / 2
  if (half === 0) return { lower: 0, upper: 1 }
  if (half === Infinity) return { lower: 1, upper: 0 }
  if (half < a + 1) {
    const lower = lowerSeries(a, half)
    return { lower, upper: 1 - lower }
  }
  const upper = upperFraction(a, half)
  return { lower: 1 - upper, upper }
}

/** The x that the chi-square distribution exceeds, or falls below, with a probability. */
const quantile = (side: keyof Tails, probability: number, degreesOfFreedom: number): number => {
  let low = 0
  let high = 2 * degreesOfFreedom + 2
  const beyond = (x: number): boolean => {
    const tail = chiSquareTails(x, degreesOfFreedom)[side]
    return side === "lower" ? tail > probability : tail < probability
  }
  while (!beyond(high)) high *= 2
  for (let i = 0; i < 100 && high - low > high * 1e-12; i++) {
    const middle = (low + high) / 2
    if (beyond(middle)) high = middle
    else low = middle
  }
  return side === "lower" ? low : high
}

/**
 * What a sum of so many squared standard normal numbers, divided by how many they are, lies within but for an error
 * probability that is shared by both sides: the bounds of a two-sided test of a variance against the one that was promised.
 *
 * Math:   [q(alpha / 2) / n, q(1 - alpha / 2) / n], q the quantiles of the chi-square distribution of n degrees of freedom
 * Units:  a ratio of variances, not of standard deviations
 * @throws {ConsiliumError} "privacy/bad-parameter" unless 0 < alpha < 1 and n is a positive whole number
 */
export const varianceRatioInterval = (degreesOfFreedom: number, errorProbability: number): Interval => {
  if (!(errorProbability > 0 && errorProbability < 1))
    throw new ConsiliumError("privacy/bad-parameter", `${errorProbability} is no error probability.`)
  const side = errorProbability / 2
  return {
    low: quantile("lower", side, degreesOfFreedom) / degreesOfFreedom,
    high: quantile("upper", side, degreesOfFreedom) / degreesOfFreedom,
  }
}
