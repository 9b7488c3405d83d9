import { extname } from "node:path"
import { equalBytes, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import type { StudyData } from "@consilium/federation/data-plan"
import type { Study } from "@consilium/federation/study"
import { incompleteRows } from "@consilium/records/features"
import type { SiteMapping } from "@consilium/records/mapping"
import { DROP, settleMissing } from "@consilium/records/missing"
import type { LabelledRows } from "@consilium/records/rows"
import { readSiteTable } from "@consilium/records/site-table"
import type { Table } from "@consilium/records/table"
import type { FacilityFile } from "./config/role-files.js"
import { readForm, readMapping } from "./config/table-files.js"
import type { TableForm } from "./config/table-form.js"

/** The part of facility.yaml that names a table. */
export type TableSource = Extract<FacilityFile["records"], { format: "table" }>

/** Rows of a table with all features of its schema, missing values as NaN. */
export interface TableRows {
  readonly form: TableForm
  readonly rows: LabelledRows
  readonly warnings: readonly string[]
}

/** Reads bytes as the file's name or their beginning says. */
export const readTableFile = (
  form: TableForm,
  path: string,
  bytes: Uint8Array,
  mapping: SiteMapping | null,
  missing: "as-declared" | "keep" = "as-declared",
): Table =>
  readSiteTable(form.site, path, bytes, {
    mapping,
    missing,
    form: extname(path).toLowerCase() === ".parquet" ? "parquet" : "content",
  })

const warningsOf = (path: string, table: Table): readonly string[] => {
  const out: string[] = []
  if (table.columns.has("origin")) out.push(`${path}: the rows are synthetic and describe no patient.`)
  if (table.dropped > 0) {
    const each = [...table.droppedBy].map(([name, count]) => `"${name}" in ${count}`).join(", ")
    out.push(
      `${path}: ${table.dropped} ${table.dropped === 1 ? "row" : "rows"} left out because a value is missing: ${each}.`,
    )
  }
  return out
}

/** Reads a facility's table through its mapping. Nothing is judged from the rows together. */
export const readTableRows = async (
  path: string,
  configPath: string,
  bytes: Uint8Array,
  { schema, mapping }: TableSource,
): Promise<TableRows> => {
  const form = await readForm(schema, configPath)
  const site = mapping === null ? null : await readMapping(mapping, configPath, form.schema)
  const table = readTableFile(form, path, bytes, site)
  return { form, rows: incompleteRows(table, form.features), warnings: warningsOf(path, table) }
}

const checkForm = (form: TableForm, { schema, schemaDigest }: StudyData): void => {
  if (equalBytes(form.digest, schemaDigest)) return
  const short = (digest: Uint8Array): string => toHex(digest).slice(0, 16)
  throw new ConsiliumError(
    "config/invalid",
    `The study's tables follow the schema ${schema} (${short(schemaDigest)}); this facility reads its file under ${form.schema.name} (${short(form.digest)}).`,
    {
      remedy:
        "Use the study's schema file in records.schema, unchanged, or for a built-in schema run the same version everywhere.",
    },
  )
}

const settled = (
  rows: LabelledRows,
  { schema, features }: TableForm,
  study: Pick<Study, "model" | "data"> | undefined,
): LabelledRows => {
  const names = study?.model.features ?? features.map(({ name }) => name)
  return settleMissing(rows, schema, features, names, study?.data ?? DROP).rows
}

/**
 * Rows of a table as a study prepares them: its features in its order, and missing values settled as it declares; where it
 * declares nothing, rows that lack one are left out.
 * @throws {ConsiliumError} "config/invalid" if the study follows another schema; "records/bad-preparation" if its features
 *   or constants do not fit; "records/nothing-left" if no row to train on is left
 */
export const preparedSides = (
  form: TableForm,
  sides: { readonly train: LabelledRows; readonly holdOut: LabelledRows },
  study: Pick<Study, "model" | "data"> | undefined,
): { readonly train: LabelledRows; readonly holdOut: LabelledRows } => {
  if (study?.data) checkForm(form, study.data)
  const train = settled(sides.train, form, study)
  if (train.rows === 0)
    throw new ConsiliumError(
      "records/nothing-left",
      `All ${sides.train.rows} rows to train on lack a value of the study's features.`,
    )
  return { train, holdOut: settled(sides.holdOut, form, study) }
}
