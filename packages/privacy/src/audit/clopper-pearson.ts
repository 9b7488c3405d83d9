import { leastHolding } from "../bisection.js"
import { binomialUpperTail } from "./binomial.js"
import { mustBeConfidence, mustBeCountOf } from "./checks.js"

export interface Interval {
  readonly low: number
  readonly high: number
}

const PRECISION = 1e-12

/**
 * A limit that a chance of success is above, whatever it is, in `confidence` of all experiments.
 *
 * Math:   the chance at which `successes` or more have probability 1 - confidence; 0 without successes
 * Source: Clopper and Pearson 1934
 * @throws {ConsiliumError} "privacy/bad-parameter" on counts that cannot be
 */
export const lowerLimit = (successes: number, trials: number, confidence: number): number => {
  mustBeCountOf("Successes", successes, trials)
  mustBeConfidence(confidence)
  if (successes === 0) return 0
  const found = leastHolding(
    0,
    1,
    PRECISION,
    (chance) => binomialUpperTail(trials, successes, chance) >= 1 - confidence,
  )
  return found * (1 - 2 * PRECISION)
}

/** A limit that a chance of success is below; see `lowerLimit`. */
export const upperLimit = (successes: number, trials: number, confidence: number): number =>
  1 - lowerLimit(trials - successes, trials, confidence)

/**
 * Limits that a chance of success is between in at least `confidence` of all experiments: exact, so never too narrow.
 *
 * Source: Clopper and Pearson 1934
 * @throws {ConsiliumError} "privacy/bad-parameter" on counts that cannot be
 */
export const clopperPearson = (successes: number, trials: number, confidence: number): Interval => {
  mustBeConfidence(confidence)
  const each = (1 + confidence) / 2
  return { low: lowerLimit(successes, trials, each), high: upperLimit(successes, trials, each) }
}
