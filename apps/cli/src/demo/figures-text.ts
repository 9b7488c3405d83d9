import type { EvaluationView, FiguresView, StatisticsView } from "@consilium/node/api/study-view"
import { columns } from "../commands/printed.js"

const figure = (value: number | null): string => (value === null ? "-" : value.toFixed(3))
const short = (value: number | null): string =>
  value === null ? "-" : Number(value.toPrecision(4)).toString()

/** What the noise on figures is; `counts` says which numbers have it. */
const noiseText = (noise: number, counts: string): readonly string[] =>
  noise === 0
    ? []
    : [
        `  ${counts} noise of ${noise.toFixed(1)} rows (standard deviation), paid for by every facility's budget.`,
      ]

/** The evaluations of all held-out patients together, as a table for a person; nothing where there are none. */
export const evaluationText = (evaluations: readonly EvaluationView[]): readonly string[] => {
  const last = evaluations.at(-1)
  if (last === undefined) return []
  const table = columns(
    ["after round", "rows", "ill", "accuracy", "balanced", "AUC", "±", "Brier"],
    evaluations.map((one) => [
      String(one.round),
      String(one.rows),
      String(one.positives),
      figure(one.accuracy),
      figure(one.balancedAccuracy),
      figure(one.auc),
      figure(one.aucError),
      figure(one.brier),
    ]),
  )
  return [
    "",
    "All held-out rows together, from sums of score histograms that nobody saw one by one",
    ...table.map((line) => `  ${line}`),
    "  (± is how far bins of scores may move the AUC)",
    ...noiseText(last.noise, "Rows and ill add up counts of bins, each with"),
  ]
}

/** The statistics of all training patients together. */
export const statisticsText = (statistics: StatisticsView | null): readonly string[] => {
  if (statistics === null) return []
  const { rows, positives, features, noise } = statistics
  const table = columns(
    ["feature", "mean", "deviation", "lower quartile", "median", "upper quartile"],
    features.map(({ feature, mean, deviation, quartiles }) => [
      feature,
      short(mean),
      short(deviation),
      ...[0, 1, 2].map((i) => short(quartiles?.[i] ?? null)),
    ]),
  )
  return [
    "",
    `All training rows together: ${rows}, of which ${positives} are ill`,
    ...table.map((line) => `  ${line}`),
    ...noiseText(noise, "Counts carry"),
  ]
}

export const figuresText = ({
  statistics,
  evaluations,
}: Omit<FiguresView, "attempts">): readonly string[] => [
  ...statisticsText(statistics),
  ...evaluationText(evaluations),
]
