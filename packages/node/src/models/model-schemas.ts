import { z } from "zod"
import { evaluationViewSchema, subgroupViewSchema } from "../api/schemas.js"
import { oneLine } from "../one-line.js"

/** The forms in which models are told of, as plain JSON. Hashes have 64 hexadecimal digits, times are UTC ISO-8601. */

const hash = z.string().regex(/^[0-9a-f]{64}$/)
const whole = z.int().min(0)
const figure = z.number().nullable()

export const decisionSchema = z.strictObject({
  round: z.int().min(1),
  by: oneLine(64),
  reason: oneLine(1024),
})
/** Which round's model is to be in use, by whom and why. */
export type Decision = z.output<typeof decisionSchema>

const releaseSchema = z.object({
  /** Number of the log's event. */
  event: whole,
  at: z.string(),
  round: whole,
  hash,
  by: z.string(),
  reason: z.string(),
})
export type ReleaseView = z.output<typeof releaseSchema>

const entrySchema = z.object({
  round: whole,
  attempt: whole,
  hash,
  closedAt: z.string(),
  /** Whose sum it comes from. */
  facilities: z.array(z.string()),
  /** Whether it is the one in use. */
  released: z.boolean(),
})
export type ModelEntry = z.output<typeof entrySchema>

const studySchema = z.object({ id: hash, name: z.string(), state: z.string() })

export const modelListSchema = z.object({
  study: studySchema,
  /** `insecure-seed`, `synthetic-data`: what must be known of every model of the study. */
  marks: z.array(z.string()),
  models: z.array(entrySchema),
  releases: z.array(releaseSchema),
})
export type ModelList = z.output<typeof modelListSchema>

const metricsSchema = z.object({
  facility: z.string(),
  rows: whole,
  accuracy: figure,
  balancedAccuracy: figure,
  auc: figure,
  logLoss: figure,
})

export const modelCardSchema = z.object({
  format: z.literal("consilium-model-card/1"),
  study: studySchema,
  model: entrySchema.extend({
    kind: z.string(),
    features: z.array(z.string()),
    parameters: whole,
    file: z.object({ sha256: hash, bytes: whole }).nullable(),
  }),
  /** Decisions about which model is in use, the last one last. */
  releases: z.array(releaseSchema),
  purpose: z.string(),
  data: z.object({
    facilities: z.array(
      z.object({
        name: z.string(),
        joined: whole,
        left: whole.nullable(),
        /** Whether its update is in the sum of this round. */
        inRound: z.boolean(),
        /** Rows it tested this model on, where it reports them. */
        testedRows: whole.nullable(),
      }),
    ),
    /** Rows that the facilities of this round trained on, in all; null where every facility weighs the same. */
    trainingRows: whole.nullable(),
    says: z.string(),
  }),
  training: z.object({
    plannedRounds: whole,
    closedRounds: whole,
    localSteps: whole,
    batchSize: whole,
    learningRate: z.number(),
    strategy: z.string(),
    serverLearningRate: z.number(),
    /** Weight of the proximal term of local steps; 0 for none. */
    proximalMu: z.number(),
    /** What corrects the drift of local steps. */
    correction: z.enum(["none", "scaffold"]),
    /** How facilities trained models of their own beside this one; null where they did not. */
    ditto: z.object({ lambda: z.number(), steps: whole, learningRate: z.number() }).nullable(),
    /** What the server keeps of the updates before, where it does plain averaging with momentum; null otherwise. */
    serverMomentum: figure,
    clipNorm: z.number(),
  }),
  protection: z.object({ name: z.string(), smallest: whole, threshold: whole, says: z.string() }),
  privacy: z.object({
    facilities: z.array(z.object({ facility: z.string(), epsilon: figure, delta: figure })),
    says: z.string(),
  }),
  metrics: z.object({
    facilities: z.array(metricsSchema),
    mean: z.object({ accuracy: figure, balancedAccuracy: figure, auc: figure }),
  }),
  /** By groups of patients, where the study declares any and this is the model that facilities tested at its end. */
  subgroups: z.array(subgroupViewSchema),
  /** This model on all held-out patients together; null where it was not evaluated so. */
  evaluation: evaluationViewSchema.nullable(),
  marks: z.array(z.string()),
  limits: z.array(z.string()),
  log: z.object({ events: whole, head: hash }),
  verify: z.object({ authority: hash, commands: z.array(z.string()) }),
})
export type ModelCard = z.output<typeof modelCardSchema>

/** Bytes of a model's file from some place on, and how many the whole file has. */
export const modelPieceSchema = z.object({ bytes: whole, base64: z.base64() })
export type ModelPiece = z.output<typeof modelPieceSchema>

export const releasedSchema = z.object({ round: whole, hash })
/** The model that is in use now. */
export type Released = z.output<typeof releasedSchema>
