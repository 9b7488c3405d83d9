import { HEART_FEATURES } from "@consilium/records/heart-schema"
import type { PrivacyTerms } from "../config/privacy-config.js"
import { studyFileSchema } from "../config/study-file.js"
import { type PlannedStudy, studyOfFileToPlan } from "./planned-study.js"

/** What decides the cost of a study's noise, where there is no study yet. */
export interface PrivacySwitches {
  readonly rounds: number
  /** Local steps in each round. */
  readonly steps: number
  readonly sampleRate: number
  readonly facilities: number
  /** Parameters of the model: a little of the noise pays for rounding each of them. */
  readonly parameters: number
}

/** Facilities and parameters hardly move the cost; steps and the sample rate are those that suit noise. */
export const DEFAULT_SWITCHES: PrivacySwitches = {
  rounds: 10,
  steps: 20,
  sampleRate: 0.1,
  facilities: 4,
  parameters: HEART_FEATURES.length + 1,
}

/** A study of these numbers: nothing of it is ever started. @throws {ConsiliumError} as the study of a file */
export const switchesToPlan = (switches: PrivacySwitches, terms: PrivacyTerms): PlannedStudy => {
  const { rounds, steps, sampleRate, facilities, parameters } = switches
  const features = Array.from({ length: parameters - 1 }, (_, i) => `feature-${i + 1}`)
  const file = studyFileSchema.parse({
    name: "plan",
    nonce: "00".repeat(32),
    model: { kind: "logistic-regression", features },
    training: { steps },
    server: {},
    quantisation: { weights: "equal", largest_weight: 1 },
    rounds,
    protection: terms.protection,
    data: null,
    privacy: {
      epsilon: 1,
      calibrate: true,
      sample_rate: sampleRate,
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
  })
  return studyOfFileToPlan(file, terms)
}
