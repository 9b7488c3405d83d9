import { ConsiliumError } from "@consilium/base/errors"
import { openRoster, type Participant } from "@consilium/federation/roster"
import { nodeSuite } from "../identity/suite.js"
import type { Stores } from "../store/study-store.js"
import type { ReservedAddress } from "../transport/address.js"
import type { Membership } from "./membership.js"
import type { Member } from "./study-host.js"
import type { RunnerOptions } from "./study-runner.js"

/** What every role needs to run. */
export interface RoleOptions {
  readonly membership: Membership
  readonly stores: Stores
  readonly narrate: (line: string) => void
  /** Ends the role in good order. */
  readonly stop: AbortSignal
  readonly probe?: RunnerOptions["probe"]
}

/** What a machine knows of the study it runs in. */
export const contextOf = ({ keys, kit }: Membership, { study, directory, me }: Member) => ({
  study,
  directory,
  me,
  keys,
  suite: nodeSuite,
  authorityKey: kit.authorityKey,
})

/** Whom a participant talks to. */
export const parentOf = ({ kit, me, signedRoster }: Membership): Participant =>
  openRoster(nodeSuite, kit.authorityKey, signedRoster).directory.get(me.parent as Uint8Array)

/** Where a role that listens was bound when it joined. */
export const addressOf = ({ address, me }: Membership): ReservedAddress => {
  if (address === null) throw new ConsiliumError("config/invalid", `${me.name} has no address to listen on.`)
  return address
}
