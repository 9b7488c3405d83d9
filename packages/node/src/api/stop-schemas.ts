import { z } from "zod"
import { oneLine } from "../one-line.js"

/** A person's decision to end a study: who, and why, in their own words. */
export const stopDecisionSchema = z.strictObject({ by: oneLine(64), reason: oneLine(768) })
export type StopDecision = z.output<typeof stopDecisionSchema>

/** The same as a request: without a name it is taken by whoever sent it. */
export const stopRequestSchema = stopDecisionSchema.partial({ by: true })

const hash = z.string().regex(/^[0-9a-f]{64}$/)
/** The decision that a study was ended by, and what is left of it. */
export const stoppedSchema = z.strictObject({
  id: hash,
  name: z.string(),
  /** Rounds that are closed, and the model that they led to. */
  closedRounds: z.int().min(0),
  modelHash: hash,
  by: z.string(),
  /** What the leader knew them by: a token's name, its own machine, its admin socket. */
  via: z.string(),
  reason: z.string(),
})
export type Stopped = z.output<typeof stoppedSchema>
