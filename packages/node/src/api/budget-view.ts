import { figuresAfter } from "@consilium/federation/figures/study-figures"
import { paceOf, roundAt } from "@consilium/federation/pace"
import { epsilonAfter, isPrivate, type PrivateStudy, stepEvent } from "@consilium/federation/privacy-plan"
import { roundsWarning, shareWarning } from "@consilium/federation/spending"
import type { Study } from "@consilium/federation/study"
import { releasesPerRound } from "@consilium/federation/sum-noise"
import { eventText } from "@consilium/privacy/event-text"
import type { BudgetView, PrivacyView, StudyView } from "./study-view.js"

// How far each facility's budget of a study goes, as the leader's log implies it.

const ROUNDS = new WeakMap<Study, number>()

/** How many of a study's planned rounds fit its budget in all, if a facility takes part in every one. */
const roundsWithin = (study: PrivateStudy): number => {
  const known = ROUNDS.get(study)
  if (known !== undefined) return known
  let fit = 0
  let above = study.rounds + 1
  while (above - fit > 1) {
    const middle = (fit + above) >>> 1
    if (epsilonAfter(study, middle, figuresAfter(study, middle)) <= study.privacy.epsilon) fit = middle
    else above = middle
  }
  ROUNDS.set(study, fit)
  return fit
}

type FacilityBudget = BudgetView["facilities"][number]

interface Course {
  readonly left: number
  readonly isOver: boolean
  /** When the `n`th further round comes; null where no pace is known. */
  readonly at: (n: number) => string | null
}

const facilityOf = (
  study: PrivateStudy,
  { facility, epsilon }: PrivacyView,
  updates: number,
  { left, isOver, at }: Course,
): FacilityBudget => {
  const spent = epsilon ?? 0
  if (isOver) return { facility, epsilon: spent, updates, room: null, reachedAt: null, warnings: [] }
  const rounds = Math.min(left, Math.max(0, roundsWithin(study) - updates))
  const by = rounds < left ? "budget" : "planned"
  const cap = { epsilon: study.privacy.epsilon, delta: study.privacy.delta }
  const { name } = study
  const warnings = [
    shareWarning({ kind: "study", name, cap, epsilon: spent }),
    roundsWarning({ study: name, by: by === "budget" ? "study" : "planned", rounds, left }),
  ]
  return {
    facility,
    epsilon: spent,
    updates,
    room: { rounds, by },
    reachedAt: by === "budget" ? at(rounds + 1) : null,
    warnings: warnings.flatMap((warning) => (warning === null ? [] : [warning.says])),
  }
}

/** The view of a study's budget; null where the study trains without differential privacy. */
export const budgetView = (
  study: Study,
  { state, rounds, privacy }: Pick<StudyView, "state" | "rounds" | "privacy">,
  updatesOf: (facility: string) => number,
): BudgetView | null => {
  if (!isPrivate(study)) return null
  const { epsilon, delta, unit, noise, noiseMultiplier, maxGradNorm, sampleRate, metrics } = study.privacy
  const closed = rounds.filter(({ phase }) => phase === "closed")
  const pace = paceOf(closed.flatMap(({ endedAt }) => (endedAt === null ? [] : [Date.parse(endedAt)])))
  const course: Course = {
    left: Math.max(0, study.rounds - (closed.at(-1)?.round ?? 0)),
    isOver: state === "complete" || state === "aborted",
    at: (n) =>
      pace === null ? null : new Date(Math.min(8.64e15, roundAt(pace, n, pace.last))).toISOString(),
  }
  return {
    epsilon,
    delta,
    unit,
    noise,
    noiseMultiplier,
    maxGradNorm,
    sampleRate,
    releasesPerRound: releasesPerRound(study),
    mechanism: eventText(stepEvent(study)),
    exactMetrics: metrics === "exact",
    roundsPerDay: pace?.roundsPerDay ?? null,
    facilities: privacy.map((row) => facilityOf(study, row, updatesOf(row.facility), course)),
  }
}
