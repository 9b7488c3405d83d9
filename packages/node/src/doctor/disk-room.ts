import { statfs } from "node:fs/promises"
import { dirname } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import { errno } from "../store/files.js"
import { type Finding, note, passed } from "./finding.js"

const MB = 2 ** 20
const TOO_LITTLE = 100 * MB
const ENOUGH = 1024 * MB

/** How much room a folder's disk has; the nearest folder above is asked where it is not there. */
export const roomOf = async (
  folder: string,
  free: (path: string) => Promise<number> = freeAt,
): Promise<Finding> => {
  let place = folder
  let bytes: number | null = null
  while (bytes === null)
    try {
      bytes = await free(place)
    } catch (error) {
      if ((errno(error) !== "ENOENT" && errno(error) !== "ENOTDIR") || dirname(place) === place) throw error
      place = dirname(place)
    }
  const says = `The disk of ${place} has ${Math.floor(bytes / MB)} MB of room`
  if (bytes < TOO_LITTLE)
    throw new ConsiliumError("store/little-room", `${says}; ${TOO_LITTLE / MB} are needed.`)
  return bytes < ENOUGH
    ? note(`${says}; ${ENOUGH / MB} are advised.`, "Free space before a long study begins.")
    : passed(`${says}.`)
}

const freeAt = async (path: string): Promise<number> => {
  const { bavail, bsize } = await statfs(path)
  return bavail * bsize
}
