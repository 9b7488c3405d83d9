import { toHex } from "@consilium/base/bytes"
import { decode, encode, fixedBytes, nullable, record, text, u32, u53 } from "@consilium/base/encoding"
import { type Digest, hash, sha256 } from "@consilium/base/hash"
import { utf8 } from "@consilium/base/platform"
import {
  emptyHead,
  type LogEntry,
  type LogHead,
  logEntryCodec,
  nextHeader,
  verifyLog,
} from "@consilium/federation/log"
import { participantId, roleCodec } from "@consilium/federation/roster"
import type { OwnKeys } from "@consilium/federation/suite"
import { openSegmentLog, type SegmentLog } from "../store/segment-log.js"
import type { Enrolled } from "./enrolment.js"
import type { Ticket } from "./kit.js"
import { type Leave, leaveCodec } from "./leaving.js"
import { ed25519Verify } from "./suite.js"

/** Something that the authority did, for its log: public material only. */
export interface Act {
  readonly type: "invited" | "enrolled" | "certificate" | "left" | "roster" | "closed"
  /** Whom it is about, or who asked for it. */
  readonly actor: Uint8Array
  readonly body: Uint8Array
}

export const invitedCodec = record({
  name: text(64),
  role: roleCodec,
  parent: nullable(text(64)),
  expires: u53,
})
export const invitedAct = ({ name, role, parent, expires }: Ticket): Act => ({
  type: "invited",
  actor: participantId(name),
  body: encode(invitedCodec, { name, role, parent, expires }),
})

export const enrolledActCodec = record({
  name: text(64),
  role: roleCodec,
  parent: nullable(text(64)),
  address: text(300),
  signingKey: fixedBytes(32),
  sealingKey: fixedBytes(32),
  tlsKeyHash: fixedBytes(32),
})
export const enrolledAct = (member: Enrolled): Act => ({
  type: "enrolled",
  actor: participantId(member.name),
  body: encode(enrolledActCodec, member),
})

export const certificateAct = (name: string, certificate: string): Act => ({
  type: "certificate",
  actor: participantId(name),
  body: utf8(certificate),
})

export const leftAct = (leave: Leave): Act => ({
  type: "left",
  actor: participantId(leave.name),
  body: encode(leaveCodec, leave),
})

export const rosterActCodec = record({ study: fixedBytes(32), version: u32, sha256: fixedBytes(32) })
export const rosterAct = (
  leader: Uint8Array,
  study: Uint8Array,
  version: number,
  signed: Uint8Array,
): Act => ({
  type: "roster",
  actor: leader,
  body: encode(rosterActCodec, { study, version, sha256: sha256(signed) }),
})

export const closedActCodec = record({ study: fixedBytes(32), at: u53 })
export const closedAct = (leader: Uint8Array, study: Uint8Array, at: number): Act => ({
  type: "closed",
  actor: leader,
  body: encode(closedActCodec, { study, at }),
})

const keyOf = ({ type, actor, body }: Act): string => `${type} ${toHex(actor)} ${toHex(sha256(body))}`

/**
 * The authority's own log: a hash chain from its root key, every entry signed. What the authority keeps tells which acts
 * there were, so an act that a crash kept from the log is added at the next start, and none is there twice.
 */
export class ActLog {
  readonly #segments: SegmentLog
  readonly #sign: (message: Uint8Array) => Uint8Array
  readonly #known: Set<string>
  #waiting: readonly Act[] = []
  #head: LogHead

  private constructor(
    segments: SegmentLog,
    sign: (message: Uint8Array) => Uint8Array,
    known: Set<string>,
    head: LogHead,
  ) {
    this.#segments = segments
    this.#sign = sign
    this.#known = known
    this.#head = head
  }

  /** @throws {ConsiliumError} "log/not-extending", "log/bad-body" or "identity/bad-signature" if it was altered */
  static async open(
    folder: string,
    caFingerprint: Uint8Array,
    keys: Pick<OwnKeys, "sign"> & { readonly signingKey: Uint8Array },
  ): Promise<ActLog> {
    const segments = await openSegmentLog(folder)
    try {
      const entries = (await segments.readAll()).map((bytes) => decode(logEntryCodec, bytes))
      const head = verifyLog(startOf(caFingerprint), entries, (message, signature) =>
        ed25519Verify(keys.signingKey, message, signature),
      )
      const known = new Set(
        entries.map(({ header, body }) =>
          keyOf({ type: header.type as Act["type"], actor: header.actor, body }),
        ),
      )
      return new ActLog(segments, keys.sign, known, head)
    } catch (error) {
      await segments.close()
      throw error
    }
  }

  get head(): LogHead {
    return this.#head
  }

  /** Adds acts as one transaction, leaving out those that are there. Acts that find no room are added with the next. */
  async record(at: number, acts: readonly Act[]): Promise<void> {
    const news = new Map([...this.#waiting, ...acts].map((act) => [keyOf(act), act]))
    for (const key of news.keys()) if (this.#known.has(key)) news.delete(key)
    this.#waiting = [...news.values()]
    let head = this.#head
    const records = this.#waiting.map((act) => {
      const next = nextHeader(head, { at, ...act })
      head = next.head
      return encode(logEntryCodec, { header: next.header, body: act.body, signature: this.#sign(head.hash) })
    })
    if (records.length === 0) return
    await this.#segments.append(records)
    this.#head = head
    this.#waiting = []
    for (const key of news.keys()) this.#known.add(key)
  }

  async entries(): Promise<readonly LogEntry[]> {
    return (await this.#segments.readAll()).map((bytes) => decode(logEntryCodec, bytes))
  }

  close(): Promise<void> {
    return this.#segments.close()
  }
}

const startOf = (caFingerprint: Uint8Array): LogHead =>
  emptyHead(hash("authority-log", caFingerprint) as Digest)
