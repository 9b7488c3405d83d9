import { join } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import { type Directory, openRoster } from "@consilium/federation/roster"
import { savedCertificates } from "../identity/enrol-client.js"
import { loadOrCreateKeys, type ParticipantKeys } from "../identity/keys.js"
import type { Kit } from "../identity/kit.js"
import { nodeSuite } from "../identity/suite.js"
import { type Certificates, type TlsIdentity, tlsIdentity } from "../identity/tls.js"
import { openSealed } from "../roles/membership.js"
import { ROSTER_FILE } from "../roles/roster-shelf.js"
import { readIfThere } from "../store/files.js"
import type { SealedFiles } from "../store/sealed.js"
import type { StorageKeySource } from "../store/storage-key.js"
import { isThere } from "./machine-checks.js"

/** An enrolled participant that does not run, as its locked folder knows it. */
export interface StoppedMember {
  readonly kit: Kit
  readonly sealed: SealedFiles
  readonly keys: ParticipantKeys
  readonly certificates: Certificates
  readonly identity: TlsIdentity
  /** Everybody in its first study; null until the authority has signed the roster. */
  readonly directory: Directory | null
}

/**
 * Opens the folder of a participant, which the caller has locked; makes nothing in it that is not there.
 * @throws {ConsiliumError} "identity/not-enrolled"; "store/..." if the storage key is not the right one
 */
export const openMember = async (
  kit: Kit,
  folder: string,
  storageKey: StorageKeySource,
): Promise<StoppedMember> => {
  const never = new ConsiliumError("identity/not-enrolled", `${kit.name} has never enrolled.`)
  // an empty folder would get a fresh key
  if (!(await isThere(join(folder, "sealed", "key-check.sealed")))) throw never
  const sealed = await openSealed(folder, storageKey)
  const certificates = await savedCertificates(sealed)
  if (certificates === null) throw never
  const keys = await loadOrCreateKeys(sealed)
  const signed = await readIfThere(join(folder, ROSTER_FILE))
  return {
    kit,
    sealed,
    keys,
    certificates,
    identity: tlsIdentity(keys, certificates),
    directory: signed === null ? null : openRoster(nodeSuite, kit.authorityKey, signed).directory,
  }
}
