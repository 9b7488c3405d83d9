import { decimal } from "./decimal.js"
import {
  broken,
  type FieldReading,
  missingField,
  missingReading,
  notANumber,
  readField,
  readValue,
  value,
} from "./field.js"
import { type ColumnMapping, missingTokens, sameCode } from "./mapping.js"
import type { ColumnSchema, NumberColumn } from "./schema.js"
import { unitFactor } from "./units.js"

/** Converting can miss a bound of the range by rounding alone: this much of it is no mistake. */
const ROUNDING = 1e-9

const withinRange = ({ range: [low, high] }: NumberColumn, number: number): number | null => {
  if (number >= low && number <= high) return number
  const near = (bound: number): boolean => Math.abs(number - bound) <= ROUNDING * Math.abs(bound)
  return near(low) ? low : near(high) ? high : null
}

const inUnit = (column: NumberColumn, unit: string): ((text: string) => FieldReading) => {
  const factor = unitFactor(column.analyte, unit, column.unit) as number
  return (text) => {
    const number = decimal(text)
    if (number === null) return notANumber
    const converted = withinRange(column, number * factor)
    if (converted !== null) return value(converted + 0)
    return broken(
      `is outside [${column.range.join(", ")}] ${column.unit} once converted from ${unit}`,
      `Correct "${column.name}" at its source, or the unit that the mapping gives it.`,
    )
  }
}

const inCodes = (
  column: ColumnSchema,
  codes: Readonly<Record<string, string>>,
): ((text: string) => FieldReading) => {
  const known = Object.entries(codes).map(([code, means]) => ({ code: code.trim(), means }))
  return (text) => {
    const found = known.find(({ code }) => code === text) ?? known.find(({ code }) => sameCode(code, text))
    if (found !== undefined) return readValue(column, found.means)
    return broken(
      "is none of the codes that the mapping names",
      `Use one of these codes in "${column.name}": ${known.map(({ code }) => code).join(", ")}; or name the code in the mapping, under codes or missing.`,
    )
  }
}

const valueReader = (
  column: ColumnSchema,
  { unit, codes }: ColumnMapping,
): ((text: string) => FieldReading) => {
  if (codes !== undefined) return inCodes(column, codes)
  if (unit !== undefined && column.type === "number") return inUnit(column, unit)
  return (text) => readValue(column, text)
}

/**
 * How a trimmed field of a site's file is read into a column. What the mapping gives (unit, codes, spellings of missing)
 * takes the place of what the schema says. The mapping must be sound.
 */
export const siteField = (
  column: ColumnSchema,
  mapping: ColumnMapping | undefined,
): ((field: string | null) => FieldReading) => {
  if (mapping === undefined) return (field) => readField(column, field)
  const read = valueReader(column, mapping)
  if (mapping.missing === undefined)
    return (field) => (field === null ? missingReading(column) : (missingField(column, field) ?? read(field)))
  const tokens = missingTokens(column, mapping)
  const spellings = tokens.length === 0 ? "nothing" : tokens.map((token) => `"${token}"`).join(" or ")
  // 007 and 7 may be two patients, but are one number
  const same = column.type === "identifier" ? (a: string, b: string) => a === b : sameCode
  return (field) => {
    if (field === null || tokens.some((token) => same(token, field))) return missingReading(column)
    if (field !== "") return read(field)
    return broken(
      "is empty",
      `The mapping says that ${spellings} stands for a missing "${column.name}"; add "" to its missing, or fill in the field.`,
    )
  }
}
