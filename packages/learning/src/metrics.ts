import { ConsiliumError } from "@consilium/base/errors"
import { type Architecture, checkFit, checkParameters } from "./architecture.js"
import { checkExamples, type Examples } from "./data.js"
import { crossEntropy, predictLogits } from "./logistic.js"
import { log, sigmoid } from "./math.js"
import { checkWhole } from "./settings.js"

/** One bin of predicted probabilities, [lower, upper), the last one closed above. */
export interface CalibrationBin {
  readonly lower: number
  readonly upper: number
  readonly count: number
  readonly meanPredicted: number | null
  readonly observedRate: number | null
}

export interface Calibration {
  readonly bins: readonly CalibrationBin[]
  readonly expectedCalibrationError: number | null
}

/** How well a model does on some examples. Null stands where a figure is undefined: no rows, or rows of one class. */
export interface Metrics {
  readonly rows: number
  readonly positives: number
  readonly accuracy: number | null
  readonly balancedAccuracy: number | null
  readonly auc: number | null
  readonly logLoss: number | null
  readonly brier: number | null
  readonly calibration: Calibration
}

const bad = (message: string): never => {
  throw new ConsiliumError("learning/bad-predictions", message)
}

const checkScores = (scores: Float64Array, labels: Uint8Array): void => {
  if (scores.length !== labels.length)
    bad(`${scores.length} predictions were compared with ${labels.length} labels.`)
  for (const label of labels) if (label > 1) bad("A label is neither 0 nor 1.")
  for (const score of scores) if (Number.isNaN(score)) bad("A prediction is not a number.")
}

const checkProbabilities = (probabilities: Float64Array, labels: Uint8Array): void => {
  checkScores(probabilities, labels)
  for (const p of probabilities) if (p < 0 || p > 1) bad("A predicted probability lies outside [0, 1].")
}

/** Rows and rightly predicted rows of each class; a row is called 1 if its probability is above one half. */
const hits = (probabilities: Float64Array, labels: Uint8Array) => {
  checkProbabilities(probabilities, labels)
  const rows = [0, 0] as [number, number]
  const right = [0, 0] as [number, number]
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i] as 0 | 1
    rows[label] += 1
    if ((probabilities[i] as number) > 0.5 === (label === 1)) right[label] += 1
  }
  return { rows, right }
}

/**
 * The share of rows predicted rightly, or null for no rows.
 *
 * Math: mean of [(p > 1/2) = y]
 */
export const accuracy = (probabilities: Float64Array, labels: Uint8Array): number | null => {
  const { rows, right } = hits(probabilities, labels)
  return labels.length === 0 ? null : (right[0] + right[1]) / (rows[0] + rows[1])
}

/**
 * The mean of the accuracies within the two classes, or null unless both are there. Always naming one class scores 1/2.
 *
 * Math: (sensitivity + specificity) / 2
 */
export const balancedAccuracy = (probabilities: Float64Array, labels: Uint8Array): number | null => {
  const { rows, right } = hits(probabilities, labels)
  return rows[0] === 0 || rows[1] === 0 ? null : (right[0] / rows[0] + right[1] / rows[1]) / 2
}

/**
 * The area under the ROC curve, or null unless both classes are there. Any scores do that rise with the probability.
 *
 * Math:   (pairs (positive, negative) in right order + half of the tied ones) / all pairs, counted in whole numbers
 * Error:  one rounding, while there are fewer than 2^52 pairs
 * Cost:   O(n log n)
 * Source: Hanley and McNeil 1982
 */
export const auc = (scores: Float64Array, labels: Uint8Array): number | null => {
  checkScores(scores, labels)
  const positives = scores.filter((_, i) => labels[i] === 1).sort()
  const negatives = scores.filter((_, i) => labels[i] === 0).sort()
  if (positives.length === 0 || negatives.length === 0) return null
  let below = 0
  let upTo = 0
  let halves = 0
  for (const score of positives) {
    while (below < negatives.length && (negatives[below] as number) < score) below++
    while (upTo < negatives.length && (negatives[upTo] as number) <= score) upTo++
    halves += below + upTo
  }
  return halves / (2 * positives.length * negatives.length)
}

/**
 * The mean negative log-likelihood of probabilities, or null for no rows; Infinity if something declared impossible
 * happened.
 *
 * Units: nats per row
 */
export const logLoss = (probabilities: Float64Array, labels: Uint8Array): number | null => {
  checkProbabilities(probabilities, labels)
  if (labels.length === 0) return null
  let sum = 0
  for (let i = 0; i < labels.length; i++) {
    const p = probabilities[i] as number
    sum -= log(labels[i] === 1 ? p : 1 - p)
  }
  return sum / labels.length
}

/**
 * The mean squared difference of probability and label, or null for no rows.
 *
 * Math:   mean of (p - y)^2
 * Source: Brier 1950
 */
export const brier = (probabilities: Float64Array, labels: Uint8Array): number | null => {
  checkProbabilities(probabilities, labels)
  if (labels.length === 0) return null
  let sum = 0
  for (let i = 0; i < labels.length; i++) {
    const difference = (probabilities[i] as number) - (labels[i] as number)
    sum += difference * difference
  }
  return sum / labels.length
}

/**
 * Predicted against observed rates in bins of equal width.
 *
 * Math:   expected calibration error = sum over bins of (count / n) |mean predicted - observed rate|
 * Source: Naeini, Cooper and Hauskrecht 2015
 */
export const calibration = (probabilities: Float64Array, labels: Uint8Array, binCount = 10): Calibration => {
  checkWhole("number of calibration bins", binCount, 1)
  checkProbabilities(probabilities, labels)
  const counts = new Float64Array(binCount)
  const predicted = new Float64Array(binCount)
  const observed = new Float64Array(binCount)
  for (let i = 0; i < labels.length; i++) {
    const p = probabilities[i] as number
    const bin = Math.min(Math.floor(p * binCount), binCount - 1)
    counts[bin] = (counts[bin] as number) + 1
    predicted[bin] = (predicted[bin] as number) + p
    observed[bin] = (observed[bin] as number) + (labels[i] as number)
  }
  let error = 0
  const bins = Array.from(counts, (count, bin): CalibrationBin => {
    const edges = { lower: bin / binCount, upper: (bin + 1) / binCount }
    if (count === 0) return { ...edges, count, meanPredicted: null, observedRate: null }
    const meanPredicted = (predicted[bin] as number) / count
    const observedRate = (observed[bin] as number) / count
    error += (count / labels.length) * Math.abs(meanPredicted - observedRate)
    return { ...edges, count, meanPredicted, observedRate }
  })
  return { bins, expectedCalibrationError: labels.length === 0 ? null : error }
}

/**
 * All metrics of logits against labels. AUC and log loss are taken from the logits themselves, where large ones are still
 * apart and finite.
 *
 * Shape: one logit and one label a row
 */
export const metricsOfLogits = (logits: Float64Array, labels: Uint8Array): Metrics => {
  const probabilities = logits.map(sigmoid)
  const rows = labels.length
  return {
    rows,
    positives: labels.reduce((sum, label) => sum + label, 0),
    accuracy: accuracy(probabilities, labels),
    balancedAccuracy: balancedAccuracy(probabilities, labels),
    auc: auc(logits, labels),
    logLoss: rows === 0 ? null : crossEntropy(logits, labels),
    brier: brier(probabilities, labels),
    calibration: calibration(probabilities, labels),
  }
}

/**
 * All metrics of a logistic regression on some examples.
 *
 * Shape: parameters: parameterCount(architecture); examples.columns = architecture.inputs
 * @throws {ConsiliumError} "learning/bad-parameters", "learning/bad-examples" on input that does not fit
 */
export const evaluate = (
  architecture: Architecture,
  parameters: Float64Array,
  examples: Examples,
): Metrics => {
  checkParameters(architecture, parameters)
  checkExamples(examples)
  checkFit(architecture, examples)
  return metricsOfLogits(predictLogits(parameters, examples), examples.labels)
}
