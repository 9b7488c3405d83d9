import { ConsiliumError } from "@consilium/base/errors"
import { CsvProblems } from "./csv-problems.js"
import type { FieldReading } from "./field.js"
import type { ColumnSchema, TableSchema } from "./schema.js"
import type { Table } from "./table.js"

/** One row of a file: where it is, from 1, and its fields; null where the file's own format says that none is there. */
export interface FileRow {
  readonly line: number
  readonly fields: readonly (string | null)[]
}

/** How a field of the file is read into a column of the schema. */
export interface FieldRule {
  readonly column: ColumnSchema
  readonly read: (field: string | null) => FieldReading
}

export interface FileRows {
  readonly source: string
  /** What a place in this kind of file is called. */
  readonly place: "line" | "row"
  readonly rows: readonly FileRow[]
  /** For each column of the file, the columns of the schema that are read from it; none if it is passed over. */
  readonly columns: readonly (readonly FieldRule[])[]
}

export interface RowOptions {
  /**
   * `as-declared` (the default): every column's own rule. `keep`: a missing value is NaN wherever it is allowed to be
   * missing, for a later step to settle; rows that do not say whose they are are left out all the same.
   */
  readonly missing?: "as-declared" | "keep"
  /** How many broken rules the error tells in full; 10 is the default. */
  readonly maxProblems?: number
}

const raggedRow = (problems: CsvProblems, { columns }: FileRows, { line, fields }: FileRow): void => {
  const name = (at: number): string => {
    const rule = columns[at]?.[0]
    return rule ? `column "${rule.column.name}"` : `column number ${at + 1}`
  }
  const short = fields.length < columns.length
  problems.add(
    line,
    short ? name(fields.length) : `after ${name(columns.length - 1)}`,
    `the row has ${fields.length} ${fields.length === 1 ? "field" : "fields"} where ${columns.length} are expected`,
    "Give every row one field per column; a comma inside a field needs quotes around the field.",
  )
}

/** Numbers patients in order of first appearance; without a name, a row is a patient of its own. */
class Patients {
  readonly #numbers = new Map<string, number>()

  numberOf(name: string | null, row: number): number {
    if (name === null) return row
    const number = this.#numbers.get(name) ?? this.#numbers.size
    this.#numbers.set(name, number)
    return number
  }
}

/**
 * Reads all rows of a file into a table, or refuses the file with the first broken rules by place, column and remedy.
 * @throws {ConsiliumError} "csv/bad-rows" or "csv/empty"
 */
export const tableOfRows = (schema: TableSchema, file: FileRows, options: RowOptions = {}): Table => {
  const { source, rows: data, columns } = file
  const keep = options.missing === "keep"
  const values = new Map<string, Float64Array>()
  for (const { name, type } of schema.columns)
    if (type !== "identifier") values.set(name, new Float64Array(data.length))
  const patients = new Uint32Array(data.length)
  const sourceRows = new Uint32Array(data.length)
  const people = new Patients()
  const droppedBy = new Map<string, number>()
  const problems = new CsvProblems(source, options.maxProblems ?? 10, file.place)
  let rows = 0
  for (const [sourceRow, record] of data.entries()) {
    if (record.fields.length !== columns.length) {
      raggedRow(problems, file, record)
      continue
    }
    let patient: string | null = null
    const absent: string[] = []
    for (const [at, rules] of columns.entries())
      for (const { column, read } of rules) {
        const text = (record.fields[at] as string | null)?.trim() ?? null
        const reading = read(text)
        if (reading.kind === "broken")
          problems.add(record.line, `column "${column.name}"`, reading.rule, reading.remedy)
        else if (
          reading.kind === "missing" &&
          (column.type === "identifier" || (column.missing.rule === "drop-row" && !keep))
        )
          absent.push(column.name)
        else if (column.type === "identifier") patient = text
        else (values.get(column.name) as Float64Array)[rows] = reading.kind === "value" ? reading.value : NaN
      }
    for (const name of absent) droppedBy.set(name, (droppedBy.get(name) ?? 0) + 1)
    if (absent.length > 0) continue
    patients[rows] = people.numberOf(patient, rows)
    sourceRows[rows] = sourceRow
    rows++
  }
  problems.throwIfAny()
  if (rows === 0) {
    const each = [...droppedBy].map(([name, count]) => `"${name}" in ${count}`).join(", ")
    throw new ConsiliumError("csv/empty", `${source}: all ${data.length} rows lack a value: ${each}.`, {
      remedy:
        "Fill in the missing values at their source, or check that the columns hold what their names say.",
    })
  }
  return {
    schema,
    source,
    rows,
    columns: new Map([...values].map(([name, column]) => [name, column.slice(0, rows)])),
    patients: patients.slice(0, rows),
    sourceRows: sourceRows.slice(0, rows),
    dropped: data.length - rows,
    droppedBy,
  }
}
