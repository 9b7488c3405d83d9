import { join } from "node:path"
import { equalBytes, toHex } from "@consilium/base/bytes"
import { decode, type Encoded, encode, fixedBytes, record, u53 } from "@consilium/base/encoding"
import { ConsiliumError, isConsiliumError } from "@consilium/base/errors"
import type { Digest } from "@consilium/base/hash"
import { emptyHead, extendHead, type LogEntry, type LogHead, logEntryCodec } from "@consilium/federation/log"
import { makePrivateFolder, storeError } from "./files.js"
import { Journal } from "./journal.js"
import { openSegmentLog, type SegmentLog } from "./segment-log.js"
import { headAfter, takeRecords, takeStep } from "./step-check.js"
import { type ClosableStudy, replaced, StudyMap } from "./study-map.js"
import type { StoreStep, Stores } from "./study-store.js"
import { Turns } from "./turns.js"

/**
 * Stores in segment files, one folder per study, named by the first 16 hexadecimal digits of its digest:
 *
 *     log/      the events, `logEntryCodec` bytes
 *     journal/  the write-ahead log: each transaction is a step: a manifest, its journal records, its events
 *
 * A step is done once its journal transaction is durable; its events are then added to the log, or at the next opening
 * if a crash comes first. The manifest names the log's head before the step, so events that the log has lost are
 * noticed even when the journal no longer holds them.
 */
export const openSegmentStores = async (
  folder: string,
  options: SegmentStoresOptions = {},
): Promise<Stores> => {
  try {
    await makePrivateFolder(folder)
  } catch (error) {
    throw storeError(error, `open the stores ${folder}`)
  }
  return new StudyMap((digest) =>
    SegmentStudy.open(join(folder, toHex(digest).slice(0, 16)), digest as Digest, options.segmentBytes),
  )
}

export interface SegmentStoresOptions {
  /** A segment file that has reached this size is followed by a new one. */
  readonly segmentBytes?: number
}

const manifestCodec = record({ journal: u53, seq: u53, head: fixedBytes(32) })
type Manifest = Encoded<typeof manifestCodec>
const manifest = (journal: number, head: LogHead): Uint8Array =>
  encode(manifestCodec, { journal, seq: head.seq, head: head.hash })

/** A transaction of the journal, taken apart. */
const stepOf = (
  transaction: readonly Uint8Array[],
): {
  readonly manifest: Manifest
  readonly journal: readonly Uint8Array[]
  readonly entries: readonly Uint8Array[]
} => {
  const [first, ...rest] = transaction
  const read = decode(manifestCodec, first as Uint8Array)
  return { manifest: read, journal: rest.slice(0, read.journal), entries: rest.slice(read.journal) }
}

class SegmentStudy implements ClosableStudy {
  readonly #folder: string
  readonly #log: SegmentLog
  readonly #journal: Journal
  #head: LogHead
  #records: number
  readonly #turns = new Turns()

  private constructor(folder: string, log: SegmentLog, journal: Journal, head: LogHead, records: number) {
    this.#folder = folder
    this.#log = log
    this.#journal = journal
    this.#head = head
    this.#records = records
  }

  static async open(folder: string, study: Digest, segmentBytes?: number): Promise<SegmentStudy> {
    const sized = segmentBytes === undefined ? {} : { segmentBytes }
    let head = emptyHead(study)
    let log: SegmentLog | null = null
    let journal: Journal | null = null
    try {
      await makePrivateFolder(folder)
      log = await openSegmentLog(join(folder, "log"), {
        ...sized,
        each: (records) => {
          for (const bytes of records) head = extendHead(head, [decode(logEntryCodec, bytes).header])
        },
      })
      journal = await Journal.open(
        join(folder, "journal"),
        () => {
          if (head.seq === 0) return [manifest(0, head)]
          throw new ConsiliumError(
            "store/corrupt",
            `${folder} has a log of ${head.seq} events but no journal.`,
          )
        },
        segmentBytes,
      )
      const { head: reached, records } = await rollForward(folder, log, head, journal)
      return new SegmentStudy(folder, log, journal, reached, records)
    } catch (error) {
      await log?.close()
      await journal?.close()
      if (isConsiliumError(error, "log/not-extending") || isConsiliumError(error, "encoding/malformed"))
        throw new ConsiliumError("store/corrupt", `What ${folder} holds is not the log of this study.`, {
          cause: error,
        })
      throw storeError(error, `open the store ${folder}`)
    }
  }

  get length(): number {
    return this.#head.seq
  }

  async commit(step: StoreStep): Promise<void> {
    const taken = takeStep(step)
    const { journal, encoded } = taken
    await this.#turns.run(async () => {
      const head = headAfter(this.#head, taken)
      if (journal.length === 0 && encoded.length === 0) return
      await this.#journal.append([manifest(journal.length, this.#head), ...journal, ...encoded])
      if (encoded.length > 0) await this.#extendLog(encoded)
      this.#head = head
      this.#records += journal.length
    })
  }

  async checkpoint(journal: readonly Uint8Array[]): Promise<void> {
    const records = takeRecords(journal)
    await this.#turns.run(async () => {
      let eraseOld: () => Promise<void>
      try {
        eraseOld = await this.#journal.replace([manifest(records.length, this.#head), ...records])
      } catch (error) {
        if (isConsiliumError(error, "store/full") || isConsiliumError(error, "store/too-large")) throw error
        throw this.#stop(error)
      }
      this.#records = records.length
      await eraseOld()
    })
  }

  journal(): AsyncIterable<Uint8Array> {
    const generation = this.#journal.generation
    const count = this.#records
    const journal = this.#journal
    const read = async function* (): AsyncGenerator<Uint8Array, void, void> {
      let left = count
      try {
        for await (const transaction of journal.transactions())
          for (const bytes of stepOf(transaction).journal) {
            if (journal.generation !== generation) throw replaced()
            if (left-- <= 0) return
            yield bytes
          }
      } catch (error) {
        // What is read while it is overwritten looks damaged.
        throw journal.generation === generation ? error : replaced()
      }
      if (journal.generation !== generation) throw replaced()
    }
    return read()
  }

  entries(after = 0): AsyncIterable<LogEntry> {
    const upTo = this.#head.seq
    const log = this.#log
    const read = async function* (): AsyncGenerator<LogEntry, void, void> {
      if (after >= upTo) return
      for await (const bytes of log.iterate(after)) {
        const entry = decode(logEntryCodec, bytes)
        yield entry
        if (entry.header.seq >= upTo) return
      }
    }
    return read()
  }

  async close(): Promise<void> {
    await this.#turns.close()
    await this.#journal.close()
    await this.#log.close()
  }

  /** Adds the events of a step that the journal has; if there is no room for them, the step is taken back. */
  async #extendLog(entries: readonly Uint8Array[]): Promise<void> {
    try {
      await this.#log.append(entries)
    } catch (error) {
      // The journal may never know less than the log: only a log that is surely unchanged lets the step be taken back.
      if (this.#log.stopped) throw this.#stop(error)
      try {
        await this.#journal.takeBack()
      } catch (cause) {
        throw this.#stop(cause)
      }
      throw error
    }
  }

  #stop(cause: unknown): ConsiliumError {
    return this.#turns.stop(
      new ConsiliumError(
        "store/failed",
        `The store ${this.#folder} stopped after a failed write; whether the last step is in it shows when it is opened again.`,
        { cause },
      ),
    )
  }
}

/**
 * Adds to the log the events that only the journal has, and compares the two.
 * @throws {ConsiliumError} "store/corrupt" if one of them has lost something that was durable
 */
const rollForward = async (
  folder: string,
  log: SegmentLog,
  start: LogHead,
  journal: Journal,
): Promise<{ head: LogHead; records: number }> => {
  const corrupt = (what: string): never => {
    throw new ConsiliumError("store/corrupt", `${folder}: ${what}.`)
  }
  let said: LogHead | null = null
  let head = start
  let records = 0
  for await (const transaction of journal.transactions()) {
    const step = stepOf(transaction)
    records += step.journal.length
    const before: LogHead = { seq: step.manifest.seq, hash: step.manifest.head as Digest }
    if (said !== null && !sameHead(said, before)) corrupt(`the journal jumps at event ${before.seq}`)
    if (before.seq > head.seq) corrupt(`the log ends at event ${head.seq}, but held ${before.seq}`)
    if (before.seq === head.seq && !sameHead(before, head))
      corrupt(`journal and log differ at event ${head.seq}`)
    const headers = step.entries.map((bytes) => decode(logEntryCodec, bytes).header)
    said = extendHead(before, headers)
    if (said.seq <= head.seq) continue
    const missing = head.seq - before.seq
    const reached = extendHead(head, headers.slice(missing))
    await log.append(step.entries.slice(missing))
    head = reached
  }
  if (said === null) return corrupt("the journal is empty")
  if (!sameHead(said, head)) corrupt(`the log ends at event ${head.seq}, the journal at event ${said.seq}`)
  return { head, records }
}

const sameHead = (a: LogHead, b: LogHead): boolean => a.seq === b.seq && equalBytes(a.hash, b.hash)
