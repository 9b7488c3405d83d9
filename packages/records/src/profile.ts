import { ConsiliumError } from "@consilium/base/errors"
import type { ColumnSchema } from "./schema.js"
import { type Cell, SMALLEST_GROUP, shownCounts } from "./small-cells.js"
import type { Table } from "./table.js"

/** How many rows hold a value; null if that is not told. */
export interface CountedValue {
  readonly value: string
  readonly meaning: string
  readonly rows: number | null
}

export interface ColumnProfile {
  readonly name: string
  readonly type: "number" | "category" | "boolean"
  readonly description: string
  /** Of a number. */
  readonly unit: string | null
  /** Rows with and without a value, and the share without; null if that is not told. */
  readonly present: number | null
  readonly missing: number | null
  readonly missingShare: number | null
  /** Of a category or a yes/no column. */
  readonly values: readonly CountedValue[]
  /** Of a number: the value below which about this share of the patients lies, a mean over five of them. */
  readonly quantiles: readonly { readonly share: number; readonly value: number }[]
}

export interface TableProfile {
  readonly schema: string
  readonly rows: number
  /** Null if it would tell that a few patients have several rows. */
  readonly patients: number | null
  /** Rows left out because they do not say whose they are; null for 1 to 4. */
  readonly leftOut: number | null
  readonly columns: readonly ColumnProfile[]
  readonly smallestGroup: number
}

/** Numbers of patients are below this. */
const patientBound = ({ patients }: Table): number =>
  patients.reduce((most, patient) => Math.max(most, patient + 1), 0)

/** Rows with their patients by group, of which `groupOf` says the number. */
const cellsOf = (table: Table, groups: number, groupOf: (row: number) => number): readonly Cell[] => {
  const rows = Array.from({ length: groups }, (): number[] => [])
  for (let row = 0; row < table.rows; row++) (rows[groupOf(row)] as number[]).push(row)
  const seenIn = new Int32Array(patientBound(table)).fill(-1)
  return rows.map((own, group) => {
    const patients: number[] = []
    for (const row of own) {
      const patient = table.patients[row] as number
      if (seenIn[patient] === group) continue
      seenIn[patient] = group
      patients.push(patient)
    }
    return { rows: own.length, patients }
  })
}

/** Each patient's value: the mean over the rows that have one, in ascending order. */
const valuePerPatient = (table: Table, values: Float64Array): Float64Array => {
  const bound = patientBound(table)
  const sums = new Float64Array(bound)
  const rows = new Uint32Array(bound)
  for (const [row, value] of values.entries()) {
    if (Number.isNaN(value)) continue
    const patient = table.patients[row] as number
    sums[patient] = (sums[patient] as number) + value
    rows[patient] = (rows[patient] as number) + 1
  }
  return sums
    .map((sum, patient) => sum / (rows[patient] as number))
    .filter((_, patient) => (rows[patient] as number) > 0)
    .sort()
}

/** Which quantiles so many patients allow: with fewer, the groups of five that they are means of would overlap. */
const QUANTILES: readonly { readonly from: number; readonly shares: readonly number[] }[] = [
  { from: 50, shares: [0.1, 0.25, 0.5, 0.75, 0.9] },
  { from: 25, shares: [0.25, 0.5, 0.75] },
  { from: SMALLEST_GROUP, shares: [0.5] },
]

/**
 * Quantiles of which none is a patient's value: each is the mean of five neighbours, groups do not overlap, and three
 * digits are told.
 *
 * Math: mean of the order statistics k - 2 to k + 2, k = round(share (n - 1))
 * @param sure how many patients there are at least, as far as the counts shown tell
 */
const quantilesOf = (sorted: Float64Array, sure: number): ColumnProfile["quantiles"] => {
  const shares = QUANTILES.find(({ from }) => sure >= from)?.shares ?? []
  return shares.map((share) => {
    const middle = Math.round(share * (sorted.length - 1))
    const first = Math.max(0, Math.min(sorted.length - SMALLEST_GROUP, middle - 2))
    const group = sorted.subarray(first, first + SMALLEST_GROUP)
    const mean = group.reduce((sum, value) => sum + value, 0) / SMALLEST_GROUP
    return { share, value: Number(mean.toPrecision(3)) + 0 }
  })
}

/** The values that a column can have, in the order of the numbers that the table stores; none of a number. */
const valuesOf = (column: ColumnSchema): readonly { value: string; meaning: string }[] => {
  if (column.type === "boolean")
    return [
      { value: "no", meaning: column.no },
      { value: "yes", meaning: column.yes },
    ]
  return column.type === "category"
    ? column.categories.map(({ code, meaning }) => ({ value: code, meaning }))
    : []
}

const columnProfile = (
  table: Table,
  column: ColumnSchema & { type: ColumnProfile["type"] },
  all: number,
): ColumnProfile => {
  const stored = table.columns.get(column.name) as Float64Array
  const known = valuesOf(column)
  // the last group is that of rows without a value
  const groups = Math.max(1, known.length)
  const shown = shownCounts(
    cellsOf(table, groups + 1, (row) => {
      const value = stored[row] as number
      if (Number.isNaN(value)) return groups
      return column.type === "number" ? 0 : value
    }),
  )
  const missing = shown[groups] as number | null
  const about = {
    name: column.name,
    type: column.type,
    description: column.description,
    unit: column.type === "number" ? column.unit : null,
    present: missing === null ? null : table.rows - missing,
    missing,
    missingShare: missing === null ? null : missing / table.rows,
    values: known.map(({ value, meaning }, i) => ({ value, meaning, rows: shown[i] as number | null })),
  }
  if (column.type !== "number") return { ...about, quantiles: [] }
  const sorted = valuePerPatient(table, stored)
  // which quantiles are there may not tell what was hidden: at most four patients lack a value then
  const sure = missing === null ? Math.min(sorted.length, all - (SMALLEST_GROUP - 1)) : sorted.length
  return { ...about, quantiles: sorted.length < SMALLEST_GROUP ? [] : quantilesOf(sorted, sure) }
}

/** How many patients there are, unless it would tell of a few who have one row, or several. */
const patientsOf = (table: Table, all: number): number | null => {
  const rows = new Map<number, number>()
  for (const patient of table.patients) rows.set(patient, (rows.get(patient) ?? 0) + 1)
  const several = [...rows.values()].filter((count) => count > 1).length
  const few = (count: number): boolean => count > 0 && count < SMALLEST_GROUP
  return few(several) || few(all - several) ? null : all
}

/**
 * What can be told of a table outside: counts of groups of at least five patients, without any from which a smaller one
 * follows, and quantiles that are nobody's value. It protects against looking at one profile; two profiles of a file that
 * grew by a patient in between can be compared, and nothing here is differential privacy.
 *
 * @param table read with missing values kept
 * @throws {ConsiliumError} "records/too-few" if there are fewer than five patients
 */
export const profileTable = (table: Table): TableProfile => {
  const all = new Set(table.patients).size
  if (all < SMALLEST_GROUP)
    throw new ConsiliumError(
      "records/too-few",
      `${table.source} has fewer than ${SMALLEST_GROUP} patients, too few for a profile.`,
    )
  return {
    schema: table.schema.name,
    rows: table.rows,
    patients: patientsOf(table, all),
    leftOut: table.dropped > 0 && table.dropped < SMALLEST_GROUP ? null : table.dropped,
    columns: table.schema.columns.flatMap((column) =>
      column.type === "identifier" ? [] : [columnProfile(table, column, all)],
    ),
    smallestGroup: SMALLEST_GROUP,
  }
}
