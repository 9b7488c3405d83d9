import { z } from "zod"

/** What must be remembered of askers, as JSON: which keys are whose, which nonces are used up, and how many answers each has had. */

const hash = z.string().regex(/^[0-9a-f]{64}$/)
const whole = z.int().min(0)

const keySchema = z.strictObject({
  id: hash,
  nonce: hash,
  asker: z.string().max(256),
  model: z.string().max(64),
  /** The plan that it was made for. */
  plan: hash,
})
export type KeptKey = z.output<typeof keySchema>

const spendingSchema = z.strictObject({
  asker: z.string().max(256),
  model: z.string().max(64),
  /** Answers that were given or set aside, over all versions of the model. */
  spent: whole,
})
export type Spending = z.output<typeof spendingSchema>

export const askingStateSchema = z.strictObject({
  format: z.literal("consilium-asking/1"),
  keys: z.array(keySchema),
  spendings: z.array(spendingSchema),
})
export type AskingState = z.output<typeof askingStateSchema>

export const NOTHING_ASKED: AskingState = { format: "consilium-asking/1", keys: [], spendings: [] }
