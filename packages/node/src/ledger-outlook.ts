import { toHex } from "@consilium/base/bytes"
import { type Charge, releaseOf } from "@consilium/federation/charge"
import { isEvaluated } from "@consilium/federation/figures/study-figures"
import { type CapForecast, paceOf, roundAt, whenReached } from "@consilium/federation/pace"
import { type LocalPolicy, refusePrivacy } from "@consilium/federation/policy"
import {
  epsilonAfter,
  type FiguresGiven,
  figuresReleased,
  isPrivate,
  type PrivateStudy,
} from "@consilium/federation/privacy-plan"
import {
  type CapKind,
  roundsWarning,
  type SpendingWarning,
  shareWarning,
  WARNING_ROUNDS,
} from "@consilium/federation/spending"
import { type Study, studyDigest } from "@consilium/federation/study"
import type { NotedCharge, Updates } from "./ledger-months.js"
import type { PrivacyLedger } from "./privacy-ledger.js"

// What a facility's budgets still have room for, when they will be reached, and what a person should hear before that.

/** How many more rounds of a study fit, and what they are limited by. */
export interface Room {
  readonly rounds: number
  readonly by: "planned" | "study-cap" | "month-cap" | "lifetime-cap" | "ledger"
}

/** A private study under way at a facility. */
export interface StudyUnderWay {
  readonly study: PrivateStudy
  /** The last round that was announced here. */
  readonly round: number
}

/** A study of the facility, as far as whoever reads the ledger knows it. */
export interface LedgerStudy {
  readonly study: Study
  readonly state: "running" | "over" | "stopped"
  /** The last round that was announced here. */
  readonly round: number
}

/** The private studies that may still spend. */
export const underWay = (studies: readonly LedgerStudy[]): readonly StudyUnderWay[] =>
  studies.flatMap(({ study, state, round }) =>
    isPrivate(study) && state !== "over" ? [{ study, round }] : [],
  )

const leftOf = ({ study, round }: StudyUnderWay): number => Math.max(0, study.rounds - round)

/** What a study was charged for, by purpose. */
interface Charged {
  readonly training: readonly NotedCharge[]
  readonly figures: FiguresGiven
}

/** Tells a study's charges apart. */
export const chargedIn = (ledger: PrivacyLedger, study: PrivateStudy): Charged => {
  const id = toHex(studyDigest(study))
  const own = ledger.charges().filter((one) => one.study === id)
  const forPurpose = (purpose: Charge["purpose"]) => own.filter(({ charge }) => charge.purpose === purpose)
  return {
    training: forPurpose("update"),
    figures: { statistics: forPurpose("statistics").length, evaluations: forPurpose("evaluation").length },
  }
}

/** How many evaluations come with some rounds, if this facility takes part in them. */
const evaluationsIn = (study: PrivateStudy, policy: LocalPolicy, after: number, upTo: number): number =>
  policy.figures === "none"
    ? 0
    : Array.from({ length: Math.max(0, upTo - after) }, (_, i) => after + 1 + i).filter((round) =>
        isEvaluated(study, round),
      ).length

/** What the next rounds of a study release, up to the last one's update. */
const releasesOf = (
  { study, round }: StudyUnderWay,
  policy: LocalPolicy,
  rounds: number,
): readonly Updates[] => {
  const { event, times } = releaseOf(study, { purpose: "update" })
  const evaluations = evaluationsIn(study, policy, round, round + rounds - 1)
  const training = { event, steps: times, updates: rounds }
  return evaluations === 0
    ? [training]
    : [training, { event: figuresReleased(study, "evaluation"), steps: 1, updates: evaluations }]
}

/** The most of 0 to `most` that holds, if everything below a holding number does. */
const greatest = (most: number, holds: (n: number) => boolean): number => {
  let fits = 0
  let above = most + 1
  while (above - fits > 1) {
    const middle = (fits + above) >>> 1
    if (holds(middle)) fits = middle
    else above = middle
  }
  return fits
}

/** How many more rounds of a study fit, up to `most`, if no other study spends meanwhile. */
export const roomOf = (
  ledger: PrivacyLedger,
  policy: LocalPolicy,
  going: StudyUnderWay,
  most = leftOf(going),
): Room => {
  if (ledger.problem !== null) return { rounds: 0, by: "ledger" }
  const { study, round } = going
  const { training, figures } = chargedIn(ledger, study)
  const within = greatest(most, (n) => {
    const evaluations = figures.evaluations + evaluationsIn(study, policy, round, round + n - 1)
    const rounds = training.length + n - 1
    const given = { ...figures, evaluations }
    return refusePrivacy(policy, study, { rounds, figures: given, preparation: "declared" }) === null
  })
  const fitting = (cap: "month" | "lifetime", from: number) =>
    greatest(from, (n) => ledger.fits(cap, releasesOf(going, policy, n)))
  const month = fitting("month", within)
  const rounds = fitting("lifetime", month)
  if (rounds < month) return { rounds, by: "lifetime-cap" }
  return { rounds, by: month < within ? "month-cap" : within < most ? "study-cap" : "planned" }
}

const timesOf = (charges: readonly NotedCharge[]): readonly number[] =>
  charges.flatMap(({ at }) => (at === null ? [] : [at]))

const endOfMonth = (at: number): number => {
  const date = new Date(at)
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1)
}

/** When the rounds of a study that still fit are over, at the pace of those before. Times in milliseconds since 1970. */
export interface StudyForecast {
  /** Null where fewer than two entries tell no pace. */
  readonly roundsPerDay: number | null
  /** When the first round comes that no longer fits; null if all that are planned fit, or the month ends before. */
  readonly reachedAt: number | null
  /** When the last planned round comes, if all of them fit. */
  readonly plannedUntil: number | null
}

export const studyForecast = (
  ledger: PrivacyLedger,
  { study }: StudyUnderWay,
  { rounds, by }: Room,
): StudyForecast => {
  const pace = paceOf(timesOf(chargedIn(ledger, study).training))
  if (pace === null || by === "ledger")
    return { roundsPerDay: pace?.roundsPerDay ?? null, reachedAt: null, plannedUntil: null }
  const from = ledger.time
  const { roundsPerDay } = pace
  if (by === "planned")
    return {
      roundsPerDay,
      reachedAt: null,
      plannedUntil: rounds === 0 ? null : roundAt(pace, rounds, from),
    }
  const reachedAt = roundAt(pace, rounds + 1, from)
  const isIn = by !== "month-cap" || reachedAt < endOfMonth(from)
  return { roundsPerDay, reachedAt: isIn ? reachedAt : null, plannedUntil: null }
}

/** When a budget that all studies share is reached, if each that is under way goes on at its pace. */
export const sharedForecast = (
  ledger: PrivacyLedger,
  policy: LocalPolicy,
  studies: readonly StudyUnderWay[],
  cap: "month" | "lifetime",
): CapForecast => {
  const coming = studies.map((going) => ({
    pace: paceOf(timesOf(chargedIn(ledger, going.study).training)),
    left: leftOf(going),
  }))
  const fits = (rounds: readonly number[]): boolean =>
    ledger.fits(
      cap,
      studies.flatMap((going, i) => releasesOf(going, policy, rounds[i] as number)),
    )
  const from = ledger.time
  return whenReached(coming, fits, {
    from,
    until: cap === "month" ? endOfMonth(from) : Number.POSITIVE_INFINITY,
  })
}

/** A warning, and the study that it is about; null where it is about all. */
export interface LedgerWarning extends SpendingWarning {
  readonly study: string | null
  /** What makes it the same warning as before. */
  readonly key: string
}

const CAPS: { readonly [by in Room["by"]]: CapKind | "planned" | null } = {
  planned: "planned",
  "study-cap": "study",
  "month-cap": "month",
  "lifetime-cap": "lifetime",
  ledger: null,
}

const studyWarnings = (
  ledger: PrivacyLedger,
  policy: LocalPolicy,
  going: StudyUnderWay,
): readonly LedgerWarning[] => {
  const { study } = going
  const id = toHex(studyDigest(study))
  const { epsilon, delta } = study.privacy
  const cap = { epsilon: Math.min(epsilon, policy.privacy.study.epsilon), delta }
  const { training, figures } = chargedIn(ledger, study)
  const left = leftOf(going)
  const { rounds, by } = roomOf(ledger, policy, going, Math.min(left, WARNING_ROUNDS))
  const limit = CAPS[by]
  const found = [
    shareWarning({
      kind: "study",
      name: study.name,
      cap,
      epsilon: epsilonAfter(study, training.length, figures),
    }),
    limit && roundsWarning({ study: study.name, by: limit, rounds, left }),
  ]
  return found.flatMap((warning) =>
    warning === null ? [] : [{ ...warning, study: id, key: `${warning.kind}/${warning.cap}/${id}` }],
  )
}

/** What a person should hear of a facility's budgets, before they stop a study. */
export const ledgerWarnings = (
  ledger: PrivacyLedger,
  policy: LocalPolicy,
  studies: readonly StudyUnderWay[],
): readonly LedgerWarning[] => {
  const { month, epsilon, cap } = ledger.month()
  const whole = ledger.lifetimeCap
  const shared = [
    shareWarning({ kind: "month", name: month, cap, epsilon }),
    whole && shareWarning({ kind: "lifetime", name: "", cap: whole, epsilon: whole.spent }),
  ]
  return [
    ...shared.flatMap((warning) =>
      warning === null
        ? []
        : [
            {
              ...warning,
              study: null,
              key: `${warning.kind}/${warning.cap === "month" ? month : "lifetime"}`,
            },
          ],
    ),
    ...studies.flatMap((going) => studyWarnings(ledger, policy, going)),
  ]
}

/** The warnings that this process has not told yet, in sentences. */
export const newWarnings = (
  ledger: PrivacyLedger,
  policy: LocalPolicy,
  studies: readonly StudyUnderWay[],
): readonly string[] =>
  ledgerWarnings(ledger, policy, studies).flatMap(({ key, says }) => (ledger.isNews(key) ? [says] : []))
