import { z } from "zod"
import { privacyConfigSchema } from "../config/privacy-config.js"
import { studyFileSchema } from "../config/study-file.js"
import type {
  BudgetView,
  CeremonyView,
  EvaluationView,
  EventView,
  FiguresView,
  GroupFiguresView,
  KeysView,
  MetricsView,
  ModelView,
  ProblemView,
  StudySummary,
  StudyView,
  SubgroupView,
} from "./study-view.js"

/** What the API takes and gives, in the one form that checks requests, writes openapi.json and tests answers. */

const hash = z.string().regex(/^[0-9a-f]{64}$/)
const id = z.string().regex(/^[0-9a-f]{32}$/)
const time = z.string().regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/)
const name = z.string()
const whole = z.int().min(0)
const figure = z.number().nullable()
const state = z.enum(["waiting", "running", "complete", "aborted"])
const bytes = z.strictObject({ update: whole, relayed: whole, opening: whole, metadata: whole })
const phase = z.enum([
  "collecting",
  "locked",
  "challenged",
  "certifying",
  "opening",
  "validating",
  "closed",
  "void",
])

const metrics = z.strictObject({
  facility: name,
  rows: whole,
  accuracy: figure,
  balancedAccuracy: figure,
  auc: figure,
  logLoss: figure,
}) satisfies z.ZodType<MetricsView>

const groupFigures = z.strictObject({
  rows: whole,
  positives: whole,
  accuracy: z.number(),
  balancedAccuracy: z.number(),
  auc: z.number(),
  logLoss: z.number(),
}) satisfies z.ZodType<GroupFiguresView>

/** The same in the API, in `outcome.json` and on a model's card. */
export const subgroupViewSchema = z.strictObject({
  feature: name,
  groups: z.array(
    z.strictObject({
      group: name,
      facilities: z.array(z.strictObject({ facility: name, figures: groupFigures.nullable() })),
      all: groupFigures.nullable(),
    }),
  ),
}) satisfies z.ZodType<SubgroupView>

const lane = z.strictObject({
  name,
  steps: z.array(z.strictObject({ step: z.string(), at: time, detail: z.string().nullable() })),
})

const attempt = <P extends z.ZodType>(phase: P) => ({
  attempt: whole,
  phase,
  reason: z.string().nullable(),
  startedAt: time,
  endedAt: time.nullable(),
  phases: z.array(z.strictObject({ phase, at: time })),
  lanes: z.array(lane),
})

const round = z.strictObject({
  round: whole,
  ...attempt(phase),
  cohort: z.array(name),
  openers: z.array(name),
  modelHash: hash.nullable(),
  metrics: z.array(metrics),
})

const participant = z.strictObject({
  id,
  name,
  role: z.enum(["authority", "leader", "fog", "facility"]),
  parent: name.nullable(),
  joinedAtRound: whole,
  leftAfterRound: whole.nullable(),
  lastHeardAt: time.nullable(),
})

const ceremony = z.strictObject({
  epoch: whole,
  round: whole,
  cause: z.string(),
  ...attempt(z.enum(["collecting", "locked", "challenged", "testing", "certifying", "held", "void"])),
  tested: z.array(name),
  openers: z.array(name),
  dealers: z.array(name),
  signers: z.array(name),
}) satisfies z.ZodType<CeremonyView>

/** The same in the API, over the admin socket and on the command line. */
export const keysViewSchema = z.strictObject({
  scheme: z.strictObject({
    name: z.enum(["CKKS", "BFV"]),
    degree: whole,
    primes: whole,
    modulusBits: z.number(),
    lanes: whole,
    laneBits: whole,
    polynomials: whole,
    updateBytes: whole,
    bytesPerValue: z.number(),
    securityBits: whole,
    floodingBits: whole,
    because: z.array(z.string()),
  }),
  epoch: whole,
  dealers: z.array(name),
  holders: z.array(name),
  leftOut: z.array(z.strictObject({ name, why: z.string(), returns: z.boolean() })),
  openings: z.strictObject({ used: whole, left: whole }),
  since: time.nullable(),
  ends: time.nullable(),
  wanted: z.string().nullable(),
  ceremonies: z.array(ceremony),
}) satisfies z.ZodType<KeysView>

/** The same in the API, in `outcome.json` and on a model's card. */
export const evaluationViewSchema = z.strictObject({
  round: whole,
  facilities: z.array(name),
  rows: whole,
  positives: whole,
  noise: z.number(),
  accuracy: figure,
  balancedAccuracy: figure,
  auc: figure,
  aucError: figure,
  logLoss: figure,
  brier: figure,
  roc: z.array(z.strictObject({ falsePositives: z.number(), truePositives: z.number() })),
  calibration: z.array(z.strictObject({ predicted: z.number(), observed: z.number(), rows: z.number() })),
}) satisfies z.ZodType<EvaluationView>

const figures = z.strictObject({
  attempts: z.array(
    z.strictObject({
      purpose: z.enum(["statistics", "evaluation"]),
      round: whole,
      ...attempt(phase),
      cohort: z.array(name),
      openers: z.array(name),
    }),
  ),
  statistics: z
    .strictObject({
      rows: whole,
      positives: whole,
      noise: z.number(),
      features: z.array(
        z.strictObject({
          feature: z.string(),
          mean: figure,
          deviation: figure,
          quartiles: z.array(z.number()).nullable(),
          histogram: z.array(z.strictObject({ from: z.number(), to: z.number(), rows: z.number() })),
        }),
      ),
    })
    .nullable(),
  evaluations: z.array(evaluationViewSchema),
}) satisfies z.ZodType<FiguresView>

const budget = z.strictObject({
  epsilon: z.number(),
  delta: z.number(),
  unit: z.enum(["patient", "facility"]),
  noise: z.enum(["local", "sum"]),
  noiseMultiplier: z.number(),
  maxGradNorm: z.number(),
  sampleRate: z.number(),
  releasesPerRound: whole,
  mechanism: z.string(),
  exactMetrics: z.boolean(),
  roundsPerDay: figure,
  facilities: z.array(
    z.strictObject({
      facility: name,
      epsilon: z.number(),
      updates: whole,
      room: z.strictObject({ rounds: whole, by: z.enum(["planned", "budget"]) }).nullable(),
      reachedAt: time.nullable(),
      warnings: z.array(z.string()),
    }),
  ),
}) satisfies z.ZodType<BudgetView>

export const studyViewSchema = z.strictObject({
  id: hash,
  name,
  state,
  reason: z.string().nullable(),
  protection: z.string(),
  strategy: z.string(),
  model: z.strictObject({ kind: z.string(), features: z.array(z.string()), parameters: whole }),
  plannedRounds: whole,
  cohort: z.strictObject({ smallest: whole, threshold: whole, colluders: whole }),
  marks: z.array(z.string()),
  startedAt: time.nullable(),
  updatedAt: time.nullable(),
  log: z.strictObject({ events: whole, head: hash }),
  participants: z.array(participant),
  edges: z.array(z.strictObject({ from: name, to: name, carries: z.array(z.string()), bytes })),
  rounds: z.array(round),
  figures,
  keys: keysViewSchema.nullable(),
  regions: z.array(z.strictObject({ fog: name, facilities: z.array(name), bytes })),
  finals: z.array(
    z.strictObject({ facility: name, global: metrics.nullable(), personal: metrics.nullable() }),
  ),
  subgroups: z.array(subgroupViewSchema),
  privacy: z.array(z.strictObject({ facility: name, epsilon: figure, delta: figure })),
  budget: budget.nullable(),
  security: z.array(z.strictObject({ at: time, code: z.string(), about: z.string() })),
}) satisfies z.ZodType<StudyView>

const summary = z.strictObject({
  id: hash,
  name,
  state,
  protection: z.string(),
  plannedRounds: whole,
  closedRounds: whole,
  startedAt: time.nullable(),
  updatedAt: time.nullable(),
  events: whole,
}) satisfies z.ZodType<StudySummary>
export const studyListSchema = z.strictObject({ studies: z.array(summary) })

export const eventSchema = z.strictObject({
  study: hash,
  seq: whole,
  at: time,
  type: z.string(),
  actor: z.string(),
  says: z.string(),
}) satisfies z.ZodType<EventView>
export const eventListSchema = z.strictObject({
  events: z.array(eventSchema),
  /** Number of the log's last event. */
  length: whole,
})

const model = z.strictObject({
  hash,
  round: whole,
  attempt: whole,
  closedAt: time,
  cohort: z.array(name),
}) satisfies z.ZodType<ModelView>
export const modelListSchema = z.strictObject({ models: z.array(model) })

export const startedSchema = z.strictObject({ id: hash, name })
export type Started = z.output<typeof startedSchema>

export const problemSchema = z.strictObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  remedy: z.string(),
}) satisfies z.ZodType<ProblemView>

export const privacyKinds = ["differential", "homomorphic", "mpc", "combined"] as const
export type PrivacyKind = (typeof privacyKinds)[number]
/** A kind of privacy by its name, or the content of a privacy_config.yaml. */
export const trainingRequestSchema = z.strictObject({
  privacy: z.union([z.enum(privacyKinds), privacyConfigSchema]),
})

/** `study.yaml`; its participants may be left out, and so may the nonce, which is then drawn. */
export const studyRequestSchema = studyFileSchema.extend({
  nonce: studyFileSchema.shape.nonce.optional(),
  participants: studyFileSchema.shape.participants.optional(),
})
export type StudyRequest = z.output<typeof studyRequestSchema>

/** A study's whole id, or its first 16 digits. */
const study = z.string().regex(/^[0-9a-f]{16}([0-9a-f]{48})?$/)
const count = (least: number, most: number, otherwise: number) =>
  z
    .string()
    .regex(/^\d{1,16}$/)
    .transform(Number)
    .pipe(z.int().min(least).max(most))
    .default(otherwise)

export const studyParams = z.strictObject({ id: study })
export const modelParams = z.strictObject({ id: study, hash })
export const noQuery = z.strictObject({})
export const eventsQuery = z.strictObject({
  after: count(0, Number.MAX_SAFE_INTEGER, 0),
  limit: count(1, 1000, 200),
})
const position = z.string().max(8192)
export const streamQuery = z.strictObject({ study: study.optional(), after: position.optional() })
