import type { InputSchema } from "@consilium/inference/schema/fields"
import type { Patient } from "@consilium/inference/schema/patient"
import { plural } from "../format.js"
import { type CsvRow, csvText, parseCsv } from "./csv.js"
import { type Entries, fieldTitle, readEntries } from "./patient-text.js"
import { percent } from "./risk.js"

/** A patient of a file, by its line. */
export interface TablePatient {
  readonly line: number
  readonly patient: Patient
}
/** What is wrong with a row of a file; no value of the patient's is in it. */
export interface TableProblem {
  readonly line: number
  readonly problem: string
}

/** A file of patients, read. */
export interface PatientTable {
  readonly patients: readonly TablePatient[]
  readonly problems: readonly TableProblem[]
  /** Columns that the model does not ask for: never sent, and repeated beside the results. */
  readonly beside: readonly string[]
  readonly besideOf: ReadonlyMap<number, readonly string[]>
}

/** Longest file that is read, in characters, and most rows. */
export const MOST_CHARACTERS = 32 << 20
export const MOST_ROWS = 100_000

const plain = (text: string): string => text.trim().toLowerCase()

/** Where each field's column is, by the field's name or its label. */
const placesOf = ({ fields }: InputSchema, header: readonly string[]): ReadonlyMap<string, number> => {
  const titles = header.map(plain)
  const places = new Map<string, number>()
  for (const field of fields) {
    const names = [field.name, fieldTitle(field), field.label ?? field.name].map(plain)
    const place = names.map((name) => titles.indexOf(name)).find((found) => found >= 0)
    if (place !== undefined) places.set(field.name, place)
  }
  return places
}

const sentence = (problems: ReadonlyMap<string, string>): string =>
  `${[...problems].map(([name, problem]) => `"${name}" ${problem}`).join("; ")}.`

/**
 * Reads a file of patients: a header with the names of the fields, then a row for each patient. A row that is not right is told of and
 * left out; the others are kept.
 * @throws {SyntaxError} if the file as a whole cannot be read, in words for people
 */
export const readPatientTable = (schema: InputSchema, text: string): PatientTable => {
  if (text.length > MOST_CHARACTERS)
    throw new SyntaxError(`The file has more than ${MOST_CHARACTERS >> 20} million characters: divide it.`)
  const [header, ...rows] = parseCsv(text).rows
  if (header === undefined) throw new SyntaxError("The file is empty.")
  if (rows.length > MOST_ROWS)
    throw new SyntaxError(`The file has ${plural(rows.length, "row")}; ${MOST_ROWS} are taken: divide it.`)
  const places = placesOf(schema, header.cells)
  const absent = schema.fields.filter(({ name }) => !places.has(name)).map(({ name }) => name)
  if (absent.length > 0)
    throw new SyntaxError(
      `The first line must name the columns; there is none for: ${absent.join(", ")}. Save an empty table to see how it looks.`,
    )
  const asked = new Set(places.values())
  const besidePlaces = header.cells.map((_, place) => place).filter((place) => !asked.has(place))
  const patients: TablePatient[] = []
  const problems: TableProblem[] = []
  const besideOf = new Map<number, readonly string[]>()
  const entriesOf = ({ cells }: CsvRow): Entries =>
    Object.fromEntries([...places].map(([name, place]) => [name, cells[place] ?? ""]))
  for (const row of rows) {
    const { line, cells } = row
    besideOf.set(
      line,
      besidePlaces.map((place) => cells[place] ?? ""),
    )
    if (cells.length > header.cells.length) {
      const many = `has ${plural(cells.length, "cell")}; the first line has ${header.cells.length}.`
      problems.push({ line, problem: `The row ${many}` })
      continue
    }
    const reading = readEntries(schema, entriesOf(row))
    if ("patient" in reading) patients.push({ line, patient: reading.patient })
    else problems.push({ line, problem: sentence(reading.problems) })
  }
  return {
    patients,
    problems,
    beside: besidePlaces.map((place) => header.cells[place] as string),
    besideOf,
  }
}

/** The first line of a table that `readPatientTable` takes, and one row that says what goes where. */
export const emptyTable = ({ fields }: InputSchema): string => csvText([fields.map(({ name }) => name)])

/**
 * Results beside the columns that the model did not ask for, in the order of the file. The model's own columns are not repeated, and
 * probabilities go out in thousandths only.
 */
export const resultsTable = (
  { patients, problems, beside, besideOf }: PatientTable,
  roundedRisks: readonly number[],
): string => {
  const told = new Map<number, readonly [risk: string, problem: string]>([
    ...patients.map(({ line }, i) => [line, [percent(roundedRisks[i] as number), ""]] as const),
    ...problems.map(({ line, problem }) => [line, ["", problem]] as const),
  ])
  const rows = [...told].sort(([a], [b]) => a - b)
  return csvText([
    ["line", ...beside, "risk_percent", "problem"],
    ...rows.map(([line, [risk, problem]]) => [String(line), ...(besideOf.get(line) ?? []), risk, problem]),
  ])
}
