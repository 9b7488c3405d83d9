import { z } from "zod"
import { problemSchema } from "../api/schemas.js"
import type { BatchView } from "./batches.js"

/** What the routes of encrypted inference take and give as JSON. Hashes have 64 hexadecimal digits, times are UTC ISO-8601. */

const hash = z.string().regex(/^[0-9a-f]{64}$/)
const whole = z.int().min(0)
const time = z.string().regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/)

export const servedModelSchema = z.strictObject({
  id: z.string(),
  /** Whether it can be asked now. */
  offered: z.boolean(),
  /** Why not, and what to do about it. */
  why: z.string().nullable(),
  version: z.string().nullable(),
  plan: hash.nullable(),
  kind: z.enum(["linear", "network"]).nullable(),
  weights: z.enum(["shared", "kept"]).nullable(),
  packing: z.string().nullable(),
  /** Patients in one request, at most. */
  patients: whole.nullable(),
  requestBytes: whole.nullable(),
  answerBytes: whole.nullable(),
  /** Null where an asker uploads no key. */
  keyBytes: whole.nullable(),
  /** Answers that the caller may still have; null where they are not counted. */
  answersLeft: whole.nullable(),
  /** The study that trained it; null where it was compiled by hand. */
  source: z.strictObject({ study: hash.nullable(), round: whole.nullable() }),
  marks: z.array(z.string()),
  since: time,
})
export type ServedModelView = z.output<typeof servedModelSchema>

export const servedModelsSchema = z.strictObject({ models: z.array(servedModelSchema) })

export const contextSchema = z.strictObject({
  model: z.string(),
  version: z.string(),
  plan: hash,
  scheme: z.literal("CKKS"),
  degree: whole,
  primes: z.array(whole),
  /** Unit values are multiplied by two to this power before they are encrypted. */
  scaleBits: whole,
  formats: z.strictObject({ plan: whole, message: whole }),
})

export const nonceSchema = z.strictObject({ nonce: hash, expires: time })
export const uploadedSchema = z.strictObject({ key: hash })

export const batchSchema = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  model: z.string(),
  plan: hash,
  state: z.enum(["waiting", "running", "done", "failed"]),
  requests: whole,
  answered: whole,
  expires: time,
  problem: problemSchema.nullable(),
}) satisfies z.ZodType<BatchView>

export const modelParams = z.strictObject({ id: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/) })
export const batchParams = modelParams.extend({ batch: z.string().regex(/^[0-9a-f]{32}$/) })
export const contextQuery = z.strictObject({
  model: modelParams.shape.id.optional(),
  plan: hash.optional(),
})
