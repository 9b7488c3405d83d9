import { ConsiliumError } from "@consilium/base/errors"
import { decimal } from "./decimal.js"
import type { Analyte } from "./units.js"

/**
 * What a field means that holds no value. `refuse`: the file is refused. `drop-row`: the row is left out and counted.
 * `keep`: the table holds NaN there; the label may not be kept, and a feature only until `settleMissing`.
 */
export interface MissingRule {
  readonly rule: "refuse" | "drop-row" | "keep"
  /** The spellings of "missing", compared exactly after trimming; an empty field is missing only if "" is among them. */
  readonly tokens: readonly string[]
}

interface AnyColumn {
  readonly name: string
  /** What the column holds, in plain words. */
  readonly description: string
  readonly missing: MissingRule
}

/** A measured number. */
export interface NumberColumn extends AnyColumn {
  readonly type: "number"
  /** The unit of measure, such as "years" or "mm Hg". */
  readonly unit: string
  /** Smallest and largest value that is not a mistake, both included. */
  readonly range: readonly [low: number, high: number]
  /** The substance, where moles and grams of it convert into each other. */
  readonly analyte?: Analyte
}

/** One of a few codes. A field matches a code by its text, or as a number if both are numbers: "1.0" is code "1". */
export interface CategoryColumn extends AnyColumn {
  readonly type: "category"
  readonly categories: readonly { readonly code: string; readonly meaning: string }[]
}

/** Yes (1, true, yes) or no (0, false, no), in any case. */
export interface BooleanColumn extends AnyColumn {
  readonly type: "boolean"
  readonly yes: string
  readonly no: string
}

/** A name or number that tells patients apart. It is never a feature; the table keeps only which rows share it. */
export interface IdentifierColumn extends AnyColumn {
  readonly type: "identifier"
}

export type ColumnSchema = NumberColumn | CategoryColumn | BooleanColumn | IdentifierColumn

/** What is predicted: a yes/no column, or a category column of which some codes count as positive. */
export interface TargetSchema {
  readonly column: string
  /** The positive codes of a category column; empty for a boolean column, where yes is positive. */
  readonly positive: readonly string[]
}

export interface TableSchema {
  readonly name: string
  readonly columns: readonly ColumnSchema[]
  readonly target?: TargetSchema
  /** The identifier column that says which rows belong to one patient; without it every row is a patient. */
  readonly patient?: string
}

/** Names of columns are compared without regard to case and outer blanks. */
export const columnKey = (name: string): string => name.trim().toLowerCase()

/** The place of the category that a field names, or -1. */
export const categoryIndex = (column: CategoryColumn, field: string): number => {
  const exact = column.categories.findIndex(({ code }) => code === field)
  if (exact >= 0) return exact
  const value = decimal(field)
  return value === null ? -1 : column.categories.findIndex(({ code }) => decimal(code) === value)
}

/** True or false for the accepted spellings of yes and no, null for anything else. */
export const truthValue = (field: string): boolean | null => {
  const value = decimal(field)
  if (value === 1) return true
  if (value === 0) return false
  const word = field.toLowerCase()
  if (word === "true" || word === "yes") return true
  return word === "false" || word === "no" ? false : null
}

const faultsOfType = (column: ColumnSchema): string[] => {
  const out: string[] = []
  if (column.type === "number") {
    const [low, high] = column.range
    if (column.unit === "") out.push("has no unit")
    if (!Number.isFinite(low) || !Number.isFinite(high)) out.push("has a range that is not finite")
    else if (low > high) out.push(`has the empty range [${low}, ${high}]`)
  }
  if (column.type === "boolean" && (column.yes === "" || column.no === ""))
    out.push("does not say what yes and no mean")
  if (column.type === "category") {
    if (column.categories.length === 0) out.push("has no categories")
    for (const [at, { code, meaning }] of column.categories.entries()) {
      if (code !== code.trim() || code === "")
        out.push(`has a code, number ${at + 1}, that is empty or has outer blanks`)
      if (meaning === "") out.push(`does not say what code "${code}" means`)
      const before = { ...column, categories: column.categories.slice(0, at) }
      if (categoryIndex(before, code) >= 0) out.push(`has code "${code}" twice`)
    }
  }
  return out
}

const readsAsValue = (column: ColumnSchema, token: string): boolean => {
  if (column.type === "category") return categoryIndex(column, token) >= 0
  if (column.type === "boolean") return truthValue(token) !== null
  if (column.type === "identifier") return false
  const value = decimal(token)
  return value !== null && value >= column.range[0] && value <= column.range[1]
}

const faultsOfMissing = (column: ColumnSchema): string[] => {
  const { rule, tokens } = column.missing
  const out: string[] = []
  if (rule !== "refuse" && tokens.length === 0) out.push(`has the missing rule "${rule}" but no token for it`)
  if (new Set(tokens).size !== tokens.length) out.push("has a missing token twice")
  for (const token of tokens) {
    if (token !== token.trim()) out.push(`has the missing token "${token}" with outer blanks`)
    if (readsAsValue(column, token)) out.push(`has the missing token "${token}", which is also a value of it`)
  }
  return out
}

const faultsOfTarget = (schema: TableSchema, target: TargetSchema): string[] => {
  const column = schema.columns.find(({ name }) => name === target.column)
  if (column === undefined) return [`The target "${target.column}" is not a column.`]
  const named = `The target "${column.name}"`
  if (column.missing.rule === "keep") return [`${named} may not keep missing values.`]
  if (column.type === "boolean")
    return target.positive.length === 0 ? [] : [`${named} is yes or no and has no codes.`]
  if (column.type !== "category") return [`${named} must be a category or a boolean, not a ${column.type}.`]
  const places = target.positive.map((code) =>
    column.categories.findIndex((category) => category.code === code),
  )
  if (places.includes(-1)) return [`${named} has a positive code that is none of its categories.`]
  if (new Set(places).size !== places.length) return [`${named} has a positive code twice.`]
  return places.length > 0 && places.length < column.categories.length
    ? []
    : [`${named} needs at least one positive and one other code.`]
}

const faultsOfPatient = (schema: TableSchema): string[] => {
  const identifiers = schema.columns.filter(({ type }) => type === "identifier")
  const out = identifiers
    .filter(({ name }) => name !== schema.patient)
    .map(({ name }) => `Column "${name}" is an identifier but not the patient column.`)
  if (schema.patient === undefined) return out
  const column = identifiers.find(({ name }) => name === schema.patient)
  if (column === undefined) out.push(`The patient column "${schema.patient}" is not an identifier column.`)
  else if (column.missing.rule === "keep")
    out.push(`The patient column "${column.name}" may not keep missing values.`)
  return out
}

/** Everything that is wrong with a schema, one sentence each; empty if it is sound. */
export const schemaFaults = (schema: TableSchema): readonly string[] => {
  const out: string[] = []
  if (schema.name === "") out.push("The schema has no name.")
  if (schema.columns.length === 0) out.push("The schema has no columns.")
  const seen = new Set<string>()
  for (const [at, column] of schema.columns.entries()) {
    const key = columnKey(column.name)
    if (column.name === "" || column.name !== column.name.trim())
      out.push(`Column ${at + 1} has a name that is empty or has outer blanks.`)
    if (seen.has(key)) out.push(`Two columns are named "${column.name}" (case does not count).`)
    seen.add(key)
    if (column.description === "") out.push(`Column "${column.name}" has no description.`)
    for (const fault of [...faultsOfType(column), ...faultsOfMissing(column)])
      out.push(`Column "${column.name}" ${fault}.`)
  }
  if (schema.target !== undefined) out.push(...faultsOfTarget(schema, schema.target))
  return [...out, ...faultsOfPatient(schema)]
}

/**
 * Refuses a schema that contradicts itself.
 * @throws {ConsiliumError} "schema/invalid" with every fault
 */
export const checkSchema = (schema: TableSchema): void => {
  const faults = schemaFaults(schema)
  if (faults.length > 0)
    throw new ConsiliumError("schema/invalid", `Schema "${schema.name}": ${faults.join(" ")}`)
}
