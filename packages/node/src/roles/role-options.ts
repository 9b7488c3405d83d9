import type { Participant } from "@consilium/federation/roster"
import type { AdminCommands } from "../admin/server.js"
import type { Stores } from "../store/study-store.js"
import type { Edges } from "../transport/edge-link.js"
import type { Standing } from "./membership.js"
import type { Member } from "./study-host.js"
import type { RunnerOptions } from "./study-runner.js"

/** Something that was opened and is to be closed. */
export interface Closable {
  close(): Promise<void>
}

/** What every role needs to run. */
export interface RoleOptions {
  readonly membership: Standing
  readonly stores: Stores
  readonly edges: Edges
  /** Lets people on this machine ask for these things while the role runs. */
  readonly admin: (commands: AdminCommands) => Promise<Closable>
  readonly narrate: (line: string) => void
  /** Ends the role in good order. */
  readonly stop: AbortSignal
  readonly probe?: RunnerOptions["probe"]
}

/** What a machine knows of the study it runs in. */
export const contextOf = ({ keys, authorityKey, checks }: Standing, { study, directory, me }: Member) => ({
  study,
  directory,
  me,
  keys,
  suite: checks.suite,
  authorityKey,
})

/** Whom a participant talks to. */
export const parentOf = ({ authorityKey, me, signedRoster, checks }: Standing): Participant =>
  checks.roster(authorityKey, signedRoster).directory.get(me.parent as Uint8Array)
