import { readFile } from "node:fs/promises"
import { dirname, resolve } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { readTable } from "@consilium/records/csv"
import { HEART_FEATURES, headedHeartSchema, UCI_HEART_SCHEMA } from "@consilium/records/heart-schema"
import { preparedFeatures } from "@consilium/records/missing"
import { profileTable, type TableProfile } from "@consilium/records/profile"
import { columnKey } from "@consilium/records/schema"
import { readSiteTable } from "@consilium/records/site-table"
import type { Table } from "@consilium/records/table"
import { facilityFileSchema } from "./config/role-files.js"
import { readForm, readMapping } from "./config/table-files.js"
import type { TableForm } from "./config/table-form.js"
import { readConfig } from "./config/yaml-file.js"
import { isImageSource } from "./image-records.js"
import { readTableFile } from "./table-records.js"

/** What may be shown of a file outside, and what a study that trains on it writes into study.yaml. */
export interface DataProfile {
  readonly profile: TableProfile
  /** Whether the file says that its rows describe nobody. */
  readonly synthetic: boolean
  readonly study: {
    readonly schema: string
    /** Null for formats that no study names a schema for. */
    readonly schemaDigest: string | null
    readonly features: readonly string[]
    /** Those that the strategy `indicator` adds. */
    readonly indicators: readonly string[]
  }
}

const bytesOf = async (path: string): Promise<Uint8Array> => {
  try {
    return new Uint8Array(await readFile(path))
  } catch (cause) {
    throw new ConsiliumError("records/unreadable", `The records cannot be read from ${path}.`, { cause })
  }
}

const profiled = (table: Table, study: DataProfile["study"]): DataProfile => ({
  profile: profileTable(table),
  synthetic: table.columns.has("origin"),
  study,
})

const studyOf = ({ schema, features, digest }: TableForm): DataProfile["study"] => ({
  schema: schema.name,
  schemaDigest: toHex(digest),
  features: features.map(({ name }) => name),
  indicators: preparedFeatures(schema, features, "indicator").slice(features.length),
})

/** The profile of a table: schema, mapping and file are named relative to a folder. */
export const profileFile = async (
  {
    schema,
    file,
    mapping,
  }: { readonly schema: string; readonly file: string; readonly mapping: string | null },
  /** The file that names them. */
  namedIn: string,
): Promise<DataProfile> => {
  const form = await readForm(schema, namedIn)
  const site = mapping === null ? null : await readMapping(mapping, namedIn, form.schema)
  const path = resolve(dirname(resolve(namedIn)), file)
  return profiled(readTableFile(form, path, await bytesOf(path), site, "keep"), studyOf(form))
}

/** The profile of the records that a facility's configuration names. */
export const profileFacility = async (configPath: string): Promise<DataProfile> => {
  const { records } = await readConfig(facilityFileSchema, configPath)
  if (records.format === "table") return profileFile(records, configPath)
  if (isImageSource(records))
    throw new ConsiliumError("config/invalid", "The facility's records are images; tables have a profile.", {
      remedy: "Start the facility: it tells whether its images can be used.",
    })
  const path = resolve(dirname(resolve(configPath)), records.file)
  const bytes = await bytesOf(path)
  const table =
    records.format === "uci-heart"
      ? readTable(UCI_HEART_SCHEMA, path, bytes, { form: "headerless", missing: "keep" })
      : readSiteTable(
          { whole: headedHeartSchema([]), of: (columns) => headedHeartSchema(columns.map(columnKey)) },
          path,
          bytes,
          {
            missing: "keep",
          },
        )
  const features = HEART_FEATURES.map(({ name }) => name)
  return profiled(table, { schema: table.schema.name, schemaDigest: null, features, indicators: [] })
}
