import {
  bytes,
  type Encoded,
  encode,
  fixedBytes,
  record,
  text,
  u16,
  u32,
  u53,
  variant,
} from "@consilium/base/encoding"
import { type Digest, hash } from "@consilium/base/hash"

// A facility's privacy ledger over all its studies as one chain of hashes: what it has spent cannot be forgotten without
// somebody seeing it who has seen its head.

/** The end of a facility's ledger: how many entries it holds, and the hash of the last. */
export const ledgerHeadCodec = record({ seq: u53, hash: fixedBytes(32) })
export type LedgerHead = Encoded<typeof ledgerHeadCodec>

/** Where an entry stands: its number, the hash of the one before it, and the month (UTC, 2026-11) that pays for it. */
export const ledgerPlaceCodec = record({ seq: u53, previous: fixedBytes(32), month: text(7) })
export type LedgerPlace = Encoded<typeof ledgerPlaceCodec>

export const ledgerEntryCodec = record({
  place: ledgerPlaceCodec,
  what: variant({
    /** One noisy update: `steps` releases of `event`. */
    charge: record({ study: fixedBytes(32), round: u32, attempt: u16, steps: u32, event: bytes(1 << 10) }),
    /** A person began the ledger anew: what was spent before is unknown, and the whole month counts as spent. */
    reset: record({ by: text(64), reason: text(1024) }),
  }),
})
export type LedgerEntry = Encoded<typeof ledgerEntryCodec>

/** The head of a ledger without entries. */
export const emptyLedger = (facility: Uint8Array): LedgerHead => ({
  seq: 0,
  hash: hash("privacy-ledger-start", facility),
})

export const ledgerEntryHash = (entry: LedgerEntry): Digest =>
  hash("privacy-ledger-entry", encode(ledgerEntryCodec, entry))

/** The head of a ledger that ends with an entry. */
export const ledgerHeadAfter = (entry: LedgerEntry): LedgerHead => ({
  seq: entry.place.seq,
  hash: ledgerEntryHash(entry),
})
