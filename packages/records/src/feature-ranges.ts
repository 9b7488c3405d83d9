import { decimal } from "./decimal.js"
import type { Feature } from "./features.js"
import type { ColumnSchema, TableSchema } from "./schema.js"

/** Where a feature's values lie. */
export interface FeatureRange {
  readonly feature: string
  readonly low: number
  readonly high: number
}

const rangeOf = (column: ColumnSchema, { equals }: Feature): readonly [number, number] => {
  if (column.type === "number") return column.range
  if (column.type !== "category" || equals !== undefined) return [0, 1]
  const codes = column.categories.map(({ code }) => decimal(code) ?? 0)
  return [Math.min(...codes), Math.max(...codes)]
}

/**
 * Where the features of a schema lie, as it declares its columns: from no rows.
 *
 * Units: those of the columns; 0 to 1 for yes/no and for one code of a category
 */
export const featureRanges = (schema: TableSchema, features: readonly Feature[]): readonly FeatureRange[] =>
  features.flatMap((feature) => {
    const column = schema.columns.find(({ name }) => name === feature.column)
    if (column === undefined) return []
    const [low, high] = rangeOf(column, feature)
    return [{ feature: feature.name, low, high }]
  })
