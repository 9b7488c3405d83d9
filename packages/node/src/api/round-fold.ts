import type { ReportedMetrics, RoundSpec } from "@consilium/federation/messages"
import type { LaneView, MetricsView, RoundPhase, RoundView } from "./study-view.js"

/** An attempt at a round as it begins, with an empty lane for everybody who may take part. */
export const startRound = (spec: RoundSpec, names: readonly string[], at: string): RoundView => ({
  round: spec.round,
  attempt: spec.attempt,
  phase: "collecting",
  reason: null,
  startedAt: at,
  endedAt: null,
  phases: [{ phase: "collecting", at }],
  lanes: names.map((name) => ({ name, steps: [] })),
  cohort: [],
  modelHash: null,
  metrics: [],
})

export const withPhase = (round: RoundView, phase: RoundPhase, at: string): RoundView => ({
  ...round,
  phase,
  phases: [...round.phases, { phase, at }],
  endedAt: phase === "closed" || phase === "void" ? at : round.endedAt,
})

export const withStep = (
  round: RoundView,
  name: string,
  step: string,
  at: string,
  detail: string | null = null,
): RoundView => {
  const taken = { step, at, detail }
  const lanes: readonly LaneView[] = round.lanes.some((lane) => lane.name === name)
    ? round.lanes.map((lane) => (lane.name === name ? { name, steps: [...lane.steps, taken] } : lane))
    : [...round.lanes, { name, steps: [taken] }]
  return { ...round, lanes }
}

export const metricsView = (facility: string, metrics: ReportedMetrics): MetricsView => ({
  facility,
  rows: metrics.rows,
  accuracy: metrics.accuracy,
  balancedAccuracy: metrics.balancedAccuracy,
  auc: metrics.auc,
  logLoss: metrics.logLoss,
})
