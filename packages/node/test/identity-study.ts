import { join } from "node:path"
import { newSecretKey, type SecretKey } from "@consilium/base/random"
import type { Role } from "@consilium/federation/roster"
import { type CertificateAuthority, openAuthority } from "../src/identity/ca.js"
import { makeCsr } from "../src/identity/csr.js"
import { loadOrCreateKeys, type ParticipantKeys } from "../src/identity/keys.js"
import { type TlsIdentity, tlsIdentity } from "../src/identity/tls.js"
import { SealedFiles } from "../src/store/sealed.js"

/** An authority in a folder, with keys of its own and those of any participant. */
export interface TestStudy {
  readonly key: SecretKey
  readonly files: SealedFiles
  readonly authority: CertificateAuthority
  /** A participant's new keys, and its certificate straight from the authority. */
  member(
    name: string,
    role: Role,
    options?: { authority?: CertificateAuthority; host?: string; validityDays?: number },
  ): Promise<{ keys: ParticipantKeys; identity: TlsIdentity }>
  keysOf(name: string): Promise<ParticipantKeys>
  /** The same authority by another clock. */
  at(now: () => number): Promise<CertificateAuthority>
}

export const testStudy = async (folder: string, now: () => number = Date.now): Promise<TestStudy> => {
  const key = newSecretKey()
  const files = await SealedFiles.open(join(folder, "authority"), key)
  const authority = await openAuthority({ files, now })
  const keysOf = async (name: string): Promise<ParticipantKeys> =>
    loadOrCreateKeys(await SealedFiles.open(join(folder, "own", name), key))
  return {
    key,
    files,
    authority,
    keysOf,
    at: (other) => openAuthority({ files, now: other }),
    async member(name, role, options = {}) {
      const keys = await keysOf(name)
      const issuer = options.authority ?? authority
      const certificate = await issuer.issue({
        csr: makeCsr(name, keys.tlsKey),
        name,
        role,
        host: options.host,
        validityDays: options.validityDays ?? 30,
      })
      return { keys, identity: tlsIdentity(keys, { certificate, caCertificate: issuer.certificate }) }
    },
  }
}
