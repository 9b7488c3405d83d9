import { readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { facilityFileSchema } from "@consilium/node/config/role-files"
import { prepare, readRecords, sidesOf } from "@consilium/node/local-records"
import type { LabelledRows } from "@consilium/records/rows"
import type { Secret } from "./needles.js"
import type { StudyRun } from "./study-run.js"

/** Patients whose figures no other has: legal under the schema, with digits that only they can explain. */
const PATIENTS = [
  { age: 61.437219, trestbps: 147.318253, chol: 263.771919, thalach: 152.640837, oldpeak: 2.673281 },
  { age: 48.902173, trestbps: 133.590617, chol: 307.118243, thalach: 141.977351, oldpeak: 1.457213 },
  { age: 70.318629, trestbps: 158.204471, chol: 229.645037, thalach: 126.351089, oldpeak: 0.592215 },
  { age: 55.760341, trestbps: 121.867509, chol: 281.430297, thalach: 163.085723, oldpeak: 3.206592 },
] as const
type Column = keyof (typeof PATIENTS)[number]

const recordsFile = (run: StudyRun, facility: string): string => {
  const known = run.layout.facilities.get(facility)
  if (known === undefined) throw new Error(`${facility} is no facility of this run.`)
  const { records } = known.file
  if (!("file" in records)) throw new Error(`The records of ${facility} are no table.`)
  return join(dirname(known.configPath), records.file)
}

/** A table of heart records with the patients in place of its first rows. */
export const withPlanted = (table: string): string => {
  const [header, ...lines] = table.trimEnd().split("\n")
  const columns = (header as string).split(",")
  for (const [row, patient] of PATIENTS.entries()) {
    const fields = (lines[row] as string).split(",")
    for (const [name, value] of Object.entries(patient)) fields[columns.indexOf(name)] = String(value)
    lines[row] = fields.join(",")
  }
  return `${[header, ...lines].join("\n")}\n`
}
export const PLANTED_PATIENTS = PATIENTS.length

/** Writes the patients into a facility's records, in place of its first rows. */
export const plantPatients = (run: StudyRun, facility: string): void => {
  const path = recordsFile(run, facility)
  writeFileSync(path, withPlanted(readFileSync(path, "utf8")))
}

/** Places of the planted patients among some rows. */
const placesIn = (rows: LabelledRows): readonly (readonly [patient: number, row: number])[] => {
  const chol = rows.names.indexOf("chol")
  return PATIENTS.flatMap((patient, at) => {
    const row = Array.from({ length: rows.rows }, (_, i) => i).find(
      (i) => rows.features[i * rows.columns + chol] === patient.chol,
    )
    return row === undefined ? [] : [[at, row] as const]
  })
}

/** The planted rows in the order of the file's columns. */
const writtenRows = (run: StudyRun, facility: string): readonly Secret[] => {
  const [header, ...lines] = readFileSync(recordsFile(run, facility), "utf8").split("\n")
  const origin = (header as string).split(",").indexOf("origin")
  return PATIENTS.map((_, at) => ({
    name: `row ${at + 1} of ${facility} as written`,
    values: (lines[at] as string)
      .split(",")
      .filter((_field, i) => i !== origin)
      .map(Number),
  }))
}

export interface PlantedPatients {
  /** The patients as they are in the file. */
  readonly raw: readonly Secret[]
  /** The patients as the facility trains on them. */
  readonly standardised: readonly Secret[]
}

/** What must not be found of the planted patients: their rows and columns as written, and their rows standardised. */
export const plantedSecrets = async (run: StudyRun, facility: string): Promise<PlantedPatients> => {
  const known = run.layout.facilities.get(facility) as NonNullable<
    ReturnType<StudyRun["layout"]["facilities"]["get"]>
  >
  const records = await readRecords(facility, known.configPath, facilityFileSchema.parse(known.file))
  const sides = sidesOf(records, run.study)
  const scaled = prepare(records, run.study)
  const columns = Object.keys(PATIENTS[0]) as readonly Column[]
  // the numeric features lie together at the front; what follows are the one-hot codes
  const rowsOf = (rows: Pick<LabelledRows, "features" | "columns">, row: number): readonly number[] => [
    ...rows.features.slice(row * rows.columns, row * rows.columns + 8),
  ]
  const raw = [sides.train, sides.holdOut].flatMap((side) =>
    placesIn(side).map(([patient, row]) => ({
      name: `patient ${patient + 1} of ${facility}`,
      values: rowsOf(side, row),
    })),
  )
  const standardised = (
    [
      ["train", sides.train],
      ["holdOut", sides.holdOut],
    ] as const
  ).flatMap(([side, rows]) =>
    placesIn(rows).map(([patient, row]) => ({
      name: `patient ${patient + 1} of ${facility}, standardised`,
      values: rowsOf(scaled[side], row),
    })),
  )
  if (raw.length !== PATIENTS.length) throw new Error(`${raw.length} of the planted patients were read.`)
  return {
    raw: [
      ...raw,
      ...columns.map((column) => ({
        name: `${column} of the patients of ${facility}`,
        values: PATIENTS.map((patient) => patient[column]),
      })),
      ...writtenRows(run, facility),
    ],
    standardised,
  }
}
