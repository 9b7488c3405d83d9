import { readdir, readFile } from "node:fs/promises"
import { join, resolve } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { namedPlan } from "@consilium/inference/wire/head"
import type { TokenRule } from "../api/access.js"
import type { Listen } from "../api/listener.js"
import type { Rate } from "../api/token-bucket.js"
import { storeError } from "../store/files.js"
import { type InferenceRules, InferenceService } from "./inference-service.js"
import { ModelFolders } from "./model-folders.js"
import { type RunningInference, startInference } from "./start-inference.js"

export interface ServeOptions {
  /** A compiled folder, or a folder of such. */
  readonly models: string
  /** Where askers' keys and budgets are remembered. */
  readonly state: string
  /** Folders of public keys that the operator brings, and whose they are. */
  readonly keys: readonly { readonly asker: string; readonly folder: string }[]
  /** The folder of the built pages, or null. */
  readonly page: string | null
  /** Origins of other servers of models that the page may ask. */
  readonly pageServers: readonly string[]
  readonly listen: Listen
  readonly tokens: readonly TokenRule[]
  readonly origins: readonly string[]
  readonly rate: Rate
  readonly rules: InferenceRules
  readonly narrate: (line: string) => void
}

const KEY_FILE = "public.key"

/** Public keys of a folder: in it, or in the folders in it. */
const keyFiles = async (folder: string): Promise<readonly string[]> => {
  const root = resolve(folder)
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch((error) => {
    throw storeError(error, `list ${root}`)
  })
  const found = entries
    .filter((entry) => entry.isFile() && entry.name === KEY_FILE)
    .map(({ parentPath, name }) => join(parentPath, name))
    .sort()
  if (found.length === 0)
    throw new ConsiliumError("inference/missing-file", `There is no ${KEY_FILE} in ${root}.`, {
      remedy: "Give a folder that `infer keys` wrote.",
    })
  return found
}

const bringKeys = async (service: InferenceService, { keys, narrate }: ServeOptions): Promise<void> => {
  for (const { asker, folder } of keys)
    for (const file of await keyFiles(folder)) {
      const bytes = new Uint8Array(await readFile(file))
      const plan = toHex(namedPlan(bytes))
      const entry = service.shelf.entries().find(({ current }) => current?.plan === plan)
      if (!entry?.current) {
        const there = service.shelf.entries().map(({ id, current }) => `${id}: ${current?.plan}`)
        throw new ConsiliumError(
          "inference/other-plan",
          `${file} was made for plan ${plan}; the models here have the plans ${there.join(", ")}.`,
        )
      }
      const id = await service.keys.bring(asker, entry.current, bytes)
      narrate(`the key ${id.slice(0, 16)} of ${asker} may ask the model "${entry.id}"`)
    }
}

/**
 * Serves compiled models until it is closed.
 * @throws {ConsiliumError} "inference/missing-file" and what is wrong with a model or a key; "store/locked"; "network/port-taken"
 */
export const serveModels = async (options: ServeOptions): Promise<RunningInference> => {
  const { narrate } = options
  const service = await InferenceService.open({ folder: options.state, rules: options.rules })
  let folders: ModelFolders | null = null
  try {
    folders = await ModelFolders.open({ folder: options.models, shelf: service.shelf, narrate })
    await bringKeys(service, options)
    const running = await startInference({
      ...options,
      service,
      troubled: (error) => narrate(`the server failed at something: ${String(error)}`),
    })
    const watched = folders
    return {
      ...running,
      async close() {
        watched.close()
        await running.close()
        await service.close()
      },
    }
  } catch (error) {
    folders?.close()
    await service.close()
    throw error
  }
}
