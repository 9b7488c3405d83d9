import { dirname, join, resolve } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { equalBytes } from "@consilium/base/bytes"
import { ConsiliumError, isConsiliumError } from "@consilium/base/errors"
import type { Milliseconds } from "@consilium/base/units"
import { openRoster, type Participant, type Role } from "@consilium/federation/roster"
import type { OwnKeys } from "@consilium/federation/suite"
import { fetchRoster, loadOrEnrol } from "../identity/enrol-client.js"
import { certificateWarnings } from "../identity/expiry.js"
import { loadOrCreateKeys, type ParticipantKeys } from "../identity/keys.js"
import { type Kit, readKit } from "../identity/kit.js"
import { parseAddress } from "../identity/names.js"
import { nodeSuite } from "../identity/suite.js"
import { type TlsIdentity, tlsIdentity } from "../identity/tls.js"
import { readIfThere, writeFileAtomic } from "../store/files.js"
import { type FolderLock, lockFolder } from "../store/lock.js"
import { type Sealed, SealedFiles } from "../store/sealed.js"
import { type StorageKeySource, storageKey } from "../store/storage-key.js"
import { type ReservedAddress, reserveAddress } from "../transport/address.js"
import { type Checks, nodeChecks } from "./checks.js"
import { ROSTER_FILE, type RosterShelf, rosterFolders } from "./roster-shelf.js"

/** Who a participant is to its studies, and where it keeps what is theirs. */
export interface Standing {
  readonly me: Participant
  readonly keys: OwnKeys
  readonly sealed: Sealed
  readonly shelf: RosterShelf
  /** The authority's public signing key. */
  readonly authorityKey: Uint8Array
  /** The first study and its roster, as the authority signed them. */
  readonly signedRoster: Uint8Array
  readonly checks: Checks
}

/** A participant that has enrolled and knows everybody else of its first study. */
export interface Membership extends Standing {
  readonly folder: string
  readonly kit: Kit
  readonly keys: ParticipantKeys
  readonly identity: TlsIdentity
  readonly sealed: SealedFiles
  /** Present where the role listens. */
  readonly address: ReservedAddress | null
  /** Gives the data folder free; call it last. */
  leave(): Promise<void>
}

export interface JoinOptions {
  /** The role's configuration file, `<participant>/local/<role>.yaml`. */
  readonly configPath: string
  readonly role: Role
  readonly dataFolder: string
  readonly storageKey: StorageKeySource
  readonly listen: { readonly hosts: readonly string[]; readonly ports: readonly number[] } | null
  /** How long to wait for the authority and the others. */
  readonly patience: Milliseconds
  readonly narrate: (line: string) => void
  /** Ends the wait. */
  readonly stop: AbortSignal
}

/** A data folder's sealed files. */
export const openSealed = async (folder: string, source: StorageKeySource): Promise<SealedFiles> => {
  const sealedFolder = join(folder, "sealed")
  return SealedFiles.open(sealedFolder, await storageKey({ source, sealedFolders: [sealedFolder] }))
}

/**
 * From a kit to membership: own keys, a certificate from the pinned authority, the roster it signed. What was done
 * before is found in the data folder and not done again.
 */
export const joinStudy = async (options: JoinOptions): Promise<Membership> => {
  const { configPath, role, narrate } = options
  const local = dirname(resolve(configPath))
  const folder = resolve(local, options.dataFolder)
  const kit = await readKit(dirname(local))
  if (kit.role !== role)
    throw new ConsiliumError(
      "config/invalid",
      `The kit beside ${configPath} is for a ${kit.role}, not for a ${role}.`,
    )
  const lock: FolderLock = await lockFolder(folder)
  let address: ReservedAddress | null = null
  try {
    const sealed = await openSealed(folder, options.storageKey)
    const keys = await loadOrCreateKeys(sealed)
    let signedRoster = await readIfThere(join(folder, ROSTER_FILE))
    address = options.listen && (await listenAgain(kit, signedRoster, options.listen, options))
    const times = { now: Date.now, patienceMs: options.patience, stop: options.stop }
    const certificates = await loadOrEnrol(sealed, { kit, keys, address: address?.address ?? "", ...times })
    for (const { message } of certificateWarnings(certificates.certificate, Date.now())) narrate(message)
    const identity = tlsIdentity(keys, certificates)
    if (signedRoster === null) {
      narrate(`${kit.name} is enrolled; waiting until all others are`)
      signedRoster = await fetchRoster(kit, identity, times)
    }
    const { directory } = openRoster(nodeSuite, kit.authorityKey, signedRoster)
    const me = directory.named(kit.name)
    if (
      me.role !== role ||
      !equalBytes(me.signingKey, keys.signingKey) ||
      !equalBytes(me.sealingKey, keys.sealingKey)
    )
      throw new ConsiliumError(
        "identity/bad-roster",
        `The roster names other keys for ${kit.name} than its own.`,
      )
    if (address !== null && address.address !== me.address) {
      await address.close()
      address = await reserveAt(me.address, options)
    }
    await writeFileAtomic(join(folder, ROSTER_FILE), signedRoster)
    return {
      folder,
      kit,
      me,
      keys,
      identity,
      sealed,
      shelf: rosterFolders(folder),
      authorityKey: kit.authorityKey,
      signedRoster,
      checks: nodeChecks,
      address,
      leave: () => lock.close(),
    }
  } catch (error) {
    await address?.close()
    await lock.close()
    throw error
  }
}

const PORT_PATIENCE = 20_000
const PORT_PAUSE = 250

/** Binds the address that others know; who holds it may be about to end. */
const reserveAt = async (
  address: string,
  { narrate, stop }: Pick<JoinOptions, "narrate" | "stop">,
): Promise<ReservedAddress> => {
  const { host, port } = parseAddress(address)
  const until = Date.now() + PORT_PATIENCE
  for (let told = false; ; told = true)
    try {
      return await reserveAddress([host], [port])
    } catch (error) {
      if (!isConsiliumError(error, "network/port-taken") || Date.now() > until || stop.aborted) throw error
      if (!told) narrate(`${address} is taken by another process; waiting for it`)
      await sleep(PORT_PAUSE)
    }
}

/** Others know this participant's address from the roster: after a restart it is the same. */
const listenAgain = (
  kit: Kit,
  signedRoster: Uint8Array | null,
  listen: NonNullable<JoinOptions["listen"]>,
  options: Pick<JoinOptions, "narrate" | "stop">,
): Promise<ReservedAddress> =>
  signedRoster === null
    ? reserveAddress(listen.hosts, listen.ports)
    : reserveAt(
        openRoster(nodeSuite, kit.authorityKey, signedRoster).directory.named(kit.name).address,
        options,
      )
