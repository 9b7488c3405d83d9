import { epsilonAfter, type FiguresGiven, isPrivate, NO_FIGURES, type PrivateStudy } from "./privacy-plan.js"
import { type FiguresPurpose, isFigures, type Purpose } from "./purpose.js"
import type { Protection, Study } from "./study.js"
import { parameterCount } from "./study.js"

/** What a facility allows, whatever the leader asks: read from its own `policy.yaml`. */
export interface LocalPolicy {
  /** Fewest facilities whose sum this facility helps to open. */
  readonly smallestCohort: number
  /** Fewest colluding facilities a study must withstand. */
  readonly colluders: number
  readonly protections: readonly Protection[]
  readonly modelKinds: readonly Study["model"]["kind"][]
  /** Most parameters of a model. */
  readonly largestModel: number
  /** Whether exact hold-out metrics of this facility may be sent: `exact` or `none`. */
  readonly metrics: "exact" | "none"
  /** Whether it takes part in statistics and evaluations of all facilities together, of which nobody sees its own part. */
  readonly figures: "sums" | "none"
  /** Whether a study whose secrets follow from a public seed is allowed: demos and simulations only. */
  readonly insecureSeed: boolean
  /** Names of the columns that may be trained on; null for all that the records have. */
  readonly columns: readonly string[] | null
  /** When rounds may begin here; null for always. */
  readonly workingHours: WorkingHours | null
  /** Whether a person here must allow a study before its first training: `ask`, or `auto`. */
  readonly approval: "ask" | "auto"
  readonly privacy: PrivacyCaps
}

/** A privacy budget: epsilon in nats, at a delta. */
export interface Budget {
  readonly epsilon: number
  readonly delta: number
}

/** Most that studies with differential privacy may spend of this facility's patients' privacy. */
export interface PrivacyCaps {
  /** In one study. */
  readonly study: Budget
  /** In all studies together that spend in one calendar month, UTC. */
  readonly month: Budget
  /** In all studies of all months together; absent or null for no cap. */
  readonly lifetime?: Budget | null
}

/** What a facility's rows were prepared with: declared constants, or figures computed on its own rows. */
export type Preparation = "declared" | "own-statistics"

export interface WorkingHours {
  /** 0 is Monday. */
  readonly days: readonly number[]
  /** Minutes after midnight, local time; `to` is the first minute that is outside, and before `from` it means the next day. */
  readonly from: number
  readonly to: number
  /** Minutes that local time is ahead of UTC. */
  readonly utcOffset: number
}

/** The policy of a facility that wrote none: nothing readable, nothing seeded, no metrics. */
export const DEFAULT_POLICY: LocalPolicy = {
  smallestCohort: 3,
  colluders: 1,
  protections: ["ckks", "bfv", "masked", "shamir"],
  modelKinds: ["logistic-regression", "network"],
  largestModel: 1_000_000,
  metrics: "none",
  figures: "sums",
  insecureSeed: false,
  columns: null,
  workingHours: null,
  approval: "auto",
  privacy: { study: { epsilon: 8, delta: 1e-5 }, month: { epsilon: 16, delta: 1e-5 } },
}

export interface Refusal {
  readonly code: string
  /** One sentence for a person, without any patient's value. */
  readonly reason: string
}

/** Why this facility takes no part in a study, or null if it does. */
export const refuseStudy = (policy: LocalPolicy, study: Study): Refusal | null => {
  const refuse = (code: string, reason: string): Refusal => ({ code, reason })
  if (!policy.protections.includes(study.protection))
    return refuse(
      "policy/protection",
      `This facility's policy allows ${policy.protections.join(", ")}; the study uses ${study.protection}.`,
    )
  if (!policy.modelKinds.includes(study.model.kind))
    return refuse(
      "policy/model",
      `This facility's policy does not allow models of the kind ${study.model.kind}.`,
    )
  if (parameterCount(study) > policy.largestModel)
    return refuse(
      "policy/model",
      `The model has ${parameterCount(study)} parameters; this facility's policy allows ${policy.largestModel}.`,
    )
  if (study.cohort.minCohort < policy.smallestCohort)
    return refuse(
      "policy/cohort",
      `The study opens sums over ${study.cohort.minCohort} facilities; this facility's policy wants at least ${policy.smallestCohort}.`,
    )
  if (study.cohort.colluders < policy.colluders)
    return refuse(
      "policy/colluders",
      `The study withstands ${study.cohort.colluders} colluding facilities; this facility's policy wants at least ${policy.colluders}.`,
    )
  const closed = study.model.features.filter((name) => policy.columns?.includes(name) === false)
  if (closed.length > 0)
    return refuse(
      "policy/columns",
      `The study trains on ${closed.join(", ")}; this facility's policy does not open ${closed.length === 1 ? "that column" : "those columns"}.`.slice(
        0,
        250,
      ),
    )
  if (study.insecureSeed !== null && !policy.insecureSeed)
    return refuse(
      "policy/insecure-seed",
      "The study derives all secrets from a public seed; this facility's policy does not allow that.",
    )
  return null
}

const shown = (epsilon: number): string => epsilon.toFixed(2)

/**
 * Why this facility adds no further round to a study with differential privacy, or null: its rows were prepared with
 * figures of its own patients, which nothing pays for, or the round would go beyond what may be spent here.
 */
export const refusePrivacy = (
  { privacy: caps }: LocalPolicy,
  study: Study,
  {
    rounds,
    figures = NO_FIGURES,
    next: purpose = "update",
    preparation,
  }: {
    /** Updates that were paid for so far. */
    readonly rounds: number
    readonly figures?: FiguresGiven
    /** What is to be paid for next. */
    readonly next?: Purpose
    readonly preparation: Preparation
  },
): Refusal | null => {
  if (!isPrivate(study)) return null
  const { epsilon, delta } = study.privacy
  if (preparation !== "declared")
    return {
      code: "policy/own-statistics",
      reason:
        "This facility prepares its rows with figures computed on them; with differential privacy they must be declared constants.",
    }
  if (delta > caps.study.delta)
    return {
      code: "policy/privacy-delta",
      reason: `The study's delta is ${delta}; this facility's policy allows ${caps.study.delta}.`,
    }
  const cap = Math.min(epsilon, caps.study.epsilon)
  if (isFigures(purpose)) return refuseNoisyFigures(study, purpose, rounds, figures, cap)
  const next = epsilonAfter(study, rounds + 1, figures)
  if (next <= cap) return null
  return {
    code: "policy/privacy-budget",
    reason:
      rounds === 0
        ? `One round costs epsilon ${shown(next)}; this facility may spend ${shown(cap)} of its patients' privacy in this study (delta ${delta}).`
        : `This facility's privacy budget for this study is used up: ${rounds} ${rounds === 1 ? "round has" : "rounds have"} spent epsilon ${shown(epsilonAfter(study, rounds, figures))} of ${shown(cap)} (delta ${delta}), and another would make it ${shown(next)}.`,
  }
}

const refuseNoisyFigures = (
  study: PrivateStudy,
  purpose: FiguresPurpose,
  rounds: number,
  figures: FiguresGiven,
  cap: number,
): Refusal | null => {
  const given = purpose === "statistics" ? "statistics" : "evaluations"
  const next = epsilonAfter(study, rounds, { ...figures, [given]: figures[given] + 1 })
  if (next <= cap) return null
  return {
    code: "policy/privacy-figures",
    reason: `A part in ${purpose === "statistics" ? "the statistics" : "an evaluation"} would bring what this study has spent here to epsilon ${shown(next)}; this facility may spend ${shown(cap)} (delta ${study.privacy.delta}).`,
  }
}

const DAY = 24 * 60

/** Why no round may begin here at this time (milliseconds since 1970), or null if one may. */
export const refuseTime = ({ workingHours }: LocalPolicy, at: number): Refusal | null => {
  if (workingHours === null) return null
  const { days, from, to, utcOffset } = workingHours
  const minutes = Math.floor(at / 60_000) + utcOffset
  const minute = ((minutes % DAY) + DAY) % DAY
  // 1970-01-01 was a Thursday; hours that reach past midnight belong to the day they began on
  const begun = to <= from && minute < to ? 1 : 0
  const day = (((Math.floor(minutes / DAY) + 3 - begun) % 7) + 7) % 7
  const within = to > from ? minute >= from && minute < to : minute >= from || minute < to
  if (within && days.includes(day)) return null
  const clock = (m: number): string =>
    `${String(Math.floor(m / 60)).padStart(2, "0")}:${String(m % 60).padStart(2, "0")}`
  return {
    code: "policy/hours",
    reason: `This facility takes part from ${clock(from)} to ${clock(to)} on its working days; the round was announced outside of them.`,
  }
}
