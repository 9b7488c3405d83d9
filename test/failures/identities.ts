import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openAuthority } from "@consilium/node/identity/ca"
import { makeCsr } from "@consilium/node/identity/csr"
import { loadOrEnrol } from "@consilium/node/identity/enrol-client"
import { loadOrCreateKeys } from "@consilium/node/identity/keys"
import { readKit } from "@consilium/node/identity/kit"
import { type TlsIdentity, tlsIdentity } from "@consilium/node/identity/tls"
import { openSealed } from "@consilium/node/roles/membership"
import type { StudyRun } from "../security/study-run.js"

const sealedOf = (run: StudyRun, name: string) =>
  openSealed(join(run.folder, name, "data"), {
    kind: "file",
    path: join(run.folder, name, "local/storage.key"),
  })

/** The identity that an enrolled participant has, from its own folder. */
export const identityOf = async (run: StudyRun, name: string): Promise<TlsIdentity> => {
  const sealed = await sealedOf(run, name)
  const keys = await loadOrCreateKeys(sealed)
  const kit = await readKit(join(run.folder, name))
  return tlsIdentity(keys, await loadOrEnrol(sealed, { kit, keys, address: "", now: Date.now }))
}

/** The identity that a participant of the same name would have from another authority. */
export const strangeIdentity = async (name: string): Promise<TlsIdentity> => {
  const folder = mkdtempSync(join(tmpdir(), "consilium-stranger-"))
  try {
    const files = await openSealed(join(folder, "data"), { kind: "file", path: join(folder, "storage.key") })
    const keys = await loadOrCreateKeys(files)
    const authority = await openAuthority({ files, now: Date.now })
    const csr = makeCsr(name, keys.tlsKey)
    const certificate = await authority.issue({ csr, name, role: "facility", validityDays: 1 })
    return tlsIdentity(keys, { certificate, caCertificate: authority.certificate })
  } finally {
    rmSync(folder, { recursive: true })
  }
}
