import { readdir } from "node:fs/promises"
import { dirname, join, resolve } from "node:path"
import { ConsiliumError, isConsiliumError } from "@consilium/base/errors"
import type { z } from "zod"
import { callAdmin } from "../admin/client.js"
import {
  authorityFileSchema,
  facilityFileSchema,
  fogFileSchema,
  leaderFileSchema,
  storageKeyOf,
} from "../config/role-files.js"
import { readConfig } from "../config/yaml-file.js"
import { type Kit, readKit } from "../identity/kit.js"
import { studiesFolder } from "../roles/roster-shelf.js"
import { type FolderLock, lockFolder } from "../store/lock.js"
import type { StorageKeySource } from "../store/storage-key.js"
import { isThere } from "./machine-checks.js"
import { type Place, placeOf } from "./place.js"
import { openMember, type StoppedMember } from "./stopped-member.js"

const SCHEMAS = {
  authority: authorityFileSchema,
  leader: leaderFileSchema,
  fog: fogFileSchema,
  facility: facilityFileSchema,
} as const

/** `absent`: it has never started. A stopped one's folder is locked while it is looked at. */
export type Folder =
  | { readonly state: "absent" }
  | { readonly state: "running"; readonly says: string }
  | { readonly state: "stopped" }

/** Remembers a result, or its error, so that checks which need the same do it once. */
const once = <T>(make: () => Promise<T>): (() => Promise<T>) => {
  let made: Promise<T> | null = null
  return () => {
    made ??= make()
    return made
  }
}

/** One role's file, kit and folder, opened step by step as checks ask for them. */
export class RoleUnderTest {
  readonly configPath: string
  #lock: FolderLock | null = null

  constructor(configPath: string) {
    this.configPath = configPath
  }

  readonly place: () => Promise<Place> = once(() => placeOf(this.configPath))

  /** Its whole configuration, checked. */
  readonly config = once(async (): Promise<z.output<(typeof SCHEMAS)[keyof typeof SCHEMAS]>> => {
    const { role } = await this.place()
    return readConfig(SCHEMAS[role], this.configPath)
  })

  readonly kit: () => Promise<Kit> = once(() => readKit(dirname(dirname(resolve(this.configPath)))))

  readonly storageKey = once(
    async (): Promise<StorageKeySource> => storageKeyOf((await this.config()).storage_key, this.configPath),
  )

  readonly folder: () => Promise<Folder> = once(async () => {
    const { dataFolder } = await this.place()
    if (!(await isThere(dataFolder))) return { state: "absent" }
    try {
      this.#lock = await lockFolder(dataFolder)
      return { state: "stopped" }
    } catch (error) {
      if (!isConsiliumError(error, "store/locked")) throw error
      return { state: "running", says: error.message }
    }
  })

  /** Opened keys, certificate and roster; why not, where there is nothing to open now. */
  readonly member = once(async (): Promise<StoppedMember | string> => {
    const { state } = await this.folder()
    if (state === "running") return "It runs, and has its folder to itself; stop it to check this."
    if (state === "absent") return "It has never started."
    const { dataFolder } = await this.place()
    try {
      return await openMember(await this.kit(), dataFolder, await this.storageKey())
    } catch (error) {
      if (isConsiliumError(error, "identity/not-enrolled")) return error.message
      throw error
    }
  })

  /** Whether it answers on its admin socket. */
  async answers(): Promise<boolean> {
    const { dataFolder, role } = await this.place()
    try {
      await callAdmin(dataFolder, role === "authority" ? "rosters" : "status", {}, { timeoutMs: 10_000 })
      return true
    } catch (error) {
      if (isConsiliumError(error, "admin/not-running")) return false
      throw error
    }
  }

  /** The folders of its studies. */
  async studies(): Promise<readonly string[]> {
    const folder = studiesFolder((await this.place()).dataFolder)
    const names = await readdir(folder).catch(() => [])
    return names
      .filter((name) => /^[0-9a-f]{16}$/.test(name))
      .sort()
      .map((name) => join(folder, name))
  }

  /** Gives the folder free; call it last. */
  async close(): Promise<void> {
    await this.#lock?.close()
    this.#lock = null
  }
}

/** The checked file of a role that is known to be of this kind. @throws {ConsiliumError} "config/invalid" */
export const roleFile = async <R extends keyof typeof SCHEMAS>(
  under: RoleUnderTest,
  role: R,
): Promise<z.output<(typeof SCHEMAS)[R]>> => {
  const place = await under.place()
  if (place.role !== role)
    throw new ConsiliumError("config/invalid", `${under.configPath} is of the ${place.role} ${place.name}.`)
  return (await readConfig(SCHEMAS[role], under.configPath)) as z.output<(typeof SCHEMAS)[R]>
}
