import { ConsiliumError } from "@consilium/base/errors"
import { type Feature, featureEncoder, MISSING_SUFFIX } from "./features.js"
import { checkRows, type LabelledRows, selectRows } from "./rows.js"
import { type ColumnSchema, columnKey, type TableSchema } from "./schema.js"

/**
 * What becomes of missing values. `drop`: rows in which a feature is missing are left out. `impute`: a missing value
 * becomes its column's constant. `indicator`: the same, and a feature per column that may be missing says by 1 where it was.
 */
export type MissingStrategy = "drop" | "impute" | "indicator"

/** What a missing value of a column becomes: a number in the schema's unit (1 and 0 for yes and no), or a code. */
export type MissingConstant =
  | { readonly type: "number"; readonly column: string; readonly value: number }
  | { readonly type: "code"; readonly column: string; readonly code: string }

/**
 * A strategy with its constants. They are agreed beforehand and the same everywhere: figures of one facility's own
 * patients would tell of them, and rows that were filled differently would not belong together.
 */
export interface MissingPlan {
  readonly missing: MissingStrategy
  readonly constants: readonly MissingConstant[]
}

/** What is done where nothing was declared. */
export const DROP: MissingPlan = { missing: "drop", constants: [] }

const bad = (message: string, remedy?: string): never => {
  throw new ConsiliumError("records/bad-preparation", message, remedy === undefined ? {} : { remedy })
}

const columnOf = (schema: TableSchema, name: string): ColumnSchema | undefined =>
  schema.columns.find((column) => columnKey(column.name) === columnKey(name))

const mayBeMissing = (column: ColumnSchema | undefined): boolean => column?.missing.rule === "keep"

/** The feature that says by 1 where a column is missing. */
export const indicatorName = (column: string): string => `${column}${MISSING_SUFFIX}`

/** Columns of these features whose missing values the schema keeps, in the order of their first features. */
const missingColumns = (schema: TableSchema, features: readonly Feature[]): readonly string[] => [
  ...new Set(features.map(({ column }) => column).filter((name) => mayBeMissing(columnOf(schema, name)))),
]

/** The features that a study can train on under a strategy: the schema's, then one for each column that may be missing. */
export const preparedFeatures = (
  schema: TableSchema,
  features: readonly Feature[],
  strategy: MissingStrategy,
): readonly string[] => [
  ...features.map(({ name }) => name),
  ...(strategy === "indicator" ? missingColumns(schema, features).map(indicatorName) : []),
]

/** A constant as the table would store it. */
const storedConstant = (column: ColumnSchema, constant: MissingConstant): number => {
  const named = `The constant of column "${column.name}"`
  if (column.type === "category") {
    const codes = column.categories.map(({ code }) => code)
    const place = constant.type === "code" ? codes.indexOf(constant.code) : -1
    if (place >= 0) return place
    return bad(
      `${named} is none of its codes.`,
      `Declare one of ${codes.map((code) => `"${code}"`).join(", ")}.`,
    )
  }
  const value =
    constant.type === "number" ? constant.value : bad(`${named} is a code, but it is a ${column.type}.`)
  const [low, high] = column.type === "number" ? column.range : [0, 1]
  if (!(value >= low && value <= high) || (column.type === "boolean" && value !== 0 && value !== 1))
    bad(
      `${named}, ${value}, is not in [${low}, ${high}]${column.type === "number" ? ` ${column.unit}` : ""}.`,
      column.type === "boolean" ? "Declare 1 (yes) or 0 (no)." : "Declare a value that the column may have.",
    )
  return value + 0
}

/** What a study trains on, in terms of a schema's features. */
type Wanted =
  | { readonly kind: "feature"; readonly at: number; readonly constant: number | null }
  | { readonly kind: "indicator"; readonly of: readonly number[] }

const quoted = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(", ")

const constantsOf = (schema: TableSchema, plan: MissingPlan): ReadonlyMap<string, number> => {
  const out = new Map<string, number>()
  for (const constant of plan.constants) {
    const column = columnOf(schema, constant.column)
    if (column === undefined || column.type === "identifier" || column.name === schema.target?.column)
      return bad(
        `A constant is declared for "${constant.column}", which is no column of features in "${schema.name}".`,
      )
    if (out.has(column.name)) bad(`Two constants are declared for column "${column.name}".`)
    out.set(column.name, storedConstant(column, constant))
  }
  return out
}

/**
 * How each wanted feature is made.
 * @throws {ConsiliumError} "records/bad-preparation"
 */
const wantedOf = (
  schema: TableSchema,
  features: readonly Feature[],
  names: readonly string[],
  plan: MissingPlan,
): readonly Wanted[] => {
  const available = preparedFeatures(schema, features, plan.missing)
  const unknown = names.filter((name) => !available.includes(name))
  if (unknown.length > 0)
    bad(
      `The study trains on ${quoted(unknown)}; the schema "${schema.name}" gives ${available.join(", ")}${plan.missing === "indicator" ? "" : ` where missing values are settled by "${plan.missing}"`}.`,
    )
  const constants = constantsOf(schema, plan)
  const chosen = features.filter(({ name }) => names.includes(name))
  const columns = missingColumns(schema, chosen)
  const without = plan.missing === "drop" ? [] : columns.filter((column) => !constants.has(column))
  if (without.length > 0)
    bad(
      `No constant is declared for ${quoted(without)}, which may be missing.`,
      "Declare under data.constants what a missing value becomes.",
    )
  const untold =
    plan.missing === "indicator" ? columns.filter((column) => !names.includes(indicatorName(column))) : []
  if (untold.length > 0)
    bad(
      `The study does not train on ${quoted(untold.map(indicatorName))}, which the strategy "indicator" adds.`,
    )
  return names.map((name): Wanted => {
    const at = features.findIndex((feature) => feature.name === name)
    if (at >= 0) {
      const feature = features[at] as Feature
      const stored = constants.get(feature.column)
      return {
        kind: "feature",
        at,
        constant: stored === undefined ? null : featureEncoder(schema, feature)(stored),
      }
    }
    const column = name.slice(0, -MISSING_SUFFIX.length)
    return { kind: "indicator", of: [...features.keys()].filter((i) => features[i]?.column === column) }
  })
}

/**
 * Refuses a plan that cannot prepare these features from rows of this schema.
 * @throws {ConsiliumError} "records/bad-preparation"
 */
export const checkPreparation = (
  schema: TableSchema,
  features: readonly Feature[],
  names: readonly string[],
  plan: MissingPlan,
): void => {
  wantedOf(schema, features, names, plan)
}

/**
 * Settles missing values (NaN) as a plan says, and leaves the wanted features in the wanted order. Nothing is computed
 * from the rows: each row's result depends on that row and the plan alone.
 *
 * Shape:  rows x features -> rows left x wanted
 * Units:  those of the schema
 * @throws {ConsiliumError} "records/bad-preparation" if the plan does not fit
 */
export const settleMissing = (
  rows: LabelledRows,
  schema: TableSchema,
  features: readonly Feature[],
  names: readonly string[],
  plan: MissingPlan,
): { readonly rows: LabelledRows; readonly dropped: number } => {
  if (rows.names.join("\0") !== features.map(({ name }) => name).join("\0"))
    bad("The rows have other features than the schema.")
  const wanted = wantedOf(schema, features, names, plan)
  const drop = plan.missing === "drop"
  const isMissing = (row: number, at: number): boolean => Number.isNaN(rows.features[row * rows.columns + at])
  const kept = Array.from({ length: rows.rows }, (_, row) => row).filter(
    (row) => !drop || !wanted.some((one) => one.kind === "feature" && isMissing(row, one.at)),
  )
  const selected = selectRows(rows, kept)
  const settled = new Float64Array(kept.length * wanted.length)
  for (const [i, row] of kept.entries())
    for (const [j, one] of wanted.entries()) {
      const at = i * wanted.length + j
      if (one.kind === "indicator") settled[at] = one.of.some((feature) => isMissing(row, feature)) ? 1 : 0
      else if (isMissing(row, one.at) && one.constant !== null) settled[at] = one.constant
      else settled[at] = rows.features[row * rows.columns + one.at] as number
    }
  const out = { ...selected, names: [...names], columns: names.length, features: settled }
  if (out.rows > 0) checkRows(out)
  return { rows: out, dropped: rows.rows - out.rows }
}

/**
 * Constants from declared means: the mean of a number; for yes and no, and for codes, what the declared shares make the
 * most frequent. They depend on no patient as long as the means do not.
 */
export const constantsFromMeans = (
  schema: TableSchema,
  features: readonly Feature[],
  means: ReadonlyMap<string, number>,
): readonly MissingConstant[] =>
  missingColumns(schema, features).map((name): MissingConstant => {
    const column = columnOf(schema, name) as ColumnSchema
    const own = features.filter((feature) => feature.column === name)
    const meanOf = (feature: Feature | undefined): number =>
      (feature && means.get(feature.name)) ?? bad(`No mean is declared for "${feature?.name ?? name}".`)
    const whole = own.find(({ equals }) => equals === undefined)
    if (column.type === "number") return { type: "number", column: name, value: meanOf(whole) }
    if (column.type === "boolean") return { type: "number", column: name, value: meanOf(whole) > 0.5 ? 1 : 0 }
    const { categories } = column as ColumnSchema & { type: "category" }
    if (whole !== undefined) {
      const numbers = categories.map(({ code }) => Math.abs(Number(code) - meanOf(whole)))
      return {
        type: "code",
        column: name,
        code: categories[numbers.indexOf(Math.min(...numbers))]?.code as string,
      }
    }
    const shares = categories.map(({ code }) => {
      const feature = own.find(({ equals }) => equals === code)
      return feature === undefined ? null : meanOf(feature)
    })
    // what is left over is shared by the codes without a feature, of which there is usually one
    const rest = 1 - shares.reduce<number>((sum, share) => sum + (share ?? 0), 0)
    const unnamed = shares.filter((share) => share === null).length
    const filled = shares.map((share) => share ?? rest / unnamed)
    return {
      type: "code",
      column: name,
      code: categories[filled.indexOf(Math.max(...filled))]?.code as string,
    }
  })
