import type { MetricsView, StudyView } from "../api/study-view.js"
import type { StoredOutcome } from "./stored-outcome.js"

/** How a model does on one facility's hold-out; a figure is null where it is undefined. */
export interface ComparedFigures {
  readonly facility: string
  readonly rows: number
  readonly accuracy: number | null
  readonly balancedAccuracy: number | null
  readonly auc: number | null
  readonly logLoss: number | null
}

/** One side of a comparison, however it was learnt of. Null stands for what the source does not tell. */
export interface ComparedStudy {
  readonly id: string
  readonly name: string
  readonly state: string
  readonly reason: string | null
  readonly strategy: string | null
  readonly protection: string | null
  readonly rounds: { readonly closed: number; readonly planned: number | null }
  /** Of the last closed round; 64 hexadecimal digits. */
  readonly modelHash: string | null
  /** From the first announcement of each closed round to its end, in all. */
  readonly seconds: number
  readonly bytes: {
    /** Everything that facilities sent in closed rounds, as their parents count it. */
    readonly facilities: number
    /** Updates, sums and openings that are addressed to the leader. */
    readonly leader: number | null
  }
  /** The last model, where facilities report on it, in the order of their names. */
  readonly figures: readonly ComparedFigures[]
  /** What each facility has spent; no epsilon without differential privacy. */
  readonly privacy: readonly {
    readonly facility: string
    readonly epsilon: number | null
    readonly delta: number | null
  }[]
}

const figuresOf = ({
  facility,
  rows,
  accuracy,
  balancedAccuracy,
  auc,
  logLoss,
}: MetricsView): ComparedFigures => ({
  facility,
  rows,
  accuracy,
  balancedAccuracy,
  auc,
  logLoss,
})

const byName = <T extends { readonly facility: string }>(all: readonly T[]): readonly T[] =>
  [...all].sort((a, b) => (a.facility < b.facility ? -1 : 1))

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0)

/** From the `outcome.json` of a study that is over. */
export const fromOutcome = (outcome: StoredOutcome): ComparedStudy => ({
  id: outcome.id,
  name: outcome.study,
  state: outcome.complete ? "complete" : "aborted",
  reason: outcome.reason,
  strategy: outcome.strategy ?? null,
  protection: outcome.protection ?? null,
  rounds: { closed: outcome.rounds.length, planned: outcome.plannedRounds ?? null },
  modelHash: outcome.modelHash,
  seconds: sumOf(outcome.rounds.map(({ seconds }) => seconds)),
  bytes: {
    facilities: sumOf(outcome.rounds.map(({ bytes }) => bytes.facilityUp)),
    leader: sumOf(outcome.rounds.map(({ bytes }) => bytes.leaderIn)),
  },
  figures: byName(
    outcome.facilities.flatMap(({ name: facility, global }) =>
      global === null ? [] : [figuresOf({ facility, ...global })],
    ),
  ),
  privacy: byName(outcome.privacy),
})

const allBytes = ({ update, relayed, opening, metadata }: StudyView["regions"][number]["bytes"]): number =>
  update + relayed + opening + metadata

/** From what a leader tells of a study over its API. */
export const fromView = (view: StudyView): ComparedStudy => {
  const closed = view.rounds.filter(({ phase }) => phase === "closed")
  const leaders = new Set(view.participants.filter(({ role }) => role === "leader").map(({ name }) => name))
  const direct = new Set(
    view.participants
      .filter(({ role, parent }) => role === "facility" && parent !== null && leaders.has(parent))
      .map(({ name }) => name),
  )
  const finals = view.finals.flatMap(({ global }) => (global === null ? [] : [global]))
  return {
    id: view.id,
    name: view.name,
    state: view.state,
    reason: view.reason,
    strategy: view.strategy,
    protection: view.protection,
    rounds: { closed: closed.length, planned: view.plannedRounds },
    modelHash: closed.at(-1)?.modelHash ?? null,
    seconds: sumOf(
      closed.map(
        ({ startedAt, endedAt }) => (Date.parse(endedAt ?? startedAt) - Date.parse(startedAt)) / 1000,
      ),
    ),
    bytes: {
      facilities: sumOf([
        ...view.regions.map(({ bytes }) => allBytes(bytes)),
        ...view.edges.filter(({ from }) => direct.has(from)).map(({ bytes }) => allBytes(bytes)),
      ]),
      // what the leader itself takes in is not told apart over the API
      leader: null,
    },
    figures: byName((view.finals.length > 0 ? finals : (closed.at(-1)?.metrics ?? [])).map(figuresOf)),
    privacy: byName(view.privacy),
  }
}
