import { type Encoded, f64, list, nullable, record, u16, u32 } from "@consilium/base/encoding"
import type { Study } from "../study.js"

/** Most bins of a histogram, and most rows of one facility that figures are made for. */
export const MAX_BINS = 1024

/** What is counted of all training patients together before the first round; it decides nothing of the training. */
export const statisticsCodec = record({
  /** Bins of each feature's histogram. */
  bins: u16,
  /** Where each feature of the model lies, in the records' units: declared, not looked up in the rows. Values beyond count as the nearest end. */
  ranges: list(record({ low: f64, high: f64 }), 4096),
  /** Most training rows that a facility may have. */
  mostRows: u32,
  /** With privacy: standard deviation of the noise on the opened sum / what one patient moves it by. 0 without. */
  noiseMultiplier: f64,
})
export type StudyStatistics = Encoded<typeof statisticsCodec>

/** How all held-out patients together are evaluated. */
export const evaluationCodec = record({
  /** Bins of the scores' histograms, between 0 and 1; even, so that one half is an edge. */
  bins: u16,
  /** Rounds between evaluations; the last model is always evaluated. 0 for that one only. */
  every: u32,
  /** Most held-out rows that a facility may have. */
  mostRows: u32,
  /** As with statistics; of each evaluation. */
  noiseMultiplier: f64,
  /** Ends the study where the AUC has not risen by more than `margin` in so many evaluations; null: never. */
  stop: nullable(record({ patience: u16, margin: f64 })),
})
export type StudyEvaluation = Encoded<typeof evaluationCodec>

/** Whether a round's model is evaluated. */
export const isEvaluated = (
  { evaluation, rounds }: Pick<Study, "evaluation" | "rounds">,
  round: number,
): boolean =>
  evaluation !== null && (round === rounds || (evaluation.every > 0 && round % evaluation.every === 0))

/** How many evaluations a study plans. */
export const plannedEvaluations = (study: Pick<Study, "evaluation" | "rounds">): number => {
  const { evaluation, rounds } = study
  if (evaluation === null) return 0
  const regular = evaluation.every === 0 ? 0 : Math.floor(rounds / evaluation.every)
  return regular + (evaluation.every > 0 && rounds % evaluation.every === 0 ? 0 : 1)
}

/** Parts in figures that a facility has given by the end of a round, if it gives one in all. */
export const figuresAfter = (
  study: Pick<Study, "statistics" | "evaluation" | "rounds">,
  round: number,
): { readonly statistics: number; readonly evaluations: number } => {
  let evaluations = 0
  for (let r = 1; r <= round; r++) if (isEvaluated(study, r)) evaluations++
  return { statistics: study.statistics === null ? 0 : 1, evaluations }
}

interface Problem {
  readonly message: string
  readonly remedy: string
}

const noiseProblem = (study: Study, noiseMultiplier: number, what: string): Problem | null => {
  if (study.privacy?.unit === "facility")
    return {
      message: `${what} are noised for single patients, and the study's privacy is about whole facilities.`,
      remedy: "Set privacy.unit to patient, or leave them out.",
    }
  if (study.privacy === null)
    return noiseMultiplier === 0
      ? null
      : {
          message: `${what} are to be noisy in a study without privacy.`,
          remedy: "Set the noise to 0, or declare privacy.",
        }
  if (study.protection === "plain" && study.insecureSeed === null)
    return {
      message: `Under plain each facility's part in ${what.toLowerCase()} is read with a share of the noise alone, which is less than it is charged for.`,
      remedy: "Choose another protection, or leave them out.",
    }
  if (study.cohort.colluders < 1)
    return {
      message: `${what} have noise of which every facility knows its own share: whoever takes it off a sum finds less than is charged for.`,
      remedy: "Set cohort.colluders to 1 or more, or leave them out.",
    }
  return noiseMultiplier > 0 && noiseMultiplier <= 1e6
    ? null
    : {
        message: `${what} with a noise multiplier of ${noiseMultiplier} would be exact, or drowned, in a study with differential privacy.`,
        remedy: "Give them a share of the budget, or leave them out.",
      }
}

const statisticsProblem = (
  study: Study,
  { bins, ranges, mostRows, noiseMultiplier }: StudyStatistics,
): Problem | null => {
  if (bins < 2 || bins > MAX_BINS)
    return { message: `${bins} bins are outside 2 to ${MAX_BINS}.`, remedy: "Set statistics.bins." }
  if (
    ranges.length !== study.model.features.length ||
    !ranges.every(({ low, high }) => Number.isFinite(low) && Number.isFinite(high) && low < high)
  )
    return {
      message: `${ranges.length} ranges are declared for the ${study.model.features.length} features of the statistics.`,
      remedy: "Declare a lowest and a highest value for every feature of the model.",
    }
  if (mostRows < 1)
    return { message: "Statistics of no rows say nothing.", remedy: "Set statistics.most_rows." }
  return noiseProblem(study, noiseMultiplier, "Statistics")
}

const evaluationProblem = (
  study: Study,
  { bins, mostRows, noiseMultiplier, stop }: StudyEvaluation,
): Problem | null => {
  if (bins < 2 || bins > MAX_BINS || bins % 2 !== 0)
    return { message: `${bins} bins are no even number of 2 to ${MAX_BINS}.`, remedy: "Set evaluation.bins." }
  if (mostRows < 1)
    return { message: "An evaluation of no rows says nothing.", remedy: "Set evaluation.most_rows." }
  if (stop !== null && !(stop.patience >= 1 && stop.margin >= 0 && stop.margin < 1))
    return {
      message: `A study cannot stop after ${stop.patience} evaluations without a gain of ${stop.margin}.`,
      remedy: "Set evaluation.stop.patience to 1 or more and evaluation.stop.margin between 0 and 1.",
    }
  return noiseProblem(study, noiseMultiplier, "Evaluations")
}

/** What is wrong with a study's figures and what to do, or null. */
export const figuresProblem = (study: Study): Problem | null =>
  (study.statistics && statisticsProblem(study, study.statistics)) ??
  (study.evaluation && evaluationProblem(study, study.evaluation))
