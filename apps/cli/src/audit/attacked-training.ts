import { toHex } from "@consilium/base/bytes"
import { newSecretKey, type RandomSource } from "@consilium/base/random"
import { startLocalState } from "@consilium/federation/local-state"
import { isPrivate, type PrivateStudy } from "@consilium/federation/privacy-plan"
import type { Protection, Study } from "@consilium/federation/study"
import { trainRound } from "@consilium/federation/training"
import type { Examples } from "@consilium/learning/data"
import { type StudyFileInput, studyFileSchema, studyOf } from "@consilium/node/config/study-file"

export interface AttackedStudy {
  readonly features: readonly string[]
  /** A network on these features; a logistic regression without. */
  readonly network?: StudyFileInput["model"]
  readonly steps: number
  readonly learningRate: number
  readonly batchSize?: number
  /** Null trains without noise. */
  readonly privacy: { readonly epsilon: number; readonly sampleRate: number } | null
  /** Largest norm of an update, in powers of two; 0 for 1, which is usual. */
  readonly clipBits?: number
  readonly facilities?: number
  readonly protection?: Protection
  /** Rounds that the budget is to last for; 1 unless told. */
  readonly rounds?: number
}

export const DELTA = 1e-5

/** A study as its owner would declare it; one bit finer than usual, which favours the attacks. */
export const attackedStudy = (wanted: AttackedStudy, random: RandomSource): Study => {
  const { features, steps, learningRate, batchSize = 1, privacy, facilities = 3, clipBits = 0 } = wanted
  return studyOf(
    studyFileSchema.parse({
      name: "privacy-audit",
      nonce: toHex(random.bytes(32)),
      model: wanted.network ?? { kind: "logistic-regression", features: [...features] },
      data: null,
      training: { learning_rate: learningRate, steps, batch_size: batchSize },
      server: {},
      quantisation: {
        clip_norm: 0.99996 * 2 ** clipBits,
        fraction_bits: 15 - clipBits,
        weights: "equal",
      },
      rounds: wanted.rounds ?? 1,
      protection: wanted.protection ?? "shamir",
      privacy:
        privacy === null
          ? null
          : {
              epsilon: privacy.epsilon,
              delta: DELTA,
              sample_rate: privacy.sampleRate,
              standardise: features.map((feature) => ({ feature, mean: 0, deviation: 1 })),
            },
      participants: [
        { name: "leader", role: "leader" },
        { name: "fog", role: "fog", parent: "leader" },
        ...Array.from({ length: facilities }, (_, i) => ({
          name: `facility-${i + 1}`,
          role: "facility" as const,
          parent: "fog",
        })),
      ],
    }),
  )
}

/** The same, as a study that trains with noise. */
export const attackedPrivateStudy = (
  wanted: AttackedStudy & { readonly privacy: NonNullable<AttackedStudy["privacy"]> },
  random: RandomSource,
): PrivateStudy => {
  const study = attackedStudy(wanted, random)
  if (!isPrivate(study)) throw new Error("A study with a budget trains without noise.")
  return study
}

export interface RoundWork {
  readonly study: Study
  readonly examples: Examples
  /** Where the round starts; at zero unless told. */
  readonly parameters?: Float64Array
  readonly random: RandomSource
}

/** The integers that a facility protects: its whole round, as it is shipped, with a secret of its own. */
export const trainedIntegers = ({ study, examples, parameters, random }: RoundWork): Int32Array =>
  trainRound({
    study,
    spec: { round: 1, attempt: 1, model: new Uint8Array(32) },
    parameters: parameters ?? new Float64Array(examples.columns + 1),
    examples,
    patients: Uint32Array.from({ length: examples.rows }, (_, row) => row),
    local: startLocalState(),
    secret: newSecretKey(random),
  }).values

/** The same as an update of the model. */
export const trainedUpdate = (work: RoundWork): Float64Array =>
  Float64Array.from(trainedIntegers(work), (value) => value * 2 ** -work.study.quantisation.fractionBits)
