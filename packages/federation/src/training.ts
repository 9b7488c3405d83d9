import { encode, u32 } from "@consilium/base/encoding"
import { ConsiliumError, isConsiliumError } from "@consilium/base/errors"
import { PrfStream, type SecretKey } from "@consilium/base/random"
import type { Architecture } from "@consilium/learning/architecture"
import type { Examples } from "@consilium/learning/data"
import { evaluate, metricsOfLogits } from "@consilium/learning/metrics"
import { trainLocally } from "@consilium/learning/train"
import { noisyGradientSum } from "./gradient-sum.js"
import type { LocalState } from "./local-state.js"
import type { ReportedMetrics, RoundSpec } from "./messages.js"
import {
  isNetwork,
  type NetworkSteps,
  type NetworkStudy,
  networkLogits,
  stepNetwork,
} from "./network-training.js"
import { correctionOf, withNextControl } from "./own-control.js"
import { trainPersonal } from "./personal.js"
import { isPrivate } from "./privacy-plan.js"
import { trainNetworkPrivately } from "./private-network-training.js"
import { trainPrivately } from "./private-training.js"
import { clipToNorm, roundToGrid, weigh } from "./quantise.js"
import { type Study, trainingDigest } from "./study.js"
import { isNoiseOnSum, sendsGradients, withNoiseShare } from "./sum-noise.js"

/**
 * The architecture of a study that trains a logistic regression.
 * @throws {ConsiliumError} "round/wrong-model" if it trains a network
 */
export const architectureOf = ({ model }: Pick<Study, "model">): Architecture => {
  if (model.kind !== "logistic-regression")
    throw new ConsiliumError("round/wrong-model", "The study trains a network, not a logistic regression.")
  return { kind: model.kind, inputs: model.features.length }
}

/** What the streams of an attempt are bound to: the same integers come out under every roster and protection. */
export type TrainedAttempt = Pick<RoundSpec, "round" | "attempt" | "model">

/**
 * One of a facility's random streams for one attempt at a round. All of them are derived from the round's secret; a
 * stream is bound to the study's training rules, to round, attempt, base model and purpose, so no two uses share bytes.
 * Streams that serve a protection are bound to the protection too, through their purpose.
 */
export const roundStream = (
  study: Study,
  spec: TrainedAttempt,
  secret: SecretKey,
  purpose: string,
): PrfStream =>
  new PrfStream(
    secret,
    "round",
    trainingDigest(study),
    encode(u32, spec.round),
    encode(u32, spec.attempt),
    spec.model,
    purpose,
  )

export interface LocalRound {
  readonly study: Study
  readonly spec: TrainedAttempt
  /** The global model the round starts from. */
  readonly parameters: Float64Array
  /** The common control variate that the round starts from; null or left out where steps are not corrected. */
  readonly common?: Float64Array | null
  readonly examples: Examples
  /** What earlier rounds left here. */
  readonly local: LocalState
  readonly secret: SecretKey
  /** Whose each row is; a study with differential privacy needs it. */
  readonly patients?: ArrayLike<number>
}

const networkWork = (
  { spec, parameters, examples, local, secret }: LocalRound,
  study: NetworkStudy,
  purpose: "batches" | "fine-tuning",
): Omit<NetworkSteps, "steps" | "learningRate"> => ({
  study,
  parameters,
  examples,
  cursor: local.cursor,
  batches: roundStream(study, spec, secret, purpose),
  dropout: roundStream(study, spec, secret, `${purpose}-dropout`),
})

/** The parameters after a round's local steps. With differential privacy they carry their noise already. */
const trainSteps = (work: LocalRound): { readonly parameters: Float64Array; readonly local: LocalState } => {
  const { study, spec, parameters, examples, local, secret } = work
  if (isPrivate(study) && !isNoiseOnSum(study)) {
    const random = roundStream(study, spec, secret, "private-steps")
    const { patients = [] } = work
    const steps = isNetwork(study)
      ? { ...trainNetworkPrivately({ study, parameters, examples, patients, random }), clipNorms: [] }
      : trainPrivately({
          study,
          parameters,
          correction: correctionOf(work),
          examples,
          patients,
          random,
          clipNorms: local.clipNorms,
        })
    const { clipNorms: norms } = steps
    const nextClipNorms = norms.length === 0 ? null : { base: spec.model, norms }
    return { parameters: steps.parameters, local: { ...local, nextClipNorms } }
  }
  const { steps, batchSize, learningRate, proximalMu } = study.training
  if (isNetwork(study)) {
    const trained = stepNetwork({ ...networkWork(work, study, "batches"), steps, learningRate })
    return { parameters: trained.parameters, local: { ...local, cursor: trained.cursor } }
  }
  const correction = correctionOf(work)
  const trained = trainLocally({
    architecture: architectureOf(study),
    parameters,
    examples,
    steps,
    batchSize,
    learningRate,
    cursor: local.cursor,
    random: roundStream(study, spec, secret, "batches"),
    proximal: { mu: proximalMu, towards: parameters },
    ...(correction === null ? {} : { correction }),
  })
  return { parameters: trained.parameters, local: { ...local, cursor: trained.cursor } }
}

/** Errors of training that came to numbers which are not finite. */
const isNotFinite = (error: unknown): boolean =>
  isConsiliumError(error, "learning/diverged") || isConsiliumError(error, "round/not-finite")

/**
 * A round's update, clipped. With differential privacy one that is not finite counts as none: that training failed would
 * tell of patients, no noise would cover it, and nothing would be charged.
 */
const trainedUpdate = (work: LocalRound): { readonly update: Float64Array; readonly local: LocalState } => {
  const { study, parameters } = work
  try {
    const trained = trainSteps(work)
    const difference = trained.parameters.map((value, i) => value - (parameters[i] as number))
    return { update: clipToNorm(difference, study.quantisation.clipNorm), local: trained.local }
  } catch (error) {
    if (!isPrivate(study) || !isNotFinite(error)) throw error
    return { update: new Float64Array(parameters.length), local: work.local }
  }
}

/**
 * A facility's work in a round: train on its own records, clip, round to integers, weigh. Pure: the same inputs give
 * the same integers on every machine. Noise comes in the steps alone, and all that follows only computes on noisy numbers;
 * or, where it is on the sum, as this facility's share of it, after everything else.
 *
 * Math:   u = clip_S(w_local - w_global); v = round(u 2^f) n, with n appended
 * Shape:  parameters: d; values: d + 1 (exact weights) or d (equal weights)
 *
 * The control variate and the personal model, where there are any, change in `local` alone.
 */
export const trainRound = (work: LocalRound): { readonly values: Int32Array; readonly local: LocalState } => {
  const { study, spec, parameters, examples, secret, patients = [], local } = work
  if (isPrivate(study) && sendsGradients(study)) {
    const random = roundStream(study, spec, secret, "noise-share")
    return { values: noisyGradientSum({ study, parameters, examples, patients, random }), local }
  }
  const trained = trainedUpdate(work)
  const { clipNorm, fractionBits, weights, largestWeight } = study.quantisation
  const rounded = roundToGrid(
    trained.update,
    clipNorm,
    fractionBits,
    roundStream(study, spec, secret, "rounding"),
  )
  const values =
    isPrivate(study) && isNoiseOnSum(study)
      ? withNoiseShare(rounded, study, roundStream(study, spec, secret, "noise-share"))
      : weigh(rounded, weights, examples.rows, largestWeight)
  return { values, local: withPersonal(work, withNextControl({ ...work, local: trained.local }, rounded)) }
}

/** The state with the facility's own model after its steps of the round, where the study keeps any. */
const withPersonal = (work: LocalRound, local: LocalState): LocalState => {
  const { study, spec, parameters: towards, examples, secret } = work
  const { ditto, batchSize } = study.training
  if (ditto === null) return local
  const architecture = architectureOf(study)
  const random = roundStream(study, spec, secret, "personal-steps")
  const personal = { architecture, ditto, batchSize, towards, examples, before: local.personal, random }
  return { ...local, personal: trainPersonal(personal) }
}

/** What a facility has for itself at the end: the copy that it tuned, or the model it trained all along; null for neither. */
export const personalModel = (work: LocalRound): Float64Array | null =>
  work.study.training.fineTuneSteps > 0 ? fineTune(work) : (work.local.personal?.parameters ?? null)

/**
 * A facility's own copy of the final model after further steps on its own records; it never leaves the facility. It is to
 * suit this facility, so no proximal term holds it near the common model.
 */
export const fineTune = (work: LocalRound): Float64Array => {
  const { study } = work
  const { fineTuneSteps: steps, fineTuneLearningRate: learningRate, batchSize } = study.training
  if (isNetwork(study))
    return stepNetwork({ ...networkWork(work, study, "fine-tuning"), steps, learningRate }).parameters
  return trainLocally({
    architecture: architectureOf(study),
    parameters: work.parameters,
    examples: work.examples,
    steps,
    batchSize,
    learningRate,
    cursor: work.local.cursor,
    random: roundStream(study, work.spec, work.secret, "fine-tuning"),
  }).parameters
}

/** How a model does on a facility's hold-out, in the form that is reported. */
export const measure = (study: Study, parameters: Float64Array, holdOut: Examples): ReportedMetrics => {
  const metrics = isNetwork(study)
    ? metricsOfLogits(networkLogits(study, parameters, holdOut), holdOut.labels)
    : evaluate(architectureOf(study), parameters, holdOut)
  return {
    rows: metrics.rows,
    accuracy: metrics.accuracy,
    balancedAccuracy: metrics.balancedAccuracy,
    auc: metrics.auc,
    logLoss: metrics.logLoss,
    brier: metrics.brier,
    calibration: metrics.calibration.bins.flatMap(({ meanPredicted, observedRate, count }) =>
      meanPredicted === null || observedRate === null
        ? []
        : [{ predicted: meanPredicted, observed: observedRate, count }],
    ),
  }
}
