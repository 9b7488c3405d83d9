import { dirname, resolve } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { ConsiliumError, isConsiliumError } from "@consilium/base/errors"
import { isoTime, timestamp } from "@consilium/base/units"
import { z } from "zod"
import { facilityFileSchema, storageKeyOf } from "../config/role-files.js"
import { readConfig } from "../config/yaml-file.js"
import { askToLeave } from "../identity/enrol-client.js"
import { readKit } from "../identity/kit.js"
import { lockFolder } from "../store/lock.js"
import { isThere } from "./machine-checks.js"
import { placeOf } from "./place.js"
import { askRole } from "./role-status.js"
import { openMember } from "./stopped-member.js"

const asked = z.object({ askedAt: z.string() })
export type Asked = z.output<typeof asked>

const STARTING_MS = 5_000
const PAUSE_MS = 100

/**
 * Asks the authority that a facility leave all its studies for good: the running facility does, or, where it does not run,
 * this process with the keys of its locked folder. It takes part in no round after the one under way.
 * @throws {ConsiliumError} "cohort/too-small" if too few would remain, "identity/not-enrolled", "identity/authority-unreachable"
 */
export const leaveStudies = async (configPath: string): Promise<Asked> => {
  const place = await placeOf(configPath)
  if (place.role !== "facility")
    throw new ConsiliumError("config/invalid", `${configPath} is of the ${place.role} ${place.name}.`, {
      remedy: "Give a facility's own facility.yaml: facilities can leave, others end with the study.",
    })
  for (const until = performance.now() + STARTING_MS; ; await sleep(PAUSE_MS)) {
    try {
      return await askRole(place, "leave", {}, asked)
    } catch (error) {
      if (!isConsiliumError(error, "admin/not-running")) throw error
    }
    try {
      return await leaveFromFolder(configPath, place.dataFolder)
    } catch (error) {
      // a facility that is starting holds the folder before it can be asked
      if (!isConsiliumError(error, "store/locked") || performance.now() > until) throw error
    }
  }
}

const leaveFromFolder = async (configPath: string, folder: string): Promise<Asked> => {
  const config = await readConfig(facilityFileSchema, configPath)
  const kit = await readKit(dirname(dirname(resolve(configPath))))
  if (!(await isThere(folder)))
    throw new ConsiliumError("identity/not-enrolled", `${kit.name} has never enrolled.`)
  const lock = await lockFolder(folder)
  try {
    const member = await openMember(kit, folder, storageKeyOf(config.storage_key, configPath))
    const { at } = await askToLeave(kit, member.identity, member.keys, { now: Date.now, patienceMs: 20_000 })
    return { askedAt: isoTime(timestamp(at)) }
  } finally {
    await lock.close()
  }
}
