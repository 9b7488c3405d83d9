import { encode, u32 } from "@consilium/base/encoding"
import { PrfStream, type SecretKey } from "@consilium/base/random"
import type { Architecture } from "@consilium/learning/architecture"
import type { Examples } from "@consilium/learning/data"
import { evaluate } from "@consilium/learning/metrics"
import { trainLocally } from "@consilium/learning/train"
import type { LocalState } from "./local-state.js"
import type { ReportedMetrics, RoundSpec } from "./messages.js"
import { isPrivate } from "./privacy-plan.js"
import { trainPrivately } from "./private-training.js"
import { clipToNorm, roundToGrid, weigh } from "./quantise.js"
import { type Study, trainingDigest } from "./study.js"

export const architectureOf = (study: Study): Architecture => ({
  kind: study.model.kind,
  inputs: study.model.features.length,
})

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
  readonly examples: Examples
  /** What earlier rounds left here. */
  readonly local: LocalState
  readonly secret: SecretKey
  /** Whose each row is; a study with differential privacy needs it. */
  readonly patients?: ArrayLike<number>
}

/** The parameters after a round's local steps. With differential privacy they carry their noise already. */
const trainSteps = (work: LocalRound): { readonly parameters: Float64Array; readonly local: LocalState } => {
  const { study, spec, parameters, examples, local, secret } = work
  if (isPrivate(study)) {
    const random = roundStream(study, spec, secret, "private-steps")
    const { patients = [] } = work
    return { ...trainPrivately({ study, parameters, examples, patients, random }), local }
  }
  const { steps, batchSize, learningRate, proximalMu } = study.training
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
  })
  return { parameters: trained.parameters, local: { ...local, cursor: trained.cursor } }
}

/**
 * A facility's work in a round: train on its own records, clip, round to integers, weigh. Pure: the same inputs give
 * the same integers on every machine. Noise comes in the steps alone; all that follows only computes on noisy numbers.
 *
 * Math:   u = clip_S(w_local - w_global); v = round(u 2^f) n, with n appended
 * Shape:  parameters: d; values: d + 1 (exact weights) or d (equal weights)
 */
export const trainRound = (work: LocalRound): { readonly values: Int32Array; readonly local: LocalState } => {
  const { study, spec, parameters, examples, secret } = work
  const trained = trainSteps(work)
  const difference = trained.parameters.map((value, i) => value - (parameters[i] as number))
  const { clipNorm, fractionBits, weights, largestWeight } = study.quantisation
  const rounded = roundToGrid(
    clipToNorm(difference, clipNorm),
    clipNorm,
    fractionBits,
    roundStream(study, spec, secret, "rounding"),
  )
  return { values: weigh(rounded, weights, examples.rows, largestWeight), local: trained.local }
}

/**
 * A facility's own copy of the final model after further steps on its own records; it never leaves the facility. It is to
 * suit this facility, so no proximal term holds it near the common model.
 */
export const fineTune = (work: LocalRound): Float64Array =>
  trainLocally({
    architecture: architectureOf(work.study),
    parameters: work.parameters,
    examples: work.examples,
    steps: work.study.training.fineTuneSteps,
    batchSize: work.study.training.batchSize,
    learningRate: work.study.training.fineTuneLearningRate,
    cursor: work.local.cursor,
    random: roundStream(work.study, work.spec, work.secret, "fine-tuning"),
  }).parameters

/** How a model does on a facility's hold-out, in the form that is reported. */
export const measure = (study: Study, parameters: Float64Array, holdOut: Examples): ReportedMetrics => {
  const metrics = evaluate(architectureOf(study), parameters, holdOut)
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
