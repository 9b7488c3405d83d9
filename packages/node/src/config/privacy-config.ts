import { ConsiliumError } from "@consilium/base/errors"
import type { Protection } from "@consilium/federation/study"
import { z } from "zod"
import { ckksSchema, ringAsked } from "./privacy-ring.js"
import type { StudyFile } from "./study-file.js"

/** Modulus bits below which PAILLIER is not safe. */
const LEAST_PAILLIER_BITS = 2048

/** `privacy_config.yaml`: the short form of what a study says of privacy and encryption. */
export const privacyConfigSchema = z.strictObject({
  /** Whether training adds noise; false trains without a bound on what the model tells of one patient. */
  differential_privacy: z.boolean().default(true),
  /** Most that each facility may spend in the study, in nats at `delta`. */
  epsilon: z.number().positive().default(1),
  /** Probability that epsilon may fail. */
  delta: z.number().positive().lt(1).default(1e-5),
  /** Least noise: standard deviation / what one patient can move a sum; null for no floor. */
  noise_multiplier: z.number().positive().nullable().default(null),
  /** L2 norm to which a patient's gradient is clipped. */
  max_grad_norm: z.number().positive().default(1),
  /** Whether noise is raised over the floor until all rounds fit; else facilities stop at epsilon. */
  calibrate: z.boolean().default(true),
  /** Whether updates are encrypted; false sends them readable, which the policy of a facility that wrote none refuses. */
  homomorphic_encryption: z.boolean().default(true),
  encryption_scheme: z.enum(["CKKS", "BFV", "PAILLIER"]).default("CKKS"),
  /** CKKS and BFV: least degree of the ring, rounded up to one on offer. PAILLIER: bits of the modulus. */
  key_length: z.int().min(1).nullable().default(null),
  /** The long form of the ring, with CKKS. */
  ckks: ckksSchema.nullable().default(null),
})
export type PrivacyConfig = z.output<typeof privacyConfigSchema>

/** What a privacy configuration means in a study's own words, and what a reader should know of it. */
export interface PrivacyTerms {
  readonly privacy: Pick<
    NonNullable<StudyFile["privacy"]>,
    "epsilon" | "delta" | "noise_multiplier" | "calibrate" | "max_grad_norm"
  > | null
  readonly protection: Protection
  readonly ring: StudyFile["ring"]
  readonly notes: readonly string[]
}

const noPaillier = (bits: number | null): never => {
  if (bits !== null && bits < LEAST_PAILLIER_BITS)
    throw new ConsiliumError(
      "config/invalid",
      `key_length: a PAILLIER modulus of ${bits} bits is not safe; ${LEAST_PAILLIER_BITS} is the least.`,
      { remedy: `Set key_length to ${LEAST_PAILLIER_BITS} or more.` },
    )
  throw new ConsiliumError(
    "config/not-available",
    "encryption_scheme: studies cannot be protected by PAILLIER yet.",
    { remedy: "Set encryption_scheme to CKKS or BFV." },
  )
}

/**
 * What a privacy configuration asks for.
 * @throws {ConsiliumError} "config/invalid"; "config/not-available" for what no study can have yet
 */
export const privacyTerms = (config: PrivacyConfig): PrivacyTerms => {
  const notes: string[] = []
  const { epsilon, delta, noise_multiplier, max_grad_norm, calibrate, encryption_scheme: scheme } = config
  if (config.differential_privacy && !calibrate && noise_multiplier === null)
    throw new ConsiliumError(
      "config/invalid",
      "calibrate: false, and no noise_multiplier says how much noise there is.",
      {
        remedy: "Name a noise_multiplier, or let the noise be calibrated.",
      },
    )
  if (!config.differential_privacy)
    notes.push(
      "differential_privacy is false: no noise is added, nothing is spent, and nothing bounds what the model tells of one patient; epsilon, delta, noise_multiplier, max_grad_norm and calibrate have no effect.",
    )
  if (!config.homomorphic_encryption)
    notes.push(
      "homomorphic_encryption is false: whoever adds updates reads them (protection plain). Facilities that wrote no policy refuse that; encryption_scheme, key_length and ckks have no effect.",
    )
  const encrypted = config.homomorphic_encryption
  if (encrypted && scheme === "PAILLIER") return noPaillier(config.key_length)
  const named = scheme === "BFV" ? "BFV" : "CKKS"
  return {
    privacy: config.differential_privacy
      ? { epsilon, delta, noise_multiplier, calibrate, max_grad_norm }
      : null,
    protection: encrypted ? (named === "BFV" ? "bfv" : "ckks") : "plain",
    ring: encrypted ? ringAsked(named, config.key_length, config.ckks, notes) : null,
    notes,
  }
}

/** Few steps over many patients each: what suits noisy gradients, whatever suited a study without noise. */
export const PRIVATE_STEPS = { steps: 20, sampleRate: 0.1, learningRate: 0.1 } as const

/**
 * A study file with a privacy configuration in the place of what it says itself of noise, protection and ring. A file
 * that trains without noise gets training that suits it; what else a file with noise says of it stays.
 */
export const withPrivacyTerms = <F extends Omit<StudyFile, "participants" | "nonce">>(
  file: F,
  terms: PrivacyTerms,
): F => {
  const { privacy, protection, ring } = terms
  // the keys' lifetime stands for the protection that it was chosen with
  const { keys, ...rest } = file
  const kept = keys === undefined || protection === "plain" ? {} : { keys }
  const shared = { ...rest, ...kept, protection, ring } as F
  if (privacy === null) return { ...shared, privacy: null }
  const { steps, sampleRate, learningRate } = PRIVATE_STEPS
  const before = file.privacy
  return {
    ...shared,
    training:
      before === null
        ? { ...file.training, steps, learning_rate: learningRate, fine_tune_steps: 0 }
        : file.training,
    quantisation: { ...file.quantisation, weights: "equal", largest_weight: 1 },
    privacy: {
      unit: "patient",
      noise: "local",
      mechanism: "gaussian",
      clipping: { kind: "flat" },
      patients: 0,
      most_patients: 0,
      sample_rate: sampleRate,
      // nobody asked for figures of patients without noise; made-up rows are nobody's
      metrics: file.synthetic_data ? "exact" : "none",
      standardise: null,
      ...before,
      ...privacy,
    },
  }
}
