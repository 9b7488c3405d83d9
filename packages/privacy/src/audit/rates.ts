import { checkDelta, checkEpsilon } from "../accountant.js"
import { mustBeProbability } from "../events.js"
import { exp, log } from "../math.js"
import { mustBeConfidence, mustBeCountOf } from "./checks.js"
import { clopperPearson, type Interval, lowerLimit, upperLimit } from "./clopper-pearson.js"

/** How often an attack said "was in it": of those who were, and of those who were not. */
export interface AttackCounts {
  readonly truePositives: number
  readonly members: number
  readonly falsePositives: number
  readonly others: number
}

const check = ({ truePositives, members, falsePositives, others }: AttackCounts): void => {
  mustBeCountOf("True positives", truePositives, members)
  mustBeCountOf("False positives", falsePositives, others)
}

/**
 * Between which true-positive rates every attack on an (epsilon, delta)-private result lies at a false-positive rate.
 *
 * Math:   high = min(e^eps FPR + delta, 1 - e^-eps (1 - delta - FPR)); low = max(e^-eps (FPR - delta),
 *         1 - delta - e^eps (1 - FPR)): the inequality and its mirror, for the attack and for its opposite
 * Units:  epsilon in nats
 * Source: Kairouz, Oh, Viswanath 2015, arXiv:1311.0776, theorem 2.1
 * @throws {ConsiliumError} "privacy/bad-parameter"
 */
export const truePositiveRates = (falsePositiveRate: number, epsilon: number, delta: number): Interval => {
  mustBeProbability("A false-positive rate", falsePositiveRate)
  checkEpsilon(epsilon)
  checkDelta(delta)
  const most = (rate: number): number =>
    Math.min(1, exp(epsilon) * rate + delta, 1 - exp(-epsilon) * Math.max(0, 1 - delta - rate))
  return { low: 1 - most(1 - falsePositiveRate), high: most(falsePositiveRate) }
}

/** Epsilons at which a privacy profile is looked at: every one gives a bound that holds, so a few are enough. */
const PROFILE_EPSILONS = Array.from({ length: 129 }, (_, i) => i / 16)

/**
 * The highest true-positive rate at a false-positive rate for a mechanism whose delta is known at every epsilon: much
 * sharper than one pair, so it finds faults, such as half of the noise, that one pair forgives.
 *
 * Math:   minimum over epsilon of `truePositiveRates` at (epsilon, delta(epsilon))
 */
export const profileTruePositiveRate = (
  falsePositiveRate: number,
  deltaAt: (epsilon: number) => number,
): number =>
  Math.min(
    ...PROFILE_EPSILONS.map(
      (epsilon) => truePositiveRates(falsePositiveRate, epsilon, deltaAt(epsilon)).high,
    ),
  )

/** An attack's rates beside what privacy allows. */
export interface RateVerdict {
  readonly truePositiveRate: number
  readonly falsePositiveRate: number
  /** What the true-positive rate is below, with the confidence asked for. */
  readonly atMost: number
  /** What it may be, at the lowest false-positive rate that the counts leave open. */
  readonly allowed: number
  readonly holds: boolean
}

/**
 * Whether an attack has been shown to stay within what privacy allows: its true-positive rate and its false-positive rate
 * are both taken at the unfavourable end of what the counts leave open, each with half of the error.
 *
 * Math:   upper limit of TPR <= allowed(lower limit of FPR); wrong with probability at most 1 - confidence
 * Shape:  the tries must be independent of each other
 * @throws {ConsiliumError} "privacy/bad-parameter"
 */
export const judgeRates = (
  counts: AttackCounts,
  allowedAt: (falsePositiveRate: number) => number,
  confidence: number,
): RateVerdict => {
  check(counts)
  mustBeConfidence(confidence)
  const { truePositives, members, falsePositives, others } = counts
  const each = (1 + confidence) / 2
  const atMost = upperLimit(truePositives, members, each)
  const allowed = allowedAt(lowerLimit(falsePositives, others, each))
  return {
    truePositiveRate: truePositives / members,
    falsePositiveRate: falsePositives / others,
    atMost,
    allowed,
    holds: atMost <= allowed,
  }
}

/**
 * A lower bound on epsilon from an attack's independent tries. 0 where they show nothing.
 *
 * Math:   the largest of ln((TPR - delta) / FPR) and ln((1 - FPR - delta) / (1 - TPR)), and of the same for the opposite
 *         attack, all at the unfavourable ends of two intervals that hold together with `confidence`
 * Units:  nats
 * Source: Jagielski, Ullman, Oprea 2020 (arXiv:2006.07709); Nasr et al. 2021 (arXiv:2101.04535)
 * @throws {ConsiliumError} "privacy/bad-parameter"
 */
export const epsilonFromRates = (counts: AttackCounts, delta: number, confidence: number): number => {
  check(counts)
  checkDelta(delta)
  mustBeConfidence(confidence)
  const each = (1 + confidence) / 2
  const members = clopperPearson(counts.truePositives, counts.members, each)
  const others = clopperPearson(counts.falsePositives, counts.others, each)
  const ratio = (above: number, below: number): number => (above <= delta ? 0 : log((above - delta) / below))
  return Math.max(
    0,
    ratio(members.low, others.high),
    ratio(1 - others.high, 1 - members.low),
    ratio(others.low, members.high),
    ratio(1 - members.high, 1 - others.low),
  )
}
