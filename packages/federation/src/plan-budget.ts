import {
  type DpEvent,
  gaussianEvent,
  poissonSampledEvent,
  selfComposedEvent,
} from "@consilium/privacy/events"
import { PldAccountant } from "@consilium/privacy/pld"
import { figuresAfter } from "./figures/study-figures.js"
import { epsilonAfter, figuresReleased, isPrivate, type PrivateStudy, planNoise } from "./privacy-plan.js"
import type { Study } from "./study.js"
import { parameterCount } from "./study-model.js"
import { hidingParties, isNoiseOnSum, releasesPerRound } from "./sum-noise.js"

/** One place that noise may be added in, and what it does there. */
export interface NoisePlace {
  readonly where: "local" | "sum"
  /** Whether the study adds its noise there. */
  readonly chosen: boolean
  /** Standard deviation / what one patient moves a sum. */
  readonly noiseMultiplier: number
  /** Noisy steps in all rounds. */
  readonly steps: number
  readonly sampleRate: number
  /** What all planned rounds cost, in nats. */
  readonly epsilon: number
  /** Noise on the mean gradient of one step over all facilities, in clip norms / patients of all facilities. */
  readonly relativeNoise: number
}

export interface BudgetPlan {
  /** Rounds that fit the study's budget, planned or not; null where more than `MOST_ROUNDS` do. */
  readonly roundsWithin: number | null
  /** The same planned rounds by the accountant that facilities stop by, and by one that reads the same steps more tightly. */
  readonly readings: {
    readonly rounds: number
    readonly rdp: number
    /** Of continuous noise of the same size; null where the noise is no plain Gaussian. No cap is held against it. */
    readonly pld: number | null
  }
  /** Noise of each facility's own beside one noise on the sum, at the same budget; empty unless the numbers allow both. */
  readonly places: readonly NoisePlace[]
  /** Why there is nothing beside the study's own place of the noise; null if there is. */
  readonly onePlace: string | null
}

export const MOST_ROUNDS = 100_000

/** Rounds that cost no more than the study's epsilon: by doubling, then by halves. */
const roundsWithin = (study: PrivateStudy): number | null => {
  // a round is paid for after the figures before it, and before its own
  const fits = (rounds: number): boolean =>
    epsilonAfter(study, rounds, figuresAfter(study, rounds - 1)) <= study.privacy.epsilon
  let high = 1
  while (fits(high)) {
    if (high >= MOST_ROUNDS) return null
    high = Math.min(MOST_ROUNDS, 2 * high)
  }
  let low = 0
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (fits(middle)) low = middle
    else high = middle
  }
  return low
}

/**
 * The tighter reading, of continuous noise of the same size: the noise that is added is discrete, on a grid so fine that its
 * loss is the same to all shown digits. Null for what is no plain Gaussian.
 */
const readByPld = (study: PrivateStudy, rounds: number): number | null => {
  const { noiseMultiplier, mechanism, clipping, sampleRate, delta } = study.privacy
  if (study.statistics !== null || study.evaluation !== null) return null
  if (mechanism !== "gaussian" || clipping.type !== "flat") return null
  const event = gaussianEvent(noiseMultiplier)
  const sampled = isNoiseOnSum(study) ? event : poissonSampledEvent(sampleRate, event)
  return new PldAccountant().compose(sampled, rounds * releasesPerRound(study)).getEpsilon(delta)
}

/** Why noise of one's own and noise on the sum cannot be set side by side for a study, or null. */
const incomparable = (study: PrivateStudy): string | null => {
  const { privacy, cohort } = study
  if (study.model.kind !== "logistic-regression")
    return "Noise on the sum over patients is for a logistic regression."
  if (privacy.unit !== "patient")
    return "Noise of a facility's own bounds what one patient does, not a whole facility."
  if (privacy.mechanism !== "gaussian" || privacy.clipping.type !== "flat")
    return "Noise on the sum is Gaussian, on gradients that are clipped as a whole."
  if (cohort.colluders < 1 || hidingParties(study) < 1)
    return "Noise on the sum needs a facility that may collude, and one that does not."
  return null
}

/** What figures release beside the rounds, which they leave less room for. */
const besideRounds = (study: PrivateStudy): readonly DpEvent[] => {
  const { statistics, evaluations } = figuresAfter(study, study.rounds)
  return [
    ...(statistics === 0 ? [] : [figuresReleased(study, "statistics")]),
    ...(evaluations === 0 ? [] : [selfComposedEvent(figuresReleased(study, "evaluation"), evaluations)]),
  ]
}

const placesOf = (study: PrivateStudy, facilities: number): readonly NoisePlace[] => {
  const { privacy, training, rounds } = study
  const { epsilon, delta, maxGradNorm, noise: own } = privacy
  const wanted = {
    epsilon,
    delta,
    maxGradNorm,
    floor: null,
    calibrate: true,
    dimension: parameterCount(study),
  }
  const place = (where: NoisePlace["where"]): Omit<NoisePlace, "relativeNoise"> => {
    const steps = rounds * (where === "sum" || own === "sum" ? 1 : training.steps)
    const sampleRate = where === "sum" ? 1 : privacy.sampleRate
    if (where === own) {
      const { noiseMultiplier } = privacy
      return {
        where,
        chosen: true,
        noiseMultiplier,
        steps,
        sampleRate,
        epsilon: epsilonAfter(study, rounds, figuresAfter(study, rounds)),
      }
    }
    const sum = where === "sum" ? { ...study, privacy: { unit: privacy.unit } } : null
    const found = planNoise({ ...wanted, steps, sampleRate, sum, beside: besideRounds(study) })
    return {
      where,
      chosen: false,
      noiseMultiplier: found.noiseMultiplier,
      steps,
      sampleRate,
      epsilon: found.epsilon,
    }
  }
  const noisePer = ({ where, noiseMultiplier, sampleRate }: Omit<NoisePlace, "relativeNoise">): number =>
    where === "local"
      ? (Math.sqrt(facilities) * noiseMultiplier) / sampleRate
      : Math.sqrt(facilities / hidingParties(study)) * noiseMultiplier
  return (["local", "sum"] as const).map(place).map((one) => ({ ...one, relativeNoise: noisePer(one) }))
}

/**
 * What a budget has room for, read by both accountants, and what the same budget buys in the other place of the noise.
 * Null for a study without differential privacy.
 *
 * Math:   noise on a step's mean gradient over n facilities of N patients, in clip norms / (n N):
 *         local sqrt(n) z / q; on the sum sqrt(n / (k - c)) z', z' calibrated to one release a round over all patients
 * Units:  epsilon in nats at the study's delta
 */
export const planBudget = (study: Study, facilities: number): BudgetPlan | null => {
  if (!isPrivate(study)) return null
  const { rounds } = study
  const onePlace = incomparable(study)
  return {
    roundsWithin: roundsWithin(study),
    readings: {
      rounds,
      rdp: epsilonAfter(study, rounds, figuresAfter(study, rounds)),
      pld: readByPld(study, rounds),
    },
    places: onePlace === null ? placesOf(study, facilities) : [],
    onePlace,
  }
}
