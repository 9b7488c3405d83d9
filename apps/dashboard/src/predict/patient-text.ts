import type { InputField, InputSchema } from "@consilium/inference/schema/fields"
import type { Patient } from "@consilium/inference/schema/patient"

/** What was written into a form or a file of one patient, by the names of the fields. */
export type Entries = Readonly<Record<string, string>>

export type Value = number | boolean | string
/** A value, or what is wrong, in words that name what is accepted and never what was given. */
export type Reading = { readonly value: Value } | { readonly problem: string }

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?$/i
const YES = new Set(["yes", "y", "true", "1"])
const NO = new Set(["no", "n", "false", "0"])

/** What a field takes, for the line below it: "0 to 120 years". */
export const acceptedText = (field: InputField): string => {
  if (field.type === "number") {
    const [low, high] = field.range
    return `${low} to ${high}${field.unit === "" ? "" : ` ${field.unit}`}`
  }
  if (field.type === "boolean") return "yes or no"
  return field.categories.map(({ name }) => name).join(", ")
}

const SEMICOLON = /;\s*/

/** What a field is called: its label up to the first semicolon, behind which remarks stand. */
export const fieldTitle = ({ name, label }: InputField): string => label?.split(SEMICOLON, 1)[0] || name

/** The remarks of a field's label; empty where there are none. */
export const fieldRemark = ({ label }: InputField): string =>
  label?.split(SEMICOLON).slice(1).join("; ") ?? ""

/** One entry, read as its field's type. Categories go by name, whatever its case, or by the number that stands for them. */
export const readEntry = (field: InputField, entry: string): Reading => {
  const text = entry.trim()
  if (text === "" || text === "?") return { problem: "is missing" }
  if (field.type === "number") {
    if (/^[+-]?\d+,\d+$/.test(text)) return { problem: "has a comma: write decimals with a point" }
    const value = NUMBER.test(text) ? Number(text) : Number.NaN
    if (!Number.isFinite(value)) return { problem: `is not a number from ${acceptedText(field)}` }
    const [low, high] = field.range
    return value < low || value > high ? { problem: `is outside ${acceptedText(field)}` } : { value }
  }
  const small = text.toLowerCase()
  if (field.type === "boolean") {
    if (YES.has(small) || NO.has(small)) return { value: YES.has(small) }
    return { problem: "is neither yes nor no" }
  }
  const { categories } = field
  const found =
    categories.find(({ name }) => name === text) ??
    categories.find(({ name }) => name.toLowerCase() === small) ??
    categories.find(({ value }) => NUMBER.test(text) && value === Number(text))
  return found === undefined ? { problem: `is none of: ${acceptedText(field)}` } : { value: found.name }
}

/** A patient, or what is wrong with each field that is not right. */
export type PatientReading =
  | { readonly patient: Patient }
  | { readonly problems: ReadonlyMap<string, string> }

export const readEntries = ({ fields }: InputSchema, entries: Entries): PatientReading => {
  const patient: Record<string, Value> = {}
  const problems = new Map<string, string>()
  for (const field of fields) {
    const reading = readEntry(field, entries[field.name] ?? "")
    if ("value" in reading) patient[field.name] = reading.value
    else problems.set(field.name, reading.problem)
  }
  return problems.size > 0 ? { problems } : { patient }
}
