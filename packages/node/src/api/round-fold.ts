import type { ReportedMetrics, RoundSpec } from "@consilium/federation/messages"
import type {
  AttemptView,
  CeremonyPhase,
  LaneView,
  MetricsView,
  RoundPhase,
  RoundView,
} from "./study-view.js"

/** An attempt as it begins, with an empty lane for everybody who may take part. */
export const startAttempt = (
  { attempt }: RoundSpec,
  names: readonly string[],
  at: string,
): AttemptView<"collecting"> => ({
  attempt,
  phase: "collecting",
  reason: null,
  startedAt: at,
  endedAt: null,
  phases: [{ phase: "collecting", at }],
  lanes: names.map((name) => ({ name, steps: [] })),
})

export const startRound = (spec: RoundSpec, names: readonly string[], at: string): RoundView => ({
  round: spec.round,
  ...startAttempt(spec, names, at),
  cohort: [],
  openers: [],
  modelHash: null,
  metrics: [],
})

/** Phases that an attempt ends with. */
const LAST: ReadonlySet<string> = new Set(["closed", "held", "void"])

/** Phases that rounds and ceremonies have in common. */
type SharedPhase = Extract<RoundPhase, CeremonyPhase>

export const withPhase = <A extends AttemptView>(
  attempt: A,
  phase: A["phase"] | SharedPhase,
  at: string,
): A => ({
  ...attempt,
  phase,
  phases: [...attempt.phases, { phase, at }],
  endedAt: LAST.has(phase) ? at : attempt.endedAt,
})

export const withStep = <A extends AttemptView>(
  attempt: A,
  name: string,
  step: string,
  at: string,
  detail: string | null = null,
): A => {
  const taken = { step, at, detail }
  const lanes: readonly LaneView[] = attempt.lanes.some((lane) => lane.name === name)
    ? attempt.lanes.map((lane) => (lane.name === name ? { name, steps: [...lane.steps, taken] } : lane))
    : [...attempt.lanes, { name, steps: [taken] }]
  return { ...attempt, lanes }
}

export const metricsView = (facility: string, metrics: ReportedMetrics): MetricsView => ({
  facility,
  rows: metrics.rows,
  accuracy: metrics.accuracy,
  balancedAccuracy: metrics.balancedAccuracy,
  auc: metrics.auc,
  logLoss: metrics.logLoss,
})
