import { createHash } from "node:crypto"
import { equalBytes } from "@consilium/base/bytes"
import { encode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { extendHead, type LogEntry, type LogHead, logEntryCodec } from "@consilium/federation/log"
import type { StoreStep } from "./study-store.js"

/** A step as it was when it was handed over: its bytes are copies. */
export interface TakenStep {
  readonly journal: readonly Uint8Array[]
  readonly entries: readonly LogEntry[]
  /** The entries as `logEntryCodec` bytes. */
  readonly encoded: readonly Uint8Array[]
}

export const takeRecords = (records: readonly Uint8Array[]): Uint8Array[] =>
  records.map((record) => new Uint8Array(record))

/**
 * Copies a step and checks all that can be checked without the log.
 * @throws {ConsiliumError} "log/bad-body" if a body is not the one its header names, "encoding/..." beyond a limit
 */
export const takeStep = (step: StoreStep): TakenStep => {
  const encoded = step.entries.map((entry) => encode(logEntryCodec, entry))
  for (const { header, body } of step.entries)
    if (!equalBytes(sha256(body), header.bodyHash))
      throw new ConsiliumError("log/bad-body", `Event ${header.seq} came with a body that is not its own.`)
  return { journal: takeRecords(step.journal), entries: [...step.entries], encoded }
}

/** The head after a step; see `extendHead`. */
export const headAfter = (head: LogHead, step: TakenStep): LogHead =>
  extendHead(
    head,
    step.entries.map(({ header }) => header),
  )

/** The system's SHA-256: several times as fast as the portable one, for bodies of many megabytes. */
export const sha256 = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(createHash("sha256").update(bytes).digest())
