import { concatBytes, equalBytes } from "@consilium/base/bytes"
import { bytes, decode, encode, fixedBytes, list, record, u16, u32, u53 } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { type Digest, hash } from "@consilium/base/hash"
import { utf8 } from "@consilium/base/platform"
import { type Audit, LogAudit } from "./audit.js"
import { ByteStream } from "./audit-stream.js"
import { headOfCertificate } from "./cosigned.js"
import { type LogEntry, logEntryCodec } from "./log.js"
import { type CosignedHead, cosignedHeadCodec, messageCodec } from "./messages.js"
import { openRoster } from "./roster.js"
import { decodeStudy, type Study } from "./study.js"
import type { CryptoSuite } from "./suite.js"

/**
 * A whole log in one file, for a stranger who knows the authority's public signing key and nothing else.
 *
 *     "CNSLMLOG" | version u16 | number of events u53 | length of the roster u32 | check 8
 *     the roster that the study began with, as the authority signed it, with the study | digest 32
 *     co-signed heads:   length u32 | check 8 | heads | digest 32
 *     each event:        length u32 | check 8 | event | digest 32
 *     the file's digest 32
 *
 * Every digest covers the one before it, so each part is bound to all before it; the check covers a length, so that a
 * wrong length is told from a file that was cut.
 */
const MAGIC = utf8("CNSLMLOG")
export const BUNDLE_VERSION = 1

const MAX_ROSTER = 16 << 20
const MAX_PART = 80 << 20
const CHECK = 8
const DIGEST = 32

const headList = list(cosignedHeadCodec, 1 << 16)

const START = hash("audit-bundle")
const lengthCheck = (chain: Digest, head: Uint8Array): Uint8Array =>
  hash("audit-bundle-length", chain, head).slice(0, CHECK)
const extended = (chain: Digest, part: Uint8Array): Digest => hash("audit-bundle-part", chain, part)
const fileDigest = (chain: Digest): Digest => hash("audit-bundle-end", chain)

export interface BundleParts {
  /** The roster that the study began with, as the authority signed it. */
  readonly roster: Uint8Array
  readonly heads: readonly CosignedHead[]
  /** How many there are. */
  readonly events: number
  readonly entries: Iterable<LogEntry> | AsyncIterable<LogEntry>
}

/**
 * The bytes of a bundle, part by part; the last 32 are its digest.
 * @throws {ConsiliumError} "audit/bad-bundle" if there are more or fewer events than said
 */
export async function* writeBundle(parts: BundleParts): AsyncGenerator<Uint8Array, void, undefined> {
  const { roster, heads, events, entries } = parts
  const first = concatBytes(
    MAGIC,
    encode(u16, BUNDLE_VERSION),
    encode(u53, events),
    encode(u32, roster.length),
  )
  let chain = extended(START, concatBytes(first, roster))
  yield concatBytes(first, lengthCheck(START, first), roster, chain)
  const framed = (part: Uint8Array): Uint8Array => {
    const length = encode(u32, part.length)
    const check = lengthCheck(chain, length)
    chain = extended(chain, part)
    return concatBytes(length, check, part, chain)
  }
  yield framed(encode(headList, heads))
  let written = 0
  for await (const entry of entries) {
    yield framed(encode(logEntryCodec, entry))
    written += 1
  }
  if (written !== events)
    throw new ConsiliumError("audit/bad-bundle", `${written} events were written where ${events} were said.`)
  yield fileDigest(chain)
}

const damaged = (what: string, cause?: unknown): ConsiliumError =>
  new ConsiliumError("audit/bad-bundle", `${what} of the bundle was changed.`, { cause })

/** A bundle as it is read: first its beginning, then the events one by one. */
export class BundleReader {
  readonly #stream: ByteStream
  #chain: Digest
  readonly roster: Uint8Array
  readonly heads: readonly CosignedHead[]
  readonly events: number

  private constructor(
    stream: ByteStream,
    chain: Digest,
    beginning: Pick<BundleReader, "roster" | "heads" | "events">,
  ) {
    this.#stream = stream
    this.#chain = chain
    this.roster = beginning.roster
    this.heads = beginning.heads
    this.events = beginning.events
  }

  /** @throws {ConsiliumError} "audit/bad-bundle" with the name of the part; "audit/truncated" */
  static async open(chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<BundleReader> {
    const stream = new ByteStream(chunks)
    try {
      return await BundleReader.#begin(stream)
    } catch (error) {
      await stream.close()
      throw error
    }
  }

  static async #begin(stream: ByteStream): Promise<BundleReader> {
    const first = await taken(stream, 22, "header")
    const check = await taken(stream, CHECK, "header")
    if (!equalBytes(first.subarray(0, MAGIC.length), MAGIC))
      throw new ConsiliumError("audit/bad-bundle", "The header of the bundle is not that of an exported log.")
    if (!equalBytes(check, lengthCheck(START, first))) throw damaged("The header")
    const version = decode(u16, first.subarray(8, 10))
    if (version !== BUNDLE_VERSION)
      throw new ConsiliumError(
        "audit/bad-bundle",
        `The header names version ${version} of the format; this program reads version ${BUNDLE_VERSION}.`,
      )
    const events = decode(u53, first.subarray(10, 18))
    const length = decode(u32, first.subarray(18))
    if (length > MAX_ROSTER) throw damaged("The header")
    const roster = await taken(stream, length, "header")
    const chain = extended(START, concatBytes(first, roster))
    if (!equalBytes(await taken(stream, DIGEST, "header"), chain)) throw damaged("The header")
    const part = await nextPart(stream, chain, "heads", "The heads")
    const heads = decodedAs("The heads", () => decode(headList, part.body))
    return new BundleReader(stream, part.chain, { roster, heads, events })
  }

  /**
   * The events, in order; read once, to the end, where the file's digest is checked.
   * @throws {ConsiliumError} "audit/bad-bundle" with the number of the event; "audit/truncated"
   */
  async *entries(): AsyncGenerator<LogEntry, void, undefined> {
    for (let seq = 1; seq <= this.events; seq++) {
      const place = `event ${seq} of ${this.events}`
      const part = await nextPart(this.#stream, this.#chain, place, `Event ${seq}`)
      this.#chain = part.chain
      yield decodedAs(`Event ${seq}`, () => decode(logEntryCodec, part.body))
    }
    const end = await taken(this.#stream, DIGEST, "final digest")
    if (!equalBytes(end, fileDigest(this.#chain))) throw damaged("The final digest")
    if ((await this.#stream.take(1)).length > 0)
      throw new ConsiliumError("audit/bad-bundle", "The bundle goes on after its final digest.")
  }

  /** For a reader that does not go on to the end. */
  close(): Promise<void> {
    return this.#stream.close()
  }

  /** The file's digest, once the events are read. */
  get digest(): Digest {
    return fileDigest(this.#chain)
  }
}

const taken = async (stream: ByteStream, length: number, place: string): Promise<Uint8Array> => {
  const piece = await stream.take(length)
  if (piece.length < length)
    throw new ConsiliumError("audit/truncated", `The bundle was cut off: it ends in its ${place}.`)
  return piece
}

const nextPart = async (
  stream: ByteStream,
  before: Digest,
  place: string,
  name: string,
): Promise<{ readonly body: Uint8Array; readonly chain: Digest }> => {
  const first = await taken(stream, 4, place)
  if (!equalBytes(await taken(stream, CHECK, place), lengthCheck(before, first))) throw damaged(name)
  const length = decode(u32, first)
  if (length > MAX_PART) throw damaged(name)
  const body = await taken(stream, length, place)
  const chain = extended(before, body)
  if (!equalBytes(await taken(stream, DIGEST, place), chain)) throw damaged(name)
  return { body, chain }
}

const decodedAs = <T>(name: string, read: () => T): T => {
  try {
    return read()
  } catch (error) {
    if (error instanceof ConsiliumError) throw damaged(name, error)
    throw error
  }
}

export interface BundleAudit extends Audit {
  readonly study: Study
  /** The bundle's own digest: two copies with the same one are the same. */
  readonly digest: Digest
}

/**
 * Checks a bundle as it streams in: the file, then the roster's signature, then the log as `LogAudit` does, with the
 * heads in the bundle and any others given.
 * @throws {ConsiliumError} at the first part or event that does not hold, with its name or number
 */
export const auditBundle = async (
  trusted: {
    readonly suite: CryptoSuite
    /** The one thing that must be known from elsewhere. */
    readonly authorityKey: Uint8Array
    readonly heads?: readonly CosignedHead[]
    readonly rosters?: readonly Uint8Array[]
  },
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<BundleAudit> => {
  const { heads = [], ...rest } = trusted
  const bundle = await BundleReader.open(chunks)
  try {
    const { directory, study: encoded } = openRoster(rest.suite, rest.authorityKey, bundle.roster)
    const study = decodeStudy(encoded)
    const audit = new LogAudit({ ...rest, study, directory, heads: [...bundle.heads, ...heads] })
    for await (const entry of bundle.entries()) audit.next(entry)
    return { ...audit.finish(), study, digest: bundle.digest }
  } finally {
    await bundle.close()
  }
}

/** The co-signed head that an event of a log brings, if it does, as it stands there: nothing is checked. */
export const cosignedIn = ({ header, body }: LogEntry): CosignedHead | null => {
  if (header.type !== "certificate" && header.type !== "ended") return null
  const message = decode(messageCodec, body)
  if (message.type === "ended") return message.head
  return message.type === "certificate" ? headOfCertificate(message.proposal, message.signatures) : null
}

const HEADS = utf8("CNSLMHDS")

/** What a facility gives to whoever checks the leader's log. */
export interface HeadsFile {
  /** Digest of the study. */
  readonly study: Uint8Array
  /** Rosters that heads are signed among, as the authority signed them. */
  readonly rosters: readonly Uint8Array[]
  readonly heads: readonly CosignedHead[]
}

const headsFile = record({
  study: fixedBytes(32),
  rosters: list(bytes(MAX_ROSTER), 1 << 10),
  heads: headList,
})

export const encodeHeads = (file: HeadsFile): Uint8Array => {
  const body = concatBytes(HEADS, encode(u16, BUNDLE_VERSION), encode(headsFile, file))
  return concatBytes(body, hash("audit-heads", body))
}

/** @throws {ConsiliumError} "audit/bad-head" if it is no such file or was changed */
export const decodeHeads = (file: Uint8Array): HeadsFile => {
  const body = file.subarray(0, Math.max(0, file.length - DIGEST))
  const start = HEADS.length + 2
  const wrong = (why: string): ConsiliumError => new ConsiliumError("audit/bad-head", why)
  if (body.length < start || !equalBytes(body.subarray(0, HEADS.length), HEADS))
    throw wrong("A file of co-signed heads was expected.")
  if (!equalBytes(file.subarray(body.length), hash("audit-heads", body)))
    throw wrong("A file of co-signed heads was changed or cut off.")
  const version = decode(u16, body.subarray(HEADS.length, start))
  if (version !== BUNDLE_VERSION)
    throw wrong(
      `A file of co-signed heads has version ${version}; this program reads version ${BUNDLE_VERSION}.`,
    )
  return decode(headsFile, body.slice(start))
}
