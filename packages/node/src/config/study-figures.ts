import { ConsiliumError } from "@consilium/base/errors"
import { figuresEvent } from "@consilium/federation/figures/figures-vector"
import {
  plannedEvaluations,
  type StudyEvaluation,
  type StudyStatistics,
} from "@consilium/federation/figures/study-figures"
import type { FiguresPurpose } from "@consilium/federation/purpose"
import type { Study } from "@consilium/federation/study"
import { calibrateNoiseMultiplier } from "@consilium/privacy/calibration"
import { type DpEvent, selfComposedEvent } from "@consilium/privacy/events"
import { z } from "zod"
import { declaredRanges } from "./table-form.js"

/** Parts of a budget that figures may spend where nothing else is said. */
const SHARE = 0.1

const share = z.number().positive().lt(1)
const rows = z
  .int()
  .min(1)
  .max(1 << 20)

/** `statistics` of study.yaml: counts, means, deviations and quartiles of all training patients, before the first round. */
export const statisticsSchema = z
  .strictObject({
    bins: z.int().min(2).max(1024).default(32),
    /** Where each feature lies, in the records' units; may be left out for features of a built-in schema. */
    ranges: z
      .array(z.strictObject({ feature: z.string().min(1).max(64), low: z.number(), high: z.number() }))
      .nullable()
      .default(null),
    /** Most training rows that a facility may have. */
    most_rows: rows.default(4096),
    /** With privacy: the part of the budget that they may spend. */
    budget_share: share.default(SHARE),
  })
  .nullable()
  .default(null)

/** `evaluation` of study.yaml: AUC, ROC, calibration and accuracy on all held-out patients, from histograms of scores. */
export const evaluationSchema = z
  .strictObject({
    /** Bins between 0 and 1; even. With privacy fewer carry less noise. */
    bins: z.int().min(2).max(1024).default(100),
    /** Rounds between evaluations; the last model is always evaluated. 0: that one only. */
    every: z.int().min(0).default(0),
    /** Most held-out rows that a facility may have. */
    most_rows: rows.default(4096),
    /** With privacy: the part of the budget that all of them together may spend. */
    budget_share: share.default(SHARE),
    /** Ends the study once the AUC has not risen by more than `margin` in so many evaluations; null: never. */
    stop: z
      .strictObject({
        patience: z.int().min(1).max(1000).default(3),
        margin: z.number().min(0).lt(1).default(0.001),
      })
      .nullable()
      .default(null),
  })
  .nullable()
  .default(null)

export interface FiguresFile {
  readonly statistics: z.output<typeof statisticsSchema>
  readonly evaluation: z.output<typeof evaluationSchema>
}

/** What of a study its figures depend on. */
interface FiguresSetting extends Pick<Study, "model" | "cohort" | "rounds"> {
  /** The schema that the study's tables follow, if it names any. */
  readonly schema: string | null
  readonly budget: { readonly epsilon: number; readonly delta: number } | null
}

const rangesOf = (
  given: NonNullable<FiguresFile["statistics"]>["ranges"],
  features: readonly string[],
  schema: string | null,
): StudyStatistics["ranges"] => {
  const known = given ?? declaredRanges(features, schema)
  return features.map((feature) => {
    const found = known.find((one) => one.feature === feature)
    if (found === undefined)
      throw new ConsiliumError(
        "config/invalid",
        `statistics.ranges: where the feature ${feature} lies is not declared; every feature needs a low and a high.`,
      )
    return { low: found.low, high: found.high }
  })
}

/** The noise with which so many releases of figures stay within their share of the budget. */
const noiseFor = (
  { model, cohort, budget }: FiguresSetting,
  figures: Pick<Study, "statistics" | "evaluation">,
  purpose: FiguresPurpose,
  times: number,
  part: number,
): number => {
  if (budget === null) return 0
  const withNoise = (noiseMultiplier: number): DpEvent => {
    const { statistics, evaluation } = figures
    return figuresEvent(
      {
        model,
        cohort,
        statistics: statistics && { ...statistics, noiseMultiplier },
        evaluation: evaluation && { ...evaluation, noiseMultiplier },
      },
      purpose,
    )
  }
  return calibrateNoiseMultiplier(part * budget.epsilon, budget.delta, {
    event: (z) => selfComposedEvent(withNoise(z), times),
  })
}

/**
 * The figures of a study from its file, with noise that keeps to their shares of the budget.
 * @throws {ConsiliumError} "config/invalid", "privacy/bad-parameter", "privacy/unreachable"
 */
export const studyFiguresOf = (
  file: FiguresFile,
  setting: FiguresSetting,
): { readonly statistics: StudyStatistics | null; readonly evaluation: StudyEvaluation | null } => {
  const statistics: StudyStatistics | null = file.statistics && {
    bins: file.statistics.bins,
    ranges: rangesOf(file.statistics.ranges, setting.model.features, setting.schema),
    mostRows: file.statistics.most_rows,
    noiseMultiplier: 0,
  }
  const evaluation: StudyEvaluation | null = file.evaluation && {
    bins: file.evaluation.bins,
    every: file.evaluation.every,
    mostRows: file.evaluation.most_rows,
    noiseMultiplier: 0,
    stop: file.evaluation.stop,
  }
  const bare = { statistics, evaluation }
  const evaluations = plannedEvaluations({ evaluation, rounds: setting.rounds })
  return {
    statistics: statistics && {
      ...statistics,
      noiseMultiplier: noiseFor(setting, bare, "statistics", 1, file.statistics?.budget_share ?? 0),
    },
    evaluation: evaluation && {
      ...evaluation,
      noiseMultiplier: noiseFor(
        setting,
        bare,
        "evaluation",
        Math.max(1, evaluations),
        file.evaluation?.budget_share ?? 0,
      ),
    },
  }
}

/** Whether noise may be shared out among facilities: not where fogs read single shares, nor where nobody is to collude. */
const sharesNoise = ({ protection, cohort }: Pick<Study, "protection" | "cohort">): boolean =>
  protection !== "plain" && cohort.colluders > 0

/**
 * The figures of another study, with the noise that a budget asks of them; without noise where there is no budget, and none at
 * all where they could not be noisy.
 */
export const figuresWithin = (
  study: Pick<Study, "statistics" | "evaluation" | "model" | "cohort" | "rounds" | "protection">,
  budget: FiguresSetting["budget"],
): Pick<Study, "statistics" | "evaluation"> => {
  if (budget !== null && !sharesNoise(study)) return { statistics: null, evaluation: null }
  const { statistics, evaluation } = study
  const setting = { ...study, schema: null, budget }
  const times = Math.max(1, plannedEvaluations(study))
  return {
    statistics: statistics && {
      ...statistics,
      noiseMultiplier: noiseFor(setting, study, "statistics", 1, SHARE),
    },
    evaluation: evaluation && {
      ...evaluation,
      noiseMultiplier: noiseFor(setting, study, "evaluation", times, SHARE),
    },
  }
}

/** Everything that a study's figures release in all its rounds: what training has to leave room for. */
export const figuresBeside = (
  study: Pick<Study, "statistics" | "evaluation" | "model" | "cohort" | "rounds">,
): readonly DpEvent[] => [
  ...(study.statistics === null ? [] : [figuresEvent(study, "statistics")]),
  ...(study.evaluation === null
    ? []
    : [selfComposedEvent(figuresEvent(study, "evaluation"), plannedEvaluations(study))]),
]
