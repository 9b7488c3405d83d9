import { encode, f64, list, nullable, record, text, variant } from "@consilium/base/encoding"
import { type Digest, hash } from "@consilium/base/hash"
import type { Feature } from "./features.js"
import type { ColumnSchema, TableSchema } from "./schema.js"

const name = text(256)
const words = text(4096)

const columnCodec = record({
  name,
  missing: text(16),
  holds: variant({
    number: record({ unit: name, low: f64, high: f64, analyte: nullable(name) }),
    category: record({ codes: list(record({ code: name, meaning: words }), 4096) }),
    boolean: record({ yes: words, no: words }),
    identifier: record({}),
  }),
})

const schemaCodec = record({
  name,
  columns: list(columnCodec, 4096),
  target: nullable(record({ column: name, positive: list(name, 4096) })),
  patient: nullable(name),
  features: list(record({ name, column: name, equals: nullable(name) }), 4096),
})

const holdsOf = (column: ColumnSchema) => {
  if (column.type === "number") {
    const [low, high] = column.range
    return {
      type: "number",
      unit: column.unit,
      low: low + 0,
      high: high + 0,
      analyte: column.analyte ?? null,
    } as const
  }
  if (column.type === "category") return { type: "category", codes: column.categories } as const
  if (column.type === "boolean") return { type: "boolean", yes: column.yes, no: column.no } as const
  return { type: "identifier" } as const
}

/**
 * The digest by which a study names a schema and its features: all that decides a number, which is everything but the
 * descriptions and the spellings of "missing".
 */
export const schemaDigest = (schema: TableSchema, features: readonly Feature[]): Digest =>
  hash(
    "records-schema",
    encode(schemaCodec, {
      name: schema.name,
      columns: schema.columns.map((column) => ({
        name: column.name,
        missing: column.missing.rule,
        holds: holdsOf(column),
      })),
      target: schema.target ?? null,
      patient: schema.patient ?? null,
      features: features.map((feature) => ({ ...feature, equals: feature.equals ?? null })),
    }),
  )
