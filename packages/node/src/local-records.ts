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
import type { TableForm } from "./config/table-form.js"
import { checkImageForm, type ImageForm, isImageSource, readImages, scaledPixels } from "./image-records.js"
import type { LocalRecords } from "./roles/facility-machine.js"
import { preparedSides, readTableRows } from "./table-records.js"

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
  /** Of a table: what its rows hold, where missing values are NaN until a study says what becomes of them. */
  readonly form: TableForm | null
  /** Of images: their size and classes. Their pixels lie in [0, 1] until a study says how they are scaled. */
  readonly images?: ImageForm
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
  if (isImageSource(records)) {
    const { form: images, rows, holdOut } = await readImages(configPath, records)
    const apart = holdOut && { train: rows, holdOut }
    const sides = apart ? { ...apart, independent: apart } : splitBothWays(facility, rows)
    return { ...sides, preparation: "declared", warnings: [], form: null, images }
  }
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
    const independent = { train, holdOut }
    return { train, holdOut, independent, preparation: "declared", warnings: [], form: null }
  }
  if (records.format === "table") {
    const { form, rows, warnings } = await readTableRows(path, configPath, bytes, records)
    return { ...splitBothWays(facility, rows), preparation: "declared", warnings, form }
  }
  const { coding, target } = records
  const { rows, warnings, synthetic } = loadHeartCsv(path, bytes, { coding, target })
  return {
    ...splitBothWays(facility, rows),
    preparation: synthetic || (coding !== "auto" && target !== "auto") ? "declared" : "own-statistics",
    warnings: warnings.map((warning) => warning.message),
    form: null,
  }
}

const splitBothWays = (
  facility: string,
  rows: LabelledRows,
): Pick<RawRecords, "train" | "holdOut" | "independent"> => {
  const random = insecureSeededRandom(facility, "hold-out")
  const { train, test } = splitByPatient(rows, { testShare: HOLD_OUT, random })
  return { train, holdOut: test, independent: splitApart(facility, rows) }
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
    const digest = hash("hold-out", utf8(facility), ...valuesOf(own))
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

/** The values of rows as bytes; where any is missing, which ones are follows. */
const valuesOf = ({ features, labels }: LabelledRows): readonly Uint8Array[] => {
  const numbers = [...features, ...labels]
  const missing = numbers.map((value) => (Number.isNaN(value) ? 1 : 0))
  const known = Float64Array.from(numbers, (value) => (Number.isNaN(value) ? 0 : value))
  const values = encode(f64Array(1 << 26), known)
  return missing.includes(1) ? [values, Uint8Array.from(missing)] : [values]
}

/** Rows to train on and rows held out. */
export interface Sides {
  readonly train: LabelledRows
  readonly holdOut: LabelledRows
}

/** The sides of the split that a study trains on, with its features and without missing values. */
export const sidesOf = (
  raw: RawRecords,
  study: Pick<Study, "privacy" | "model" | "data"> | undefined,
): Sides => {
  const sides = study?.privacy ? raw.independent : raw
  if (raw.form !== null) return preparedSides(raw.form, sides, study)
  if (study?.data)
    throw new ConsiliumError(
      "config/invalid",
      `The study prepares tables of the schema ${study.data.schema}; this facility's records are no such table.`,
      { remedy: "Name the file in facility.yaml with `format: table` and the study's schema." },
    )
  if (study !== undefined && raw.images !== undefined) checkImageForm(raw.images, study)
  else if (study !== undefined) checkFeatures(study.model.features, sides.train.names)
  return sides
}

const checkFeatures = (wanted: readonly string[], present: readonly string[]): void => {
  if (wanted.length !== present.length || wanted.some((name, i) => name !== present[i]))
    throw new ConsiliumError(
      "config/invalid",
      `The study trains on ${wanted.join(", ")}; this facility's records give ${present.join(", ")}.`,
    )
}

/**
 * Scales both sides, once missing values are settled as the study declares. Without differential privacy by the training rows' own mean and deviation, which never leave the
 * facility; with it by the constants that the study declares, since figures of patients would have to be paid for.
 */
export const prepare = (raw: RawRecords, study?: Pick<Study, "privacy" | "model" | "data">): LocalRecords => {
  const { train, holdOut } = sidesOf(raw, study)
  if (study !== undefined && raw.images !== undefined)
    return {
      featureNames: [],
      train: scaledPixels(train, study),
      holdOut: scaledPixels(holdOut, study),
      trainRaw: train,
      holdOutRaw: holdOut,
      patients: train.patients,
      preparation: raw.preparation,
    }
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
    trainRaw: train,
    holdOutRaw: holdOut,
    patients: train.patients,
    preparation: study?.privacy ? raw.preparation : "own-statistics",
  }
}
