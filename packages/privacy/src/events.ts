import { ConsiliumError } from "@consilium/base/errors"

/**
 * What a mechanism did, as data: a tree that accountants walk. Names and meaning follow Google's dp-accounting
 * (Google 2022, "dp_event"). An event says nothing of its inputs, so it may be stored and published.
 */

/**
 * When two data sets are neighbours. Sensitivities, and so noise multipliers, are those of the relation in force: the
 * sum of vectors clipped to C moves by C when a row is added or removed, by up to 2C when one is replaced.
 */
export type NeighbouringRelation = "add-or-remove-one" | "replace-one"

/** Gaussian noise on a vector. noiseMultiplier = standard deviation / L2 sensitivity. */
export interface GaussianDpEvent {
  readonly type: "gaussian"
  readonly noiseMultiplier: number
}
/** Laplace noise on a number. noiseMultiplier = scale b / L1 sensitivity; density exp(-|x| / b) / 2b. */
export interface LaplaceDpEvent {
  readonly type: "laplace"
  readonly noiseMultiplier: number
}
/**
 * Discrete Gaussian noise on one whole number: P(x) proportional to exp(-x^2 / 2 sigma^2). sigma and the sensitivity
 * are in steps of the grid; the sensitivity is whole. For a vector see `discreteGaussianVectorEvent`.
 */
export interface DiscreteGaussianDpEvent {
  readonly type: "discrete-gaussian"
  readonly sigma: number
  readonly sensitivity: number
}
/**
 * Independent discrete Gaussian noise on each entry of a vector of whole numbers. sigma and the L2 sensitivity are in
 * steps of the grid; the sensitivity need not be whole.
 */
export interface DiscreteGaussianVectorDpEvent {
  readonly type: "discrete-gaussian-vector"
  readonly sigma: number
  readonly l2Sensitivity: number
}
/**
 * Discrete Laplace noise on one whole number, or on each entry of a vector of them: P(x) proportional to exp(-|x| / scale).
 * Scale and L1 sensitivity are in steps of the grid; the sensitivity is whole. A vector costs no more than one number
 * that moves as far (`l1ClippedSum` says why), so both are accounted alike.
 */
export interface DiscreteLaplaceDpEvent {
  readonly type: "discrete-laplace"
  readonly scale: number
  readonly sensitivity: number
}
/**
 * Randomised response over `buckets` answers: with `probability` the answer is drawn uniformly from all buckets (the
 * true one included), else it is the true one. Neighbours differ in the true answer, so it is accounted for
 * "replace-one" only: that somebody answers at all is no secret of this mechanism.
 */
export interface RandomizedResponseDpEvent {
  readonly type: "randomized-response"
  readonly probability: number
  readonly buckets: number
}
/** The event on a random subset that each row joins independently with samplingProbability. */
export interface PoissonSampledDpEvent {
  readonly type: "poisson-sampled"
  readonly samplingProbability: number
  readonly event: DpEvent
}
/** The event on sampleSize rows drawn uniformly without replacement from sourceDatasetSize. */
export interface SampledWithoutReplacementDpEvent {
  readonly type: "sampled-without-replacement"
  readonly sourceDatasetSize: number
  readonly sampleSize: number
  readonly event: DpEvent
}
/** Several events, one after another, each free to depend on the answers before it. */
export interface ComposedDpEvent {
  readonly type: "composed"
  readonly events: readonly DpEvent[]
}
/** One event, `count` times. */
export interface SelfComposedDpEvent {
  readonly type: "self-composed"
  readonly event: DpEvent
  readonly count: number
}
/**
 * All prefix sums of `steps` vectors by binary-tree aggregation, each row in one of them: every complete dyadic node
 * is released once with Gaussian noise of noiseMultiplier = standard deviation / L2 sensitivity of one vector.
 * Neighbours change what one row gives at its place; the other rows keep theirs.
 */
export interface TreeAggregationDpEvent {
  readonly type: "tree-aggregation"
  readonly noiseMultiplier: number
  readonly steps: number
}
/** Anything that is (epsilon, delta)-DP. */
export interface EpsilonDeltaDpEvent {
  readonly type: "epsilon-delta"
  readonly epsilon: number
  readonly delta: number
}
/** Nothing about the data was released. */
export interface NoOpDpEvent {
  readonly type: "no-op"
}
/** A release without any protection: epsilon is infinite from here on. */
export interface NonPrivateDpEvent {
  readonly type: "non-private"
}
/** A release that no accountant knows: epsilon is infinite from here on. */
export interface UnsupportedDpEvent {
  readonly type: "unsupported"
  readonly name: string
}

export type DpEvent =
  | GaussianDpEvent
  | LaplaceDpEvent
  | DiscreteGaussianDpEvent
  | DiscreteGaussianVectorDpEvent
  | DiscreteLaplaceDpEvent
  | RandomizedResponseDpEvent
  | PoissonSampledDpEvent
  | SampledWithoutReplacementDpEvent
  | ComposedDpEvent
  | SelfComposedDpEvent
  | TreeAggregationDpEvent
  | EpsilonDeltaDpEvent
  | NoOpDpEvent
  | NonPrivateDpEvent
  | UnsupportedDpEvent

/** How deep events may lie within events. */
export const MAX_EVENT_DEPTH = 32
/** Longest name of an unsupported event, in UTF-16 units. */
export const MAX_EVENT_NAME = 200

const bad = (message: string): never => {
  throw new ConsiliumError("privacy/bad-parameter", message)
}
/** @throws {ConsiliumError} "privacy/bad-parameter" if the value is not finite or below 0 */
export const mustBeNonNegative = (what: string, value: number): void => {
  // a divisor of negative zero would make an infinite cost a negative one
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0 || Object.is(value, -0))
    bad(`${what} must be a finite number of 0 or more, not ${value}.`)
}
/** @throws {ConsiliumError} "privacy/bad-parameter" if the value is not finite or not above 0 */
export const mustBePositive = (what: string, value: number): void => {
  if (typeof value !== "number" || !Number.isFinite(value) || value <= 0)
    bad(`${what} must be a finite number above 0, not ${value}.`)
}
/** @throws {ConsiliumError} "privacy/bad-parameter" if the value is not in [0, 1] */
export const mustBeProbability = (what: string, value: number): void => {
  if (typeof value !== "number" || !(value >= 0 && value <= 1))
    bad(`${what} must be in [0, 1], not ${value}.`)
}
/** @throws {ConsiliumError} "privacy/bad-parameter" if the value is not a whole number of `least` or more */
export const mustBeCount = (what: string, value: number, least = 0): void => {
  if (!Number.isSafeInteger(value) || value < least)
    bad(`${what} must be a whole number in [${least}, 2^53), not ${value}.`)
}

/**
 * Checks every number of an event and of those within it. An event of a type that is not in the list passes: it is
 * accounted as infinite.
 * @throws {ConsiliumError} "privacy/bad-parameter"
 */
export const checkEvent = (event: DpEvent, depth = 0): void => {
  if (typeof event !== "object" || event === null) bad("An event must be an object.")
  if (depth > MAX_EVENT_DEPTH) bad(`Events may lie ${MAX_EVENT_DEPTH} deep within each other, not deeper.`)
  switch (event.type) {
    case "gaussian":
    case "laplace":
      mustBeNonNegative("A noise multiplier", event.noiseMultiplier)
      break
    case "discrete-gaussian":
      mustBeNonNegative("A standard deviation", event.sigma)
      mustBeCount("A sensitivity in grid steps", event.sensitivity)
      break
    case "discrete-gaussian-vector":
      mustBeNonNegative("A standard deviation", event.sigma)
      mustBeNonNegative("An L2 sensitivity", event.l2Sensitivity)
      break
    case "discrete-laplace":
      mustBeNonNegative("A scale", event.scale)
      mustBeCount("A sensitivity in grid steps", event.sensitivity)
      break
    case "randomized-response":
      mustBeProbability("The probability of a random answer", event.probability)
      mustBeCount("The number of buckets", event.buckets, 1)
      break
    case "poisson-sampled":
      mustBeProbability("A sampling probability", event.samplingProbability)
      checkEvent(event.event, depth + 1)
      break
    case "sampled-without-replacement":
      mustBeCount("The size of the sampled data set", event.sourceDatasetSize, 1)
      mustBeCount("A sample size", event.sampleSize)
      if (event.sampleSize > event.sourceDatasetSize)
        bad(`A sample of ${event.sampleSize} rows cannot be drawn from ${event.sourceDatasetSize}.`)
      checkEvent(event.event, depth + 1)
      break
    case "composed":
      if (!Array.isArray(event.events)) bad("A composed event holds a list of events.")
      for (const part of event.events) checkEvent(part, depth + 1)
      break
    case "self-composed":
      mustBeCount("A count of events", event.count)
      checkEvent(event.event, depth + 1)
      break
    case "tree-aggregation":
      mustBeNonNegative("A noise multiplier", event.noiseMultiplier)
      mustBeCount("The number of steps", event.steps)
      break
    case "epsilon-delta":
      mustBeNonNegative("epsilon", event.epsilon)
      mustBeProbability("delta", event.delta)
      break
    case "unsupported":
      if (typeof event.name !== "string" || event.name.length > MAX_EVENT_NAME)
        bad(`The name of an event has at most ${MAX_EVENT_NAME} characters.`)
  }
}

const checked = <E extends DpEvent>(event: E): E => {
  checkEvent(event)
  return Object.freeze(event)
}

/**
 * Gaussian noise on a vector.
 *
 * Units: noiseMultiplier = standard deviation / L2 sensitivity (not a variance)
 * @throws {ConsiliumError} "privacy/bad-parameter", as every constructor here
 */
export const gaussianEvent = (noiseMultiplier: number): GaussianDpEvent =>
  checked({ type: "gaussian", noiseMultiplier })

/** Laplace noise: noiseMultiplier = scale / L1 sensitivity. */
export const laplaceEvent = (noiseMultiplier: number): LaplaceDpEvent =>
  checked({ type: "laplace", noiseMultiplier })

/** Discrete Gaussian noise on one whole number; sigma and the whole sensitivity in grid steps. */
export const discreteGaussianEvent = (sigma: number, sensitivity = 1): DiscreteGaussianDpEvent =>
  checked({ type: "discrete-gaussian", sigma, sensitivity })

/** Discrete Gaussian noise on each entry of a whole vector; sigma and the L2 sensitivity in grid steps. */
export const discreteGaussianVectorEvent = (
  sigma: number,
  l2Sensitivity: number,
): DiscreteGaussianVectorDpEvent => checked({ type: "discrete-gaussian-vector", sigma, l2Sensitivity })

/** Discrete Laplace noise on whole numbers; scale and the whole L1 sensitivity in grid steps. */
export const discreteLaplaceEvent = (scale: number, sensitivity = 1): DiscreteLaplaceDpEvent =>
  checked({ type: "discrete-laplace", scale, sensitivity })

/** Randomised response: a uniformly random answer with `probability`, else the true one. */
export const randomizedResponseEvent = (probability: number, buckets: number): RandomizedResponseDpEvent =>
  checked({ type: "randomized-response", probability, buckets })

/** An event on a Poisson sample. */
export const poissonSampledEvent = (samplingProbability: number, event: DpEvent): PoissonSampledDpEvent =>
  checked({ type: "poisson-sampled", samplingProbability, event })

/** An event on a sample of fixed size. */
export const sampledWithoutReplacementEvent = (
  sourceDatasetSize: number,
  sampleSize: number,
  event: DpEvent,
): SampledWithoutReplacementDpEvent =>
  checked({ type: "sampled-without-replacement", sourceDatasetSize, sampleSize, event })

/** Events one after another. */
export const composedEvent = (events: readonly DpEvent[]): ComposedDpEvent =>
  checked({ type: "composed", events: Object.freeze([...events]) })

/** One event, `count` times. */
export const selfComposedEvent = (event: DpEvent, count: number): SelfComposedDpEvent =>
  checked({ type: "self-composed", event, count })

/** Prefix sums of `steps` vectors by tree aggregation. */
export const treeAggregationEvent = (noiseMultiplier: number, steps: number): TreeAggregationDpEvent =>
  checked({ type: "tree-aggregation", noiseMultiplier, steps })

/** Anything (epsilon, delta)-DP. */
export const epsilonDeltaEvent = (epsilon: number, delta = 0): EpsilonDeltaDpEvent =>
  checked({ type: "epsilon-delta", epsilon, delta })

export const noOpEvent: NoOpDpEvent = Object.freeze({ type: "no-op" })
export const nonPrivateEvent: NonPrivateDpEvent = Object.freeze({ type: "non-private" })

/** A release that no accountant knows. */
export const unsupportedEvent = (name: string): UnsupportedDpEvent => checked({ type: "unsupported", name })

/** DP-SGD: `steps` times Gaussian noise on the clipped sum over a Poisson sample, as Opacus accounts it. */
export const dpSgdEvent = (noiseMultiplier: number, sampleRate: number, steps: number): SelfComposedDpEvent =>
  selfComposedEvent(poissonSampledEvent(sampleRate, gaussianEvent(noiseMultiplier)), steps)
