import { ConsiliumError } from "@consilium/base/errors"

/** One thing that is asked of a patient. */
export type InputField = {
  readonly name: string
  /** What it is, in plain words, for forms; left out where the name says it. */
  readonly label?: string
} & FieldValues

type FieldValues =
  | {
      readonly type: "number"
      readonly unit: string
      /** What is accepted, ends included. */
      readonly range: readonly [number, number]
    }
  | { readonly type: "boolean" }
  | {
      readonly type: "category"
      /** Names, and the number that stands for each where the model takes the category as a number. */
      readonly categories: readonly { readonly name: string; readonly value: number }[]
    }

/** One number that a model takes: the value of a field, or whether a category field has a certain name (1 or 0). */
export interface InputColumn {
  readonly field: string
  readonly equals: string | null
}

/** What a model is asked with: the fields of a patient, and the columns that are made of them, in the model's order. */
export interface InputSchema {
  readonly fields: readonly InputField[]
  readonly columns: readonly InputColumn[]
}

/** Longest name, unit or category, in characters. */
export const LONGEST_NAME = 64
/** Longest label, in characters. */
export const LONGEST_LABEL = 256
export const MOST_FIELDS = 512
export const MOST_CATEGORIES = 256

const bad = (message: string): never => {
  throw new ConsiliumError("inference/bad-schema", message)
}
/** Control and format characters, ends of lines and halves of characters: they are not seen, turn text round, or steer a terminal. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u

/** Whether a text is one line of characters that are all seen: what people are shown must be what it says. */
export const isOneLine = (text: string): boolean => !UNSEEN.test(text)

const checkSeen = (what: string, text: string): void => {
  if (!isOneLine(text)) bad(`The ${what} holds a character that is not seen, such as a line's end.`)
}
const checkName = (what: string, name: string): void => {
  checkSeen(`name of a ${what}`, name)
  if (typeof name !== "string" || name === "" || name.length > LONGEST_NAME)
    bad(`The ${what} "${name}" does not have 1 to ${LONGEST_NAME} characters.`)
}
const checkDistinct = (what: string, names: readonly string[]): void => {
  const seen = new Set<string>()
  for (const name of names) {
    if (seen.has(name)) bad(`The ${what} "${name}" is given twice.`)
    seen.add(name)
  }
}

const checkField = (field: InputField): void => {
  checkName("field", field.name)
  if (field.label !== undefined && (field.label === "" || field.label.length > LONGEST_LABEL))
    bad(`The label of "${field.name}" does not have 1 to ${LONGEST_LABEL} characters.`)
  checkSeen(`label of "${field.name}"`, field.label ?? "")
  if (field.type === "number") {
    const [low, high] = field.range
    if (!Number.isFinite(low) || !Number.isFinite(high) || !(low < high))
      bad(`The range [${low}, ${high}] of "${field.name}" is empty or not finite.`)
    if (high / 2 - low / 2 === 0) bad(`The range of "${field.name}" is too narrow to be divided.`)
    if (typeof field.unit !== "string" || field.unit.length > LONGEST_NAME)
      bad(`The unit of "${field.name}" is no text of at most ${LONGEST_NAME} characters.`)
    checkSeen(`unit of "${field.name}"`, field.unit)
  } else if (field.type === "category") {
    const names = field.categories.map(({ name }) => name)
    if (names.length < 2 || names.length > MOST_CATEGORIES)
      bad(`"${field.name}" has ${names.length} categories, not 2 to ${MOST_CATEGORIES}.`)
    for (const name of names) checkName(`category of "${field.name}"`, name)
    checkDistinct(`category of "${field.name}"`, names)
    if (!field.categories.every(({ value }) => Number.isFinite(value)))
      bad(`A category of "${field.name}" stands for a number that is not finite.`)
  } else if (field.type !== "boolean")
    bad(`"${(field as { name: string }).name}" is neither a number, a yes or no, nor a category.`)
}

/** One column for each field, in order. */
export const columnsOf = (fields: readonly InputField[]): readonly InputColumn[] =>
  fields.map(({ name }) => ({ field: name, equals: null }))

/** The field of a column. */
export const fieldOf = (schema: InputSchema, { field }: InputColumn): InputField =>
  schema.fields.find(({ name }) => name === field) ??
  bad(`A column needs the field "${field}", which is not declared.`)

/**
 * Where the values of a column lie, as the schema declares its fields.
 * Units: those of the field; 0 to 1 for yes or no and for one name of a category
 */
export const columnRange = (schema: InputSchema, column: InputColumn): readonly [number, number] => {
  const field = fieldOf(schema, column)
  if (field.type === "number") return field.range
  if (field.type === "boolean" || column.equals !== null) return [0, 1]
  const values = field.categories.map(({ value }) => value)
  return [Math.min(...values), Math.max(...values)]
}

/**
 * Refuses a schema that contradicts itself.
 * @throws {ConsiliumError} "inference/bad-schema"
 */
export const checkSchema = (schema: InputSchema): void => {
  const { fields, columns } = schema
  if (fields.length < 1 || fields.length > MOST_FIELDS || columns.length < 1 || columns.length > MOST_FIELDS)
    bad(`There are ${fields.length} fields and ${columns.length} columns, not 1 to ${MOST_FIELDS} of each.`)
  for (const field of fields) checkField(field)
  checkDistinct(
    "field",
    fields.map(({ name }) => name),
  )
  for (const column of columns) {
    const field = fieldOf(schema, column)
    const { equals } = column
    if (
      equals !== null &&
      (field.type !== "category" || !field.categories.some(({ name }) => name === equals))
    )
      bad(`A column asks whether "${field.name}" is "${equals}", which it cannot be.`)
    const [low, high] = columnRange(schema, column)
    if (!(low < high))
      bad(`All categories of "${field.name}" stand for one number; make a column of each name.`)
  }
  checkDistinct(
    "column",
    columns.map(({ field, equals }) => (equals === null ? field : `${field}=${equals}`)),
  )
}
