import { z } from "zod"
import { keysViewSchema } from "../api/schemas.js"
import type { StudyView } from "../api/study-view.js"

// What leaders and facilities say of their studies' keys: who has them and for how long, never a key.

const whole = z.int().min(0)
const time = z.string()
const protection = z.string()

/** The keys of a study as its leader's log shows them. */
export const studyKeysSchema = z.strictObject({
  study: z.strictObject({ id: z.string(), name: z.string(), state: z.string() }),
  protection,
  /** Facilities in the study, and how many of them open a sum together. */
  facilities: whole,
  threshold: whole,
  /** Null where the protection needs none. */
  keys: keysViewSchema.nullable(),
})
export type StudyKeys = z.output<typeof studyKeysSchema>
export const leaderKeysSchema = z.strictObject({ studies: z.array(studyKeysSchema) })

export const studyKeysOf = ({
  id,
  name,
  state,
  protection,
  participants,
  cohort,
  keys,
}: StudyView): StudyKeys => ({
  study: { id, name, state },
  protection,
  facilities: participants.filter(
    ({ role, leftAfterRound }) => role === "facility" && leftAfterRound === null,
  ).length,
  threshold: cohort.threshold,
  keys: keys as StudyKeys["keys"],
})

/** What one facility holds of a study's keys. */
const heldSchema = z.strictObject({
  /** The epoch that it holds keys of; null where it holds none. */
  epoch: whole.nullable(),
  /** The last epoch that a ceremony began for; 0 before the first. */
  lastCeremony: whole,
  /** How far it is in a ceremony under way. */
  ceremony: z.string().nullable(),
  /** Whether its own key is among those of the epoch: without it none of its updates is in a sum. */
  own: z.boolean(),
  /** Keys of the epoch, and shares of them that it holds: with all of them it can help to open. */
  keys: whole,
  shares: whole,
  /** Sums that it may help to open by its own ledger of what the keys were used for; null without keys. */
  openingsLeft: whole.nullable(),
  /** Most sums and days that the study gives an epoch's keys. */
  lifetime: z.strictObject({ openings: whole, days: whole }),
  since: time.nullable(),
  ends: time.nullable(),
})
export type HeldKeys = z.output<typeof heldSchema>

export const facilityKeysSchema = z.strictObject({
  facility: z.string(),
  studies: z.array(
    z.strictObject({
      id: z.string(),
      name: z.string(),
      over: z.boolean(),
      protection,
      /** Null where the protection needs no keys. */
      held: heldSchema.nullable(),
    }),
  ),
})
export type FacilityKeys = z.output<typeof facilityKeysSchema>
