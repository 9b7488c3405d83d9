import type { Examples } from "@consilium/learning/data"
import { predictLogits } from "@consilium/learning/logistic"
import { log, sigmoid } from "@consilium/learning/math"
import { isNetwork, networkLogits } from "../network-training.js"
import type { Study } from "../study.js"
import { architectureOf } from "../training.js"
import { checkRows, evaluationLength, ROW, rowsCounted } from "./figures-vector.js"
import { mergedSmallBins } from "./small-bins.js"
import type { StudyEvaluation } from "./study-figures.js"

type Evaluating = Study & { readonly evaluation: StudyEvaluation }

const logitsOf = (study: Study, parameters: Float64Array, examples: Examples): Float64Array => {
  if (isNetwork(study)) return Float64Array.from(networkLogits(study, parameters, examples))
  architectureOf(study)
  return predictLogits(parameters, examples)
}

/** The bin of a probability, bins being closed above: a patient is in the upper half where the model says more than one half. */
const binOf = (probability: number, bins: number): number => Math.max(0, Math.ceil(probability * bins) - 1)

/**
 * A facility's part in an evaluation: a histogram of the model's probabilities for held-out patients without the condition,
 * and one for those with it.
 *
 * Shape: 2 x bins whole numbers, those without the condition first
 * Units: ROW for a row; with privacy each patient's first row alone
 * @throws {ConsiliumError} "round/too-many-rows"
 */
export const countScores = (
  study: Evaluating,
  parameters: Float64Array,
  holdOut: Examples,
  patients: ArrayLike<number>,
): Int32Array => {
  const { bins, mostRows } = study.evaluation
  const counted = rowsCounted(study, patients)
  checkRows(counted.length, mostRows, "held-out")
  const out = new Int32Array(evaluationLength(study))
  const logits = logitsOf(study, parameters, holdOut)
  for (const row of counted) {
    const bin = binOf(sigmoid(logits[row] as number), bins)
    const place = (holdOut.labels[row] === 1 ? bins : 0) + bin
    out[place] = (out[place] as number) + ROW
  }
  return out
}

/** How a model does on all facilities' held-out patients together, as far as bins of scores tell. */
export interface Evaluation {
  readonly rows: number
  readonly positives: number
  readonly accuracy: number | null
  readonly balancedAccuracy: number | null
  readonly auc: number | null
  /** The AUC of the scores themselves lies within this of `auc`: half of the pairs that share a bin. Noise comes on top. */
  readonly aucError: number | null
  /** Both as if each score were the middle of its bin. */
  readonly logLoss: number | null
  readonly brier: number | null
  /** Points of the ROC curve at edges of bins, from (0, 0) to (1, 1): between two lie no few rows. */
  readonly roc: readonly { readonly falsePositives: number; readonly truePositives: number }[]
  /**
   * Tenths of the scores, those of few rows joined with their neighbours: their mean as if scores were the middles of bins,
   * and the share with the condition.
   */
  readonly calibration: readonly {
    readonly predicted: number
    readonly observed: number
    readonly rows: number
  }[]
  /** Standard deviation of the noise on every count, in rows; 0 where nothing is noised. */
  readonly noise: number
}

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0)

/** Where bins side by side begin and end once those of few rows are joined with their neighbours. */
const joinedPlaces = (rows: readonly number[]): readonly { readonly from: number; readonly to: number }[] =>
  mergedSmallBins(rows.map((count, place) => ({ from: place, to: place + 1, rows: count })))

const calibrationOf = (
  negatives: readonly number[],
  positives: readonly number[],
): Evaluation["calibration"] => {
  const bins = negatives.length
  const tenths = Array.from({ length: 10 }, () => ({ scores: 0, positives: 0, rows: 0 }))
  for (let bin = 0; bin < bins; bin++) {
    const middle = (bin + 0.5) / bins
    const tenth = tenths[Math.min(9, Math.floor(middle * 10))] as (typeof tenths)[number]
    const rows = (negatives[bin] as number) + (positives[bin] as number)
    tenth.scores += middle * rows
    tenth.positives += positives[bin] as number
    tenth.rows += rows
  }
  return joinedPlaces(tenths.map(({ rows }) => rows)).flatMap(({ from, to }) => {
    const joined = tenths.slice(from, to)
    const rows = sumOf(joined.map((tenth) => tenth.rows))
    if (rows === 0) return []
    const predicted = sumOf(joined.map(({ scores }) => scores)) / rows
    return [{ predicted, observed: sumOf(joined.map((tenth) => tenth.positives)) / rows, rows }]
  })
}

/** The ROC curve at the edges of bins that are told. */
const rocOf = (negatives: readonly number[], positives: readonly number[]): Evaluation["roc"] => {
  const [without, having] = [sumOf(negatives), sumOf(positives)]
  const places = joinedPlaces(negatives.map((count, bin) => count + (positives[bin] as number)))
  const over = (of: readonly number[], bin: number): number => sumOf(of.slice(bin))
  return [negatives.length, ...places.map(({ from }) => from).reverse()].map((edge) => ({
    falsePositives: over(negatives, edge) / without,
    truePositives: over(positives, edge) / having,
  }))
}

/**
 * What an opened sum of scores says.
 *
 * Math:   AUC = (pairs in the right order of bins + half of those that share one) / all pairs
 * Error:  the AUC of unbinned scores within `aucError`; accuracies are exact, since one half is an edge; without noise
 * Source: Hanley and McNeil 1982
 */
export const readEvaluation = ({ bins }: StudyEvaluation, sum: Float64Array, noise: number): Evaluation => {
  const counts = Array.from(sum, (value) => Math.max(0, value / ROW))
  const [negatives, positives] = [counts.slice(0, bins), counts.slice(bins, 2 * bins)]
  const [without, having] = [sumOf(negatives), sumOf(positives)]
  const half = bins / 2
  const rows = without + having
  const right = [sumOf(negatives.slice(0, half)), sumOf(positives.slice(half))] as const
  const both = without > 0 && having > 0
  const pairs = without * having
  const below = (bin: number): number => sumOf(negatives.slice(0, bin))
  const ordered = sumOf(positives.map((count, bin) => count * below(bin)))
  const shared = sumOf(positives.map((count, bin) => count * (negatives[bin] as number)))
  const middles = Array.from({ length: bins }, (_, bin) => (bin + 0.5) / bins)
  const lost = sumOf(
    middles.map((p, bin) => -(positives[bin] as number) * log(p) - (negatives[bin] as number) * log(1 - p)),
  )
  const squared = sumOf(
    middles.map(
      (p, bin) => (positives[bin] as number) * (1 - p) * (1 - p) + (negatives[bin] as number) * p * p,
    ),
  )
  return {
    rows: Math.round(rows),
    positives: Math.round(having),
    accuracy: rows > 0 ? (right[0] + right[1]) / rows : null,
    balancedAccuracy: both ? (right[0] / without + right[1] / having) / 2 : null,
    auc: both ? (ordered + shared / 2) / pairs : null,
    aucError: both ? shared / 2 / pairs : null,
    logLoss: rows > 0 ? lost / rows : null,
    brier: rows > 0 ? squared / rows : null,
    roc: both ? rocOf(negatives, positives) : [],
    calibration: calibrationOf(negatives, positives),
    noise,
  }
}

/** An evaluation of one round's model. */
export interface EvaluatedRound {
  readonly round: number
  readonly auc: number | null
}

/**
 * Whether a study's AUC has stopped rising: the best of it is so many evaluations ago, smaller gains than the margin not
 * counted. The round with the best model, or null to go on.
 */
export const bestBeforeStop = (
  { evaluation }: Pick<Study, "evaluation">,
  evaluated: readonly EvaluatedRound[],
): number | null => {
  if (evaluation?.stop == null) return null
  const { patience, margin } = evaluation.stop
  let best: { readonly round: number; readonly auc: number; readonly at: number } | null = null
  for (const [at, { round, auc }] of evaluated.entries())
    if (auc !== null && (best === null || auc > best.auc + margin)) best = { round, auc, at }
  return best !== null && evaluated.length - 1 - best.at >= patience ? best.round : null
}
