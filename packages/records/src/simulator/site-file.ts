import { utf8 } from "@consilium/base/platform"
import { MISSING_SPELLINGS } from "../cardiovascular/schema.js"
import { csvText } from "../csv-write.js"
import type { ColumnMapping, SiteMapping } from "../mapping.js"
import type { ColumnSchema } from "../schema.js"
import { convertUnit } from "../units.js"
import { type CohortRequest, DIGITS, rounded, simulateCohort } from "./cohort.js"
import type { NumberName } from "./population.js"
import { SITE_CODINGS, type SiteCoding } from "./site-coding.js"

export interface FileRequest extends CohortRequest {
  /** `canonical` (the default): names, units and codes of the schema. `site`: the kind's own. */
  readonly coding?: "canonical" | "site"
}

export interface SimulatedFile {
  /** Comma-separated text with a header, UTF-8. */
  readonly csv: Uint8Array
  /** How the file says what `CARDIOVASCULAR_SCHEMA` asks for. */
  readonly mapping: SiteMapping
}

/** How one column is written: its mapping, and the text of a row. */
interface Writer {
  readonly mapping: ColumnMapping
  readonly write: (stored: number, row: number) => string
}

const patientNumber = (row: number): string => String(row + 1).padStart(6, "0")

/** What the stored values of a column are called in the schema: its codes, or no and yes. */
const codesOf = (column: ColumnSchema): readonly string[] =>
  column.type === "category" ? column.categories.map(({ code }) => code) : ["no", "yes"]

const canonicalWriter = (column: ColumnSchema): Writer => {
  const mapping = { column: column.name, from: column.name }
  if (column.type === "identifier") return { mapping, write: (_, row) => `P${patientNumber(row)}` }
  const [missing] = MISSING_SPELLINGS
  const codes = codesOf(column)
  const text = (stored: number): string =>
    column.type === "number" ? stored.toFixed(DIGITS[column.name as NumberName]) : (codes[stored] as string)
  return { mapping, write: (stored) => (Number.isNaN(stored) ? missing : text(stored)) }
}

const siteWriter = (column: ColumnSchema, coding: SiteCoding): Writer => {
  const { name } = column
  const missing = coding.missing
  if (column.type === "identifier") {
    const { from, prefix } = coding.patient
    return { mapping: { column: name, from }, write: (_, row) => `${prefix}${patientNumber(row)}` }
  }
  if (column.type === "number") {
    const { from, unit, digits } = coding.numbers[name] as SiteCoding["numbers"][string]
    const convert = (stored: number): number =>
      unit === undefined
        ? stored
        : rounded(convertUnit(stored, { analyte: column.analyte, from: column.unit, to: unit }), digits)
    return {
      mapping: { column: name, from, ...(unit === undefined ? {} : { unit }), missing: [missing] },
      write: (stored) => (Number.isNaN(stored) ? missing : convert(stored).toFixed(digits)),
    }
  }
  const own = coding.codes[name]
  // origin: the mark of a synthetic row is the same in every file
  if (own === undefined) return canonicalWriter(column)
  const known = codesOf(column)
  return {
    mapping: {
      column: name,
      from: own.from,
      codes: Object.fromEntries(known.map((code) => [own.codes[code] as string, code])),
      missing: [missing],
    },
    write: (stored) => (Number.isNaN(stored) ? missing : (own.codes[known[stored] as string] as string)),
  }
}

/**
 * A file of made-up patients as a facility of a kind would export it, and the mapping that reads it. The same random
 * source gives the same bytes on every engine, and both codings hold the same cohort: read through its mapping, a site's
 * file gives the cohort again, but for the rounding of its units.
 *
 * Error:  a number in another unit is off by half of the last digit that the site writes
 * @throws {ConsiliumError} "records/bad-profile" as `simulateCohort`
 */
export const simulatedFile = ({ coding = "canonical", ...request }: FileRequest): SimulatedFile => {
  const { schema, columns, rows } = simulateCohort(request)
  const writers = schema.columns.map((column) =>
    coding === "site" ? siteWriter(column, SITE_CODINGS[request.kind]) : canonicalWriter(column),
  )
  const stored = schema.columns.map(({ name }) => columns.get(name))
  const text = csvText(
    writers.map(({ mapping }) => mapping.from),
    Array.from({ length: rows }, (_, row) =>
      writers.map(({ write }, at) => write(stored[at]?.[row] ?? NaN, row)),
    ),
  )
  return { csv: utf8(text), mapping: { columns: writers.map(({ mapping }) => mapping) } }
}
