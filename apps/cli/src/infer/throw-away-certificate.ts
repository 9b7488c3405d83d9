import { systemRandom } from "@consilium/base/random"
import { openAuthority } from "@consilium/node/identity/ca"
import { makeCsr } from "@consilium/node/identity/csr"
import { newP256Secret, p256FromSecret } from "@consilium/node/identity/keys"

/** A server's key and certificate for this machine, and the authority to trust; all PEM. */
export interface ThrowAwayCertificate {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

const NAME = "models"
const DAYS = 1

/** A certificate for localhost from an authority that exists for this call alone: nobody can have it issue another. */
export const throwAwayCertificate = async (): Promise<ThrowAwayCertificate> => {
  const kept = new Map<string, Uint8Array>()
  const authority = await openAuthority({
    files: {
      put: async (name, bytes) => void kept.set(name, new Uint8Array(bytes)),
      get: async (name) => kept.get(name)?.slice() ?? null,
      names: async () => [...kept.keys()],
      erase: async (name) => kept.delete(name),
    },
    now: Date.now,
  })
  const secret = newP256Secret(systemRandom)
  const key = p256FromSecret(secret)
  secret.fill(0)
  const csr = makeCsr(NAME, key)
  const cert = await authority.issue({ csr, name: NAME, role: "leader", validityDays: DAYS })
  for (const bytes of kept.values()) bytes.fill(0)
  return {
    ca: authority.certificate,
    cert,
    key: key.export({ type: "pkcs8", format: "pem" }).toString(),
  }
}
