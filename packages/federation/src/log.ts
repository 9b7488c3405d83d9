import { equalBytes } from "@consilium/base/bytes"
import { bytes, type Encoded, encode, fixedBytes, list, record, text, u53 } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { type Digest, hash, sha256 } from "@consilium/base/hash"

/** One event of a log without its body: what others need to check that a log only ever grows. */
export const logHeaderCodec = record({
  seq: u53,
  previous: fixedBytes(32),
  /** Milliseconds since 1970 at the writer. */
  at: u53,
  actor: fixedBytes(16),
  type: text(48),
  bodyHash: fixedBytes(32),
})
export type LogHeader = Encoded<typeof logHeaderCodec>

/** Most headers one message may carry. */
export const headerList = list(logHeaderCodec, 1 << 16)

/** A whole event, as it is stored: header, body, and the writer's signature over the header's hash. */
export const logEntryCodec = record({
  header: logHeaderCodec,
  body: bytes(64 << 20),
  signature: fixedBytes(64),
})
export type LogEntry = Encoded<typeof logEntryCodec>

/** The end of a chain: how many events it holds, and the hash of the last. */
export interface LogHead {
  readonly seq: number
  readonly hash: Digest
}

/** The head of an empty log: every study's chain starts from the study's own digest. */
export const emptyHead = (study: Digest): LogHead => ({ seq: 0, hash: hash("log-start", study) })

const headerHashes = new WeakMap<LogHeader, Digest>()
export const headerHash = (header: LogHeader): Digest => {
  const known = headerHashes.get(header)
  if (known !== undefined) return known
  const digest = hash("log", encode(logHeaderCodec, header))
  headerHashes.set(header, digest)
  return digest
}

/** The header of the next event, and the head after it. */
export const nextHeader = (
  head: LogHead,
  event: {
    readonly at: number
    readonly actor: Uint8Array
    readonly type: string
    readonly body: Uint8Array
  },
): { readonly header: LogHeader; readonly head: LogHead } => {
  const header: LogHeader = {
    seq: head.seq + 1,
    previous: head.hash,
    at: event.at,
    actor: event.actor,
    type: event.type,
    bodyHash: sha256(event.body),
  }
  return { header, head: { seq: header.seq, hash: headerHash(header) } }
}

/**
 * The head after some headers, if they continue the chain from `head` without a gap.
 * @throws {ConsiliumError} "log/not-extending" with the place of the first break
 */
export const extendHead = (head: LogHead, headers: readonly LogHeader[]): LogHead => {
  let at = head
  for (const header of headers) {
    if (header.seq !== at.seq + 1 || !equalBytes(header.previous, at.hash))
      throw new ConsiliumError(
        "log/not-extending",
        `Event ${header.seq} of the log does not follow event ${at.seq} that was seen before.`,
      )
    at = { seq: header.seq, hash: headerHash(header) }
  }
  return at
}

/**
 * Checks a whole log: chain, bodies and signatures. Returns its head.
 * @throws {ConsiliumError} "log/not-extending", "log/bad-body" or "identity/bad-signature" with the event's number
 */
export const verifyLog = (
  start: LogHead,
  entries: Iterable<LogEntry>,
  verify: (message: Uint8Array, signature: Uint8Array) => boolean,
): LogHead => {
  let head = start
  for (const { header, body, signature } of entries) {
    head = extendHead(head, [header])
    if (!equalBytes(sha256(body), header.bodyHash))
      throw new ConsiliumError(
        "log/bad-body",
        `The body of event ${header.seq} is not the one that was logged.`,
      )
    if (!verify(head.hash, signature))
      throw new ConsiliumError(
        "identity/bad-signature",
        `Event ${header.seq} of the log is not signed by its writer.`,
      )
  }
  return head
}
