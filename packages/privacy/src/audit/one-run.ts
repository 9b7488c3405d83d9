import { checkDelta, checkEpsilon } from "../accountant.js"
import { exp } from "../math.js"
import { binomialMasses } from "./binomial.js"
import { mustBeConfidence, mustBeCountOf } from "./checks.js"

/** What came of guessing which canaries were in a training run. */
export interface OneRun {
  /** Canaries, m: each was in the run with probability 1/2, by its own coin. */
  readonly canaries: number
  /** How many of them were guessed, r; fixed before the run. */
  readonly guesses: number
  /** How many guesses were right, v. */
  readonly correct: number
}

const check = ({ canaries, guesses, correct }: OneRun): void => {
  mustBeCountOf("Guesses", guesses, canaries)
  mustBeCountOf("Right guesses", correct, Math.max(1, guesses))
}

/**
 * The largest probability with which somebody who sees the result of one (epsilon, delta)-private run guesses as well
 * as this or better, however he guesses.
 *
 * Math:   P(W >= v) + 2 m delta max over i of P(v - i <= W < v) / i, W binomial of r trials and chance e^eps / (e^eps + 1)
 * Units:  epsilon in nats; neighbours by adding or removing one canary
 * Source: Steinke, Nasr, Jagielski 2023 (arXiv:2305.08846), theorem 5.2
 * @throws {ConsiliumError} "privacy/bad-parameter"
 */
export const oneRunProbability = (run: OneRun, epsilon: number, delta: number): number => {
  check(run)
  checkEpsilon(epsilon)
  checkDelta(delta)
  const { canaries, guesses, correct } = run
  const masses = binomialMasses(guesses, 1 / (1 + exp(-epsilon)))
  let above = 0
  for (let k = guesses; k >= correct; k--) above += masses[k] as number
  let below = 0
  let steepest = 0
  for (let i = 1; i <= correct; i++) {
    below += masses[correct - i] as number
    steepest = Math.max(steepest, below / i)
  }
  return Math.min(1, above + 2 * canaries * delta * steepest)
}

/** Epsilons are scanned at this distance before one is bisected, so that a bound never skips one that is not refuted. */
const SCAN = 1 / 16
const MOST_EPSILON = 64

/**
 * A lower bound on epsilon from one training run: every smaller one is refuted at this confidence. 0 where nothing is.
 * The guarantee is about the guessing: it holds whatever else is trained on, and for any dependence between canaries.
 *
 * Math:   the largest epsilon up to which all have `oneRunProbability` below 1 - confidence
 * Error:  at most 1e-9 below that
 * Source: Steinke, Nasr, Jagielski 2023 (arXiv:2305.08846)
 * @throws {ConsiliumError} "privacy/bad-parameter"
 */
export const oneRunEpsilon = (run: OneRun, delta: number, confidence: number): number => {
  mustBeConfidence(confidence)
  const refuted = (epsilon: number): boolean => oneRunProbability(run, epsilon, delta) < 1 - confidence
  if (!refuted(0)) return 0
  let low = 0
  while (low < MOST_EPSILON && refuted(low + SCAN)) low += SCAN
  let high = low + SCAN
  while (high - low > 1e-9) {
    const middle = (low + high) / 2
    if (refuted(middle)) low = middle
    else high = middle
  }
  return low
}

/**
 * Guesses from scores: of the r / 2 highest that they were in, of the r / 2 lowest that they were not. How many are right.
 *
 * Shape:  scores and included: one per canary
 * @throws {ConsiliumError} "privacy/bad-parameter" if there are more guesses than canaries, or an odd number of them
 */
export const guessExtremes = (
  scores: ArrayLike<number>,
  included: ArrayLike<boolean>,
  guesses: number,
): OneRun => {
  mustBeCountOf("Guesses", guesses, scores.length)
  mustBeCountOf("Guesses of either kind", guesses / 2, scores.length)
  const order = Array.from({ length: scores.length }, (_, i) => i).sort(
    (a, b) => (scores[b] as number) - (scores[a] as number) || a - b,
  )
  const right = (places: readonly number[], inside: boolean): number =>
    places.filter((place) => included[place] === inside).length
  const half = guesses / 2
  return {
    canaries: scores.length,
    guesses,
    correct: right(order.slice(0, half), true) + right(order.slice(order.length - half), false),
  }
}
