import { ConsiliumError } from "@consilium/base/errors"
import type { NoiseChoice } from "@consilium/federation/plan-privacy"
import { type NoiseWanted, planNoise, type StudyPrivacy } from "@consilium/federation/privacy-plan"
import { parameterCount, type Study } from "@consilium/federation/study"
import { z } from "zod"
import { figuresBeside } from "./study-figures.js"
import { declaredConstants } from "./table-form.js"

const count = z.int().min(0)

/** How one patient's part in a step is bounded: its whole gradient, each layer's part, or by a bound that follows the norms. */
const clippingSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("flat") }),
  z.strictObject({
    kind: z.literal("per-layer"),
    /** L2 norms, one a layer; their squares add up to that of max_grad_norm. */
    norms: z.array(z.number().positive()).min(1).max(4096),
  }),
  z.strictObject({
    kind: z.literal("adaptive"),
    /** Share of patients whose gradients should be within the bound. */
    target_quantile: z.number().gt(0).lt(1).default(0.5),
    /** How fast the bound follows. */
    learning_rate: z.number().positive().default(0.2),
    /** Standard deviation of the noise on the number of patients within the bound. */
    count_sigma: z.number().positive(),
    /** L2 norms that the bound stays between. */
    minimum: z.number().positive().default(0.01),
    maximum: z.number().positive().default(100),
  }),
])

/** `privacy` of study.yaml. */
export const studyPrivacySchema = z.strictObject({
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
  /** Whether each facility's own figures on held-out patients may be sent without noise. */
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
  /** Whom the bound is about: one patient, or all that one facility contributes. */
  unit: z.enum(["patient", "facility"]).default("patient"),
  /** `local`: each facility adds all of the noise to its own steps; `sum`: each adds a share, and the sum has it all. */
  noise: z.enum(["local", "sum"]).default("local"),
  mechanism: z.enum(["gaussian", "laplace"]).default("gaussian"),
  clipping: clippingSchema.default({ kind: "flat" }),
  /** With noise on the sum over patients: patients of a facility on average, which the sum is divided by. */
  patients: count.max(0xffff_ffff).default(0),
  /** With such noise: most patients that a facility may have; 0 where nothing depends on it. */
  most_patients: count.max(0xffff_ffff).default(0),
})

export type PrivacyFile = z.output<typeof studyPrivacySchema>

const clippingOf = (clipping: PrivacyFile["clipping"]): StudyPrivacy["clipping"] => {
  if (clipping.kind !== "adaptive") {
    const { kind: type, ...rest } = clipping
    return { type, ...rest } as StudyPrivacy["clipping"]
  }
  return {
    type: "adaptive",
    targetQuantile: clipping.target_quantile,
    learningRate: clipping.learning_rate,
    countSigma: clipping.count_sigma,
    minimum: clipping.minimum,
    maximum: clipping.maximum,
  }
}

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

/** What of a study decides how its noise is planned. */
type NoisyRules = Pick<
  Study,
  "model" | "training" | "quantisation" | "cohort" | "rounds" | "statistics" | "evaluation"
>

type Terms = Pick<NoiseWanted, "epsilon" | "delta" | "maxGradNorm" | "sampleRate" | "floor" | "calibrate"> &
  Pick<StudyPrivacy, "unit" | "noise" | "mechanism">

const wantedOf = (terms: Terms, rules: NoisyRules): NoiseWanted => {
  const { unit, noise, ...wanted } = terms
  const onSum = noise === "sum"
  return {
    ...wanted,
    dimension: parameterCount(rules),
    steps: rules.rounds * (onSum ? 1 : rules.training.steps),
    beside: figuresBeside(rules),
    sum: onSum ? { ...rules, privacy: { unit } } : null,
  }
}

/**
 * How a study of these rules adds noise: calibrated to its budget, at least the floor.
 * @throws {ConsiliumError} "config/invalid", "privacy/bad-parameter", "privacy/unreachable"
 */
export const studyPrivacyOf = (
  file: PrivacyFile,
  rules: NoisyRules & { readonly data: { readonly schema: string | null } | null },
): StudyPrivacy => {
  const { epsilon, delta, max_grad_norm: maxGradNorm, sample_rate: sampleRate, metrics, unit, noise } = file
  const { mechanism } = file
  const terms = { epsilon, delta, maxGradNorm, sampleRate, unit, noise, mechanism }
  const { noiseMultiplier } = planNoise(
    wantedOf({ ...terms, floor: file.noise_multiplier, calibrate: file.calibrate }, rules),
  )
  return {
    ...terms,
    clipping: clippingOf(file.clipping),
    patients: file.patients,
    mostPatients: file.most_patients,
    noiseMultiplier,
    standardise: constantsOf(rules.model.features, file.standardise, rules.data?.schema ?? null),
    metrics,
  }
}

/** Where the noise of a study comes from: the floor that was named, or what its budget needs; null without noise. */
export const noiseChoice = (
  study: NoisyRules & Pick<Study, "privacy">,
  floor: number | null,
  calibrate: boolean,
): NoiseChoice | null => {
  const { privacy } = study
  if (privacy === null) return null
  const used = privacy.noiseMultiplier
  if (!calibrate) return { from: "given", floor, calibrated: null }
  if (floor === null || used > floor) return { from: "calibrated", floor, calibrated: used }
  const wanted = wantedOf({ ...privacy, floor: null, calibrate: true }, study)
  const { noiseMultiplier: calibrated } = planNoise(wanted)
  return { from: floor > calibrated ? "floor" : "calibrated", floor, calibrated }
}
