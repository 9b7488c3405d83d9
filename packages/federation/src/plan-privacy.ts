import { newPrivacyFilter, requestEvent } from "@consilium/privacy/filter"
import { figuresAfter } from "./figures/study-figures.js"
import { type Budget, type LocalPolicy, refusePrivacy } from "./policy.js"
import {
  type Clipping,
  epsilonAfter,
  isPrivate,
  type PrivateStudy,
  type StudyPrivacy,
  stepEvent,
} from "./privacy-plan.js"
import type { Study } from "./study.js"
import { type NoiseOnSum, noiseOnSumOf, releasesPerRound } from "./sum-noise.js"

/** Where a study's noise comes from. */
export interface NoiseChoice {
  /** The larger of the two, or `given` where nothing was calibrated. */
  readonly from: "calibrated" | "floor" | "given"
  /** The least noise multiplier that the study asks for; null if it names none. */
  readonly floor: number | null
  /** The least with which all planned rounds fit the budget; null where that was not asked for. */
  readonly calibrated: number | null
}

/** How long one facility's budgets last, if it takes part in every round. */
export interface FacilityForecast {
  readonly facility: string
  /** Most that it may spend in this study: the study's budget or its own policy's, whichever is less. */
  readonly cap: number
  /** Planned rounds that fit, whatever month they fall in. */
  readonly rounds: number
  /** Planned rounds that fit if all of them fall in one month in which nothing else is spent. */
  readonly roundsInOneMonth: number
  /** Spent after those of the planned rounds that fit, in nats at the study's delta. */
  readonly epsilon: number
}

export interface PrivacyForecast {
  readonly epsilon: number
  readonly delta: number
  readonly noiseMultiplier: number
  /** Null where only the study is known, not the file it was made from. */
  readonly noise: NoiseChoice | null
  readonly sampleRate: number
  readonly maxGradNorm: number
  readonly mechanism: StudyPrivacy["mechanism"]
  readonly clipping: Clipping
  readonly stepsPerRound: number
  /** Null where each facility adds all of its noise itself. */
  readonly onSum: NoiseOnSum | null
  /** Spent by a facility after each planned round, if it takes part in every one and nothing stops it. */
  readonly afterRound: readonly number[]
  readonly facilities: readonly FacilityForecast[]
}

/** The largest n of 0 to `most` that holds, if everything below a holding number holds. */
const greatest = (most: number, holds: (n: number) => boolean): number => {
  let low = 0
  let high = most
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (holds(middle)) low = middle
    else high = middle - 1
  }
  return low
}

const roundsWithin = (study: PrivateStudy, policy: LocalPolicy): number =>
  greatest(
    study.rounds,
    (rounds) => refusePrivacy(policy, study, { rounds: rounds - 1, preparation: "declared" }) === null,
  )

const roundsInMonth = (study: PrivateStudy, month: Budget, most: number): number => {
  const filter = newPrivacyFilter(month)
  return greatest(
    most,
    (rounds) => requestEvent(filter, stepEvent(study), rounds * releasesPerRound(study)) !== null,
  )
}

/** What a study will have spent, round by round and facility by facility; null where it trains without noise. */
export const forecastPrivacy = (
  study: Study,
  facilities: readonly { readonly name: string; readonly policy: LocalPolicy }[],
  noise: NoiseChoice | null,
): PrivacyForecast | null => {
  if (!isPrivate(study)) return null
  const { epsilon, delta, noiseMultiplier, sampleRate, maxGradNorm, mechanism, clipping } = study.privacy
  const afterRound = Array.from({ length: study.rounds }, (_, i) =>
    epsilonAfter(study, i + 1, figuresAfter(study, i + 1)),
  )
  const known = new Map<string, Omit<FacilityForecast, "facility">>()
  const forecast = (policy: LocalPolicy): Omit<FacilityForecast, "facility"> => {
    const { privacy } = policy
    const name = JSON.stringify(privacy)
    const before = known.get(name)
    if (before !== undefined) return before
    const rounds = roundsWithin(study, policy)
    const made = {
      cap: Math.min(epsilon, privacy.study.epsilon),
      rounds,
      roundsInOneMonth: roundsInMonth(study, privacy.month, rounds),
      epsilon: rounds === 0 ? 0 : (afterRound[rounds - 1] as number),
    }
    known.set(name, made)
    return made
  }
  return {
    epsilon,
    delta,
    noiseMultiplier,
    noise,
    sampleRate,
    maxGradNorm,
    mechanism,
    clipping,
    stepsPerRound: study.training.steps,
    onSum: noiseOnSumOf(study),
    afterRound,
    facilities: facilities.map(({ name, policy }) => ({ facility: name, ...forecast(policy) })),
  }
}
