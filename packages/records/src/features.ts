import { ConsiliumError } from "@consilium/base/errors"
import { decimal } from "./decimal.js"
import { checkRows, type LabelledRows } from "./rows.js"
import type { ColumnSchema, TableSchema } from "./schema.js"
import type { Table } from "./table.js"

/** One feature: the value of a column, or whether a category column holds a certain code (one-hot, 1 or 0). */
export interface Feature {
  readonly name: string
  readonly column: string
  readonly equals?: string
}

const badFeature = (message: string): never => {
  throw new ConsiliumError("schema/invalid", message)
}

const columnOf = (schema: TableSchema, name: string): ColumnSchema =>
  schema.columns.find((column) => column.name === name) ??
  badFeature(`A feature needs column "${name}", which schema "${schema.name}" does not have.`)

/**
 * The number a feature takes from a stored value. A category as a number is its code, so its codes must be numbers.
 * @throws {ConsiliumError} "schema/invalid" if the feature does not fit the schema
 */
export const featureEncoder = (schema: TableSchema, feature: Feature): ((stored: number) => number) => {
  const column = columnOf(schema, feature.column)
  const { equals } = feature
  if (column.name === schema.target?.column)
    badFeature(`Feature "${feature.name}" would be the target itself.`)
  if (column.type === "identifier") badFeature(`Feature "${feature.name}" would be an identifier.`)
  if (column.type !== "category") {
    if (equals !== undefined)
      badFeature(`Feature "${feature.name}" asks for a code of a column that has none.`)
    return (stored) => stored
  }
  const codes = column.categories.map(({ code }) => code)
  if (equals !== undefined) {
    const place = codes.indexOf(equals)
    if (place < 0)
      badFeature(`Feature "${feature.name}" asks for code "${equals}", which "${column.name}" does not have.`)
    return (stored) => (stored === place ? 1 : 0)
  }
  const numbers = codes.map(decimal)
  if (numbers.includes(null))
    badFeature(
      `Feature "${feature.name}" is a category whose codes are not numbers; make one feature per code.`,
    )
  return (stored) => numbers[stored] as number
}

const labelOf = (schema: TableSchema): { column: string; isPositive: (stored: number) => boolean } => {
  const { target } = schema
  if (target === undefined) return badFeature(`Schema "${schema.name}" has no target.`)
  const column = columnOf(schema, target.column)
  if (column.type !== "category") return { column: column.name, isPositive: (stored) => stored === 1 }
  const positive = new Set(
    target.positive.map((code) => column.categories.findIndex((entry) => entry.code === code)),
  )
  return { column: column.name, isPositive: (stored) => positive.has(stored) }
}

/**
 * Features and labels of a table that may have kept missing values: features that are missing are NaN until
 * `settleMissing` says what becomes of them.
 *
 * @throws {ConsiliumError} "schema/invalid" if a feature does not fit the schema
 */
export const incompleteRows = (table: Table, wanted: readonly Feature[]): LabelledRows => {
  const { schema, rows } = table
  const columns = wanted.length
  const features = new Float64Array(rows * columns)
  for (const [at, feature] of wanted.entries()) {
    const encode = featureEncoder(schema, feature)
    const stored = table.columns.get(feature.column) as Float64Array
    for (let row = 0; row < rows; row++) {
      const value = stored[row] as number
      features[row * columns + at] = Number.isNaN(value) ? NaN : encode(value)
    }
  }
  const label = labelOf(schema)
  const labels = Uint8Array.from(table.columns.get(label.column) as Float64Array, (stored) =>
    label.isPositive(stored) ? 1 : 0,
  )
  return { names: wanted.map(({ name }) => name), columns, rows, features, labels, patients: table.patients }
}

/**
 * Turns a table into features and labels.
 *
 * @throws {ConsiliumError} "schema/invalid" if a feature does not fit the schema, "records/bad-rows" if a feature column
 *   kept a missing value
 */
export const labelledRows = (table: Table, wanted: readonly Feature[]): LabelledRows => {
  const out = incompleteRows(table, wanted)
  checkRows(out)
  return out
}

/** Longest name of a feature that a study can hold. */
const LONGEST_NAME = 64

/** What ends the name of the feature that says by 1 where a column is missing. */
export const MISSING_SUFFIX = "=missing"

/**
 * One feature per number and yes/no column, and one per code of a category but the first; the target and the patient
 * are none.
 */
export const defaultFeatures = (schema: TableSchema): readonly Feature[] =>
  schema.columns.flatMap((column): readonly Feature[] => {
    if (column.name === schema.target?.column || column.type === "identifier") return []
    if (column.type !== "category") return [{ name: column.name, column: column.name }]
    return column.categories
      .slice(1)
      .map(({ code }) => ({ name: `${column.name}=${code}`, column: column.name, equals: code }))
  })

/**
 * Refuses features that do not fit their schema, or whose names a study could not tell apart.
 * @throws {ConsiliumError} "schema/invalid"
 */
export const checkFeatures = (schema: TableSchema, features: readonly Feature[]): void => {
  if (features.length === 0) badFeature(`Schema "${schema.name}" has no feature.`)
  const seen = new Set<string>()
  for (const feature of features) {
    const { name } = feature
    featureEncoder(schema, feature)
    if (name === "" || name.length > LONGEST_NAME)
      badFeature(`The feature "${name}" has a name of ${name.length} characters, not 1 to ${LONGEST_NAME}.`)
    if (seen.has(name)) badFeature(`Two features are named "${name}".`)
    if (name.endsWith(MISSING_SUFFIX))
      badFeature(
        `The feature "${name}" ends in "${MISSING_SUFFIX}", as those that say where a column is missing.`,
      )
    seen.add(name)
  }
  labelOf(schema)
}
