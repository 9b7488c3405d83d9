import type { InputField, InputSchema } from "@consilium/inference/schema/fields"
import type { Patient } from "@consilium/inference/schema/patient"

const NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d{1,3})?$/i
const YES_OR_NO: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["yes", true],
  ["1", true],
  ["false", false],
  ["no", false],
  ["0", false],
])

/** What some text says of a field; text that says nothing stays as it is, for the schema to refuse. */
const readAs = (field: InputField, text: string): number | boolean | string => {
  const number = NUMBER.test(text) ? Number(text) : undefined
  if (field.type === "number") return number ?? text
  if (field.type === "boolean") return YES_OR_NO.get(text.toLowerCase()) ?? text
  if (field.categories.some(({ name }) => name === text)) return text
  const coded = field.categories.filter(({ value }) => value === number)
  return coded.length === 1 ? (coded[0] as (typeof coded)[number]).name : text
}

/**
 * A patient whose fields are written out: numbers as such, yes or no as true, false, yes, no, 1 or 0, a category by its name or its code. An
 * empty text is a field that is missing.
 */
export const writtenPatient = (schema: InputSchema, texts: ReadonlyMap<string, string>): Patient =>
  Object.fromEntries(
    [...texts].flatMap(([name, text]) => {
      const trimmed = text.trim()
      if (trimmed === "") return []
      const field = schema.fields.find((one) => one.name === name)
      return [[name, field === undefined ? trimmed : readAs(field, trimmed)]]
    }),
  )
