import { randomBytes } from "node:crypto"
import { open, readdir, rm, rmdir, unlink } from "node:fs/promises"
import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { isNoRoom, makePrivateFolder, overwrite, storeError, syncFolder } from "./files.js"
import { openSegmentLog, type SegmentLog } from "./segment-log.js"

/**
 * A log that can be replaced as a whole. Each generation is a segment log in a folder named by its number; the highest
 * number is the current one. A new one is written whole and made durable under a temporary name, and the rename makes
 * it current; what came before it is then overwritten and deleted, now or, after a crash, at the next opening.
 */
export class Journal {
  readonly #folder: string
  readonly #segmentBytes: number | undefined
  #generation: number
  #log: SegmentLog

  private constructor(folder: string, segmentBytes: number | undefined, generation: number, log: SegmentLog) {
    this.#folder = folder
    this.#segmentBytes = segmentBytes
    this.#generation = generation
    this.#log = log
  }

  /** Opens the journal of a folder; where there is none, makes one that holds the transaction `first` gives. */
  static async open(
    folder: string,
    first: () => readonly Uint8Array[],
    segmentBytes?: number,
  ): Promise<Journal> {
    try {
      await makePrivateFolder(folder)
      const names = await readdir(folder)
      for (const name of names) if (name.startsWith(TEMPORARY)) await erase(join(folder, name))
      const numbers = names.filter((name) => /^\d{12}$/.test(name)).map(Number)
      const generation = Math.max(0, ...numbers)
      if (generation === 0) {
        const log = await begin(folder, 1, first(), segmentBytes)
        return new Journal(folder, segmentBytes, 1, log)
      }
      // A crash may have come before the rename was made durable.
      await syncFolder(folder)
      const log = await openSegmentLog(join(folder, nameOf(generation)), sized(segmentBytes))
      const journal = new Journal(folder, segmentBytes, generation, log)
      for (const old of numbers) if (old < generation) await erase(join(folder, nameOf(old)))
      return journal
    } catch (error) {
      throw storeError(error, `open the journal ${folder}`)
    }
  }

  /** The number of the current generation. */
  get generation(): number {
    return this.#generation
  }

  /** Adds a transaction; durable when the promise resolves. */
  append(records: readonly Uint8Array[]): Promise<void> {
    return this.#log.append(records)
  }

  /** Removes the transaction added last; see `SegmentLog.takeBack`. */
  takeBack(): Promise<void> {
    return this.#log.takeBack()
  }

  /**
   * Replaces everything by one transaction. If this fails before the rename, the journal is as before.
   * Returns what deletes the old generation: it is not read any more, whether that succeeds or not.
   */
  async replace(records: readonly Uint8Array[]): Promise<() => Promise<void>> {
    const old = this.#log
    const oldFolder = join(this.#folder, nameOf(this.#generation))
    this.#log = await begin(this.#folder, this.#generation + 1, records, this.#segmentBytes)
    this.#generation++
    return async () => {
      await old.close()
      try {
        await erase(oldFolder)
      } catch (error) {
        throw storeError(error, `erase ${oldFolder}`)
      }
    }
  }

  /** The transactions of the current generation, in order. */
  async *transactions(): AsyncGenerator<readonly Uint8Array[], void, void> {
    for await (const { records } of this.#log.transactions()) yield records
  }

  /** True if nothing can be added until the journal is opened again. */
  get stopped(): boolean {
    return this.#log.stopped
  }

  close(): Promise<void> {
    return this.#log.close()
  }
}

const TEMPORARY = ".tmp-"
const nameOf = (generation: number): string => String(generation).padStart(12, "0")
const sized = (segmentBytes: number | undefined) => (segmentBytes === undefined ? {} : { segmentBytes })

/** Writes a generation and makes it current. */
const begin = async (
  folder: string,
  generation: number,
  records: readonly Uint8Array[],
  segmentBytes: number | undefined,
): Promise<SegmentLog> => {
  const temporary = join(folder, `${TEMPORARY}${toHex(randomBytes(6))}`)
  const path = join(folder, nameOf(generation))
  let log: SegmentLog | null = null
  try {
    log = await openSegmentLog(temporary, sized(segmentBytes))
    await log.append(records)
    await log.moveTo(path)
  } catch (error) {
    await log?.close()
    await rm(temporary, { recursive: true, force: true })
    throw storeError(error, `begin the journal ${path}`)
  }
  try {
    await syncFolder(folder)
  } catch (error) {
    await log.close()
    throw new ConsiliumError("store/failed", `The journal ${path} is in place, but perhaps not durably.`, {
      cause: error,
    })
  }
  return log
}

/** Overwrites and deletes the files of a generation that is not current. */
const erase = async (folder: string): Promise<void> => {
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    const handle = await open(path, "r+")
    try {
      await overwrite(handle)
    } catch (error) {
      // Only a copy-on-write disk needs room to overwrite, and there it would not reach the old bytes anyway.
      if (!isNoRoom(error)) throw error
    } finally {
      await handle.close()
    }
    await unlink(path)
  }
  await rmdir(folder)
  await syncFolder(join(folder, ".."))
}
