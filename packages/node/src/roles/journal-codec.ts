import { bool, bytes, fixedBytes, list, record, u53, variant } from "@consilium/base/encoding"
import { envelopeCodec, envelopeList } from "@consilium/federation/messages"

const peer = fixedBytes(16)

/** What came in, as it came. */
const inputCodec = variant({
  parcel: record({ peer, first: u53, envelopes: envelopeList }),
  local: record({ event: bytes(80 << 20) }),
})

const batchCodec = record({
  at: u53,
  /** How far neighbours have taken what was sent, where that is news. */
  acknowledged: list(record({ peer, upTo: u53 }), 8192),
  inputs: list(inputCodec, 65_536),
  /** The envelopes that this participant signed and sends because of them: sent again from here, never made again. */
  sends: list(envelopeCodec, 65_536),
})

const snapshotCodec = record({
  at: u53,
  /** Whether the study is over for this participant. */
  over: bool,
  log: record({ seq: u53, hash: fixedBytes(32) }),
  machine: bytes(64 << 20),
  edges: list(record({ peer, taken: u53, first: u53, held: list(envelopeCodec, 65_536) }), 8192),
})

/** The record of a participant in one study, from which it comes back after a crash. */
export const journalCodec = variant({ batch: batchCodec, snapshot: snapshotCodec })
