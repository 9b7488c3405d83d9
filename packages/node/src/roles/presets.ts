import { ConsiliumError } from "@consilium/base/errors"
import type { RandomSource } from "@consilium/base/random"
import { defaultKeys, type Study } from "@consilium/federation/study"
import type { PrivacyKind } from "../api/schemas.js"
import { studyPrivacyOf } from "../config/study-file.js"

/** What each facility may spend in a study of the kind `differential`. */
const BUDGET = { epsilon: 1, delta: 1e-5 }
/** Few steps over many patients each: what suits noisy gradients, whatever suited the study without noise. */
export const PRIVATE_STEPS = { steps: 20, sampleRate: 0.1, learningRate: 0.1 } as const

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
  const shared: Study = {
    ...first,
    name: `${first.name}-${kind}-${studies.length + 1}`.slice(0, 64),
    nonce: random.bytes(32),
    protection: kind === "mpc" || kind === "differential" ? "shamir" : "ckks",
    insecureSeed: null,
  }
  const study = kind === "mpc" || kind === "homomorphic" ? shared : withNoise(shared)
  return "missing" in study ? study : { ...study, keys: defaultKeys(study, facilities) }
}

const withNoise = (study: Study): Study | { readonly missing: string } => {
  const { steps, sampleRate, learningRate } = PRIVATE_STEPS
  try {
    return {
      ...study,
      training: { ...study.training, steps, learningRate, fineTuneSteps: 0 },
      quantisation: { ...study.quantisation, weights: "equal", largestWeight: 1 },
      privacy: studyPrivacyOf(
        {
          ...BUDGET,
          noise_multiplier: null,
          calibrate: true,
          max_grad_norm: 1,
          sample_rate: sampleRate,
          // nobody asked for figures of patients without noise; made-up rows are nobody's
          metrics: study.syntheticData ? "exact" : "none",
          standardise: null,
        },
        study.model.features,
        steps * study.rounds,
        study.data?.schema ?? null,
      ),
    }
  } catch (error) {
    if (!(error instanceof ConsiliumError) || error.code !== "config/invalid") throw error
    return { missing: "declared constants to standardise the features of the first study with" }
  }
}
