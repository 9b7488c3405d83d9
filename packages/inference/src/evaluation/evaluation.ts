import { accuracy, auc, calibration as binsOf, brier } from "@consilium/learning/metrics"
import { type Calibration, calibratedProbability, checkCalibration } from "../calibration/calibration.js"
import { checkMeasurements, type MeasuredRequest, type Measurements } from "./measurements.js"

/** How well predictions do. Null where a figure is undefined, as an AUC of patients who are all ill. */
export interface Quality {
  readonly accuracy: number | null
  readonly auc: number | null
  readonly brier: number | null
  readonly expectedCalibrationError: number | null
}

export interface EvaluationWarning {
  readonly code: "not-calibrated" | "extreme-probabilities" | "one-class"
  readonly message: string
}

/** Plain against encrypted, as `infer evaluate --format json` prints it. */
export interface Evaluation {
  /** Patients. */
  readonly n: number
  readonly requests: number
  /** Share of patients who get the same answer, ill or not, both ways. */
  readonly classAgreement: number
  readonly maxLogitError: number
  readonly meanLogitError: number
  readonly plain: Quality
  readonly encrypted: Quality
  /** Of a request, from before encryption to after decryption. */
  readonly latencyMs: { readonly p50: number; readonly p95: number }
  /** The largest request and the largest answer, and the keys sent once beforehand. */
  readonly bytes: { readonly up: number; readonly down: number; readonly keys: number }
  readonly calibration: Calibration["type"] | null
  readonly warnings: readonly EvaluationWarning[]
}

const NEAR_CERTAIN = 0.01
const MOST_NEAR_CERTAIN = 0.2

/**
 * The value that at least the share q of all values does not exceed.
 *
 * Math: the ceil(q n)-th smallest (nearest rank): a value that was measured, never one in between
 */
const quantile = (values: readonly number[], q: number): number => {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.max(Math.ceil(q * sorted.length) - 1, 0)] as number
}

const largest = (requests: readonly MeasuredRequest[], size: "upBytes" | "downBytes"): number =>
  requests.reduce((most, request) => Math.max(most, request[size]), 0)

/** How well logits and their probabilities do on labelled patients. */
export const qualityOf = (
  logits: Float64Array,
  probabilities: Float64Array,
  labels: Uint8Array,
): Quality => ({
  accuracy: accuracy(probabilities, labels),
  auc: auc(logits, labels),
  brier: brier(probabilities, labels),
  expectedCalibrationError: binsOf(probabilities, labels).expectedCalibrationError,
})

const warningsOf = (
  probabilities: Float64Array,
  labels: Uint8Array,
  calibration: Calibration | null,
): readonly EvaluationWarning[] => {
  const out: EvaluationWarning[] = []
  const n = labels.length
  if (calibration === null)
    out.push({
      code: "not-calibrated",
      message:
        "The model is not calibrated: its probabilities rank patients but cannot be taken at their word. Fit a calibration on patients it was not trained on.",
    })
  const extreme = probabilities.filter((p) => p < NEAR_CERTAIN || p > 1 - NEAR_CERTAIN).length
  if (extreme > MOST_NEAR_CERTAIN * n)
    out.push({
      code: "extreme-probabilities",
      message: `${extreme} of ${n} probabilities are under .01 or over .99: the model is surer than clinical data allow. Check for overfitting, and calibrate.`,
    })
  const ill = labels.reduce((sum, label) => sum + label, 0)
  if (ill === 0 || ill === n)
    out.push({
      code: "one-class",
      message: `All ${n} patients are ${ill === 0 ? "well" : "ill"}, so there is no AUC. Evaluate on patients of both kinds.`,
    })
  return out
}

/**
 * Compares plain and encrypted predictions of the same patients. Decisions, Brier score and calibration error are those of
 * the calibrated probabilities, the AUC that of the logits, which calibration does not reorder.
 *
 * Math:  logit error = |encrypted - plain|; agreement: the share with (p > 1/2) the same; quantiles by nearest rank
 * Units: logits in nats, latency in ms, sizes in bytes
 * @throws {ConsiliumError} "inference/bad-measurements", "inference/bad-calibration"
 */
export const evaluateEncrypted = (
  measurements: Measurements,
  calibration: Calibration | null,
): Evaluation => {
  checkMeasurements(measurements)
  if (calibration !== null) checkCalibration(calibration)
  const { plainLogits, encryptedLogits, labels, requests, keyBytes } = measurements
  const n = labels.length
  const plain = plainLogits.map((logit) => calibratedProbability(calibration, logit))
  const encrypted = encryptedLogits.map((logit) => calibratedProbability(calibration, logit))
  let agreed = 0
  let sum = 0
  let most = 0
  for (let i = 0; i < n; i++) {
    if ((plain[i] as number) > 0.5 === (encrypted[i] as number) > 0.5) agreed++
    const error = Math.abs((encryptedLogits[i] as number) - (plainLogits[i] as number))
    sum += error
    most = Math.max(most, error)
  }
  const times = requests.map(({ latencyMs }) => latencyMs)
  return {
    n,
    requests: requests.length,
    classAgreement: agreed / n,
    maxLogitError: most,
    meanLogitError: sum / n,
    plain: qualityOf(plainLogits, plain, labels),
    encrypted: qualityOf(encryptedLogits, encrypted, labels),
    latencyMs: { p50: quantile(times, 0.5), p95: quantile(times, 0.95) },
    bytes: { up: largest(requests, "upBytes"), down: largest(requests, "downBytes"), keys: keyBytes },
    calibration: calibration?.type ?? null,
    warnings: warningsOf(encrypted, labels, calibration),
  }
}
