import { ConsiliumError } from "@consilium/base/errors"
import { checkRowCount, refuseOtherSeparator } from "./csv.js"
import { CSV_LIMITS, type CsvLimits, csvRecords } from "./csv-records.js"
import { checkMapping, NO_MAPPING, type SiteMapping } from "./mapping.js"
import { looksLikeParquet, openParquet } from "./parquet/parquet.js"
import { type ColumnSchema, checkSchema, columnKey, type TableSchema } from "./schema.js"
import { siteField } from "./site-field.js"
import type { Table } from "./table.js"
import { type FieldRule, type RowOptions, tableOfRows } from "./table-rows.js"

export interface SiteTableOptions extends RowOptions {
  /** How the file says what the schema asks for; without it, columns, codes and units are the schema's. */
  readonly mapping?: SiteMapping | null
  /** `content` (the default): Parquet if the bytes begin as such a file does, else comma-separated text. */
  readonly form?: "content" | "csv" | "parquet"
  readonly limits?: Partial<CsvLimits>
}

/** A schema, or what it is for a file that has these of its columns, where some may be absent. */
export type SiteSchema =
  | TableSchema
  | { readonly whole: TableSchema; readonly of: (columns: readonly string[]) => TableSchema }

/** Each column of a schema with the name that it has in the site's file and how its fields are read. */
interface SiteColumn extends FieldRule {
  readonly from: string
}

const wholeOf = (site: SiteSchema): TableSchema => ("whole" in site ? site.whole : site)

const siteColumns = (schema: TableSchema, mapping: SiteMapping): readonly SiteColumn[] =>
  schema.columns.map((column) => {
    const own = mapping.columns.find((one) => columnKey(one.column) === columnKey(column.name))
    return { column, from: own?.from.trim() ?? column.name, read: siteField(column, own) }
  })

const badHeader = (where: string, message: string, remedy: string): ConsiliumError =>
  new ConsiliumError("csv/bad-header", `${where}: ${message}`, { remedy })

const called = (column: ColumnSchema, from: string): string =>
  columnKey(column.name) === columnKey(from) ? `"${column.name}"` : `"${column.name}" (read from "${from}")`

/** For each column of the file, what is read from it. Columns that nothing is read from are passed over. */
const rulesOf = (
  wanted: readonly SiteColumn[],
  where: string,
  header: readonly string[],
): readonly (readonly SiteColumn[])[] => {
  const keys = header.map(columnKey)
  const absent = wanted.filter(({ from }) => !keys.includes(columnKey(from)))
  const names = absent.map(({ column, from }) => called(column, from)).join(", ")
  if (absent.length > 0)
    throw badHeader(
      where,
      `${absent.length === 1 ? "column" : "columns"} ${names} ${absent.length === 1 ? "is" : "are"} not among the ${header.length} columns of the file.`,
      'Say in the mapping, under "from", how the file calls them, or export the file again with them.',
    )
  const twice = wanted.find(({ from }) => keys.filter((key) => key === columnKey(from)).length > 1)
  if (twice !== undefined)
    throw badHeader(where, `column "${twice.from}" is there twice.`, "Remove one of the two columns.")
  return keys.map((key) => wanted.filter(({ from }) => columnKey(from) === key))
}

/** What is read from each column of the file, under the schema that holds for a file with this header. */
const plan = (site: SiteSchema, mapping: SiteMapping, where: string, header: readonly string[]) => {
  // a column that the mapping names is one that the file must have
  const schema = "whole" in site ? site.of([...header, ...mapping.columns.map(({ column }) => column)]) : site
  return { schema, columns: rulesOf(siteColumns(schema, mapping), where, header) }
}

const readCsv = (
  site: SiteSchema,
  mapping: SiteMapping,
  source: string,
  input: string | Uint8Array,
  options: SiteTableOptions,
): Table => {
  const limits = { ...CSV_LIMITS, ...options.limits }
  const all = siteColumns(wholeOf(site), mapping)
  const records = csvRecords(source, input, limits, (at, first) => {
    const known = all.find(({ from }) => columnKey(from) === columnKey(first[at] ?? ""))
    return known === undefined ? `column number ${at + 1}` : `column "${known.column.name}"`
  })
  const [first, ...rows] = records
  if (first === undefined) throw new ConsiliumError("csv/empty", `${source} is empty.`)
  refuseOtherSeparator(source, first.line, first.fields)
  const { schema, columns } = plan(site, mapping, `${source}, line ${first.line}`, first.fields)
  checkRowCount(source, rows.length, limits)
  return tableOfRows(schema, { source, place: "line", rows, columns }, options)
}

const readParquet = (
  site: SiteSchema,
  mapping: SiteMapping,
  source: string,
  bytes: Uint8Array,
  options: SiteTableOptions,
): Table => {
  const limits = { ...CSV_LIMITS, ...options.limits }
  const file = openParquet(source, bytes, limits)
  const { schema, columns } = plan(site, mapping, source, file.names)
  checkRowCount(source, file.rows, limits)
  const used = [...columns.keys()].filter((at) => (columns[at] as readonly SiteColumn[]).length > 0)
  const rows = file.read(used)
  const rules = used.map((at) => columns[at] as readonly SiteColumn[])
  return tableOfRows(schema, { source, place: "row", rows, columns: rules }, options)
}

/**
 * Reads a site's file, comma-separated text with a header or Parquet, under a schema and through the site's mapping. As
 * with `readTable`, the file is used whole or not at all, and an error repeats no value of it. Columns that the schema
 * does not ask for are not looked at.
 *
 * @throws {ConsiliumError} "schema/invalid", "records/bad-mapping", "parquet/malformed", "parquet/unsupported",
 *   "csv/too-large", "csv/not-text", "csv/malformed", "csv/empty", "csv/bad-header" or "csv/bad-rows"
 */
export const readSiteTable = (
  schema: SiteSchema,
  source: string,
  input: string | Uint8Array,
  options: SiteTableOptions = {},
): Table => {
  const mapping = options.mapping ?? NO_MAPPING
  checkSchema(wholeOf(schema))
  checkMapping(wholeOf(schema), mapping)
  const form = options.form ?? "content"
  if (typeof input !== "string" && (form === "parquet" || (form === "content" && looksLikeParquet(input))))
    return readParquet(schema, mapping, source, input, options)
  return readCsv(schema, mapping, source, input, options)
}
