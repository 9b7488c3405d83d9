import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import type { LeaderState, RoundRecord } from "@consilium/federation/leader-state"
import type { ReportedMetrics, Traffic } from "@consilium/federation/messages"
import type { Directory } from "@consilium/federation/roster"
import { type Study, studyDigest } from "@consilium/federation/study"
import { architectureOf } from "@consilium/federation/training"
import { parameterHash } from "@consilium/learning/model-file"
import { studiesFolder } from "./study-host.js"

/** What lies in a study's folder at the leader once it is over. */
export const MODEL_FILE = "model.consilium"
export const OUTCOME_FILE = "outcome.json"

/** How a study ended, as the leader writes it beside the model. Hashes are 64 hexadecimal digits. */
export interface Outcome {
  /** Digest of the study. */
  readonly id: string
  readonly study: string
  readonly startedAt: number | null
  readonly complete: boolean
  readonly reason: string | null
  readonly modelHash: string
  readonly logHead: string
  readonly logEvents: number
  readonly rounds: readonly RoundOutcome[]
  /** Metrics on each facility's hold-out, as the facilities report them; null where one abstains. */
  readonly facilities: readonly {
    readonly name: string
    readonly global: ReportedMetrics | null
    readonly personal: ReportedMetrics | null
  }[]
}

export interface RoundOutcome {
  readonly round: number
  readonly attempt: number
  readonly participants: readonly string[]
  readonly seconds: number
  readonly modelHash: string
  readonly bytes: {
    /** Updates, sums of updates and openings that are addressed to the leader. */
    readonly leaderIn: number
    /** Updates that are addressed to fogs. */
    readonly fogIn: number
    /** Everything that facilities sent. */
    readonly facilityUp: number
    /** The same apart: `relayed` are sealed shares on their way to other facilities, `metadata` is all that surrounds. */
    readonly leader: Traffic
    readonly fogs: Traffic
  }
}

const total = (traffic: Traffic): number =>
  traffic.update + traffic.relayed + traffic.opening + traffic.metadata

const roundOutcome = (directory: Directory, record: RoundRecord): RoundOutcome => ({
  round: record.round,
  attempt: record.attempt,
  participants: record.cohort.map((id) => directory.get(id).name).sort(),
  seconds: (record.closedAt - record.startedAt) / 1000,
  modelHash: toHex(record.model),
  bytes: {
    leaderIn: record.leaderIn.update + record.leaderIn.opening,
    fogIn: record.fogIn.update,
    facilityUp: total(record.fogIn),
    leader: record.leaderIn,
    fogs: record.fogIn,
  },
})

export const outcomeOf = (study: Study, directory: Directory, state: LeaderState): Outcome => ({
  id: toHex(studyDigest(study)),
  study: study.name,
  startedAt: state.progress.closed[0]?.startedAt ?? null,
  complete: state.phase === "closed",
  reason:
    state.phase === "aborted" ? state.reason : state.phase === "closed" ? null : "The leader was stopped.",
  modelHash: toHex(parameterHash(architectureOf(study), state.progress.parameters)),
  logHead: toHex(state.progress.log.hash),
  logEvents: state.progress.log.seq,
  rounds: state.progress.closed.map((record) => roundOutcome(directory, record)),
  facilities: [...directory.facilities]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ id, name }) => {
      const final = "finals" in state ? state.finals.get(toHex(id)) : undefined
      return { name, global: final?.global ?? null, personal: final?.personal ?? null }
    }),
})

/** The outcomes in a leader's data folder, in the order in which the studies began. */
export const readOutcomes = async (dataFolder: string): Promise<readonly Outcome[]> => {
  const folder = studiesFolder(dataFolder)
  const outcomes: Outcome[] = []
  for (const name of await readdir(folder)) {
    const text = await readFile(join(folder, name, OUTCOME_FILE), "utf8").catch(() => null)
    if (text !== null) outcomes.push(JSON.parse(text) as Outcome)
  }
  const began = ({ startedAt }: Outcome): number => startedAt ?? Number.POSITIVE_INFINITY
  return outcomes.sort((a, b) => began(a) - began(b))
}
