import { ConsiliumError } from "@consilium/base/errors"
import { decimal } from "./decimal.js"
import { type ColumnSchema, categoryIndex, columnKey, type TableSchema, truthValue } from "./schema.js"
import { unitFactor, unitsInto } from "./units.js"

/** How a site's file says what a schema asks for. */
export interface SiteMapping {
  readonly columns: readonly ColumnMapping[]
}

export interface ColumnMapping {
  /** Name in the schema. */
  readonly column: string
  /** Name in the site's file. */
  readonly from: string
  /** Unit of the site's numbers, if it is not the schema's. */
  readonly unit?: string
  /** The site's codes, each with the schema's. */
  readonly codes?: Readonly<Record<string, string>>
  /** What the site writes where a value is missing. */
  readonly missing?: readonly string[]
}

/** A file that already says everything as its schema does. */
export const NO_MAPPING: SiteMapping = { columns: [] }

/** Whether two texts are the same code: the same text, or the same number ("1.0" is "1"). */
export const sameCode = (a: string, b: string): boolean => {
  if (a === b) return true
  const value = decimal(a)
  return value !== null && value === decimal(b)
}

/** What stands for "missing" in a column of the site's file: what the mapping says, or else the schema's spellings. */
export const missingTokens = (column: ColumnSchema, mapping: ColumnMapping | undefined): readonly string[] =>
  mapping?.missing?.map((token) => token.trim()) ?? column.missing.tokens

const listed = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(", ")

const faultsOfUnit = (column: ColumnSchema, { unit }: ColumnMapping): string[] => {
  if (unit === undefined) return []
  if (column.type !== "number")
    return [`has the unit "${unit}", but is a ${column.type}; only numbers have units`]
  if (unitFactor(column.analyte, unit, column.unit) !== null) return []
  const known = [column.unit, ...unitsInto(column.analyte, column.unit)].filter(
    (other, at, all) => all.indexOf(other) === at,
  )
  return [`has the unit "${unit}", which cannot be converted; known are ${known.join(", ")}`]
}

const isCodeOf = (column: ColumnSchema, code: string): boolean =>
  column.type === "category" ? categoryIndex(column, code) >= 0 : truthValue(code) !== null

const faultsOfCodes = (column: ColumnSchema, { codes }: ColumnMapping): string[] => {
  if (codes === undefined) return []
  if (column.type !== "category" && column.type !== "boolean")
    return [`has codes, but is ${column.type === "number" ? "a number" : "an identifier"}`]
  const out: string[] = []
  const own = Object.keys(codes).map((code) => code.trim())
  if (own.length === 0) out.push("has an empty list of codes")
  for (const [at, code] of own.entries())
    if (own.slice(0, at).some((before) => sameCode(before, code)))
      out.push(`has the ambiguous code "${code}", which is there twice`)
  const known =
    column.type === "category" ? listed(column.categories.map(({ code }) => code)) : `"yes" and "no"`
  for (const [code, means] of Object.entries(codes))
    if (!isCodeOf(column, means))
      out.push(
        `gives the code "${code}" the meaning "${means}", which the schema does not have; it has ${known}`,
      )
  return out
}

const faultsOfMissing = (column: ColumnSchema, mapping: ColumnMapping): string[] => {
  const tokens = missingTokens(column, mapping)
  const out: string[] = []
  if (new Set(tokens).size !== tokens.length) out.push("has a spelling of missing twice")
  for (const token of tokens) {
    // a number that stands for "missing" is what the site says it is; a code cannot be both
    const isCode =
      mapping.codes !== undefined
        ? Object.keys(mapping.codes).some((code) => sameCode(code.trim(), token))
        : (column.type === "category" || column.type === "boolean") && isCodeOf(column, token)
    if (isCode) out.push(`has the ambiguous code "${token}", which is a code and stands for missing as well`)
  }
  return out
}

const faultsOfSharing = ({ columns }: SiteMapping): string[] => {
  const out: string[] = []
  for (const key of new Set(columns.map(({ from }) => columnKey(from)))) {
    const sharing = columns.filter(({ from }) => columnKey(from) === key)
    if (sharing.length > 1 && sharing.some(({ codes }) => codes === undefined))
      out.push(
        `Columns ${listed(sharing.map(({ column }) => column))} are all read from "${sharing[0]?.from}"; that goes only where each of them has codes.`,
      )
  }
  return out
}

/** Everything that is wrong with a mapping onto a schema, one sentence each; empty if it is sound. */
export const mappingFaults = (schema: TableSchema, mapping: SiteMapping): readonly string[] => {
  const out: string[] = []
  const seen = new Set<string>()
  for (const one of mapping.columns) {
    const column = schema.columns.find(({ name }) => columnKey(name) === columnKey(one.column))
    if (column === undefined) {
      out.push(
        `Column "${one.column}" is not in the schema "${schema.name}", which has ${listed(schema.columns.map(({ name }) => name))}.`,
      )
      continue
    }
    if (seen.has(column.name)) out.push(`Column "${column.name}" is mapped twice.`)
    seen.add(column.name)
    if (columnKey(one.from) === "")
      out.push(`Column "${column.name}" does not say which column it is read from.`)
    for (const fault of [
      ...faultsOfUnit(column, one),
      ...faultsOfCodes(column, one),
      ...faultsOfMissing(column, one),
    ])
      out.push(`Column "${column.name}" ${fault}.`)
  }
  return [...out, ...faultsOfSharing(mapping)]
}

/**
 * Refuses a mapping that does not fit its schema or contradicts itself.
 * @throws {ConsiliumError} "records/bad-mapping" with every fault
 */
export const checkMapping = (schema: TableSchema, mapping: SiteMapping): void => {
  const faults = mappingFaults(schema, mapping)
  if (faults.length > 0)
    throw new ConsiliumError("records/bad-mapping", `The mapping onto "${schema.name}": ${faults.join(" ")}`)
}
