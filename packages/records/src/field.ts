import { decimal } from "./decimal.js"
import { type ColumnSchema, categoryIndex, truthValue } from "./schema.js"

/** What one field says under its column: a value, nothing, or a broken rule and its remedy, without the field's text. */
export type FieldReading =
  | { readonly kind: "value"; readonly value: number }
  | { readonly kind: "missing" }
  | { readonly kind: "broken"; readonly rule: string; readonly remedy: string }

const MISSING: FieldReading = { kind: "missing" }
export const value = (number: number): FieldReading => ({ kind: "value", value: number })
export const broken = (rule: string, remedy: string): FieldReading => ({ kind: "broken", rule, remedy })

export const notANumber: FieldReading = broken(
  "is not a plain decimal number",
  "Write numbers in digits with a decimal point, such as 2.3; a word, Infinity, a hexadecimal number or a decimal comma is refused.",
)

const readNumber = (column: ColumnSchema & { type: "number" }, text: string): FieldReading => {
  const [low, high] = column.range
  const number = decimal(text)
  if (number === null) return notANumber
  if (number < low || number > high)
    return broken(
      `is outside [${low}, ${high}] ${column.unit}`,
      `Correct "${column.name}" at its source, or convert it to ${column.unit}.`,
    )
  return value(number)
}

/** What a value that is certainly missing means for its column. */
export const missingReading = (column: ColumnSchema): FieldReading =>
  column.missing.rule === "refuse"
    ? broken("is missing", `Fill in "${column.name}" or remove the row: this column may not be missing.`)
    : MISSING

/** What a field says if it is one of the column's spellings of "missing", or empty; null if it should hold a value. */
export const missingField = (column: ColumnSchema, text: string): FieldReading | null => {
  const { rule, tokens } = column.missing
  if (tokens.includes(text)) return missingReading(column)
  if (text !== "") return null
  const spellings = tokens.map((token) => `"${token}"`).join(" or ")
  return rule === "refuse"
    ? broken("is empty", `Fill in "${column.name}" or remove the row: this column may not be missing.`)
    : broken("is empty", `Write ${spellings} where "${column.name}" is missing.`)
}

/** Reads one trimmed field that is not missing. */
export const readValue = (column: ColumnSchema, text: string): FieldReading => {
  if (column.type === "number") return readNumber(column, text)
  if (column.type === "identifier") return value(0)
  if (column.type === "boolean") {
    const truth = truthValue(text)
    return truth === null
      ? broken("is neither yes nor no", `Write 1 (${column.yes}) or 0 (${column.no}) in "${column.name}".`)
      : value(truth ? 1 : 0)
  }
  const at = categoryIndex(column, text)
  if (at >= 0) return value(at)
  const codes = column.categories.map(({ code, meaning }) => `${code} (${meaning})`).join(", ")
  return broken("is none of the known codes", `Use one of these codes in "${column.name}": ${codes}.`)
}

/**
 * Reads one trimmed field; null is missing whatever the column's spellings are. The value is the number itself, the place
 * of a category in its list, or 1 and 0 for yes and no; an identifier's value is 0, since its text is not a number.
 */
export const readField = (column: ColumnSchema, text: string | null): FieldReading => {
  if (text === null) return missingReading(column)
  return missingField(column, text) ?? readValue(column, text)
}
