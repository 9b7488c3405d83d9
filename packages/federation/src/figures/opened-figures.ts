import type { FiguresPurpose } from "../purpose.js"
import type { Study } from "../study.js"
import { type EvaluatedRound, type Evaluation, readEvaluation } from "./evaluation.js"
import { figuresLength, figuresNoise, ROW } from "./figures-vector.js"
import { readStatistics, type Statistics } from "./statistics.js"

/** Figures as their sum was opened. */
export interface OpenedFigures {
  readonly purpose: FiguresPurpose
  readonly round: number
  /** Parameter hash of the model that is evaluated, or that the study begins with. */
  readonly model: Uint8Array
  readonly cohort: readonly Uint8Array[]
  readonly sum: Float64Array
}

/** The numbers of an opened sum that are figures: the rest is there because all sums of a study have one length. */
export const figuresOf = (study: Study, purpose: FiguresPurpose, sum: Float64Array): Float64Array =>
  sum.slice(0, figuresLength(study, purpose))

const noiseInRows = (study: Study, { purpose, cohort }: OpenedFigures): number =>
  figuresNoise(study, purpose, cohort.length) / ROW

/** The statistics of a study, if they were opened. */
export const statisticsOf = (study: Study, figures: readonly OpenedFigures[]): Statistics | null => {
  const opened = figures.find(({ purpose }) => purpose === "statistics")
  const { statistics } = study
  if (opened === undefined || statistics === null) return null
  return readStatistics({ ...study, statistics }, opened.sum, noiseInRows(study, opened))
}

/** The evaluations of a study's rounds, in their order. */
export const evaluationsOf = (
  study: Study,
  figures: readonly OpenedFigures[],
): readonly (Evaluation & Pick<OpenedFigures, "round" | "cohort">)[] => {
  const { evaluation } = study
  if (evaluation === null) return []
  return figures.flatMap((opened) =>
    opened.purpose === "evaluation"
      ? [
          {
            round: opened.round,
            cohort: opened.cohort,
            ...readEvaluation(evaluation, opened.sum, noiseInRows(study, opened)),
          },
        ]
      : [],
  )
}

export const evaluatedRounds = (study: Study, figures: readonly OpenedFigures[]): readonly EvaluatedRound[] =>
  evaluationsOf(study, figures).map(({ round, auc }) => ({ round, auc }))
