import { dirname, resolve } from "node:path"
import { checkFeatures, defaultFeatures, type Feature } from "@consilium/records/features"
import { type ColumnMapping, checkMapping, type SiteMapping } from "@consilium/records/mapping"
import { type ColumnSchema, checkSchema, type TableSchema } from "@consilium/records/schema"
import { ANALYTES } from "@consilium/records/units"
import { stringify } from "yaml"
import { z } from "zod"
import { builtInForm, type TableForm, tableForm } from "./table-form.js"
import { readConfig } from "./yaml-file.js"

const name = z.string().min(1).max(64)
/** A code or a spelling, however YAML reads it: 1, "1", true. */
const scalar = z.union([z.string().max(64), z.number(), z.boolean()]).transform(String)

const SPELLINGS = ["", "NA", "?"]
const columnFields = {
  name,
  description: z.string().min(1).max(1000),
  /** `refuse` a file with such a row, leave the row out (`drop-row`), or `keep` it: the study says what becomes of it. */
  missing: z.enum(["refuse", "drop-row", "keep"]).default("refuse"),
  /** What stands for "missing" in files of this schema. */
  spellings: z.array(scalar).default(SPELLINGS),
}

const columnSchema = z.discriminatedUnion("type", [
  z.strictObject({
    ...columnFields,
    type: z.literal("number"),
    unit: name,
    range: z.tuple([z.number(), z.number()]),
    analyte: z.enum(ANALYTES).optional(),
  }),
  z.strictObject({
    ...columnFields,
    type: z.literal("category"),
    codes: z
      .array(z.strictObject({ code: scalar, meaning: z.string().min(1).max(1000) }))
      .min(1)
      .max(1000),
  }),
  z.strictObject({ ...columnFields, type: z.literal("boolean"), yes: name, no: name }),
  z.strictObject({ ...columnFields, type: z.literal("identifier") }),
])

/** A schema file: what the columns of a table are, what is predicted, what a study can train on. */
export const schemaFileSchema = z.strictObject({
  name,
  /** The column that says which rows belong to one patient; without it each row is a patient. */
  patient: name.nullable().default(null),
  /** What is predicted: a yes/no column, or a category with the codes that count as yes. */
  target: z.strictObject({ column: name, positive: z.array(scalar).default([]) }),
  columns: z.array(columnSchema).min(1).max(4096),
  /** By default every number and yes/no column, and one feature per code of a category but the first. */
  features: z
    .array(z.strictObject({ name, column: name, equals: scalar.optional() }))
    .nullable()
    .default(null),
})
export type SchemaFile = z.output<typeof schemaFileSchema>

const columnOf = (column: z.output<typeof columnSchema>): ColumnSchema => {
  const shared = {
    name: column.name,
    description: column.description,
    missing: { rule: column.missing, tokens: column.spellings },
  }
  if (column.type === "number") {
    const { type, unit, range, analyte } = column
    return { ...shared, type, unit, range, ...(analyte === undefined ? {} : { analyte }) }
  }
  if (column.type === "category") return { ...shared, type: column.type, categories: column.codes }
  return column.type === "boolean"
    ? { ...shared, type: column.type, yes: column.yes, no: column.no }
    : { ...shared, type: column.type }
}

/**
 * The schema and features of a schema file.
 * @throws {ConsiliumError} "schema/invalid"
 */
export const formOf = (file: SchemaFile): TableForm => {
  const schema: TableSchema = {
    name: file.name,
    columns: file.columns.map(columnOf),
    target: file.target,
    ...(file.patient === null ? {} : { patient: file.patient }),
  }
  checkSchema(schema)
  const features: readonly Feature[] =
    file.features?.map(({ equals, ...feature }) =>
      equals === undefined ? feature : { ...feature, equals },
    ) ?? defaultFeatures(schema)
  checkFeatures(schema, features)
  return tableForm(schema, features)
}

/** A built-in schema by its name, or that of a file, whose path is relative to the file that names it. */
export const readForm = async (schema: string, relativeTo: string): Promise<TableForm> =>
  builtInForm(schema) ??
  formOf(await readConfig(schemaFileSchema, resolve(dirname(resolve(relativeTo)), schema)))

/** A mapping file: how a site's own file says what the schema asks for. */
export const mappingFileSchema = z.strictObject({
  columns: z
    .array(
      z.strictObject({
        column: z.string().min(1).max(256),
        from: z.string().min(1).max(256),
        unit: z.string().min(1).max(64).optional(),
        codes: z.record(z.string().max(256), scalar).optional(),
        missing: z.array(scalar).optional(),
      }),
    )
    .max(4096),
})

const mappingOf = ({
  column,
  from,
  unit,
  codes,
  missing,
}: z.output<typeof mappingFileSchema>["columns"][number]) => ({
  column,
  from,
  ...(unit === undefined ? {} : { unit }),
  ...(codes === undefined ? {} : { codes }),
  ...(missing === undefined ? {} : { missing }),
})

/**
 * Reads a mapping file, whose path is relative to the file that names it, and checks it against a schema.
 * @throws {ConsiliumError} "config/unreadable", "config/invalid", "records/bad-mapping"
 */
export const readMapping = async (
  path: string,
  relativeTo: string,
  schema: TableSchema,
): Promise<SiteMapping> => {
  const file = await readConfig(mappingFileSchema, resolve(dirname(resolve(relativeTo)), path))
  const mapping = { columns: file.columns.map((one): ColumnMapping => mappingOf(one)) }
  checkMapping(schema, mapping)
  return mapping
}

/** The text of a mapping file. */
export const mappingFileText = (mapping: SiteMapping): string =>
  `# How this file says what the schema asks for: the column's name here (from), the unit of its numbers, what its codes
# mean in the schema, and what stands for a missing value.
${stringify(mapping)}`
