import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { utf8 } from "@consilium/base/platform"
import { endReason } from "@consilium/federation/budget-end"
import { evaluatedRounds } from "@consilium/federation/figures/opened-figures"
import type { LeaderState, RoundRecord } from "@consilium/federation/leader-state"
import type { LogEntry } from "@consilium/federation/log"
import { addTraffic, type ReportedMetrics, type Traffic } from "@consilium/federation/messages"
import { modelHashOf } from "@consilium/federation/model"
import { isPrivate } from "@consilium/federation/privacy-plan"
import type { Participant } from "@consilium/federation/roster"
import { type Study, strategyName, studyDigest } from "@consilium/federation/study"
import { subgroupTables } from "@consilium/federation/subgroup-figures"
import { figuresIn } from "../api/figures-fold.js"
import type { FiguresView, PrivacyView, SubgroupView } from "../api/study-view.js"
import { applyEntry, startView } from "../api/view-fold.js"
import { writeFileAtomic } from "../store/files.js"
import type { RosterPeriod } from "./leader-machine.js"
import { studiesFolder } from "./roster-shelf.js"

/** What lies in a study's folder at the leader once it is over. */
export const MODEL_FILE = "model.consilium"
export const OUTCOME_FILE = "outcome.json"

/** How a study ended, as the leader writes it beside the model. Hashes are 64 hexadecimal digits. */
export interface Outcome {
  /** Digest of the study. */
  readonly id: string
  readonly study: string
  readonly strategy: string
  readonly protection: string
  readonly plannedRounds: number
  readonly startedAt: number | null
  readonly complete: boolean
  readonly reason: string | null
  readonly modelHash: string
  readonly logHead: string
  readonly logEvents: number
  readonly rounds: readonly RoundOutcome[]
  /**
   * The last model on each facility's hold-out, as the facilities report it: in the end, or, where a study ended early, in its
   * last round. Null where one abstains.
   */
  readonly facilities: readonly {
    readonly name: string
    /** The round from which it took part: 1 for those who were there at the start. */
    readonly joined: number
    /** The last round that it was enrolled for, if it has left the study. */
    readonly left: number | null
    readonly global: ReportedMetrics | null
    readonly personal: ReportedMetrics | null
  }[]
  /** The last model by the groups of patients that the study declares. */
  readonly subgroups: readonly SubgroupView[]
  /** What was counted of all facilities' patients together. */
  readonly figures: Omit<FiguresView, "attempts">
  /** What the leader's log shows each facility to have spent; no epsilon where the study trains without noise. */
  readonly privacy: readonly PrivacyView[]
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
    /** What came to the leader straight from facilities that have no fog; a part of `leader`. */
    readonly direct: Traffic
  }
}

const total = (traffic: Traffic): number =>
  traffic.update + traffic.relayed + traffic.opening + traffic.metadata

/** A facility of any of the rosters, and the rounds that it was enrolled for. */
interface Enrolment {
  readonly facility: Participant
  readonly joined: number
  readonly left: number | null
}

/** Every facility that ever took part, by id. */
const enrolments = (rosters: readonly RosterPeriod[]): ReadonlyMap<string, Enrolment> => {
  const found = new Map<string, Enrolment>()
  for (const { from, directory } of rosters) {
    for (const [id, member] of found)
      if (member.left === null && directory.find(member.facility.id) === undefined)
        found.set(id, { ...member, left: from - 1 })
    for (const facility of directory.facilities) {
      const id = toHex(facility.id)
      found.set(id, { facility, joined: found.get(id)?.joined ?? from, left: null })
    }
  }
  return found
}

const roundOutcome = (members: ReadonlyMap<string, Enrolment>, record: RoundRecord): RoundOutcome => ({
  round: record.round,
  attempt: record.attempt,
  participants: record.cohort.map((id) => members.get(toHex(id))?.facility.name ?? toHex(id)).sort(),
  seconds: (record.closedAt - record.startedAt) / 1000,
  modelHash: toHex(record.model),
  bytes: {
    leaderIn: record.leaderIn.update + record.leaderIn.opening,
    fogIn: record.fogIn.update,
    facilityUp: total(addTraffic(record.fogIn, record.directIn)),
    leader: record.leaderIn,
    fogs: record.fogIn,
    direct: record.directIn,
  },
})

/** What a leader's log shows each facility to have spent, in the order of their names. */
export const privacyIn = async (
  study: Study,
  rosters: readonly RosterPeriod[],
  entries: AsyncIterable<LogEntry>,
): Promise<readonly PrivacyView[]> => {
  const newestFirst = rosters.map(({ directory }) => directory).reverse()
  let fold = startView({ study, rosters: () => newestFirst })
  if (isPrivate(study)) for await (const entry of entries) fold = applyEntry(fold, entry)
  return [...fold.view.privacy].sort((a, b) => (a.facility < b.facility ? -1 : 1))
}

/** Why a study ended, where it is not that all its rounds are closed. */
const reasonOf = (study: Study, state: LeaderState): string | null => {
  if (state.phase === "aborted") return state.reason
  if (state.phase !== "closed") return "The leader was stopped."
  const { closed, figures } = state.progress
  return closed.length === study.rounds
    ? null
    : endReason(study, closed.length, evaluatedRounds(study, figures))
}

export const outcomeOf = (
  study: Study,
  rosters: readonly RosterPeriod[],
  state: LeaderState,
  privacy: readonly PrivacyView[],
): Outcome => {
  const members = enrolments(rosters)
  return {
    id: toHex(studyDigest(study)),
    study: study.name,
    strategy: strategyName(study),
    protection: study.protection,
    plannedRounds: study.rounds,
    startedAt: state.progress.closed[0]?.startedAt ?? null,
    complete: state.phase === "closed",
    reason: reasonOf(study, state),
    modelHash: toHex(modelHashOf(study, state.progress.parameters)),
    logHead: toHex(state.progress.log.hash),
    logEvents: state.progress.log.seq,
    rounds: state.progress.closed.map((record) => roundOutcome(members, record)),
    facilities: [...members.values()]
      .sort((a, b) => (a.facility.name < b.facility.name ? -1 : 1))
      .map(({ facility: { id, name }, joined, left }) => {
        const final = "finals" in state ? state.finals.get(toHex(id)) : undefined
        const last = "finals" in state ? undefined : state.progress.closed.at(-1)?.reports.get(toHex(id))
        const global = final?.global ?? last ?? null
        return { name, joined, left, global, personal: final?.personal ?? null }
      }),
    subgroups: subgroupTables(
      study,
      [...members].flatMap(([id, { facility }]) => {
        const report = "finals" in state ? state.finals.get(id)?.subgroups : null
        return report ? [{ facility: facility.name, report }] : []
      }),
    ),
    figures: figuresIn(
      study,
      state.progress.figures,
      (id) => members.get(toHex(id))?.facility.name ?? toHex(id),
    ),
    privacy,
  }
}

/** Writes an outcome and the model it ends with into a study's folder. */
export const writeOutcome = async (folder: string, outcome: Outcome, model: Uint8Array): Promise<void> => {
  await writeFileAtomic(join(folder, MODEL_FILE), model)
  await writeFileAtomic(join(folder, OUTCOME_FILE), utf8(`${JSON.stringify(outcome, null, 2)}\n`))
}

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
