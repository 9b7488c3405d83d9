import type { RandomSource } from "@consilium/base/random"
import type { NoiseChoice } from "@consilium/federation/plan-privacy"
import { isPrivate } from "@consilium/federation/privacy-plan"
import { defaultKeys, type Study } from "@consilium/federation/study"
import { type PrivacyConfig, type PrivacyTerms, privacyTerms } from "../config/privacy-config.js"
import { figuresWithin } from "../config/study-figures.js"
import { studyRingOf } from "../config/study-file.js"
import { noiseChoice, type PrivacyFile, studyPrivacyOf, studyPrivacySchema } from "../config/study-privacy.js"
import { constantsMissing, withNoise } from "./presets.js"

export interface ConfiguredStudy {
  readonly study: Study
  /** Where its noise comes from; null without. */
  readonly noise: NoiseChoice | null
  /** What a reader should know of the configuration. */
  readonly notes: readonly string[]
}

/** What a study with noise says of it, in the words of study.yaml, as far as a privacy configuration leaves it alone. */
const saidBefore = ({ privacy, model }: Study): Partial<PrivacyFile> =>
  privacy === null
    ? {}
    : {
        sample_rate: privacy.sampleRate,
        metrics: privacy.metrics,
        standardise: privacy.standardise.map((one, i) => ({ feature: model.features[i] as string, ...one })),
      }

/** The study with noise as the terms have it; one that had noise keeps its training. */
const noisy = (study: Study, terms: NonNullable<PrivacyTerms["privacy"]>) => {
  if (!isPrivate(study)) return withNoise(study, terms)
  const file = studyPrivacySchema.parse({ ...saidBefore(study), ...terms })
  const rules = { ...study, ...figuresWithin(study, file) }
  return { ...rules, privacy: studyPrivacyOf(file, rules) }
}

/**
 * The study that a privacy configuration stands for, after the leader's first study: the same model, rounds and facilities,
 * with a name and secrets of its own.
 * @throws {ConsiliumError} "config/invalid", "config/not-available", "privacy/..."
 */
export const configuredStudy = (
  config: PrivacyConfig,
  studies: readonly Study[],
  facilities: number,
  random: RandomSource,
): ConfiguredStudy | { readonly missing: string } => {
  const [first] = studies
  if (first === undefined) return { missing: "a study" }
  const { privacy, protection, ring, notes } = privacyTerms(config)
  const shared: Study = {
    ...first,
    name: `${first.name}-configured-${studies.length + 1}`.slice(0, 64),
    nonce: random.bytes(32),
    protection,
    ring: studyRingOf(ring),
    insecureSeed: null,
  }
  return constantsMissing(() => {
    const study =
      privacy === null ? { ...shared, privacy: null, ...figuresWithin(shared, null) } : noisy(shared, privacy)
    return {
      study: { ...study, keys: defaultKeys(study, facilities) },
      noise: noiseChoice(study, privacy?.noise_multiplier ?? null, config.calibrate),
      notes,
    }
  })
}
