import { fromHex, toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import { ledgerEntryOf, purposeOf } from "@consilium/federation/charge"
import { ledgerEntryHash } from "@consilium/federation/ledger-chain"
import { studyDigest } from "@consilium/federation/study"
import { dpEventCodec } from "@consilium/privacy/event-codec"
import { eventText } from "@consilium/privacy/event-text"
import { z } from "zod"
import type { LedgerStudy } from "./ledger-outlook.js"
import type { PrivacyLedger } from "./privacy-ledger.js"

const whole = z.int().min(0)
const place = {
  /** Its number in the chain, and the hashes that make it one: of this entry, and of the one before it. */
  seq: whole,
  hash: z.string(),
  previous: z.string(),
  month: z.string(),
  /** When it was logged; null where that is not known. */
  at: z.iso.datetime().nullable(),
}

export const ledgerEntrySchema = z.discriminatedUnion("type", [
  z.object({
    ...place,
    type: z.literal("charge"),
    study: z.string(),
    /** Null where the study is not known here any more. */
    name: z.string().nullable(),
    purpose: z.string(),
    round: whole,
    attempt: whole,
    /** Releases of `event`. */
    steps: whole,
    /** What each of them did, in words with its exact parameters, and as data. */
    mechanism: z.string(),
    event: z.looseObject({ type: z.string() }),
    /** Spent in this study up to and with this charge; null without bound. */
    epsilon: z.number().nullable(),
    delta: z.number(),
    /** Its noise follows from a public number, so it protects nobody. */
    insecureSeed: z.boolean(),
  }),
  z.object({ ...place, type: z.literal("reset"), by: z.string(), reason: z.string() }),
])
export type ShownLedgerEntry = z.output<typeof ledgerEntrySchema>
export type ShownCharge = Extract<ShownLedgerEntry, { type: "charge" }>

export const ledgerPageSchema = z.object({
  entries: z.array(ledgerEntrySchema),
  /** How many there are in all. */
  total: whole,
})

/** Most entries in one answer: a line of an admin socket has an end. */
const PAGE = 2000

const timeOf = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString())

/** Every entry of a ledger, in its order. */
const entriesOf = (ledger: PrivacyLedger, studies: readonly LedgerStudy[]): readonly ShownLedgerEntry[] => {
  const names = new Map(studies.map(({ study }) => [toHex(studyDigest(study)), study.name]))
  const charges = ledger.charges().map(({ study, charge, at }): ShownLedgerEntry => {
    const event = decode(dpEventCodec, charge.event)
    return {
      type: "charge",
      seq: charge.place.seq,
      hash: toHex(ledgerEntryHash(ledgerEntryOf(fromHex(study), charge))),
      previous: toHex(charge.place.previous),
      month: charge.place.month,
      at: timeOf(at),
      study,
      name: names.get(study) ?? null,
      purpose: purposeOf(charge),
      round: charge.round,
      attempt: charge.attempt,
      steps: charge.steps,
      mechanism: eventText(event),
      event: { ...event },
      epsilon: Number.isFinite(charge.epsilon) ? charge.epsilon : null,
      delta: charge.delta,
      insecureSeed: charge.insecureSeed,
    }
  })
  const resets = ledger.beginnings().flatMap(({ entry, at }): readonly ShownLedgerEntry[] => {
    if (entry.what.type !== "reset") return []
    const { seq, previous, month } = entry.place
    const { by, reason } = entry.what
    const hash = toHex(ledgerEntryHash(entry))
    return [{ type: "reset", seq, hash, previous: toHex(previous), month, at: timeOf(at), by, reason }]
  })
  return [...charges, ...resets].sort((a, b) => a.seq - b.seq)
}

/** A part of a ledger's entries, from the `from`th on. */
export const ledgerPage = (
  ledger: PrivacyLedger,
  studies: readonly LedgerStudy[],
  from: number,
): z.output<typeof ledgerPageSchema> => {
  const all = entriesOf(ledger, studies)
  return { entries: all.slice(from, from + PAGE), total: all.length }
}
