import { uniformBelow, uniformUnit } from "@consilium/base/random"
import { insecureSeededRandom } from "@consilium/base/testing"
import { CARDIOVASCULAR_SCHEMA } from "@consilium/records/cardiovascular/schema"
import { csvText } from "@consilium/records/csv-write"
import { parquetWriteBuffer } from "hyparquet-writer"

export type Visit = readonly (string | null)[]

export const NAMES = CARDIOVASCULAR_SCHEMA.columns.map(({ name }) => name)

/** Visits of made-up people in the schema's own words: some values missing, and some people twice. */
export const visitsOf = (facility: string, rows: number): readonly Visit[] => {
  const random = insecureSeededRandom("visits", facility)
  return Array.from({ length: rows }, (_, i) =>
    CARDIOVASCULAR_SCHEMA.columns.map((column): string | null => {
      if (column.name === "origin") return "synthetic"
      if (column.name === "patient") return `p${Math.floor(i / 1.2)}`
      if (column.missing.rule === "keep" && uniformUnit(random) < 0.02) return null
      if (column.type === "number") {
        const [low, high] = column.range
        return String(Math.ceil(low) + uniformBelow(random, Math.max(1, Math.floor(high - low) - 1)))
      }
      if (column.type === "category")
        return column.categories[uniformBelow(random, column.categories.length)]?.code as string
      return uniformUnit(random) < 0.5 ? "1" : "0"
    }),
  )
}

export const csvOf = (visits: readonly Visit[], header: readonly string[] = NAMES): string =>
  csvText(
    header,
    visits.map((visit) => visit.map((value) => value ?? "NA")),
  )

/** The same visits as a Parquet file, numbers as numbers and nulls as nulls. */
export const parquetOf = (visits: readonly Visit[]): Uint8Array =>
  new Uint8Array(
    parquetWriteBuffer({
      columnData: CARDIOVASCULAR_SCHEMA.columns.map(({ name, type }, at) => ({
        name,
        type: type === "number" ? "DOUBLE" : "STRING",
        data: visits.map((visit) => {
          const value = visit[at] ?? null
          return value === null || type !== "number" ? value : Number(value)
        }),
      })),
    }),
  )
