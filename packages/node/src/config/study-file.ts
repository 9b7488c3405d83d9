import { fromHex, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { hash } from "@consilium/base/hash"
import { utf8 } from "@consilium/base/platform"
import { planNoise, type StudyPrivacy } from "@consilium/federation/privacy-plan"
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
import { stringify } from "yaml"
import { z } from "zod"
import { studyDataOf, studyDataSchema } from "./study-data.js"
import { declaredConstants } from "./table-form.js"

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
  model: z.strictObject({
    kind: z.literal("logistic-regression"),
    features: z.array(z.string().min(1).max(64)).min(1).max(4096),
  }),
  training: z.strictObject({
    learning_rate: z.number().positive().default(0.01),
    steps: z.int().min(1).default(100),
    batch_size: z.int().min(1).default(4),
    fine_tune_steps: count.default(0),
    fine_tune_learning_rate: z.number().positive().default(0.01),
    /** Weight of the term that holds local steps near the round's model, mu of FedProx; 0 for none. */
    proximal_mu: z.number().min(0).default(0),
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
  privacy: z
    .strictObject({
      /** Most that each facility may spend in this study, in nats at `delta`. */
      epsilon: z.number().positive(),
      delta: z.number().positive().lt(1).default(1e-5),
      /** Least noise: standard deviation / what one patient can move a sum. */
      noise_multiplier: z.number().positive().nullable().default(null),
      /** Whether noise is raised until all rounds fit; else facilities stop at epsilon. */
      calibrate: z.boolean().default(true),
      /** L2 norm to which a patient's gradient is clipped. */
      max_grad_norm: z.number().positive().default(1),
      /** Share of patients that a step draws; takes the place of training.batch_size. */
      sample_rate: z.number().positive().max(1).default(0.1),
      /** Whether figures on held-out patients may be sent without noise. */
      metrics: z.enum(["none", "exact"]).default("none"),
      /** Constants to standardise with; may be left out for features of a built-in schema, which have declared ones. */
      standardise: z
        .array(
          z.strictObject({
            feature: z.string().min(1).max(64),
            mean: z.number(),
            deviation: z.number().positive(),
          }),
        )
        .nullable()
        .default(null),
    })
    .nullable()
    .default(null),
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

type PrivacyFile = NonNullable<StudyFile["privacy"]>

/** The constants declared for features: those given, or those of a built-in schema. */
const constantsOf = (
  features: readonly string[],
  given: PrivacyFile["standardise"],
  schema: string | null,
): StudyPrivacy["standardise"] => {
  const known = given ?? declaredConstants(features, schema)
  return features.map((feature) => {
    const found = known.filter((one) => one.feature === feature)
    if (found.length !== 1)
      throw new ConsiliumError(
        "config/invalid",
        `privacy.standardise: ${found.length} pairs of mean and deviation are declared for the feature ${feature}; with differential privacy every feature has one.`,
      )
    const [{ mean, deviation }] = found as [(typeof known)[number]]
    return { mean, deviation }
  })
}

/**
 * How a study of these features and so many local steps in all adds noise: calibrated to its budget, at least the floor.
 * `schema` is the one that the study's tables follow, if it names any.
 * @throws {ConsiliumError} "config/invalid", "privacy/bad-parameter", "privacy/unreachable"
 */
export const studyPrivacyOf = (
  file: PrivacyFile,
  features: readonly string[],
  steps: number,
  schema: string | null = null,
): StudyPrivacy => {
  const { epsilon, delta, max_grad_norm: maxGradNorm, sample_rate: sampleRate, metrics } = file
  const { noiseMultiplier } = planNoise({
    epsilon,
    delta,
    maxGradNorm,
    sampleRate,
    floor: file.noise_multiplier,
    calibrate: file.calibrate,
    dimension: features.length + 1,
    steps,
  })
  const standardise = constantsOf(features, file.standardise, schema)
  return {
    epsilon,
    delta,
    unit: "patient",
    noise: "local",
    mechanism: "gaussian",
    clipping: { type: "flat" },
    patients: 0,
    noiseMultiplier,
    maxGradNorm,
    sampleRate,
    standardise,
    metrics,
  }
}

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
  const rules: Omit<Study, "keys"> = {
    protocol: PROTOCOL_VERSION,
    nonce: fromHex(file.nonce),
    name: file.name,
    model: file.model,
    training: {
      loss: "binary-cross-entropy",
      optimiser: "sgd",
      learningRate: file.training.learning_rate,
      steps: file.training.steps,
      batchSize: file.training.batch_size,
      fineTuneSteps: file.training.fine_tune_steps,
      fineTuneLearningRate: file.training.fine_tune_learning_rate,
      proximalMu: file.training.proximal_mu,
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
    cohort,
    validation: file.validation,
    reporting: file.reporting,
    deadlines: {
      collect: Math.round(1000 * file.deadlines.collect),
      answer: Math.round(1000 * file.deadlines.answer),
    },
    insecureSeed: file.insecure_seed,
    syntheticData: file.synthetic_data,
    privacy:
      file.privacy === null
        ? null
        : studyPrivacyOf(
            file.privacy,
            file.model.features,
            file.training.steps * file.rounds,
            file.data?.schema ?? null,
          ),
    data: file.data === null ? null : studyDataOf(file.data, file.model.features),
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
