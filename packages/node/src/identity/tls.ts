import { X509Certificate } from "node:crypto"
import { Agent } from "node:https"
import { type ConnectionOptions, type PeerCertificate, TLSSocket, type TlsOptions } from "node:tls"
import { equalBytes } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import type { Role } from "@consilium/federation/roster"
import { type ParticipantKeys, spkiHash } from "./keys.js"
import { DOMAIN, dnsNameOf, isRole } from "./names.js"

/** What enrolment gives: both PEM. */
export interface Certificates {
  readonly certificate: string
  readonly caCertificate: string
}

/** Whom a TLS connection is made as. */
export interface TlsIdentity extends Certificates {
  /** PEM of the private key. */
  readonly key: string
}

/** The identity of own keys and the certificate they were given. */
export const tlsIdentity = (keys: ParticipantKeys, certificates: Certificates): TlsIdentity => ({
  ...certificates,
  key: keys.tlsKey.export({ format: "pem", type: "pkcs8" }) as string,
})

const VERSION = { minVersion: "TLSv1.3", maxVersion: "TLSv1.3" } as const

/** Options of a server that admits enrolled participants only. */
export const tlsServerOptions = (identity: TlsIdentity): TlsOptions => ({
  ...VERSION,
  ca: identity.caCertificate,
  cert: identity.certificate,
  key: identity.key,
  requestCert: true,
  rejectUnauthorized: true,
})

/**
 * A check, for `checkServerIdentity`, that the other side is the named participant, at whatever address it runs: every
 * participant's certificate is good for localhost, so the name has to be checked, never the address. With the hash of the
 * key that the roster names, the certificate must be for that key.
 */
export const checkPeerIdentity =
  (name: string, tlsKeyHash?: Uint8Array) =>
  (_host: string, peer: PeerCertificate): Error | undefined => {
    const certificate = new X509Certificate(peer.raw)
    if (certificate.checkHost(dnsNameOf(name), { subject: "never", wildcards: false }) === undefined)
      return new ConsiliumError("identity/wrong-peer", `The other side is not ${name}.`)
    if (tlsKeyHash !== undefined && !equalBytes(tlsKeyHash, spkiHash(certificate.publicKey)))
      return new ConsiliumError(
        "identity/wrong-peer",
        `The other side shows a certificate for ${name} with another key than the roster names.`,
      )
    return undefined
  }

/** Options of a connection to one participant, made as oneself. */
export const tlsClientOptions = (
  identity: TlsIdentity,
  name: string,
  tlsKeyHash?: Uint8Array,
): ConnectionOptions => ({
  ...VERSION,
  ca: identity.caCertificate,
  cert: identity.certificate,
  key: identity.key,
  rejectUnauthorized: true,
  servername: dnsNameOf(name),
  checkServerIdentity: checkPeerIdentity(name, tlsKeyHash),
})

/**
 * An agent for `https.request` to one participant. It resumes no sessions: on a resumed one Node does not check
 * who the server is.
 */
export const tlsAgent = (identity: TlsIdentity, name: string, tlsKeyHash?: Uint8Array): Agent =>
  new Agent({ ...tlsClientOptions(identity, name, tlsKeyHash), keepAlive: true, maxCachedSessions: 0 })

/** Who is at the other end of a connection. */
export interface Peer {
  readonly name: string
  readonly role: Role
  readonly tlsKeyHash: Uint8Array
}

/** The name and role in a certificate that this study's authority issued; null if it is none of its kind. */
export const subjectOf = (certificate: X509Certificate): Peer | null => {
  const subject = certificate.subject.split("\n")
  const name = /^CN=([a-z0-9-]+)$/.exec(subject[0] ?? "")?.[1]
  const role = /^OU=([a-z]+)$/.exec(subject[1] ?? "")?.[1]
  if (name === undefined || role === undefined || !isRole(role) || subject.length !== 2) return null
  if (certificate.checkHost(`${name}.${DOMAIN}`, { subject: "never", wildcards: false }) === undefined)
    return null
  return { name, role, tlsKeyHash: spkiHash(certificate.publicKey) }
}

/**
 * The enrolled participant at the other end of a verified connection.
 * @throws {ConsiliumError} "identity/certificate-required" without a certificate of this study's authority,
 *   "identity/certificate-expired" or "identity/certificate-refused" if it is not valid at this time
 */
export const peerOf = (socket: unknown, now: () => number = Date.now): Peer => {
  // `authorized` alone is not enough: it is also true for a resumed session that never had a certificate. And
  // getPeerX509Certificate gives a client the certificate on the first call only.
  const shown =
    socket instanceof TLSSocket
      ? (socket.getPeerCertificate() as PeerCertificate | undefined)?.raw
      : undefined
  const late = socket instanceof TLSSocket && String(socket.authorizationError) === "CERT_HAS_EXPIRED"
  // Only the reason of the refusal is taken from a certificate that TLS has refused.
  if (shown !== undefined && late) throw expired(new X509Certificate(shown), now())
  const raw = socket instanceof TLSSocket && socket.authorized ? shown : undefined
  const certificate = raw === undefined ? null : new X509Certificate(raw)
  const peer = certificate === null ? null : subjectOf(certificate)
  if (certificate === null || peer === null)
    throw new ConsiliumError(
      "identity/certificate-required",
      "The connection shows no certificate of this study.",
    )
  checkValidity(certificate, now())
  return peer
}

const ownerOf = (certificate: X509Certificate): string => subjectOf(certificate)?.name ?? "somebody unknown"

const expired = (certificate: X509Certificate, at: number): ConsiliumError =>
  new ConsiliumError(
    "identity/certificate-expired",
    `The certificate of ${ownerOf(certificate)} expired on ${certificate.validTo}; it is ${new Date(at).toUTCString()}.`,
  )

/**
 * @throws {ConsiliumError} "identity/certificate-expired" after the certificate's days, "identity/certificate-refused"
 *   before them
 */
export const checkValidity = (certificate: X509Certificate, at: number): void => {
  if (at > Date.parse(certificate.validTo)) throw expired(certificate, at)
  if (at < Date.parse(certificate.validFrom))
    throw new ConsiliumError(
      "identity/certificate-refused",
      `The certificate of ${ownerOf(certificate)} is valid from ${certificate.validFrom} on, but it is ${new Date(at).toUTCString()}.`,
    )
}
