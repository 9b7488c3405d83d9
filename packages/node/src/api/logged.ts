import { decode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { type RotationAsked, rotationCodec } from "@consilium/federation/leader-keys"
import type { LogEntry } from "@consilium/federation/log"
import { envelopeCodec, type Message, messageCodec } from "@consilium/federation/messages"

/** Messages that the leader logs as its own; everything else it logs came in an envelope. */
const OWN = new Set<string>([
  "announce",
  "lock",
  "openings",
  "propose",
  "certificate",
  "key-test",
  "candidate",
  "void",
  "closed",
  "finish",
  "ended",
  "roster",
  "ledger-known",
] satisfies Message["type"][])

/** Messages of others that the leader logs whole when it accepts them. */
const ACCEPTED = new Set<string>([
  "submit",
  "update",
  "opening",
  "verdict",
  "key-tested",
  "signature",
  "partial",
  "report",
  "final-report",
  "refusal",
  "ledger-asked",
  "region",
  "traffic",
  "security",
] satisfies Message["type"][])

/** A message in a leader's log, and the bytes of its body as they crossed the edge. */
export interface Logged {
  readonly message: Message
  readonly bytes: number
}

/**
 * The message of a logged event; null for events that hold none, and for kinds of events that this version does not know:
 * whoever reads a log for people goes on where an auditor stops.
 */
export const messageOf = ({ header, body }: LogEntry): Logged | null => {
  try {
    const encoded = OWN.has(header.type)
      ? body
      : ACCEPTED.has(header.type)
        ? decode(envelopeCodec, body).body
        : null
    if (encoded === null) return null
    const message = decode(messageCodec, encoded)
    return message.type === header.type ? { message, bytes: encoded.length } : null
  } catch (error) {
    if (error instanceof ConsiliumError) return null
    throw error
  }
}

/** A person's wish for new keys; null where the body is none. */
export const rotationIn = ({ body }: LogEntry): RotationAsked | null => {
  try {
    return decode(rotationCodec, body)
  } catch (error) {
    if (error instanceof ConsiliumError) return null
    throw error
  }
}
