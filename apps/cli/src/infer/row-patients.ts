import { ConsiliumError } from "@consilium/base/errors"
import type { InputField, InputSchema } from "@consilium/inference/schema/fields"
import type { Patient } from "@consilium/inference/schema/patient"
import type { LabelledRows } from "@consilium/records/rows"

/** The value of one field, from the columns that are made of it. */
const fieldValue = (
  field: InputField,
  schema: InputSchema,
  row: ArrayLike<number>,
): number | boolean | string => {
  const own = schema.columns.flatMap((column, at) =>
    column.field === field.name ? [{ equals: column.equals, value: row[at] as number }] : [],
  )
  const [first] = own
  if (first === undefined)
    throw new ConsiliumError("inference/bad-schema", `No column of the model is made of "${field.name}".`)
  if (field.type === "number") return first.value
  if (field.type === "boolean") return first.value === 1
  if (first.equals === null)
    return field.categories.find(({ value }) => value === first.value)?.name ?? "unknown"
  const said = own.find(({ value }) => value === 1)?.equals
  // one category has no column: it is what all others are not
  const silent = field.categories.find(({ name }) => own.every(({ equals }) => equals !== name))?.name
  return said ?? silent ?? "unknown"
}

/** Rows as patients of named fields: what an asker of the same columns would say of them. */
export const patientsOfRows = (
  schema: InputSchema,
  { rows, columns, features }: LabelledRows,
): readonly Patient[] =>
  Array.from({ length: rows }, (_, row) => {
    const numbers = features.subarray(row * columns, (row + 1) * columns)
    return Object.fromEntries(schema.fields.map((field) => [field.name, fieldValue(field, schema, numbers)]))
  })
