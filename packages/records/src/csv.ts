import { ConsiliumError } from "@consilium/base/errors"
import { type ColumnNaming, CSV_LIMITS, type CsvLimits, type CsvRecord, csvRecords } from "./csv-records.js"
import { readField } from "./field.js"
import { type ColumnSchema, checkSchema, columnKey, type TableSchema } from "./schema.js"
import type { Table } from "./table.js"
import { type FieldRule, type RowOptions, tableOfRows } from "./table-rows.js"

export interface CsvOptions extends RowOptions {
  /** `headed` (the default): the first row names the columns, in any order. `headerless`: columns as in the schema. */
  readonly form?: "headed" | "headerless"
  /** What to do about columns the schema does not know; `refuse` is the default. */
  readonly unknownColumns?: "refuse" | "ignore"
  readonly limits?: Partial<CsvLimits>
}

export const limitsOf = (options: CsvOptions): CsvLimits => ({ ...CSV_LIMITS, ...options.limits })
const quoted = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(", ")

const badHeader = (source: string, line: number, message: string, remedy: string): ConsiliumError =>
  new ConsiliumError("csv/bad-header", `${source}, line ${line}: ${message}`, { remedy })

/** @throws {ConsiliumError} "csv/bad-header" if the first row is one field with semicolons or tabs in it */
export const refuseOtherSeparator = (source: string, line: number, fields: readonly string[]): void => {
  const separator = fields.length === 1 ? /[;\t]/.exec(fields[0] as string) : null
  if (separator === null) return
  throw badHeader(
    source,
    line,
    `the columns are separated by ${separator[0] === ";" ? "semicolons" : "tabs"}, not commas.`,
    "Save the file again as comma-separated values.",
  )
}

/**
 * For each column of the file, the column of the schema that it holds, or null if it is passed over. Header cells are
 * never repeated in an error: in a file without header they are a patient's values.
 */
const headedColumns = (
  schema: TableSchema,
  source: string,
  { line, fields }: CsvRecord,
  unknownColumns: "refuse" | "ignore",
): (ColumnSchema | null)[] => {
  const byKey = new Map(schema.columns.map((column) => [columnKey(column.name), column]))
  const found = fields.map((field) => byKey.get(columnKey(field)) ?? null)
  const known = found.filter((column) => column !== null)
  refuseOtherSeparator(source, line, fields)
  if (known.length === 0)
    throw badHeader(
      source,
      line,
      `no column name of the schema "${schema.name}" is in the first row; it expects ${quoted(schema.columns.map(({ name }) => name))}.`,
      "If the file has no header, read it as a headerless file; otherwise name the columns as the schema does.",
    )
  const twice = known.find((column, at) => known.indexOf(column) < at)
  if (twice !== undefined)
    throw badHeader(source, line, `column "${twice.name}" is there twice.`, "Remove one of the two columns.")
  const missing = schema.columns.filter((column) => !known.includes(column)).map(({ name }) => name)
  if (missing.length > 0)
    throw badHeader(
      source,
      line,
      `${missing.length === 1 ? "column" : "columns"} ${quoted(missing)} ${missing.length === 1 ? "is" : "are"} missing.`,
      "Export the file again with every column of the schema.",
    )
  const strange = found.flatMap((column, at) => (column === null ? [at + 1] : []))
  if (strange.length > 0 && unknownColumns === "refuse")
    throw badHeader(
      source,
      line,
      `${strange.length === 1 ? "column number" : "column numbers"} ${strange.join(", ")} ${strange.length === 1 ? "has a name" : "have names"} that the schema "${schema.name}" does not know.`,
      "Remove these columns, correct their names, or ask for unknown columns to be ignored.",
    )
  return found
}

const rulesOf = (column: ColumnSchema | null): readonly FieldRule[] =>
  column === null ? [] : [{ column, read: (field) => readField(column, field) }]

/** Names a column of a file as its schema does, or by number where the schema does not know it. */
export const namingOf =
  (schemaOf: (first: readonly string[]) => TableSchema, form: CsvOptions["form"]): ColumnNaming =>
  (at, first) => {
    const { columns } = schemaOf(first)
    const key = columnKey(first[at] ?? "")
    const column = form === "headerless" ? columns[at] : columns.find(({ name }) => columnKey(name) === key)
    return column === undefined ? `column number ${at + 1}` : `column "${column.name}"`
  }

/** @throws {ConsiliumError} "csv/empty" or "csv/too-large" */
export const checkRowCount = (source: string, rows: number, { maxRows }: CsvLimits): void => {
  if (rows === 0) throw new ConsiliumError("csv/empty", `${source} has a header but no row of data.`)
  if (rows > maxRows)
    throw new ConsiliumError("csv/too-large", `${source} has ${rows} rows, more than ${maxRows}.`, {
      remedy: "Split the file, or raise the limit if the file is meant to be this large.",
    })
}

/** Reads rows that are split already; see `readTable`. */
export const tableOfRecords = (
  schema: TableSchema,
  source: string,
  records: readonly CsvRecord[],
  options: CsvOptions = {},
): Table => {
  checkSchema(schema)
  const headed = (options.form ?? "headed") === "headed"
  const [first] = records
  const data = headed ? records.slice(1) : records
  if (first === undefined) throw new ConsiliumError("csv/empty", `${source} is empty.`)
  const columns = headed
    ? headedColumns(schema, source, first, options.unknownColumns ?? "refuse")
    : schema.columns
  checkRowCount(source, data.length, limitsOf(options))
  return tableOfRows(schema, { source, place: "line", rows: data, columns: columns.map(rulesOf) }, options)
}

/**
 * Reads comma-separated text under a schema. The whole file is refused if any field breaks a rule; the error names
 * source, line, column, rule and remedy of the first ones and counts the rest, and repeats no value of the file.
 *
 * @throws {ConsiliumError} "schema/invalid", "csv/too-large", "csv/not-text", "csv/malformed", "csv/empty",
 *   "csv/bad-header" or "csv/bad-rows"
 */
export const readTable = (
  schema: TableSchema,
  source: string,
  input: string | Uint8Array,
  options: CsvOptions = {},
): Table => {
  const naming = namingOf(() => schema, options.form)
  return tableOfRecords(schema, source, csvRecords(source, input, limitsOf(options), naming), options)
}
