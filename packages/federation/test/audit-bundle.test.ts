import { concatBytes, equalBytes, toHex } from "@consilium/base/bytes"
import { encode } from "@consilium/base/encoding"
import type { ConsiliumError } from "@consilium/base/errors"
import { ConsiliumError as Failure } from "@consilium/base/errors"
import { beforeAll, describe, expect, it } from "vitest"
import { auditLeaderLog } from "../src/audit.js"
import {
  auditBundle,
  BundleReader,
  cosignedIn,
  decodeHeads,
  encodeHeads,
  writeBundle,
} from "../src/audit-bundle.js"
import { type LogEntry, logEntryCodec } from "../src/log.js"
import { type CosignedHead, cosignedHeadCodec } from "../src/messages.js"
import { studyDigest } from "../src/study.js"
import { codeOf } from "./errors.js"
import { eventsOf, placeOf, rewritten } from "./forged-log.js"
import { runStudy } from "./harness.js"
import {
  authorityKey,
  changedRoster,
  flipped,
  keysFor,
  rosterOf,
  signed,
  suite,
  testStudy,
} from "./members.js"
import { keptHeads } from "./scenes.js"

const TWO_ROUNDS = { protection: "plain", rounds: 2 } as const
const study = testStudy(4, TWO_ROUNDS)
const first = rosterOf(study, 4, 2)
const next = signed(changedRoster(first, { leave: ["clinic-2"] }), study)
const outcome = runStudy({ study: TWO_ROUNDS, rosters: [{ during: 1, signed: next }] })
const { log } = outcome
const heads = keptHeads(outcome)

interface Parts {
  readonly roster: Uint8Array
  readonly heads: readonly CosignedHead[]
  readonly events: number
  readonly entries: readonly LogEntry[]
}
const written = async (change: Partial<Parts> = {}): Promise<Uint8Array> => {
  const entries = change.entries ?? log
  const parts = { roster: signed(first, study), heads, events: entries.length, ...change, entries }
  const chunks: Uint8Array[] = []
  for await (const chunk of writeBundle(parts)) chunks.push(chunk)
  return concatBytes(...chunks)
}
const chunked = function* (bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
const audit = (bytes: Uint8Array, given: readonly CosignedHead[] = [], key = authorityKey) =>
  auditBundle({ suite, authorityKey: key, heads: given, rosters: given.length > 0 ? [next] : [] }, [bytes])
/** Reads all parts of a bundle and decides nothing about them: what damage is named, without the cost of an audit. */
const read = async (bytes: Uint8Array): Promise<readonly LogEntry[]> => {
  const bundle = await BundleReader.open([bytes])
  const out: LogEntry[] = []
  for await (const entry of bundle.entries()) out.push(entry)
  return out
}
const errorOf = async (call: () => Promise<unknown>): Promise<ConsiliumError> => {
  try {
    await call()
  } catch (error) {
    if (error instanceof Failure) return error
    throw error
  }
  throw new Error("The call was to end in an error, and did not.")
}

let bundle: Uint8Array
/** Where the header, the heads, each event and the final digest end. */
let ends: readonly number[]
beforeAll(async () => {
  bundle = await written()
  const frame = (part: number): number => 4 + 8 + part + 32
  const lengths = [
    22 + 8 + signed(first, study).length + 32,
    frame(4 + heads.reduce((sum, head) => sum + encode(cosignedHeadCodec, head).length, 0)),
    ...log.map((entry) => frame(encode(logEntryCodec, entry).length)),
    32,
  ]
  let end = 0
  ends = lengths.map((length) => {
    end += length
    return end
  })
})
/** What the part at a byte is called. */
const partAt = (byte: number): string => {
  const part = ends.findIndex((end) => byte < end)
  if (part === 0) return "The header"
  if (part === 1) return "The heads"
  return part === ends.length - 1 ? "The final digest" : `Event ${part - 1}`
}

describe("an exported log", () => {
  it("is verified by somebody who knows the authority's key alone", async () => {
    const found = await audit(bundle)
    expect(found).toMatchObject({ events: log.length, certifiedRounds: 2, ended: true, heads: 3 })
    expect(found.study).toEqual(study)
    expect(toHex(found.model)).toBe(toHex(outcome.leader.progress.closed.at(-1)?.model as Uint8Array))
    expect(equalBytes(found.digest, bundle.slice(-32))).toBe(true)
    expect(ends.at(-1)).toBe(bundle.length)
    const direct = await auditLeaderLog(
      { suite, study, directory: outcome.directory, authorityKey, heads },
      log,
    )
    expect(found).toMatchObject(direct)
  })

  it.each([1, 13, 257, 4096, 1_000_000])("is the same in chunks of %d bytes", async (size) => {
    const reader = await BundleReader.open(chunked(bundle, size))
    const entries: LogEntry[] = []
    for await (const entry of reader.entries()) entries.push(entry)
    expect(entries).toEqual(log)
    expect(reader.heads).toEqual(heads)
  })

  it("is let go of, wherever its reading ends", async () => {
    let open = 0
    const counted = function* (bytes: Uint8Array): Generator<Uint8Array> {
      open += 1
      try {
        yield* chunked(bytes, 100)
      } finally {
        open -= 1
      }
    }
    await auditBundle({ suite, authorityKey }, counted(bundle))
    for (const byte of [9, 20, 5000, bundle.length - 500])
      await errorOf(() => auditBundle({ suite, authorityKey }, counted(flipped(bundle, 8 * byte))))
    expect(open).toBe(0)
  })

  it("may hold no event and no head", async () => {
    const empty = await written({ entries: [], heads: [] })
    expect(await audit(empty)).toMatchObject({ events: 0, certifiedRounds: 0, ended: false, heads: 0 })
  })

  it("of another authority is refused", async () => {
    const error = await errorOf(() => audit(bundle, [], keysFor("mallory").signingKey))
    expect(error.code).toBe("identity/bad-roster")
  })

  it("is written with as many events as it says", async () => {
    for (const events of [log.length - 1, log.length + 1])
      expect((await errorOf(() => written({ events }))).code).toBe("audit/bad-bundle")
  })
})

describe("the co-signed heads in a log", () => {
  it("are those that facilities keep of it", () => {
    const found = log.flatMap((entry) => cosignedIn(entry) ?? [])
    expect(found.map(({ seq }) => seq)).toEqual(
      [...new Set(heads.map(({ seq }) => seq))].sort((a, b) => a - b),
    )
    for (const head of found) expect(heads).toContainEqual(head)
  })
})

describe("[S12] an exported log that was changed", () => {
  it("in any byte is refused, and the part or event that was changed is named", async () => {
    // every byte of lengths, checks and the edges of parts, and every 31st in between
    const bytes = new Set<number>(Array.from({ length: Math.floor(bundle.length / 31) }, (_, i) => 31 * i))
    for (const end of [0, ...ends])
      for (let byte = end - 2; byte < end + 14; byte++) if (byte >= 0 && byte < bundle.length) bytes.add(byte)
    let checked = 0
    for (const byte of bytes) {
      const error = await errorOf(() => read(flipped(bundle, 8 * byte + (byte % 8))))
      const expected =
        byte < 8 ? "The header of the bundle is not" : `${partAt(byte)} of the bundle was changed.`
      expect([byte, error.code, error.message.startsWith(expected)]).toEqual([byte, "audit/bad-bundle", true])
      checked += 1
    }
    expect(checked).toBeGreaterThan(1000)
  })

  it("and put in order again as a stranger could, is refused by its signatures, at the event", async () => {
    const place = placeOf(log, "closed")
    const entries = log.map((entry, i) =>
      i === place ? { ...entry, body: flipped(entry.body, 100) } : entry,
    )
    const error = await errorOf(async () => audit(await written({ entries })))
    expect(error.message).toMatch(new RegExp(`^The body of event ${place + 1} `))
  })

  it("by an event left out or put elsewhere is refused there", async () => {
    const place = placeOf(log, "closed")
    const cut = concatBytes(bundle.subarray(0, ends[place + 1]), bundle.subarray(ends[place + 2]))
    expect((await errorOf(() => read(cut))).message).toBe(`Event ${place + 1} of the bundle was changed.`)
  })

  it("by something after its end is refused", async () => {
    const error = await errorOf(() => read(concatBytes(bundle, Uint8Array.of(0))))
    expect(error.message).toBe("The bundle goes on after its final digest.")
  })

  it("by its roster: another one, or another study's, is refused", async () => {
    const other = await written({ roster: next })
    expect((await errorOf(() => audit(other))).message).toMatch(/^Event 1 of the log: .* another roster/)
    const foreign = testStudy(4, { rounds: 7 })
    const strange = await written({ roster: signed(rosterOf(foreign, 4, 2), foreign) })
    expect((await errorOf(() => audit(strange))).message).toMatch(/^Event 1 of the log/)
  })
})

describe("[S12] an exported log that was cut off", () => {
  it("at any byte says so, and where", async () => {
    for (let length = 0; length < bundle.length; length += 1 + Math.floor(bundle.length / 700)) {
      const error = await errorOf(() => read(bundle.slice(0, length)))
      const part = partAt(length)
      const where = part.startsWith("Event")
        ? `${part.toLowerCase()} of ${log.length}`
        : part.toLowerCase().replace("the ", "")
      expect([length, error.code, error.message]).toEqual([
        length,
        "audit/truncated",
        `The bundle was cut off: it ends in its ${where}.`,
      ])
    }
  })

  it("by its leader, at every event, is whole by itself and short beside the heads of others", async () => {
    const last = Math.max(...heads.map(({ seq }) => seq))
    for (let length = 0; length < log.length; length += 1) {
      const short = await written({ entries: log.slice(0, length), heads: [] })
      if (length % 8 === 0) expect((await audit(short)).events).toBe(length)
      if (length >= last) continue
      const error = await errorOf(() => audit(short, heads))
      expect([length, error.code]).toEqual([length, "audit/truncated"])
      expect(error.message).toMatch(new RegExp(`^Event ${length + 1} of the log is missing`))
    }
  })
})

describe("[S12] an exported log that its leader wrote anew", () => {
  it("is refused at the first certificate, or, where it ends before, at the first head of others", async () => {
    const events = eventsOf(log)
    const whole = await written({ entries: rewritten(study, events), heads: [] })
    const propose = placeOf(log, "propose")
    expect((await errorOf(() => audit(whole))).message).toMatch(
      new RegExp(`^Event ${propose + 1} of the log: a proposal shows another log`),
    )
    const short = await written({ entries: rewritten(study, events.slice(0, propose)), heads: [] })
    expect((await audit(short)).events).toBe(propose)
    const error = await errorOf(() => audit(short, heads))
    expect(error.code).toBe("audit/rewritten")
    expect(error.message).toMatch(new RegExp(`^Event ${propose} of the log is not the one`))
  })
})

describe("a file of co-signed heads", () => {
  const contents = { study: studyDigest(study), rosters: [next], heads }
  const file = encodeHeads(contents)

  it("is read as it was written", () => {
    expect(decodeHeads(file)).toEqual(contents)
    const none = { ...contents, rosters: [], heads: [] }
    expect(decodeHeads(encodeHeads(none))).toEqual(none)
  })

  it("is refused when a byte is changed, cut or added", () => {
    for (let byte = 0; byte < file.length; byte += byte < 60 ? 1 : 5)
      expect(codeOf(() => decodeHeads(flipped(file, 8 * byte + (byte % 8))))).toBe("audit/bad-head")
    for (const length of [0, 1, 30, 41, 42, 74, file.length - 1])
      expect(codeOf(() => decodeHeads(file.slice(0, length)))).toBe("audit/bad-head")
    expect(codeOf(() => decodeHeads(concatBytes(file, Uint8Array.of(1))))).toBe("audit/bad-head")
    expect(codeOf(() => decodeHeads(bundle))).toBe("audit/bad-head")
  })
})
