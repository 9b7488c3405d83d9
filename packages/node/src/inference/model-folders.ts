import { readdir, stat } from "node:fs/promises"
import { join, resolve } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import { errno, storeError } from "../store/files.js"
import { COMPILED_FILES, readCompiledFolder } from "./model-folder.js"
import { BY_HAND, type ModelShelf, modelId } from "./model-shelf.js"

export interface FolderOptions {
  /** A compiled folder, or a folder of such. */
  readonly folder: string
  readonly shelf: ModelShelf
  readonly narrate: (line: string) => void
  /** How often the folder is looked at, milliseconds. */
  readonly everyMs?: number
}

const EVERY_MS = 1000

/** What tells that the files of a compiled folder are others than before; null if it is none. */
const stateOf = async (folder: string): Promise<string | null> => {
  try {
    const files = [COMPILED_FILES.plan, COMPILED_FILES.model].map((name) => stat(join(folder, name)))
    return (await Promise.all(files)).map(({ mtimeMs, size, ino }) => `${mtimeMs} ${size} ${ino}`).join("\n")
  } catch (error) {
    if (errno(error) === "ENOENT" || errno(error) === "ENOTDIR") return null
    throw storeError(error, `look at ${folder}`)
  }
}

const compiledFolders = async (root: string): Promise<ReadonlyMap<string, string>> => {
  const own = await stateOf(root)
  if (own !== null) return new Map([[root, own]])
  const entries = await readdir(root, { withFileTypes: true }).catch((error) => {
    throw storeError(error, `list ${root}`)
  })
  const found = new Map<string, string>()
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (!entry.isDirectory()) continue
    const state = await stateOf(join(root, entry.name))
    if (state !== null) found.set(join(root, entry.name), state)
  }
  return found
}

/** Offers the compiled models of a folder, and keeps to it: what is written anew replaces its model, what is deleted ends it. */
export class ModelFolders {
  readonly #options: FolderOptions
  readonly #root: string
  /** By folder: the state of its files that was read, the model that they gave, and why they gave none. */
  readonly #read = new Map<
    string,
    { readonly state: string; readonly id: string | null; readonly why: string | null }
  >()
  #timer: NodeJS.Timeout | null = null
  #closed = false

  private constructor(options: FolderOptions) {
    this.#options = options
    this.#root = resolve(options.folder)
  }

  /** @throws {ConsiliumError} "inference/missing-file" if there is no compiled model, and what reading one can throw */
  static async open(options: FolderOptions): Promise<ModelFolders> {
    const folders = new ModelFolders(options)
    const found = await compiledFolders(folders.#root)
    if (found.size === 0)
      throw new ConsiliumError("inference/missing-file", `There is no compiled model in ${folders.#root}.`, {
        remedy: "Give a folder that `infer compile` wrote, or one of such folders.",
      })
    for (const [folder, state] of found) await folders.#offer(folder, state)
    folders.#later()
    return folders
  }

  #later(): void {
    this.#timer = setTimeout(() => {
      void this.#look().finally(() => {
        if (!this.#closed) this.#later()
      })
    }, this.#options.everyMs ?? EVERY_MS)
    this.#timer.unref()
  }

  async #offer(folder: string, state: string): Promise<void> {
    const { shelf, narrate } = this.#options
    const served = await readCompiledFolder(folder)
    const id = modelId(served.plan.model)
    const other = [...this.#read].find(([one, { id: taken }]) => one !== folder && taken === id)
    if (other !== undefined)
      throw new ConsiliumError(
        "inference/bad-model",
        `${folder} and ${other[0]} hold models of one name, "${id}".`,
        { remedy: "Give each model a name of its own, or take one of the folders away." },
      )
    const before = this.#read.get(folder)
    if (before?.id && before.id !== id) shelf.remove(before.id)
    const { plan } = shelf.offer(id, served, BY_HAND)
    this.#read.set(folder, { state, id, why: null })
    narrate(`the model "${id}", version ${served.plan.version}, is asked under plan ${plan.slice(0, 16)}`)
  }

  async #look(): Promise<void> {
    const { shelf, narrate } = this.#options
    const found = await compiledFolders(this.#root).catch(() => null)
    // a folder that cannot be read for a moment takes no model away
    if (found === null || this.#closed) return
    for (const [folder, { id }] of this.#read)
      if (!found.has(folder)) {
        this.#read.delete(folder)
        if (id !== null) shelf.remove(id)
        narrate(`${folder} is gone: its model can no longer be asked`)
      }
    for (const [folder, state] of found) {
      const before = this.#read.get(folder)
      if (before?.state === state) continue
      try {
        await this.#offer(folder, state)
      } catch (error) {
        // files that are being written do not fit for a moment; the next look tells
        const why = error instanceof Error ? error.message : String(error)
        this.#read.set(folder, { state: "", id: before?.id ?? null, why })
        if (why !== before?.why) narrate(`${folder} cannot be offered: ${why}`)
      }
    }
  }

  close(): void {
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
  }
}
