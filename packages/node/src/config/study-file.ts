import { fromHex, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { hash } from "@consilium/base/hash"
import { utf8 } from "@consilium/base/platform"
import { MAX_CUTS, MAX_SUBGROUPS } from "@consilium/federation/reporting"
import { participantId } from "@consilium/federation/roster"
import {
  checkStudy,
  defaultCohort,
  defaultKeys,
  PROTECTIONS,
  PROTOCOL_VERSION,
  type Study,
} from "@consilium/federation/study"
import { checkSums, checkTree } from "@consilium/federation/study-tree"
import { RING_DEGREES } from "@consilium/federation/sums/ring-rules"
import { stringify } from "yaml"
import { z } from "zod"
import { studyDataOf, studyDataSchema } from "./study-data.js"
import { evaluationSchema, statisticsSchema, studyFiguresOf } from "./study-figures.js"
import { studyModelOf, studyModelSchema } from "./study-model.js"
import { studyPrivacyOf, studyPrivacySchema } from "./study-privacy.js"

const count = z.int().min(0)
const participant = z.strictObject({
  name: z.string(),
  role: z.enum(["leader", "fog", "facility"]),
  parent: z.string().nullable().default(null),
})

/** `study.yaml`: what is trained, by whom and under which rules. Times are in seconds. */
export const studyFileSchema = z.strictObject({
  name: z.string().min(1).max(64),
  /** 32 bytes in hexadecimal that make this study unlike any other. */
  nonce: z.string().regex(/^[0-9a-f]{64}$/),
  model: studyModelSchema,
  training: z.strictObject({
    /** Of a network's local steps; a logistic regression takes plain ones. */
    optimiser: z.enum(["sgd", "momentum", "adam"]).default("sgd"),
    learning_rate: z.number().positive().default(0.01),
    steps: z.int().min(1).default(100),
    batch_size: z.int().min(1).default(4),
    fine_tune_steps: count.default(0),
    fine_tune_learning_rate: z.number().positive().default(0.01),
    /** Weight of the term that holds local steps near the round's model, mu of FedProx; 0 for none. */
    proximal_mu: z.number().min(0).default(0),
    /** `scaffold`: control variates correct the drift of local steps, where facilities differ. */
    correction: z.enum(["none", "scaffold"]).default("none"),
    /** A model of each facility's own beside the common one, which never leaves it; null for none. */
    ditto: z
      .strictObject({
        /** Weight of its pull towards the round's model; 0 trains it apart from everybody. */
        lambda: z.number().min(0).default(0.5),
        /** Its steps in every round, and their rate. */
        steps: z.int().min(1).default(100),
        learning_rate: z.number().positive().default(0.01),
      })
      .nullable()
      .default(null),
  }),
  server: z.strictObject({
    strategy: z.enum(["fedavg", "fedavgm", "fedadam", "fedyogi", "fedadagrad"]).default("fedavg"),
    learning_rate: z.number().positive().default(1),
    /** With fedavgm: its momentum. */
    beta1: z.number().min(0).lt(1).default(0.9),
    beta2: z.number().min(0).lt(1).default(0.999),
    tau: z.number().positive().default(1e-8),
  }),
  quantisation: z
    .strictObject({
      clip_norm: z.number().positive().default(1),
      fraction_bits: z.int().min(1).max(30).default(14),
      weights: z.enum(["equal", "exact"]).default("exact"),
      largest_weight: z.int().min(1).default(512),
    })
    .prefault({}),
  rounds: z.int().min(1),
  attempts: z.int().min(1).max(100).default(3),
  protection: z.enum(PROTECTIONS).default("ckks"),
  /** How long the keys of an epoch are used, under ckks and bfv: openings and days, whichever comes first. */
  keys: z
    .strictObject({ openings: z.int().min(1).optional(), days: z.int().min(1).max(3650).default(30) })
    .optional(),
  /** What encryption has at least, under ckks and bfv; 0 for as little as the study's numbers need. */
  ring: z
    .strictObject({
      /** Degree of the ring: 1024, 2048, 4096, 8192 or 16384. */
      degree: z.literal([0, ...RING_DEGREES]).default(0),
      /** Bits of the modulus. */
      modulus_bits: z.int().min(0).max(430).default(0),
      /** With ckks: bits of the number that values are scaled by. */
      scale_bits: z.int().min(0).max(56).default(0),
    })
    .nullable()
    .default(null),
  cohort: z.strictObject({ smallest: z.int(), threshold: z.int(), colluders: z.int().min(0) }).optional(),
  validation: z.enum(["off", "report"]).default("report"),
  /** What facilities that send figures tell of the last model beside them. */
  reporting: z
    .strictObject({
      /** Figures by groups of patients; groups of fewer than 5 patients of either answer are hidden. */
      subgroups: z
        .array(
          z.strictObject({
            feature: z.string().min(1).max(64),
            /** Where a group ends and the next begins, in the records' units; none for a feature of 0 and 1. */
            cuts: z.array(z.number()).max(MAX_CUTS).default([]),
            /** What the groups are called; none to call them by their values. */
            names: z
              .array(z.string().min(1).max(64))
              .max(MAX_CUTS + 1)
              .default([]),
          }),
        )
        .max(MAX_SUBGROUPS)
        .default([]),
    })
    .prefault({}),
  deadlines: z
    .strictObject({ collect: z.number().positive().default(60), answer: z.number().positive().default(20) })
    .prefault({}),
  /** Differential privacy: null trains without. */
  privacy: studyPrivacySchema.nullable().default(null),
  /** What is counted of all patients together: before training, and of how the model does. */
  statistics: statisticsSchema,
  evaluation: evaluationSchema,
  data: studyDataSchema,
  insecure_seed: z.int().min(0).nullable().default(null),
  synthetic_data: z.boolean().default(false),
  participants: z.array(participant).min(1).max(4096),
})
export type StudyFile = z.output<typeof studyFileSchema>
export type StudyFileInput = z.input<typeof studyFileSchema>

/** The study's nonce in a seeded run. It does not depend on the protection, so neither does the model. */
export const seededNonce = (name: string, seed: number): string =>
  toHex(hash("insecure-study-nonce", utf8(name), utf8(String(seed))))

/** What a study's ring has at least, in the study's own form. */
export const studyRingOf = (ring: StudyFile["ring"]): Study["ring"] =>
  ring && { degree: ring.degree, modulusBits: ring.modulus_bits, scaleBits: ring.scale_bits }

const dittoOf = (file: StudyFile["training"]["ditto"]): Study["training"]["ditto"] =>
  file === null ? null : { lambda: file.lambda, steps: file.steps, learningRate: file.learning_rate }

/**
 * The study of its file, checked against the number of its facilities.
 * @throws {ConsiliumError} "config/invalid", "round/bad-study"
 */
export const studyOf = (file: StudyFile): Study => {
  const facilities = file.participants.filter((p) => p.role === "facility").length
  const leaders = file.participants.filter((p) => p.role === "leader").length
  if (leaders !== 1)
    throw new ConsiliumError("config/invalid", `participants: ${leaders} leaders are named; a study has one.`)
  const cohort = file.cohort
    ? { minCohort: file.cohort.smallest, threshold: file.cohort.threshold, colluders: file.cohort.colluders }
    : defaultCohort(facilities)
  const model = studyModelOf(file.model)
  const schema = file.data?.schema ?? null
  const budget = file.privacy && { epsilon: file.privacy.epsilon, delta: file.privacy.delta }
  const figures = studyFiguresOf(file, { model, cohort, rounds: file.rounds, schema, budget })
  const quiet: Omit<Study, "keys"> = {
    protocol: PROTOCOL_VERSION,
    nonce: fromHex(file.nonce),
    name: file.name,
    model,
    training: {
      loss: "binary-cross-entropy",
      optimiser: file.training.optimiser,
      learningRate: file.training.learning_rate,
      steps: file.training.steps,
      batchSize: file.training.batch_size,
      fineTuneSteps: file.training.fine_tune_steps,
      fineTuneLearningRate: file.training.fine_tune_learning_rate,
      proximalMu: file.training.proximal_mu,
      correction: file.training.correction,
      ditto: dittoOf(file.training.ditto),
    },
    server: {
      strategy: file.server.strategy,
      learningRate: file.server.learning_rate,
      beta1: file.server.beta1,
      beta2: file.server.beta2,
      tau: file.server.tau,
    },
    quantisation: {
      clipNorm: file.quantisation.clip_norm,
      fractionBits: file.quantisation.fraction_bits,
      weights: file.quantisation.weights,
      largestWeight: file.quantisation.weights === "equal" ? 1 : file.quantisation.largest_weight,
    },
    rounds: file.rounds,
    attempts: file.attempts,
    protection: file.protection,
    ring: studyRingOf(file.ring),
    cohort,
    validation: file.validation,
    reporting: file.reporting,
    deadlines: {
      collect: Math.round(1000 * file.deadlines.collect),
      answer: Math.round(1000 * file.deadlines.answer),
    },
    insecureSeed: file.insecure_seed,
    syntheticData: file.synthetic_data,
    ...figures,
    privacy: null,
    data: file.data === null ? null : studyDataOf(file.data, file.model.features),
  }
  const rules = {
    ...quiet,
    privacy: file.privacy === null ? null : studyPrivacyOf(file.privacy, quiet),
  }
  const keys = defaultKeys(rules, facilities)
  const { openings = keys?.openings, days = keys?.days } = file.keys ?? {}
  const study: Study = {
    ...rules,
    keys: openings === undefined || days === undefined ? null : { openings, days },
  }
  checkStudy(study, facilities)
  checkSums(study, facilities)
  checkTree(
    study,
    file.participants.map(({ name, role, parent }) => ({
      id: participantId(name),
      name,
      role,
      parent: parent === null ? null : participantId(parent),
    })),
  )
  return study
}

/** The text of a study file: every key, with its default where nothing else was said. */
export const studyFileText = (file: StudyFileInput): string =>
  `# What is trained, by whom and under which rules. Deadlines are in seconds; clip_norm is an L2 norm; largest_weight is in
# training rows. With privacy, training.batch_size is not used and weights must be equal. Sums are opened over at least cohort.smallest facilities, by any cohort.threshold of them.
${stringify(studyFileSchema.parse(file))}`
