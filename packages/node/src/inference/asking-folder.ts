import { readdir, unlink } from "node:fs/promises"
import { join } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import { utf8 } from "@consilium/base/platform"
import {
  errno,
  makePrivateFolder,
  readIfThere,
  storeError,
  sweepTemporary,
  writeFileAtomic,
} from "../store/files.js"
import { type FolderLock, lockFolder } from "../store/lock.js"
import { type AskingState, askingStateSchema, NOTHING_ASKED } from "./asking-state.js"

const STATE = "asking.json"
const KEYS = "keys"

/**
 * The folder in which a server remembers its askers. Changes that come while one is being written are written together; each caller waits until its
 * own is on disk.
 */
export class AskingFolder {
  readonly #folder: string
  readonly #lock: FolderLock
  #state: AskingState
  #writing: Promise<void> = Promise.resolve()
  #next: Promise<void> | null = null

  private constructor(folder: string, lock: FolderLock, state: AskingState) {
    this.#folder = folder
    this.#lock = lock
    this.#state = state
  }

  /** @throws {ConsiliumError} "store/locked", "store/corrupt", "store/failed" */
  static async open(folder: string): Promise<AskingFolder> {
    await makePrivateFolder(join(folder, KEYS)).catch((error) => {
      throw storeError(error, `make ${folder}`)
    })
    const lock = await lockFolder(folder)
    try {
      await sweepTemporary(folder)
      await sweepTemporary(join(folder, KEYS))
      const state = await readState(join(folder, STATE))
      await sweepKeys(join(folder, KEYS), state)
      return new AskingFolder(folder, lock, state)
    } catch (error) {
      await lock.close()
      throw error
    }
  }

  get state(): AskingState {
    return this.#state
  }

  /** Changes what is remembered; resolves when it is on disk. A change that could not be written stays, and is written with the next. */
  change(by: (state: AskingState) => AskingState): Promise<void> {
    this.#state = by(this.#state)
    this.#next ??= this.#writing
      .catch(() => undefined)
      .then(() => {
        this.#next = null
        this.#writing = this.#write()
        return this.#writing
      })
    return this.#next
  }

  async #write(): Promise<void> {
    const path = join(this.#folder, STATE)
    await writeFileAtomic(path, utf8(JSON.stringify(this.#state))).catch((error) => {
      throw storeError(error, `write ${path}`)
    })
  }

  async writeKey(id: string, bytes: Uint8Array): Promise<void> {
    const path = this.#keyPath(id)
    await writeFileAtomic(path, bytes).catch((error) => {
      throw storeError(error, `write ${path}`)
    })
  }

  /** @throws {ConsiliumError} "store/missing" */
  async readKey(id: string): Promise<Uint8Array> {
    const bytes = await readIfThere(this.#keyPath(id))
    if (bytes === null) throw new ConsiliumError("store/missing", `The file of the key ${id} is not there.`)
    return bytes
  }

  async deleteKey(id: string): Promise<void> {
    await unlink(this.#keyPath(id)).catch((error) => {
      if (errno(error) !== "ENOENT") throw storeError(error, "delete a key")
    })
  }

  #keyPath(id: string): string {
    return join(this.#folder, KEYS, `${id}${ENDING}`)
  }

  async close(): Promise<void> {
    await (this.#next ?? this.#writing).catch(() => undefined)
    await this.#lock.close()
  }
}

const ENDING = ".key"

/** Deletes what a crash left: keys that were written and not yet known, or known no more and not yet deleted. */
const sweepKeys = async (folder: string, { keys }: AskingState): Promise<void> => {
  const known = new Set(keys.map(({ id }) => `${id}${ENDING}`))
  try {
    for (const name of await readdir(folder))
      if (name.endsWith(ENDING) && !known.has(name)) await unlink(join(folder, name))
  } catch (error) {
    throw storeError(error, `look through ${folder}`)
  }
}

const readState = async (path: string): Promise<AskingState> => {
  const bytes = await readIfThere(path)
  if (bytes === null) return NOTHING_ASKED
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new ConsiliumError("store/corrupt", `${path} is not JSON.`, { cause })
  }
  const read = askingStateSchema.safeParse(value)
  if (!read.success)
    throw new ConsiliumError("store/corrupt", `${path} is not what was written there.`, {
      cause: read.error,
    })
  return read.data
}
