import type { RoundView } from "@consilium/node/api/study-view"
import { inNameOrder } from "./format.js"
import type { MetricName } from "./words.js"

export interface Point {
  readonly round: number
  readonly value: number
}
export interface Series {
  readonly facility: string
  readonly points: readonly Point[]
}

/** Rounds whose model was accepted. In a round under way some have not reported, and a mean without them would mislead. */
const closedRounds = (rounds: readonly RoundView[]): readonly RoundView[] =>
  rounds.filter(({ phase }) => phase === "closed").sort((a, b) => a.round - b.round)

/** A metric of each facility over the rounds; what a facility could not measure is left out. */
export const seriesOf = (rounds: readonly RoundView[], metric: MetricName): readonly Series[] => {
  const series = new Map<string, Point[]>()
  for (const { round, metrics } of closedRounds(rounds))
    for (const row of metrics) {
      const value = row[metric]
      const points = series.get(row.facility) ?? []
      series.set(row.facility, points)
      if (value !== null) points.push({ round, value })
    }
  return [...series].sort(([a], [b]) => inNameOrder(a, b)).map(([facility, points]) => ({ facility, points }))
}

/** The mean over facilities in each round, every facility counting once. */
export const meanOf = (series: readonly Series[]): readonly Point[] => {
  const values = new Map<number, number[]>()
  for (const { points } of series)
    for (const { round, value } of points) values.set(round, [...(values.get(round) ?? []), value])
  return [...values]
    .sort(([a], [b]) => a - b)
    .map(([round, all]) => ({ round, value: all.reduce((sum, value) => sum + value, 0) / all.length }))
}

/** The last round for which any facility has reported, with its rows. */
export const latestMetrics = (rounds: readonly RoundView[]): RoundView | undefined =>
  closedRounds(rounds).findLast(({ metrics }) => metrics.length > 0)
