import { toHex } from "@consilium/base/bytes"
import { purposeOf } from "@consilium/federation/charge"
import type { LedgerHead } from "@consilium/federation/ledger-chain"
import type { CapForecast } from "@consilium/federation/pace"
import type { LocalPolicy } from "@consilium/federation/policy"
import { epsilonAfter, isPrivate } from "@consilium/federation/privacy-plan"
import { studyDigest } from "@consilium/federation/study"
import { RdpAccountant } from "@consilium/privacy/rdp"
import { z } from "zod"
import { addedUp, type Spent } from "./ledger-budget.js"
import type { LifetimeReading } from "./ledger-lifetime.js"
import type { MonthReading, NotedCharge } from "./ledger-months.js"
import {
  chargedIn,
  type LedgerStudy,
  type LedgerWarning,
  ledgerWarnings,
  roomOf,
  type StudyForecast,
  sharedForecast,
  studyForecast,
  underWay,
} from "./ledger-outlook.js"
import type { PrivacyLedger } from "./privacy-ledger.js"

const whole = z.int().min(0)
const headSchema = z.object({ seq: whole, hash: z.string() })
/** JSON has no infinity: null where what was spent bounds nothing. */
const epsilonSchema = z.number().nullable()
const budgetSchema = z.object({ epsilon: z.number(), delta: z.number() })

const monthSchema = z.object({
  month: z.string(),
  updates: whole,
  epsilon: epsilonSchema,
  cap: budgetSchema,
  /** Who started the ledger anew in this month, and why: then all of it counts as spent. */
  beginning: z.object({ by: z.string(), reason: z.string() }).nullable(),
})

/** When a cap that all studies share is reached, at the pace of those under way. */
const capForecastSchema = z.object({
  /** Further rounds of all studies together; null where no pace is known yet. */
  rounds: whole.nullable(),
  reachedAt: z.iso.datetime().nullable(),
  /** What comes first: the cap, the plans' end, the month's end (`time`); or `unknown`. */
  by: z.enum(["cap", "planned", "time", "unknown"]),
})

const lifetimeSchema = z.object({
  epsilon: epsilonSchema,
  delta: z.number(),
  updates: whole,
  /** The first month that is known of. */
  since: z.string().nullable(),
  /** The policy's cap with what is spent of it; null for none. */
  cap: budgetSchema.extend({ spent: epsilonSchema }).nullable(),
  /** New beginnings: what was lost with them is not counted here. */
  beginnings: z.array(z.object({ month: z.string(), by: z.string(), reason: z.string() })),
  forecast: capForecastSchema.nullable(),
})

/** What one study spent on one purpose in one month. */
const spendingSchema = z.object({
  month: z.string(),
  study: z.string(),
  /** Null where the study is not known here any more. */
  name: z.string().nullable(),
  purpose: z.string(),
  updates: whole,
  steps: whole,
  /** Of these releases alone: parts do not add up to the whole. */
  epsilon: epsilonSchema,
  delta: z.number(),
})

const studySchema = z.object({
  id: z.string(),
  name: z.string(),
  state: z.enum(["running", "over", "stopped"]),
  updates: z.array(z.object({ month: z.string(), updates: whole })),
  spent: z.object({ epsilon: epsilonSchema, delta: z.number() }),
  /** The smaller of the study's own epsilon and the facility's cap for one study. */
  cap: budgetSchema,
  /** How many more rounds of a study that goes on fit, and what they are limited by. */
  room: z
    .object({
      rounds: whole,
      by: z.enum(["planned", "study-cap", "month-cap", "lifetime-cap", "ledger"]),
    })
    .nullable(),
  /** When a cap is reached, or all planned rounds are over, at the pace of the rounds so far. */
  forecast: z
    .object({
      roundsPerDay: z.number().nullable(),
      reachedAt: z.iso.datetime().nullable(),
      plannedUntil: z.iso.datetime().nullable(),
    })
    .nullable(),
})

const warningSchema = z.object({
  /** `share`: most of a budget is spent. `rounds`: hardly any further round fits. */
  kind: z.enum(["share", "rounds"]),
  cap: z.enum(["study", "month", "lifetime"]),
  study: z.string().nullable(),
  says: z.string(),
})

/** What is in a facility's privacy ledger, in plain JSON. */
export const ledgerReadingSchema = z.object({
  facility: z.string(),
  /** `compared`: the leader was asked in this run, and the ledger lacks nothing that it knows of. */
  state: z.enum(["compared", "not-compared", "rolled-back"]),
  problem: z.object({ code: z.string(), reason: z.string() }).nullable(),
  head: headSchema,
  certified: headSchema.nullable(),
  /** What the facility's policy allows. */
  caps: z.object({ study: budgetSchema, month: budgetSchema, lifetime: budgetSchema.nullable() }),
  thisMonth: monthSchema.extend({ forecast: capForecastSchema }),
  months: z.array(monthSchema),
  lifetime: lifetimeSchema,
  studies: z.array(studySchema),
  spending: z.array(spendingSchema),
  warnings: z.array(warningSchema),
})
export type LedgerReading = z.output<typeof ledgerReadingSchema>

export const finite = (epsilon: number): number | null => (Number.isFinite(epsilon) ? epsilon : null)

const timeOf = (at: number | null): string | null =>
  at === null || !(at < 8.64e15) ? null : new Date(at).toISOString()

const headOf = ({ seq, hash }: LedgerHead) => ({ seq, hash: toHex(hash) })

const monthOf = ({ month, updates, epsilon, cap, beginning }: MonthReading) => ({
  month,
  updates,
  epsilon: finite(epsilon),
  cap: { ...cap },
  beginning,
})

const capForecastOf = ({ rounds, reachedAt, by }: CapForecast) => ({
  rounds,
  reachedAt: timeOf(reachedAt),
  by,
})

const lifetimeOf = ({ epsilon, cap, beginnings, ...rest }: LifetimeReading) => ({
  ...rest,
  epsilon: finite(epsilon),
  cap: cap && { ...cap, spent: finite(cap.spent) },
  beginnings: [...beginnings],
})

const forecastOf = ({ roundsPerDay, reachedAt, plannedUntil }: StudyForecast) => ({
  roundsPerDay,
  reachedAt: timeOf(reachedAt),
  plannedUntil: timeOf(plannedUntil),
})

const releasesOf = ({ charge }: NotedCharge): Spent => ({ event: toHex(charge.event), steps: charge.steps })

/** Who spent how much on what, by month, study and purpose. */
const spendingOf = (
  charges: readonly NotedCharge[],
  names: ReadonlyMap<string, string>,
): LedgerReading["spending"] => {
  const groups = new Map<string, NotedCharge[]>()
  for (const one of charges) {
    const name = `${one.charge.place.month}/${one.study}/${purposeOf(one.charge)}`
    const group = groups.get(name) ?? []
    group.push(one)
    groups.set(name, group)
  }
  return [...groups.values()].map((group) => {
    const [{ study, charge }] = group as [NotedCharge]
    let spent = new RdpAccountant()
    for (const { event, steps } of addedUp(group.map(releasesOf))) spent = spent.compose(event, steps)
    return {
      month: charge.place.month,
      study,
      name: names.get(study) ?? null,
      purpose: purposeOf(charge),
      updates: group.length,
      steps: group.reduce((sum, one) => sum + one.charge.steps, 0),
      epsilon: finite(spent.getEpsilon(charge.delta)),
      delta: charge.delta,
    }
  })
}

const warningsOf = (warnings: readonly LedgerWarning[]): LedgerReading["warnings"] =>
  warnings.map(({ kind, cap, study, says }) => ({ kind, cap, study, says }))

/** What a facility's status says of its budgets. */
export const ledgerStatus = (
  ledger: PrivacyLedger,
  policy: LocalPolicy,
  studies: readonly LedgerStudy[],
): LedgerReading["months"][number] &
  Pick<LedgerReading, "problem" | "warnings"> & {
    readonly lifetime: Omit<LedgerReading["lifetime"], "forecast">
  } => ({
  ...monthOf(ledger.month()),
  lifetime: lifetimeOf(ledger.lifetime()),
  problem: ledger.problem,
  warnings: warningsOf(ledgerWarnings(ledger, policy, underWay(studies))),
})

/** Reads a ledger that holds what all the given studies have spent. */
export const ledgerReading = (
  name: string,
  ledger: PrivacyLedger,
  studies: readonly LedgerStudy[],
  policy: LocalPolicy,
): LedgerReading => {
  const charges = ledger.charges()
  const known = studies.filter(({ study }) => isPrivate(study))
  const going = underWay(studies)
  const problem = ledger.problem
  const running = known.filter(({ state }) => state === "running")
  const isCompared =
    running.length > 0 && running.every(({ study }) => ledger.isCompared(toHex(studyDigest(study))))
  const names = new Map(known.map(({ study }) => [toHex(studyDigest(study)), study.name]))
  const spending = spendingOf(charges, names)
  return {
    facility: name,
    state: problem !== null ? "rolled-back" : isCompared ? "compared" : "not-compared",
    problem,
    head: headOf(ledger.head),
    certified: ledger.certified && headOf(ledger.certified),
    caps: { lifetime: null, ...policy.privacy },
    thisMonth: {
      ...monthOf(ledger.month()),
      forecast: capForecastOf(sharedForecast(ledger, policy, going, "month")),
    },
    months: ledger.months().map(monthOf),
    lifetime: {
      ...lifetimeOf(ledger.lifetime()),
      forecast: ledger.lifetimeCap && capForecastOf(sharedForecast(ledger, policy, going, "lifetime")),
    },
    studies: known.flatMap(({ study, state, round }) => {
      if (!isPrivate(study)) return []
      const id = toHex(studyDigest(study))
      const own = charges.filter((one) => one.study === id)
      const { training, figures } = chargedIn(ledger, study)
      const { epsilon, delta } = study.privacy
      const room = state === "over" ? null : roomOf(ledger, policy, { study, round })
      return [
        {
          id,
          name: study.name,
          state,
          updates: [...new Set(own.map(({ charge }) => charge.place.month))].sort().map((month) => ({
            month,
            updates: own.filter(({ charge }) => charge.place.month === month).length,
          })),
          spent: { epsilon: finite(epsilonAfter(study, training.length, figures)), delta },
          cap: { epsilon: Math.min(epsilon, policy.privacy.study.epsilon), delta },
          room,
          forecast: room && forecastOf(studyForecast(ledger, { study, round }, room)),
        },
      ]
    }),
    spending,
    warnings: warningsOf(ledgerWarnings(ledger, policy, going)),
  }
}
