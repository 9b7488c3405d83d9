import { access } from "node:fs/promises"
import { resolve } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import { HEART_FILES } from "@consilium/records/heart"
import type { HeartCentre } from "@consilium/records/heart-schema"

/**
 * The file of a centre in the folder of the four published ones.
 * @throws {ConsiliumError} "records/unreadable"
 */
export const centreFile = async (folder: string, centre: HeartCentre): Promise<string> => {
  const path = resolve(folder, HEART_FILES[centre].file)
  await access(path).catch((cause) => {
    throw new ConsiliumError("records/unreadable", `${path} is not there.`, {
      remedy:
        "Give the folder that holds processed.cleveland.data, processed.hungarian.data, processed.switzerland.data and processed.va.data.",
      cause,
    })
  })
  return path
}
