import { access } from "node:fs/promises"
import { dirname, join, resolve } from "node:path"
import type { Role } from "@consilium/federation/roster"
import { z } from "zod"
import { readConfig } from "../config/yaml-file.js"
import { readKit } from "../identity/kit.js"

/** What is needed of any role's file. */
const anyRoleFile = z.looseObject({
  data_folder: z.string().min(1).optional(),
  name: z.string().optional(),
  study: z.string().optional(),
})

/** Whose configuration file it is, and where its data is. */
export interface Place {
  readonly role: Role
  readonly name: string
  readonly dataFolder: string
}

/**
 * The role of a configuration file: its kit says so; the authority's file has no kit beside it.
 * @throws {ConsiliumError} "config/unreadable", "config/invalid", "identity/bad-kit"
 */
export const placeOf = async (configPath: string): Promise<Place> => {
  const config = await readConfig(anyRoleFile, configPath)
  const local = dirname(resolve(configPath))
  const folder = (otherwise: string): string => resolve(local, config.data_folder ?? otherwise)
  const hasKit = await access(join(dirname(local), "kit", "kit.json")).then(
    () => true,
    () => false,
  )
  if (!hasKit && config.study !== undefined)
    return { role: "authority", name: config.name ?? "authority", dataFolder: folder("data") }
  const { role, name } = await readKit(dirname(local))
  return { role, name, dataFolder: folder("../data") }
}
