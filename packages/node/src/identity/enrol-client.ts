import { X509Certificate } from "node:crypto"
import { equalBytes, fromHex, toHex } from "@consilium/base/bytes"
import { decode, encode, record, text } from "@consilium/base/encoding"
import { ConsiliumError, isConsiliumError } from "@consilium/base/errors"
import { openRoster } from "@consilium/federation/roster"
import type { OwnKeys } from "@consilium/federation/suite"
import { z } from "zod"
import type { SealedFiles } from "../store/sealed.js"
import {
  ask,
  type Body,
  fetchRoot,
  json,
  NotYet,
  patiently,
  readAnswer,
  refusal,
  type Times,
} from "./authority-requests.js"
import { makeCsr } from "./csr.js"
import { enrolMessage } from "./enrol-message.js"
import { renewalDue } from "./expiry.js"
import type { ParticipantKeys } from "./keys.js"
import type { Kit } from "./kit.js"
import { leaveMessage } from "./leaving.js"
import { nodeSuite } from "./suite.js"
import {
  type Certificates,
  checkPeerIdentity,
  checkValidity,
  subjectOf,
  type TlsIdentity,
  tlsClientOptions,
  tlsIdentity,
} from "./tls.js"

export type { Times } from "./authority-requests.js"

export interface EnrolOptions extends Times {
  readonly kit: Kit
  readonly keys: ParticipantKeys
  /** "host:port" where this participant listens; empty if it does not. */
  readonly address: string
}

const certificateAnswer = z.object({ certificate: z.string().max(16_384) })

/** Checks that a certificate is the one this participant asked for. */
const checkOwn = (
  certificate: string,
  caCertificate: string,
  { kit, keys, now }: Pick<EnrolOptions, "kit" | "keys" | "now">,
): void => {
  const root = new X509Certificate(caCertificate)
  let own: X509Certificate
  try {
    own = new X509Certificate(certificate)
  } catch (cause) {
    throw new ConsiliumError(
      "identity/enrolment-failed",
      "The authority did not answer with a certificate.",
      { cause },
    )
  }
  const subject = subjectOf(own)
  const mine =
    own.checkIssued(root) &&
    own.verify(root.publicKey) &&
    subject?.name === kit.name &&
    subject.role === kit.role &&
    equalBytes(subject.tlsKeyHash, keys.tlsKeyHash)
  if (!mine)
    throw new ConsiliumError(
      "identity/certificate-refused",
      `The certificate is not one for ${kit.name} and its keys.`,
    )
  checkValidity(own, now())
}

/**
 * Enrols with the token of the kit. The token is sent only over a connection that was verified against the pinned
 * authority. The same keys may enrol again and get the same certificate, or a new one if that has expired.
 * @throws {ConsiliumError} "identity/wrong-authority", "identity/authority-unreachable" and what the authority refuses with
 */
export const enrol = (options: EnrolOptions): Promise<Certificates> => {
  const { kit, keys, address } = options
  return patiently(kit, options, async (signal) => {
    const caCertificate = await fetchRoot(kit, signal)
    const unsigned = {
      token: kit.token,
      name: kit.name,
      csr: makeCsr(kit.name, keys.tlsKey),
      signingKey: keys.signingKey,
      sealingKey: keys.sealingKey,
      address,
    }
    const signature = keys.sign(enrolMessage(kit.caFingerprint, unsigned))
    const answer = await ask(
      kit,
      "/v1/enrol",
      {
        ...signal,
        method: "POST",
        ca: caCertificate,
        rejectUnauthorized: true,
        checkServerIdentity: checkPeerIdentity(kit.authorityName),
      },
      json({
        ...unsigned,
        token: Buffer.from(kit.token).toString("base64url"),
        signingKey: toHex(keys.signingKey),
        sealingKey: toHex(keys.sealingKey),
        signature: toHex(signature),
      }),
    )
    const { certificate } = readAnswer(certificateAnswer, answer)
    checkOwn(certificate, caCertificate, options)
    return { certificate, caCertificate }
  })
}

const certificatesCodec = record({ certificate: text(16_384), caCertificate: text(16_384) })
const FILE = "certificates"
const RENEWAL_PATIENCE_MS = 5_000

/**
 * The certificates of an earlier enrolment with these keys, or those of a new one, saved. One that expires soon is
 * renewed if the authority answers; for one that has expired the participant enrols again.
 */
export const loadOrEnrol = async (files: SealedFiles, options: EnrolOptions): Promise<Certificates> => {
  const certificates = await savedCertificates(files)
  let next: Certificates
  try {
    if (certificates === null) next = await enrol(options)
    else {
      checkOwn(certificates.certificate, certificates.caCertificate, options)
      if (!renewalDue(certificates.certificate, options.now())) return certificates
      const patienceMs = Math.min(options.patienceMs ?? RENEWAL_PATIENCE_MS, RENEWAL_PATIENCE_MS)
      next = await renewCertificate({ ...options, certificates, patienceMs })
    }
  } catch (error) {
    const expired = isConsiliumError(error, "identity/certificate-expired")
    const unreachable = isConsiliumError(error, "identity/authority-unreachable")
    if (certificates === null || !(expired || unreachable)) throw error
    // Still good: whoever watches `certificateWarnings` hears of it until a renewal succeeds.
    if (unreachable) return certificates
    next = await enrol(options)
  }
  await saveCertificates(files, next)
  return next
}

/** The certificates of an earlier enrolment; null if there was none. */
export const savedCertificates = async (files: SealedFiles): Promise<Certificates | null> => {
  const saved = await files.get(FILE)
  return saved === null ? null : decode(certificatesCodec, saved)
}

/** Keeps renewed certificates, for the next start. */
export const saveCertificates = (files: SealedFiles, certificates: Certificates): Promise<void> =>
  files.put(FILE, encode(certificatesCodec, certificates))

/** One request as an enrolled participant, patiently. */
const askAs = <T>(
  kit: Kit,
  identity: TlsIdentity,
  times: Times,
  request: { readonly method: "GET" | "POST"; readonly path: string; readonly body?: Body },
  read: (answer: Parameters<typeof refusal>[0]) => T,
): Promise<T> =>
  patiently(kit, times, async (signal) => {
    const options = { ...tlsClientOptions(identity, kit.authorityName), ...signal, method: request.method }
    return read(await ask(kit, request.path, options, request.body))
  })

/**
 * A new certificate for the same keys, before the present one expires; the same one while most of its time is left. Does
 * not save it.
 * @throws {ConsiliumError} "identity/certificate-expired" if it is too late for that: enrol again
 */
export const renewCertificate = async (
  options: Times & { readonly kit: Kit; readonly keys: ParticipantKeys; readonly certificates: Certificates },
): Promise<Certificates> => {
  const { kit, keys, certificates } = options
  const body = json({ csr: makeCsr(kit.name, keys.tlsKey) })
  const { certificate } = await askAs(
    kit,
    tlsIdentity(keys, certificates),
    options,
    { method: "POST", path: "/v1/renew", body },
    (answer) => readAnswer(certificateAnswer, answer),
  )
  checkOwn(certificate, certificates.caCertificate, options)
  return { certificate, caCertificate: certificates.caCertificate }
}

export interface RosterRequest extends Times {
  /** Digest of the study; without one, the first study that names the caller. */
  readonly study?: Uint8Array
  /** Version of the newest roster that is known. */
  readonly after?: number
  /** How long the authority may wait for a newer one, seconds; 20 at most, and where nothing is said. */
  readonly waitSeconds?: number
}

/**
 * The newest signed roster of a study. Whoever calls this checks its signature. Without `after` it waits until there is
 * one; with `after` it asks once and gives null if there is none that is newer.
 * @throws {ConsiliumError} "identity/authority-unreachable" if patience runs out first
 */
export function fetchRoster(
  kit: Kit,
  identity: TlsIdentity,
  options: RosterRequest & { readonly after: number },
): Promise<Uint8Array | null>
export function fetchRoster(
  kit: Kit,
  identity: TlsIdentity,
  options: RosterRequest & { readonly after?: never },
): Promise<Uint8Array>
export function fetchRoster(
  kit: Kit,
  identity: TlsIdentity,
  options: RosterRequest,
): Promise<Uint8Array | null> {
  const { study, after, waitSeconds } = options
  const query = new URLSearchParams()
  if (study !== undefined) query.set("study", toHex(study))
  if (after !== undefined) query.set("after", String(after))
  if (waitSeconds !== undefined) query.set("wait", String(waitSeconds))
  const path = query.size === 0 ? "/v1/roster" : `/v1/roster?${query}`
  return askAs(kit, identity, options, { method: "GET", path }, (answer) => {
    if (answer.status === 204 && after !== undefined) return null
    if (answer.status === 204) throw new NotYet("others have not enrolled yet", 0)
    if (answer.status !== 200) throw refusal(answer)
    return new Uint8Array(answer.body)
  })
}

const studiesAnswer = z.object({
  studies: z.array(
    z.object({
      study: z.string().regex(/^[0-9a-f]{64}$/),
      name: z.string(),
      version: z.int().min(1),
      closed: z.boolean(),
    }),
  ),
})

/** A study as the authority lists it. */
export interface ListedStudy {
  readonly digest: Uint8Array
  readonly name: string
  /** Version of its newest roster. */
  readonly version: number
  readonly closed: boolean
}

/** The studies whose rosters name the caller, in the order they began. */
export const listStudies = (kit: Kit, identity: TlsIdentity, times: Times): Promise<readonly ListedStudy[]> =>
  askAs(kit, identity, times, { method: "GET", path: "/v1/studies" }, (answer) =>
    readAnswer(studiesAnswer, answer).studies.map(({ study, ...rest }) => ({
      digest: fromHex(study),
      ...rest,
    })),
  )

/**
 * Has the authority begin a study among all who are present: the leader's part. Gives its first signed roster, checked; the
 * same one if it is asked again.
 * @throws {ConsiliumError} "round/bad-study", "identity/wrong-role", "identity/roster-pending"
 */
export const proposeStudy = (
  kit: Kit,
  identity: TlsIdentity,
  study: Uint8Array,
  times: Times,
): Promise<Uint8Array> => {
  const body: Body = { type: "application/octet-stream", bytes: study }
  return askAs(kit, identity, times, { method: "POST", path: "/v1/studies", body }, (answer) => {
    if (answer.status !== 200) throw refusal(answer)
    const signed = new Uint8Array(answer.body)
    if (!equalBytes(openRoster(nodeSuite, kit.authorityKey, signed).study, study))
      throw new ConsiliumError(
        "identity/bad-roster",
        "The authority answered with the roster of another study.",
      )
    return signed
  })
}

const closedAnswer = z.object({ version: z.int().min(1), closedAt: z.int() })

/** Tells the authority that a study is over, so that it signs no more rosters for it: the leader's part. */
export const closeStudy = (
  kit: Kit,
  identity: TlsIdentity,
  study: Uint8Array,
  times: Times,
): Promise<{ readonly version: number; readonly closedAt: number }> =>
  askAs(kit, identity, times, { method: "POST", path: `/v1/studies/${toHex(study)}/closed` }, (answer) =>
    readAnswer(closedAnswer, answer),
  )

const leaveAnswer = z.object({ name: z.string(), at: z.int() })

/**
 * Asks to leave all studies for good; the next rosters name this facility no more. Asking again changes nothing. Gives the
 * time of the request that was granted.
 * @throws {ConsiliumError} "cohort/too-small" with the numbers if too few would remain
 */
export const askToLeave = (
  kit: Kit,
  identity: TlsIdentity,
  keys: Pick<OwnKeys, "sign">,
  times: Times,
): Promise<{ readonly at: number }> => {
  const at = times.now()
  const signature = toHex(keys.sign(leaveMessage(kit.caFingerprint, kit.name, at)))
  const body = json({ name: kit.name, at, signature })
  return askAs(kit, identity, times, { method: "POST", path: "/v1/leave", body }, (answer) => ({
    at: readAnswer(leaveAnswer, answer).at,
  }))
}
