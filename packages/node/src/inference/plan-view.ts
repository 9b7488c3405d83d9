import { toHex } from "@consilium/base/bytes"
import type { Calibration } from "@consilium/inference/calibration/calibration"
import { type InferencePlan, planToBytes } from "@consilium/inference/plan/plan"
import type { PreparedPlan } from "@consilium/inference/wire/prepared-plan"
import { z } from "zod"

/** A plan as plain JSON, for people, pages and scripts; `bytes` are what requests are bound to. */

const hash = z.string().regex(/^[0-9a-f]{64}$/)
const whole = z.int().min(0)
const label = z.string().optional()

const fieldSchema = z.discriminatedUnion("type", [
  z.strictObject({
    name: z.string(),
    label,
    type: z.literal("number"),
    unit: z.string(),
    range: z.tuple([z.number(), z.number()]),
  }),
  z.strictObject({ name: z.string(), label, type: z.literal("boolean") }),
  z.strictObject({
    name: z.string(),
    label,
    type: z.literal("category"),
    categories: z.array(z.strictObject({ name: z.string(), value: z.number() })),
  }),
])

export const inputSchemaSchema = z.strictObject({
  fields: z.array(fieldSchema),
  columns: z.array(z.strictObject({ field: z.string(), equals: z.string().nullable() })),
})

export const calibrationSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("platt"), slope: z.number(), offset: z.number() }),
  z.strictObject({ type: z.literal("temperature"), temperature: z.number() }),
  z.strictObject({
    type: z.literal("isotonic"),
    thresholds: z.array(z.number()),
    probabilities: z.array(z.number()),
  }),
])

export const planViewSchema = z.strictObject({
  model: z.string(),
  version: z.string(),
  hash,
  /** The canonical bytes of the plan. */
  bytes: z.base64(),
  /** What must be known of every answer. */
  marks: z.array(z.string()),
  schema: inputSchemaSchema,
  weights: z.enum(["shared", "kept"]),
  packing: z.enum(["lr-coefficients", "slots-by-patient", "slots-by-feature"]),
  scheme: z.literal("CKKS"),
  degree: whole,
  primes: z.array(whole),
  modulusBits: whole,
  securityBits: z.literal(128),
  inputBits: whole,
  answerBits: whole,
  /** Patients in one request, at most. */
  patients: whole,
  requestBytes: whole,
  answerBytes: whole,
  /** Null where an asker uploads no key. */
  keyBytes: whole.nullable(),
  logitBound: z.number(),
  errorBound: z.number(),
  calibration: calibrationSchema.nullable(),
  /** What an answer tells the asker of the model, in plain words. */
  reveals: z.string(),
})
export type PlanView = z.output<typeof planViewSchema>

const calibrationView = (calibration: Calibration): z.output<typeof calibrationSchema> =>
  calibration.type === "isotonic"
    ? {
        type: "isotonic",
        thresholds: [...calibration.thresholds],
        probabilities: [...calibration.probabilities],
      }
    : calibration

const PATIENT_HIDDEN =
  "Of the patients the server learns how many there are and when somebody asks, nothing else."

/** What one answer tells where weights are shared. */
const TOLD_BY_ONE: Readonly<Record<PlanView["packing"], string>> = {
  "lr-coefficients": "every weight of the model can be computed from one answer",
  "slots-by-patient": "the sum of squares that the model is can be computed from one answer",
  "slots-by-feature": "nothing drowns what an answer holds of the weights beside its logit",
}

/** What an answer tells its asker of the model. */
export const revealedBy = ({ weights, packing, schema, errorBound }: InferencePlan): string => {
  if (weights === "kept")
    return (
      `An honest asker learns its logits, to within ${errorBound}, and nothing else of the weights; ${schema.columns.length + 1} ` +
      "exact answers together determine them. Whoever encrypts what is no patient can read weights out of answers: askers are " +
      `bound by budgets, rate limits and contracts. ${PATIENT_HIDDEN}`
    )
  return `The model is not hidden from askers: ${TOLD_BY_ONE[packing]}. Serve only models that are released or trained under differential privacy. ${PATIENT_HIDDEN}`
}

/** A plan in plain JSON. */
export const planView = ({
  plan,
  hash,
  parameters,
  requestBytes,
  answerBytes,
  takesKey,
  keyBytes,
}: PreparedPlan): PlanView => ({
  model: plan.model,
  version: plan.version,
  hash: toHex(hash),
  bytes: Buffer.from(planToBytes(plan)).toString("base64"),
  schema: {
    fields: plan.schema.fields.map((field) =>
      field.type === "number"
        ? { ...field, range: [...field.range] }
        : field.type === "category"
          ? { ...field, categories: [...field.categories] }
          : field,
    ),
    columns: [...plan.schema.columns],
  },
  marks: [...plan.marks],
  weights: plan.weights,
  packing: plan.packing,
  scheme: "CKKS",
  degree: plan.degree,
  primes: [...plan.primes],
  modulusBits: parameters.ring.modulus.toString(2).length,
  securityBits: 128,
  inputBits: plan.inputBits,
  answerBits: plan.answerBits,
  patients: plan.patients,
  requestBytes,
  answerBytes,
  keyBytes: takesKey ? keyBytes : null,
  logitBound: plan.logitBound,
  errorBound: plan.errorBound,
  calibration: plan.calibration === null ? null : calibrationView(plan.calibration),
  reveals: revealedBy(plan),
})
