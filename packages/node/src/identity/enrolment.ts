import { equalBytes, toHex } from "@consilium/base/bytes"
import { decode, encode, fixedBytes, nullable, record, text } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { isoTime, timestamp } from "@consilium/base/units"
import { type Role, roleCodec } from "@consilium/federation/roster"
import type { SealedFiles } from "../store/sealed.js"
import { type CertificateAuthority, checkCsr } from "./ca.js"
import { type EnrolRequest, enrolMessage } from "./enrol-message.js"
import { hasExpired, isFresh } from "./expiry.js"
import { saveTickets, type Ticket, tokenHash } from "./kit.js"
import { type Leave, leaveCodec } from "./leaving.js"
import { parseAddress } from "./names.js"
import { checkPublicKeys, ed25519Verify } from "./suite.js"

/** A participant whose keys the authority has certified. */
export interface Enrolled {
  readonly name: string
  readonly role: Role
  readonly parent: string | null
  readonly address: string
  readonly signingKey: Uint8Array
  readonly sealingKey: Uint8Array
  readonly tlsKeyHash: Uint8Array
}

const enrolledCodec = record({
  name: text(64),
  role: roleCodec,
  parent: nullable(text(64)),
  address: text(300),
  signingKey: fixedBytes(32),
  sealingKey: fixedBytes(32),
  tlsKeyHash: fixedBytes(32),
  certificate: text(16_384),
})

/** What the authority knows of a participant that has enrolled. */
export interface Member extends Enrolled {
  /** PEM; the one given last. */
  readonly certificate: string
  /** Its wish to leave, once that was granted. */
  readonly left: Leave | null
}

const KEYS = ["signingKey", "sealingKey", "tlsKeyHash"] as const
const sameKeys = (
  a: Pick<Enrolled, (typeof KEYS)[number]>,
  b: Pick<Enrolled, (typeof KEYS)[number]>,
): boolean => KEYS.every((key) => equalBytes(a[key], b[key]))

export interface EnrolmentsOptions {
  readonly authority: CertificateAuthority
  readonly files: SealedFiles
  readonly tickets: readonly Ticket[]
  readonly validityDays: number
  readonly now: () => number
  /** Throws if somebody who has enrolled cannot be added; nothing is saved then. */
  readonly admit: (newcomer: Enrolled) => void
  /** True once a signed roster names the participant: its address does not change any more. */
  readonly addressFixed: (name: string) => boolean
}

/**
 * The authority's side of enrolment: each ticket is good for one set of keys. One call at a time: the checks on keys and
 * tickets must see everything that was saved before them.
 */
export interface Enrolments {
  /** The participant's certificate (PEM). The same request again gives the same certificate, also after a crash. */
  enrol(request: EnrolRequest): Promise<string>
  /** A new certificate (PEM) for the same keys; the present one while most of its time is left. */
  renew(member: Member, csr: string): Promise<string>
  /** Keeps a granted wish to leave. */
  leave(leave: Leave): Promise<void>
  /** Keeps a newcomer's ticket, in the place of an unused one for the same name. */
  invite(ticket: Ticket): Promise<void>
  find(name: string): Member | undefined
  /** Everybody who ever enrolled. */
  members(): readonly Member[]
  tickets(): readonly Ticket[]
}

const ENROLLED = "enrolled."
const LEFT = "left."

/** Opens the enrolments of a sealed folder. */
export const openEnrolments = async (options: EnrolmentsOptions): Promise<Enrolments> => {
  const { authority, files, validityDays, now } = options
  const tickets = new Map(options.tickets.map((ticket) => [ticket.name, ticket]))
  const enrolled = new Map<string, Member>()

  for (const file of await files.names()) {
    if (!file.startsWith(ENROLLED)) continue
    const name = file.slice(ENROLLED.length)
    const left = await files.get(`${LEFT}${name}`)
    enrolled.set(name, {
      ...decode(enrolledCodec, (await files.get(file)) as Uint8Array),
      left: left === null ? null : decode(leaveCodec, left),
    })
  }

  const ticketFor = (request: EnrolRequest): Ticket => {
    const ticket = tickets.get(request.name)
    // An unknown name is compared too, so that the time does not tell which names are enrolled.
    const matches = equalBytes(ticket?.tokenHash ?? new Uint8Array(32), tokenHash(request.token))
    if (ticket === undefined || !matches)
      throw new ConsiliumError(
        "identity/token-refused",
        "The enrolment token and the name do not belong together.",
      )
    return ticket
  }

  const checkNew = (ticket: Ticket, keys: Pick<Enrolled, (typeof KEYS)[number]>): void => {
    if (now() > ticket.expires)
      throw new ConsiliumError(
        "identity/token-expired",
        `The enrolment token of ${ticket.name} expired on ${new Date(ticket.expires).toISOString()}.`,
      )
    const used = new Set([...enrolled.values()].flatMap((other) => KEYS.map((key) => toHex(other[key]))))
    if (KEYS.some((key) => used.has(toHex(keys[key]))))
      throw new ConsiliumError(
        "identity/key-in-use",
        `A key of ${ticket.name} belongs to another participant.`,
      )
  }

  const certify = async (member: Enrolled, left: Leave | null, csr: string): Promise<string> => {
    const { name, role, address } = member
    const host = address === "" ? undefined : parseAddress(address).host
    const certificate = await authority.issue({ csr, name, role, host, validityDays })
    await files.put(`${ENROLLED}${name}`, encode(enrolledCodec, { ...member, certificate }))
    enrolled.set(name, { ...member, certificate, left })
    return certificate
  }

  return {
    async enrol(request) {
      const ticket = ticketFor(request)
      checkPublicKeys(request.signingKey, request.sealingKey)
      if (request.address !== "") parseAddress(request.address)
      if (!ed25519Verify(request.signingKey, enrolMessage(authority.fingerprint, request), request.signature))
        throw new ConsiliumError(
          "identity/bad-request",
          "The enrolment request is not signed by its signing key.",
        )
      const { tlsKeyHash } = await checkCsr(request.csr, ticket.name)
      const { signingKey, sealingKey, address } = request
      const keys = { signingKey, sealingKey, tlsKeyHash }

      const before = enrolled.get(ticket.name)
      if (before !== undefined && !sameKeys(before, keys))
        throw new ConsiliumError(
          "identity/token-used",
          `The token of ${ticket.name} was used with other keys.`,
        )
      if (before !== undefined && before.left !== null) throw hasLeft(before)
      if (before !== undefined && before.address === address)
        return hasExpired(before.certificate, now())
          ? certify(before, before.left, request.csr)
          : before.certificate
      if (before === undefined) checkNew(ticket, keys)
      else if (options.addressFixed(ticket.name))
        throw new ConsiliumError(
          "identity/roster-closed",
          `The signed roster names ${JSON.stringify(before.address)} as the address of ${ticket.name}.`,
        )
      const { name, role, parent } = ticket
      const newcomer: Enrolled = { name, role, parent, address, ...keys }
      if (before === undefined) options.admit(newcomer)
      return certify(newcomer, null, request.csr)
    },
    async renew(member, csr) {
      const { tlsKeyHash } = await checkCsr(csr, member.name)
      if (!equalBytes(tlsKeyHash, member.tlsKeyHash))
        throw new ConsiliumError(
          "identity/bad-request",
          `A certificate of ${member.name} is renewed for the keys it enrolled with, and for no others.`,
        )
      if (isFresh(member.certificate, now())) return member.certificate
      return certify(member, member.left, csr)
    },
    async leave(leave) {
      const member = enrolled.get(leave.name) as Member
      await files.put(`${LEFT}${leave.name}`, encode(leaveCodec, leave))
      enrolled.set(leave.name, { ...member, left: leave })
    },
    async invite(ticket) {
      const next = new Map(tickets).set(ticket.name, ticket)
      await saveTickets(files, [...next.values()])
      tickets.set(ticket.name, ticket)
    },
    find: (name) => enrolled.get(name),
    members: () => [...enrolled.values()],
    tickets: () => [...tickets.values()],
  }
}

/** The refusal of somebody who has left. */
export const hasLeft = (member: Member): ConsiliumError =>
  new ConsiliumError(
    "identity/has-left",
    `${member.name} left on ${isoTime(timestamp((member.left as Leave).at))}.`,
  )
