import { readFile } from "node:fs/promises"
import { dirname, resolve } from "node:path"
import { encode, f64Array } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { hash } from "@consilium/base/hash"
import { utf8 } from "@consilium/base/platform"
import { insecureSeededRandom } from "@consilium/base/testing"
import type { Preparation } from "@consilium/federation/policy"
import type { Study } from "@consilium/federation/study"
import { loadHeartCentre } from "@consilium/records/heart"
import { loadHeartCsv } from "@consilium/records/heart-csv"
import { type LabelledRows, rowsByPatient, selectRows } from "@consilium/records/rows"
import { splitByPatient } from "@consilium/records/split"
import { declaredStandardiser, fitStandardiser, standardise } from "@consilium/records/standardise"
import type { FacilityFile } from "./config/role-files.js"
import type { LocalRecords } from "./roles/facility-machine.js"

/** Share of patients held out where a file comes without a published split. */
const HOLD_OUT = 0.34

/** A facility's rows as they are in its file, split into training and hold-out. */
export interface RawRecords {
  readonly train: LabelledRows
  readonly holdOut: LabelledRows
  /** The split for studies with differential privacy: on which side a patient is depends on nobody else's rows. */
  readonly independent: { readonly train: LabelledRows; readonly holdOut: LabelledRows }
  /** Whether reading the file judged the rows together, for instance how they are coded. */
  readonly preparation: Preparation
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
    const { train, test: holdOut } = loadHeartCentre(records.centre, bytes)
    return { train, holdOut, independent: { train, holdOut }, preparation: "declared", warnings: [] }
  }
  const { coding, target } = records
  const { rows, warnings, synthetic } = loadHeartCsv(path, bytes, { coding, target })
  const split = splitByPatient(rows, {
    testShare: HOLD_OUT,
    random: insecureSeededRandom(facility, "hold-out"),
  })
  return {
    train: split.train,
    holdOut: split.test,
    independent: splitApart(facility, rows),
    preparation: synthetic || (coding !== "auto" && target !== "auto") ? "declared" : "own-statistics",
    warnings: warnings.map((warning) => warning.message),
  }
}

/**
 * Puts each patient on the side that a hash of its own rows says. With differential privacy a patient who comes or goes
 * must not move others to the other side, as a shuffle of all of them would.
 *
 * Math: held out with probability 0.34 to within 2^-32, taking the hash as random
 */
const splitApart = (facility: string, rows: LabelledRows): RawRecords["independent"] => {
  const sides: [number[], number[]] = [[], []]
  for (const places of rowsByPatient(rows).values()) {
    const own = selectRows(rows, places)
    const values = encode(f64Array(1 << 26), Float64Array.of(...own.features, ...own.labels))
    const digest = hash("hold-out", utf8(facility), values)
    const draw = new DataView(digest.buffer, digest.byteOffset).getUint32(0) / 2 ** 32
    sides[draw < HOLD_OUT ? 1 : 0].push(...places)
  }
  const [train, holdOut] = sides.map((places) =>
    selectRows(
      rows,
      places.sort((a, b) => a - b),
    ),
  )
  return { train: train as LabelledRows, holdOut: holdOut as LabelledRows }
}

/**
 * Scales both sides. Without differential privacy by the training rows' own mean and deviation, which never leave the
 * facility; with it by the constants that the study declares, since figures of patients would have to be paid for.
 */
export const prepare = (raw: RawRecords, study?: Pick<Study, "privacy" | "model">): LocalRecords => {
  const { train, holdOut } = study?.privacy ? raw.independent : raw
  const scale = study?.privacy
    ? declaredStandardiser(
        study.privacy.standardise.map((constants, i) => ({
          name: study.model.features[i] as string,
          ...constants,
        })),
      )
    : fitStandardiser(train)
  return {
    featureNames: train.names,
    train: standardise(scale, train),
    holdOut: standardise(scale, holdOut),
    patients: train.patients,
    preparation: study?.privacy ? raw.preparation : "own-statistics",
  }
}
