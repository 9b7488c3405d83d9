import { type FileHandle, open, readdir, readFile, rename, unlink } from "node:fs/promises"
import { join } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import { errno, isNoRoom, makePrivateFolder, storeError, syncFolder, writeFully } from "./files.js"
import {
  CHAIN_START,
  frameTransaction,
  HEADER_BYTES,
  readSegment,
  segmentHeader,
  transactionBody,
} from "./segment-format.js"

/** What opening cut off: the rest of a transaction that a crash interrupted. */
export interface TornTail {
  readonly file: string
  readonly offset: number
  readonly bytes: number
}

export interface SegmentLogOptions {
  /** A segment that has reached this size is followed by a new one. */
  readonly segmentBytes?: number
  /** Called at opening with each transaction, in order, so that nobody has to read the log a second time. */
  readonly each?: (records: readonly Uint8Array[]) => void
}

const fileName = (index: number): string => `${String(index).padStart(12, "0")}.log`

/** Where a segment starts: the chain and the number of records before it. */
interface Start {
  readonly chain: Uint8Array
  readonly records: number
}

interface Place {
  /** Number of the segment that is written. */
  index: number
  /** Length of its whole transactions. */
  size: number
  /** Chain at its start. */
  start: Uint8Array
  /** Chain after its last transaction. */
  chain: Uint8Array
  /** Number of records up to here. */
  records: number
}

/**
 * An append-only log in segment files (`segment-format.ts`). The records of one `append` are one transaction: after a
 * crash all of them are there or none. One process at a time: lock the data folder first (`lock.ts`).
 *
 * What it cannot see: whole transactions cut off at the end by somebody who can write the file. And damage inside the
 * very last transaction looks like a crash during its write: it is cut off and reported in `torn`.
 */
export class SegmentLog {
  /** What was cut off at opening, or null. */
  readonly torn: TornTail | null
  #folder: string
  readonly #segmentBytes: number
  readonly #place: Place
  /** The start of each segment, in order. */
  readonly #starts: Start[]
  /** Before the last append, for `takeBack`. */
  #before: { readonly size: number; readonly chain: Uint8Array; readonly records: number } | null = null
  #handle: FileHandle
  #queue: Promise<unknown> = Promise.resolve()
  #stopped: ConsiliumError | null = null

  private constructor(
    folder: string,
    segmentBytes: number,
    place: Place,
    starts: Start[],
    handle: FileHandle,
    torn: TornTail | null,
  ) {
    this.#folder = folder
    this.#segmentBytes = segmentBytes
    this.#place = place
    this.#starts = starts
    this.#handle = handle
    this.torn = torn
  }

  /**
   * Opens a log, making it if it is not there, and checks every byte of it.
   * @throws {ConsiliumError} "store/corrupt", naming file and offset, if anything but the last transaction is damaged
   */
  static async open(folder: string, options: SegmentLogOptions = {}): Promise<SegmentLog> {
    let handle: FileHandle | null = null
    try {
      await makePrivateFolder(folder)
      const { place, starts, torn } = await recover(folder, options.each)
      if (place.size === 0) handle = await createSegment(folder, place)
      else {
        handle = await open(join(folder, fileName(place.index)), "r+")
        const { size } = await handle.stat()
        if (size > place.size) {
          await handle.truncate(place.size)
          await handle.sync()
        }
      }
      return new SegmentLog(folder, options.segmentBytes ?? 2 ** 24, place, starts, handle, torn)
    } catch (error) {
      await handle?.close()
      throw storeError(error, `open the log ${folder}`)
    }
  }

  /**
   * Adds records as one transaction; they are durable when the promise resolves. Appends happen in the order of calls.
   * @throws {ConsiliumError} "store/full" if there is no room: nothing was added and the log can be used on
   */
  append(records: readonly Uint8Array[]): Promise<void> {
    let body: Uint8Array
    try {
      body = transactionBody(records)
    } catch (error) {
      return Promise.reject(error)
    }
    if (records.length === 0) return Promise.resolve()
    return this.#inTurn(() => this.#write(records.length, body))
  }

  /** True if the log takes nothing any more: it is closed, or what it holds is unknown after a failed write. */
  get stopped(): boolean {
    return this.#stopped !== null
  }

  /**
   * Removes the transaction that the last `append` added, durably; it has to be the last thing that happened to the log.
   * If that fails, the log stops, and the transaction may be there when it is opened again.
   */
  takeBack(): Promise<void> {
    return this.#inTurn(async () => {
      const before = this.#before
      if (before === null)
        throw new ConsiliumError("store/failed", `The log ${this.#folder} has nothing to take back.`)
      this.#before = null
      try {
        await this.#handle.truncate(before.size)
        await this.#handle.sync()
      } catch (cause) {
        throw this.#stop(cause)
      }
      Object.assign(this.#place, before)
    })
  }

  /** Renames the folder of the log; the caller makes the rename durable in the folders above it. */
  moveTo(folder: string): Promise<void> {
    return this.#inTurn(async () => {
      try {
        // Windows renames no folder that holds an open file.
        await this.#handle.close()
        await rename(this.#folder, folder)
        this.#folder = folder
        this.#handle = await open(join(folder, fileName(this.#place.index)), "r+")
      } catch (cause) {
        throw this.#stop(cause)
      }
    })
  }

  /** The records after the first `after`, in order; every byte that is read is checked again. */
  async *iterate(after = 0): AsyncGenerator<Uint8Array, void, void> {
    let skip: number | null = null
    for await (const { first, records } of this.transactions(after)) {
      skip ??= after - first
      yield* records.slice(Math.max(0, skip))
      skip = Math.max(0, skip - records.length)
    }
  }

  /** The transactions from the segment on that holds the record after the first `after`, with the number of the records before each. */
  async *transactions(
    after = 0,
  ): AsyncGenerator<{ readonly first: number; readonly records: readonly Uint8Array[] }, void, void> {
    const { place, starts } = await this.#inTurn(async () => ({
      place: { ...this.#place },
      starts: [...this.#starts],
    }))
    const from = Math.max(
      0,
      starts.findLastIndex(({ records }) => records <= after),
    )
    for (const [i, { chain, records }] of starts.entries()) {
      if (i < from) continue
      const index = i + 1
      const file = join(this.#folder, fileName(index))
      const bytes = await readFile(file).catch((error) => {
        throw storeError(error, `read ${file}`)
      })
      const whole = index === place.index ? bytes.subarray(0, place.size) : bytes
      let first = records
      for (const transaction of readSegment(whole, { file, index, chain, last: false }).transactions) {
        yield { first, records: transaction }
        first += transaction.length
      }
    }
  }

  /** All records in order, as of the call. */
  async readAll(): Promise<Uint8Array[]> {
    const records: Uint8Array[] = []
    for await (const record of this.iterate()) records.push(record)
    return records
  }

  /** Waits for appends under way and closes the file. Harmless when called again. */
  async close(): Promise<void> {
    const closed = this.#inTurn(() => this.#handle.close())
    this.#stopped ??= new ConsiliumError("store/failed", `The log ${this.#folder} is closed.`)
    await closed.catch(() => undefined)
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#stopped !== null) return Promise.reject(this.#stopped)
    const done = this.#queue.then(work)
    this.#queue = done.catch(() => undefined)
    return done
  }

  async #write(count: number, body: Uint8Array): Promise<void> {
    const action = `append ${body.length} bytes to the log ${this.#folder}`
    this.#before = null
    try {
      if (this.#place.size >= this.#segmentBytes && this.#place.size > HEADER_BYTES) await this.#roll()
    } catch (error) {
      throw storeError(error, action)
    }
    const { frame, chain } = frameTransaction({ ...this.#place, offset: this.#place.size }, count, body)
    try {
      await writeFully(this.#handle, frame, this.#place.size)
      await this.#handle.datasync()
    } catch (error) {
      await this.#undo(error)
      throw storeError(error, action)
    }
    const { size, chain: old, records } = this.#place
    this.#before = { size, chain: old, records }
    Object.assign(this.#place, { size: size + frame.length, chain, records: records + count })
  }

  /** Takes back a transaction that was not made durable; if that fails too, the log stops. */
  async #undo(cause: unknown): Promise<void> {
    try {
      await this.#handle.truncate(this.#place.size)
      await this.#handle.sync()
      // After a failed sync other than "no room" the system may have dropped pages that it calls clean.
      if (isNoRoom(cause)) return
    } catch {
      // falls through: what is on the disk is unknown until the log is opened again
    }
    this.#stop(cause)
  }

  #stop(cause: unknown): ConsiliumError {
    this.#stopped = new ConsiliumError(
      "store/failed",
      `The log ${this.#folder} stopped after a failed write (${errno(cause) ?? "unknown error"}).`,
      { cause },
    )
    return this.#stopped
  }

  async #roll(): Promise<void> {
    const next: Place = {
      index: this.#place.index + 1,
      size: 0,
      start: this.#place.chain,
      chain: this.#place.chain,
      records: this.#place.records,
    }
    const handle = await createSegment(this.#folder, next)
    const old = this.#handle
    this.#handle = handle
    Object.assign(this.#place, next)
    this.#starts.push({ chain: next.start, records: next.records })
    await old.close()
  }
}

/** Makes a segment with its header, durably, and sets the size of its place; leaves nothing behind if it fails. */
const createSegment = async (folder: string, place: Place): Promise<FileHandle> => {
  const path = join(folder, fileName(place.index))
  const handle = await open(path, "wx+", 0o600)
  try {
    await writeFully(handle, segmentHeader(place.index, place.chain), 0)
    await handle.sync()
    await syncFolder(folder)
  } catch (error) {
    await handle.close()
    await unlink(path)
    throw error
  }
  place.size = HEADER_BYTES
  return handle
}

/** Checks all segments and finds where the log goes on; deletes a last segment that never got its header. */
const recover = async (
  folder: string,
  each?: (records: readonly Uint8Array[]) => void,
): Promise<{ place: Place; starts: Start[]; torn: TornTail | null }> => {
  const names = (await readdir(folder)).filter((name) => /^\d{12}\.log$/.test(name)).sort()
  let place: Place = { index: 1, size: 0, start: CHAIN_START, chain: CHAIN_START, records: 0 }
  const starts: Start[] = [{ chain: CHAIN_START, records: 0 }]
  let torn: TornTail | null = null
  for (const [i, name] of names.entries()) {
    const index = i + 1
    const file = join(folder, name)
    if (name !== fileName(index))
      throw new ConsiliumError(
        "store/corrupt",
        `${join(folder, fileName(index))} is missing at byte 0 of it.`,
      )
    const bytes = await readFile(file)
    const start = place.chain
    const segment = readSegment(bytes, { file, index, chain: start, last: index === names.length })
    if (segment.end < bytes.length || segment.end === 0)
      torn = { file, offset: segment.end, bytes: bytes.length - segment.end }
    if (segment.end === 0) {
      await unlink(file)
      break
    }
    starts[i] = { chain: start, records: place.records }
    let { records } = place
    for (const transaction of segment.transactions) {
      each?.(transaction)
      records += transaction.length
    }
    place = { index, size: segment.end, start, chain: segment.chain, records }
  }
  if (torn?.offset === 0) await syncFolder(folder)
  return { place, starts, torn }
}

/** Opens a segment log; see `SegmentLog.open`. */
export const openSegmentLog = (folder: string, options: SegmentLogOptions = {}): Promise<SegmentLog> =>
  SegmentLog.open(folder, options)
