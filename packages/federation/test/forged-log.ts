import { decode, encode } from "@consilium/base/encoding"
import { emptyHead, headerHash, type LogEntry, nextHeader } from "../src/log.js"
import { type Message, type MessageOf, messageCodec } from "../src/messages.js"
import { type Study, studyDigest } from "../src/study.js"
import { keysFor } from "./members.js"

// What a leader that has its own key and no scruples can write.

export interface Event {
  readonly type: string
  readonly actor: Uint8Array
  readonly body: Uint8Array
}

export const eventsOf = (log: readonly LogEntry[]): readonly Event[] =>
  log.map(({ header: { type, actor }, body }) => ({ type, actor, body }))

/** The place of the nth event of a type. */
export const placeOf = (log: readonly LogEntry[], type: string, nth = 1): number => {
  const places = log.flatMap(({ header }, i) => (header.type === type ? [i] : []))
  const place = places[nth - 1]
  if (place === undefined) throw new Error(`The log has no ${nth}th ${type}.`)
  return place
}

/** A log of these events with everything about the chain in order, signed by the leader. */
export const rewritten = (study: Study, events: readonly Event[]): readonly LogEntry[] => {
  let head = emptyHead(studyDigest(study))
  return events.map(({ type, actor, body }, i) => {
    const next = nextHeader(head, { at: 1_000_000 + i, type, actor, body })
    head = next.head
    return { header: next.header, body, signature: keysFor("leader").sign(headerHash(next.header)) }
  })
}

/** The log up to a place, and an event after it: everything before is as it was, so the event alone is to blame. */
export const altered = (
  { study, log }: { readonly study: Study; readonly log: readonly LogEntry[] },
  place: number,
  ...events: readonly Event[]
): readonly LogEntry[] => {
  const before = log.slice(0, place)
  const last = before.at(-1)
  let head = last ? { seq: place, hash: headerHash(last.header) } : emptyHead(studyDigest(study))
  const added = events.map((event) => {
    const next = nextHeader(head, { at: 2_000_000, ...event })
    head = next.head
    const signature = keysFor("leader").sign(headerHash(next.header))
    return { header: next.header, body: event.body, signature }
  })
  return [...before, ...added]
}

/** An event of the leader's with another message. */
export const said = <T extends Message["type"]>(
  event: Event,
  change: (message: MessageOf<T>) => Message,
): Event => ({
  ...event,
  body: encode(messageCodec, change(decode(messageCodec, event.body) as MessageOf<T>)),
})
