import { compareBytes } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { systemRandom } from "@consilium/base/random"
import type { LogEntry } from "@consilium/federation/log"
import type { LocalPolicy } from "@consilium/federation/policy"
import {
  type Directory,
  openRoster,
  type Participant,
  participantId,
  type Role,
  signRoster,
} from "@consilium/federation/roster"
import { encodeStudy, type Study, studyDigest } from "@consilium/federation/study"
import { loadOrCreateKeys, type ParticipantKeys } from "../identity/keys.js"
import { nodeSuite } from "../identity/suite.js"
import type { RawRecords } from "../local-records.js"
import type { Checks } from "../roles/checks.js"
import { runFacility } from "../roles/facility.js"
import { runFog } from "../roles/fog.js"
import { runLeader } from "../roles/leader.js"
import type { AuthorityDesk } from "../roles/leader-authority.js"
import type { Standing } from "../roles/membership.js"
import type { Outcome } from "../roles/outcome.js"
import type { RoleOptions } from "../roles/role-options.js"
import { rosterMemory } from "../roles/roster-shelf.js"
import { whenStopped } from "../roles/stopping.js"
import { memoryStores } from "../store/memory-stores.js"
import { SealedMemory } from "../store/sealed-memory.js"
import { type EdgeBytes, InProcessNetwork } from "./network.js"
import { RememberedChecks } from "./remembered-checks.js"

/** Somebody who takes part, and the name of whom it talks to. */
export interface Place {
  readonly name: string
  readonly role: Exclude<Role, "authority">
  readonly parent: string | null
}

export interface InProcessOptions {
  readonly study: Study
  readonly places: readonly Place[]
  /** What each facility has: its records, and what it allows. */
  readonly facilities: ReadonlyMap<string, { readonly records: RawRecords; readonly policy: LocalPolicy }>
  /** What the leader tells. */
  readonly narrate: (line: string) => void
  /** Ends all roles in good order. */
  readonly stop: AbortSignal
  /** Everybody's checks; remembered for all unless told. */
  readonly checks?: Checks
}

export interface InProcessRun {
  readonly outcome: Outcome
  /** The leader's last model, as a file. */
  readonly model: Uint8Array
  readonly directory: Directory
  /** The roster and study, as the authority of this run signed them, and its public key. */
  readonly signedRoster: Uint8Array
  readonly authorityKey: Uint8Array
  /** The leader's log. */
  readonly log: { readonly length: number; entries(): AsyncIterable<LogEntry> }
  readonly traffic: readonly EdgeBytes[]
}

/** Nobody asks for anything while it runs: there is no process to ask. */
const closed = { close: async () => undefined }

/** An authority that has signed all that there is to sign before anybody began. */
const silentAuthority: AuthorityDesk = {
  nextRoster: (_study, _after, stop) => new Promise((resolve) => whenStopped(stop, () => resolve(null))),
  propose: async () => {
    throw new ConsiliumError("network/stopping", "A federation in one process runs the study it began with.")
  },
  close: async () => undefined,
}

interface Seated {
  readonly place: Place
  readonly sealed: SealedMemory
  readonly keys: ParticipantKeys
}

const seat = async (place: Place): Promise<Seated> => {
  const sealed = new SealedMemory()
  return { place, sealed, keys: await loadOrCreateKeys(sealed) }
}

const participantOf = ({ place: { name, role, parent }, keys }: Seated): Participant => ({
  id: participantId(name),
  name,
  role,
  parent: parent === null ? null : participantId(parent),
  // nobody listens
  address: "",
  signingKey: keys.signingKey,
  sealingKey: keys.sealingKey,
  tlsKeyHash: keys.tlsKeyHash,
})

/**
 * Runs a whole study in this process: every participant with its own keys, machine, runner, journal and log, kept in
 * memory, on the same code as processes run. Only the authority's part is short: one roster is signed at the beginning.
 */
export const runInProcess = async (options: InProcessOptions): Promise<InProcessRun> => {
  const { study, places } = options
  const seated = await Promise.all(places.map(seat))
  const authority = await loadOrCreateKeys(new SealedMemory(), systemRandom)
  const participants = seated.map(participantOf).sort((a, b) => compareBytes(a.id, b.id))
  const roster = { study: studyDigest(study), version: 1, issuedAt: Date.now(), participants }
  const signedRoster = signRoster(roster, encodeStudy(study), authority.sign)
  const { directory } = openRoster(nodeSuite, authority.signingKey, signedRoster)
  const network = new InProcessNetwork()
  const checks = options.checks ?? new RememberedChecks()
  const ending = new AbortController()
  whenStopped(options.stop, () => ending.abort())
  const stops: AbortController[] = []
  whenStopped(ending.signal, () => {
    for (const stop of stops) stop.abort()
  })
  let log: InProcessRun["log"] | null = null
  let model: Uint8Array = new Uint8Array(0)

  const run = async ({ place, sealed, keys }: Seated): Promise<readonly Outcome[]> => {
    const me = directory.named(place.name)
    const stores = memoryStores()
    const stop = new AbortController()
    if (ending.signal.aborted) stop.abort()
    else stops.push(stop)
    const membership: Standing = {
      me,
      keys,
      sealed,
      shelf: rosterMemory(),
      authorityKey: authority.signingKey,
      signedRoster,
      checks,
    }
    const role: RoleOptions = {
      membership,
      stores,
      edges: network.edgesOf(me),
      admin: async () => closed,
      narrate: me.role === "leader" ? options.narrate : () => undefined,
      stop: stop.signal,
    }
    try {
      if (place.role === "fog") await runFog(role)
      if (place.role === "facility") await runFacility({ ...role, ...own(options, me), leave: cannotLeave })
      if (place.role !== "leader") return []
      const outcomes = await runLeader({
        ...role,
        authority: silentAuthority,
        open: async () => closed,
        keep: async (_study, _outcome, last) => {
          model = last
        },
      })
      log = await stores.study(studyDigest(study))
      return outcomes
    } catch (error) {
      ending.abort()
      throw error
    }
  }

  // when one fails the others are told to stop, and waited for
  const ended = await Promise.allSettled(seated.map(run))
  for (const end of ended) if (end.status === "rejected") throw end.reason
  const [outcome] = ended.flatMap((end) => (end.status === "fulfilled" ? end.value : []))
  if (outcome === undefined || log === null)
    throw new ConsiliumError("config/invalid", "Nobody leads this federation.")
  return {
    outcome,
    model,
    directory,
    signedRoster,
    authorityKey: authority.signingKey,
    log,
    traffic: network.traffic,
  }
}

const own = ({ facilities }: InProcessOptions, { name }: Participant) => {
  const found = facilities.get(name)
  if (found === undefined) throw new ConsiliumError("config/invalid", `No records are given for ${name}.`)
  return found
}

const cannotLeave = async (): Promise<never> => {
  throw new ConsiliumError("network/stopping", "Nobody leaves a federation in one process.")
}
