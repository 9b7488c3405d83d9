import { readFile } from "node:fs/promises"
import { dirname, resolve } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import { insecureSeededRandom } from "@consilium/base/testing"
import { loadHeartCentre } from "@consilium/records/heart"
import { loadHeartCsv } from "@consilium/records/heart-csv"
import type { LabelledRows } from "@consilium/records/rows"
import { splitByPatient } from "@consilium/records/split"
import { fitStandardiser, standardise } from "@consilium/records/standardise"
import type { FacilityFile } from "./config/role-files.js"
import type { LocalRecords } from "./roles/facility-machine.js"

/** Share of patients held out where a file comes without a published split. */
const HOLD_OUT = 0.34

/** A facility's rows as they are in its file, split into training and hold-out. */
export interface RawRecords {
  readonly train: LabelledRows
  readonly holdOut: LabelledRows
  /** What a person should know about the file. No patient's value. */
  readonly warnings: readonly string[]
}

/**
 * Reads a facility's records. Which patients are held out depends on nothing but the file's published split or the
 * facility's name, so it stays the same over restarts; it need not be secret.
 */
export const readRecords = async (
  facility: string,
  configPath: string,
  { records }: FacilityFile,
): Promise<RawRecords> => {
  const path = resolve(dirname(resolve(configPath)), records.file)
  let bytes: Uint8Array
  try {
    bytes = new Uint8Array(await readFile(path))
  } catch (cause) {
    throw new ConsiliumError(
      "records/unreadable",
      `The records of ${facility} cannot be read from ${path}.`,
      { cause },
    )
  }
  if (records.format === "uci-heart") {
    const { train, test } = loadHeartCentre(records.centre, bytes)
    return { train, holdOut: test, warnings: [] }
  }
  const { rows, warnings } = loadHeartCsv(path, bytes)
  const split = splitByPatient(rows, {
    testShare: HOLD_OUT,
    random: insecureSeededRandom(facility, "hold-out"),
  })
  return { train: split.train, holdOut: split.test, warnings: warnings.map((warning) => warning.message) }
}

/** Scales both sides by the training rows' own mean and deviation, which never leave the facility. */
export const prepare = ({ train, holdOut }: RawRecords): LocalRecords => {
  const scale = fitStandardiser(train)
  return { featureNames: train.names, train: standardise(scale, train), holdOut: standardise(scale, holdOut) }
}
