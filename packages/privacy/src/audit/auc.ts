import { ConsiliumError } from "@consilium/base/errors"
import { leastHolding } from "../bisection.js"
import { normalCdf } from "../math.js"
import { mustBeConfidence } from "./checks.js"
import type { Interval } from "./clopper-pearson.js"

/** The normal quantile of a probability in (1/2, 1). */
const normalQuantile = (probability: number): number =>
  leastHolding(0, 40, 1e-12, (x) => normalCdf(x) >= probability)

/** How well scores tell members from others. */
export interface AttackAuc {
  /** The chance that a member scores higher than somebody else; a tie counts half. 0.5 tells nothing. */
  readonly auc: number
  readonly interval: Interval
}

/** For each member how many of the others, in rising order, score lower, and as many halves as score the same. */
const wins = (member: number, rising: Float64Array): number => {
  const firstFrom = (holds: (score: number) => boolean): number => {
    let low = 0
    let high = rising.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (holds(rising[middle] as number)) high = middle
      else low = middle + 1
    }
    return low
  }
  return (firstFrom((score) => score >= member) + firstFrom((score) => score > member)) / 2
}

/**
 * The area under an attack's ROC curve, with a confidence interval that also holds where the scores hardly overlap.
 *
 * Math:   A = P(member > other) + P(equal) / 2; the limits are the areas theta at which
 *         |A - theta| = z sqrt(theta (1 - theta) (1 + (n - 1) ((1 - theta) / (2 - theta) + theta / (1 + theta))) / (m o)),
 *         n = (m + o) / 2 for m members and o others; at theta = 1/2 that is the variance of the rank test itself
 * Source: Newcombe 2006, Statistics in Medicine 25:559, method 5, after Hanley and McNeil 1982
 * @throws {ConsiliumError} "privacy/bad-parameter" without members or others, or on a score that is not a number
 */
export const attackAuc = (
  members: ArrayLike<number>,
  others: ArrayLike<number>,
  confidence: number,
): AttackAuc => {
  mustBeConfidence(confidence)
  const rising = Float64Array.from(others).sort()
  const scores = Float64Array.from(members)
  if (scores.length === 0 || rising.length === 0 || scores.some(Number.isNaN) || rising.some(Number.isNaN))
    throw new ConsiliumError(
      "privacy/bad-parameter",
      `An AUC needs scores of members and of others, all numbers; there are ${scores.length} and ${rising.length}.`,
    )
  let sum = 0
  for (const score of scores) sum += wins(score, rising)
  const auc = sum / (scores.length * rising.length)
  const z = normalQuantile((1 + confidence) / 2)
  const reach = (theta: number): number => {
    const mean = (scores.length + rising.length) / 2
    const tied = 1 + (mean - 1) * ((1 - theta) / (2 - theta) + theta / (1 + theta))
    return z * Math.sqrt((theta * (1 - theta) * tied) / (scores.length * rising.length))
  }
  /** The area above which `area` is no longer within reach. */
  const highest = (area: number): number =>
    area >= 1 ? 1 : leastHolding(area, 1, 1e-12, (theta) => theta >= 1 || theta - area > reach(theta))
  return { auc, interval: { low: 1 - highest(1 - auc), high: highest(auc) } }
}
