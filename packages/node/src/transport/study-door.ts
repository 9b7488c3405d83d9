import { decode, encode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { type Milliseconds, milliseconds } from "@consilium/base/units"
import type { Envelope } from "@consilium/federation/messages"
import type { Directory, Participant } from "@consilium/federation/roster"
import type { Mailbox } from "./mailbox.js"
import { POLL_TIME, parcelCodec, receiptCodec } from "./wire.js"

/** One study as a parent offers it to its children. */
export interface StudyDoor {
  /** Digest of the study, 64 hexadecimal digits. */
  readonly id: string
  readonly directory: Directory
  /** The latest roster, as the authority signed it. */
  readonly signedRoster: Uint8Array
  /** Takes what a child sent and says how far it has everything, durably. */
  take(child: Participant, first: number, envelopes: readonly Envelope[]): Promise<number>
  acknowledge(child: Participant, upTo: number): void
  mailbox(child: Participant): Mailbox
}

const PARCEL_DOWN = { envelopes: 1024, bytes: 32 << 20 }

/** Takes a child's parcel; gives the receipt. */
export const takeParcel = async (
  door: StudyDoor,
  child: Participant,
  parcel: Uint8Array,
): Promise<Uint8Array> => {
  const { first, envelopes } = decode(parcelCodec, parcel)
  if (first < 1) throw new ConsiliumError("network/bad-request", "Messages are numbered from 1.")
  return encode(receiptCodec, { taken: await door.take(child, first, envelopes) })
}

/** The last parcel that a door gave out: what goes to everybody is the same for all children, and is encoded once. */
interface Given {
  readonly first: number
  readonly envelopes: readonly Envelope[]
  readonly parcel: Uint8Array
}
const lastGiven = new WeakMap<StudyDoor, Given>()

const encoded = (door: StudyDoor, first: number, envelopes: readonly Envelope[]): Uint8Array => {
  const last = lastGiven.get(door)
  const same =
    last?.first === first &&
    last.envelopes.length === envelopes.length &&
    last.envelopes.every((envelope, at) => envelope === envelopes[at])
  if (same) return last.parcel
  const parcel = encode(parcelCodec, { first, envelopes })
  lastGiven.set(door, { first, envelopes, parcel })
  return parcel
}

/** The parcel of what waits for a child that has everything up to `after`; one without envelopes if nothing comes. */
export const nextParcel = async (
  door: StudyDoor,
  child: Participant,
  after: number,
  wait: boolean,
): Promise<Uint8Array> => {
  door.acknowledge(child, after)
  const patience: Milliseconds = wait ? POLL_TIME : milliseconds(0)
  const { first, envelopes } = await door.mailbox(child).next(PARCEL_DOWN, patience)
  return encoded(door, first, envelopes)
}
