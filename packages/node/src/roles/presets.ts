import { ConsiliumError } from "@consilium/base/errors"
import type { RandomSource } from "@consilium/base/random"
import { defaultKeys, type Study } from "@consilium/federation/study"
import type { PrivacyKind } from "../api/schemas.js"
import { PRIVATE_STEPS, type PrivacyTerms } from "../config/privacy-config.js"
import { figuresWithin } from "../config/study-figures.js"
import { studyPrivacyOf, studyPrivacySchema } from "../config/study-privacy.js"

/** What each facility may spend in a study of the kind `differential`. */
const BUDGET: NonNullable<PrivacyTerms["privacy"]> = {
  epsilon: 1,
  delta: 1e-5,
  noise_multiplier: null,
  calibrate: true,
  max_grad_norm: 1,
}

/**
 * The study that a kind of privacy stands for, after the leader's first study: the same model, rounds and facilities, with a
 * name and secrets of its own. `mpc` opens nothing but sums of secret-shared updates, `homomorphic` nothing but sums of
 * encrypted ones; `differential` adds noise to every step of training, so that what the model tells of one patient has a
 * bound, and `combined` does so beside encryption.
 */
export const presetStudy = (
  kind: PrivacyKind,
  studies: readonly Study[],
  facilities: number,
  random: RandomSource,
): Study | { readonly missing: string } => {
  const [first] = studies
  if (first === undefined) return { missing: "a study" }
  const shares = kind === "mpc" || kind === "differential"
  const shared: Study = {
    ...first,
    name: `${first.name}-${kind}-${studies.length + 1}`.slice(0, 64),
    nonce: random.bytes(32),
    protection: shares ? "shamir" : "ckks",
    ring: shares || first.protection !== "ckks" ? null : first.ring,
    insecureSeed: null,
  }
  const quiet = kind === "mpc" || kind === "homomorphic"
  const study = quiet ? shared : constantsMissing(() => withNoise(shared, BUDGET))
  return "missing" in study ? study : { ...study, keys: defaultKeys(study, facilities) }
}

/** The study with noise, and with training that suits noise. @throws {ConsiliumError} "config/invalid", "privacy/..." */
export const withNoise = (study: Study, terms: NonNullable<PrivacyTerms["privacy"]>): Study => {
  const { steps, sampleRate, learningRate } = PRIVATE_STEPS
  const quiet: Study = {
    ...study,
    training: { ...study.training, steps, learningRate, fineTuneSteps: 0 },
    quantisation: { ...study.quantisation, weights: "equal", largestWeight: 1 },
    ...figuresWithin(study, { epsilon: terms.epsilon, delta: terms.delta }),
  }
  const file = studyPrivacySchema.parse({
    ...terms,
    sample_rate: sampleRate,
    // nobody asked for figures of patients without noise; made-up rows are nobody's
    metrics: study.syntheticData ? "exact" : "none",
  })
  return { ...quiet, privacy: studyPrivacyOf(file, quiet) }
}

/** What was made, or that the features of the first study have no constants to be standardised with. */
export const constantsMissing = <T>(make: () => T): T | { readonly missing: string } => {
  try {
    return make()
  } catch (error) {
    if (!(error instanceof ConsiliumError) || error.code !== "config/invalid") throw error
    return { missing: "declared constants to standardise the features of the first study with" }
  }
}
