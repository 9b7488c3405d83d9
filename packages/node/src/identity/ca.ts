// @peculiar/x509 needs the metadata registry before it loads
import "reflect-metadata"
import { createPublicKey, type KeyObject, webcrypto } from "node:crypto"
import { isIP } from "node:net"
import { toHex } from "@consilium/base/bytes"
import { bytes, decode, encode, fixedBytes, record, u8 } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { type RandomSource, systemRandom } from "@consilium/base/random"
import type { Role } from "@consilium/federation/roster"
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509"
import type { Sealed } from "../store/sealed.js"
import { BACKDATE_MS } from "./expiry.js"
import { newP256Secret, p256FromSecret, spkiHash } from "./keys.js"
import { checkedHost, checkedName, dnsNameOf } from "./names.js"

const ECDSA = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const
const DAY = 86_400_000
const ROOT_DAYS = 3653
const MAX_CSR_BYTES = 4096

const webKey = (key: KeyObject, use: "sign" | "verify"): Promise<webcrypto.CryptoKey> =>
  webcrypto.subtle.importKey("jwk", key.export({ format: "jwk" }), ECDSA, true, [use])

const webKeyPair = async (privateKey: KeyObject): Promise<webcrypto.CryptoKeyPair> => ({
  privateKey: await webKey(privateKey, "sign"),
  publicKey: await webKey(createPublicKey(privateKey), "verify"),
})

/** Serial numbers are random, positive and of 16 bytes: RFC 5280 section 4.1.2.2 allows up to 20. */
const newSerial = (random: RandomSource): string => {
  const serial = random.bytes(16)
  serial[0] = ((serial[0] as number) & 0x3f) | 0x40
  return toHex(serial)
}

/** A certificate request that was checked. */
export interface CheckedCsr {
  readonly publicKey: KeyObject
  readonly tlsKeyHash: Uint8Array
}

const badCsr = (message: string, cause?: unknown): never => {
  throw new ConsiliumError("identity/bad-request", message, { cause })
}

/**
 * Checks a certificate request (PEM or DER): its signature, its key, its subject. Extensions it asks for are ignored.
 * @throws {ConsiliumError} "identity/bad-request"
 */
export const checkCsr = async (csr: string | Uint8Array, name: string): Promise<CheckedCsr> => {
  if (csr.length > MAX_CSR_BYTES)
    badCsr(`A certificate request of ${csr.length} bytes exceeds ${MAX_CSR_BYTES}.`)
  let subject: readonly Record<string, string[]>[]
  let publicKey: KeyObject
  let signed: boolean
  try {
    const request = new Pkcs10CertificateRequest(typeof csr === "string" ? csr : new Uint8Array(csr))
    subject = request.subjectName.toJSON()
    publicKey = createPublicKey({ key: Buffer.from(request.publicKey.rawData), format: "der", type: "spki" })
    signed = await request.verify(webcrypto)
  } catch (cause) {
    return badCsr("A certificate request cannot be read.", cause)
  }
  if (publicKey.asymmetricKeyDetails?.namedCurve !== "prime256v1")
    badCsr("A certificate request is not for an ECDSA P-256 key.")
  if (!signed) badCsr("A certificate request is not signed by its own key.")
  if (JSON.stringify(subject) !== JSON.stringify([{ CN: [name] }]))
    badCsr(`A certificate request is not for the name ${checkedName(name)} alone.`)
  return { publicKey, tlsKeyHash: spkiHash(publicKey) }
}

export interface IssueRequest {
  /** PEM or DER. */
  readonly csr: string | Uint8Array
  readonly name: string
  readonly role: Role
  /** The host it declared, if it listens: a DNS name or IP address. */
  readonly host?: string | undefined
  readonly validityDays: number
}

/** The study's own certificate authority. */
export interface CertificateAuthority {
  /** The root certificate, PEM. */
  readonly certificate: string
  /** SHA-256 of the root key's SubjectPublicKeyInfo: what kits pin. */
  readonly fingerprint: Uint8Array
  /**
   * A certificate (PEM) for a checked request.
   * @throws {ConsiliumError} "identity/bad-request", "identity/bad-name", "identity/bad-address"
   */
  issue(request: IssueRequest): Promise<string>
}

const makeRoot = async (key: KeyObject, at: number, random: RandomSource): Promise<X509Certificate> => {
  const keys = await webKeyPair(key)
  return X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: newSerial(random),
      name: [{ CN: ["Consilium study authority"] }],
      notBefore: new Date(at - BACKDATE_MS),
      notAfter: new Date(at + ROOT_DAYS * DAY),
      keys,
      signingAlgorithm: ECDSA,
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        await SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  )
}

const hostNames = (name: string, host: string | undefined): { type: "dns" | "ip"; value: string }[] => {
  const hosts = new Set(["localhost", "127.0.0.1", "::1"])
  if (host !== undefined) hosts.add(checkedHost(host))
  return [
    { type: "dns", value: dnsNameOf(name) },
    ...[...hosts].map((value) => ({ type: isIP(value) === 0 ? ("dns" as const) : ("ip" as const), value })),
  ]
}

const authorityCodec = record({ version: u8, secret: fixedBytes(32), certificate: bytes(8192) })
const FILE = "certificate-authority"

export interface AuthorityOptions {
  readonly files: Sealed
  readonly now: () => number
  readonly random?: RandomSource
}

/** The certificate authority of a sealed folder; a new one, saved there first, if there is none. */
export const openAuthority = async (options: AuthorityOptions): Promise<CertificateAuthority> => {
  const { files, now, random = systemRandom } = options
  let saved = await files.get(FILE)
  if (saved === null) {
    const secret = newP256Secret(random)
    const root = await makeRoot(p256FromSecret(secret), now(), random)
    saved = encode(authorityCodec, { version: 1, secret, certificate: new Uint8Array(root.rawData) })
    await files.put(FILE, saved)
  }
  const { secret, certificate } = decode(authorityCodec, saved)
  const key = p256FromSecret(secret)
  const signingKey = await webKey(key, "sign")
  secret.fill(0)
  saved.fill(0)
  const root = new X509Certificate(certificate)
  return {
    certificate: root.toString("pem"),
    fingerprint: spkiHash(key),
    async issue({ csr, name, role, host, validityDays }) {
      const names = hostNames(name, host)
      if (!(validityDays > 0 && validityDays <= ROOT_DAYS))
        badCsr(`A certificate cannot be valid for ${validityDays} days.`)
      const { publicKey } = await checkCsr(csr, name)
      const subjectKey = await webKey(publicKey, "verify")
      const at = now()
      const leaf = await X509CertificateGenerator.create(
        {
          serialNumber: newSerial(random),
          subject: [{ CN: [name] }, { OU: [role] }],
          issuer: root.subjectName,
          notBefore: new Date(at - BACKDATE_MS),
          notAfter: new Date(Math.min(at + validityDays * DAY, root.notAfter.getTime())),
          publicKey: subjectKey,
          signingKey,
          signingAlgorithm: ECDSA,
          extensions: [
            new BasicConstraintsExtension(false, undefined, true),
            new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
            new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth, ExtendedKeyUsage.serverAuth]),
            new SubjectAlternativeNameExtension(names),
            await SubjectKeyIdentifierExtension.create(subjectKey, false, webcrypto),
            await AuthorityKeyIdentifierExtension.create(root.publicKey, false, webcrypto),
          ],
        },
        webcrypto,
      )
      return leaf.toString("pem")
    },
  }
}
