import { ConsiliumError } from "@consilium/base/errors"
import {
  checkSchema,
  type InputColumn,
  type InputField,
  type InputSchema,
} from "@consilium/inference/schema/fields"
import { decimal } from "@consilium/records/decimal"
import { type Feature, featureEncoder } from "@consilium/records/features"
import type { ColumnSchema, TableSchema } from "@consilium/records/schema"

const fieldOf = (column: ColumnSchema): InputField => {
  const { name, description: label } = column
  if (column.type === "number") {
    const { unit, range } = column
    return { name, label, type: "number", unit, range }
  }
  if (column.type === "boolean") return { name, label, type: "boolean" }
  if (column.type === "identifier")
    throw new ConsiliumError("schema/invalid", `The identifier "${name}" is nothing to ask a model with.`)
  // a code that is no number stands in no column as itself, only in columns of one code each
  const categories = column.categories.map(({ code, meaning }, at) => ({
    name: meaning,
    value: decimal(code) ?? at,
  }))
  return { name, label, type: "category", categories }
}

const columnOf = (columns: readonly ColumnSchema[], { column: field, equals }: Feature): InputColumn => {
  const column = columns.find(({ name }) => name === field)
  if (equals === undefined || column?.type !== "category") return { field, equals: null }
  return { field, equals: column.categories.find(({ code }) => code === equals)?.meaning ?? null }
}

/**
 * What a model is asked with: of a clinical table the columns that features are made of, by their descriptions, units and
 * the meanings of their codes, and the features in their order.
 *
 * @throws {ConsiliumError} "schema/invalid" on a feature that does not fit the table; "inference/bad-schema" on names or labels
 *   that are too long, or two codes with one meaning
 */
export const inputSchemaOf = (table: TableSchema, features: readonly Feature[]): InputSchema => {
  for (const feature of features) featureEncoder(table, feature)
  const used = new Set(features.map(({ column }) => column))
  const schema = {
    fields: table.columns.filter(({ name }) => used.has(name)).map(fieldOf),
    columns: features.map((feature) => columnOf(table.columns, feature)),
  }
  checkSchema(schema)
  return schema
}
