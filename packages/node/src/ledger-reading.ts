import { toHex } from "@consilium/base/bytes"
import type { LedgerHead } from "@consilium/federation/ledger-chain"
import { type LocalPolicy, refusePrivacy } from "@consilium/federation/policy"
import { epsilonAfter, isPrivate, type PrivateStudy, stepEvent } from "@consilium/federation/privacy-plan"
import { type Study, studyDigest } from "@consilium/federation/study"
import { z } from "zod"
import type { MonthReading } from "./ledger-months.js"
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

const studySchema = z.object({
  id: z.string(),
  name: z.string(),
  state: z.enum(["running", "over", "stopped"]),
  updates: z.array(z.object({ month: z.string(), updates: whole })),
  spent: z.object({ epsilon: epsilonSchema, delta: z.number() }),
  /** The smaller of the study's own epsilon and the facility's cap for one study. */
  cap: budgetSchema,
  /** How many more rounds of a study that goes on fit, and what they are limited by. */
  room: z.object({ rounds: whole, by: z.enum(["planned", "study-cap", "month-cap", "ledger"]) }).nullable(),
})

/** What is in a facility's privacy ledger, in plain JSON. */
export const ledgerReadingSchema = z.object({
  facility: z.string(),
  /** `compared`: the leader was asked in this run, and the ledger lacks nothing that it knows of. */
  state: z.enum(["compared", "not-compared", "rolled-back"]),
  problem: z.object({ code: z.string(), reason: z.string() }).nullable(),
  head: headSchema,
  certified: headSchema.nullable(),
  thisMonth: monthSchema,
  months: z.array(monthSchema),
  studies: z.array(studySchema),
})
export type LedgerReading = z.output<typeof ledgerReadingSchema>

/** A study of the facility, as far as whoever reads the ledger knows it. */
export interface LedgerStudy {
  readonly study: Study
  readonly state: "running" | "over" | "stopped"
  /** The last round that was announced here. */
  readonly round: number
}

const finite = (epsilon: number): number | null => (Number.isFinite(epsilon) ? epsilon : null)

const headOf = ({ seq, hash }: LedgerHead) => ({ seq, hash: toHex(hash) })

const monthOf = ({ month, updates, epsilon, cap, beginning }: MonthReading) => ({
  month,
  updates,
  epsilon: finite(epsilon),
  cap: { ...cap },
  beginning,
})

type Room = NonNullable<LedgerReading["studies"][number]["room"]>

/** How many more rounds of a study fit, if no other study spends meanwhile. */
const roomOf = (
  ledger: PrivacyLedger,
  study: PrivateStudy,
  spent: number,
  round: number,
  policy: LocalPolicy,
): Room => {
  const left = Math.max(0, study.rounds - round)
  if (ledger.problem !== null) return { rounds: 0, by: "ledger" }
  let within = 0
  while (
    within < left &&
    refusePrivacy(policy, study, { rounds: spent + within, preparation: "declared" }) === null
  )
    within += 1
  const rounds = ledger.room(stepEvent(study), study.training.steps, within)
  return { rounds, by: rounds < within ? "month-cap" : within < left ? "study-cap" : "planned" }
}

/** Reads a ledger that holds what all the given studies have spent. */
export const ledgerReading = (
  name: string,
  ledger: PrivacyLedger,
  studies: readonly LedgerStudy[],
  policy: LocalPolicy,
): LedgerReading => {
  const updates = ledger.updates()
  const known = studies.filter(({ study }) => isPrivate(study))
  const updatesOf = (id: string) =>
    updates.flatMap((one) => (one.study === id ? [{ month: one.month, updates: one.updates }] : []))
  const problem = ledger.problem
  const running = known.filter(({ state }) => state === "running")
  const isCompared =
    running.length > 0 && running.every(({ study }) => ledger.isCompared(toHex(studyDigest(study))))
  return {
    facility: name,
    state: problem !== null ? "rolled-back" : isCompared ? "compared" : "not-compared",
    problem,
    head: headOf(ledger.head),
    certified: ledger.certified && headOf(ledger.certified),
    thisMonth: monthOf(ledger.month()),
    months: ledger.months().map(monthOf),
    studies: known.flatMap(({ study, state, round }) => {
      if (!isPrivate(study)) return []
      const id = toHex(studyDigest(study))
      const own = updatesOf(id)
      const spent = own.reduce((sum, one) => sum + one.updates, 0)
      const { epsilon, delta } = study.privacy
      return [
        {
          id,
          name: study.name,
          state,
          updates: own,
          spent: { epsilon: spent === 0 ? 0 : finite(epsilonAfter(study, spent)), delta },
          cap: { epsilon: Math.min(epsilon, policy.privacy.study.epsilon), delta },
          room: state === "over" ? null : roomOf(ledger, study, spent, round, policy),
        },
      ]
    }),
  }
}
