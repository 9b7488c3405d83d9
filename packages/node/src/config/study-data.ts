import { fromHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import type { StudyData } from "@consilium/federation/data-plan"
import { checkPreparation, constantsFromMeans, type MissingConstant } from "@consilium/records/missing"
import { z } from "zod"
import { builtInForm, type TableForm } from "./table-form.js"

/** `data` in study.yaml: how every facility's table becomes rows to train on. */
export const studyDataSchema = z
  .strictObject({
    /** `cardiovascular`, or the name of a schema that the facilities have as a file. */
    schema: z.string().min(1).max(64),
    /** What `data profile` prints for a schema file; a built-in schema needs none. */
    schema_digest: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .nullable()
      .default(null),
    /** Rows that lack a value are left out, filled with constants, or filled and marked by a feature of their own. */
    missing: z.enum(["drop", "impute", "indicator"]).default("drop"),
    /** What a missing value of a column becomes; built-in schemas have constants for columns that are not named. */
    constants: z
      .record(z.string().min(1).max(64), z.union([z.number(), z.boolean(), z.string().max(64)]))
      .default({}),
  })
  .nullable()
  .default(null)
export type StudyDataFile = NonNullable<z.output<typeof studyDataSchema>>

const constantOf = (column: string, value: number | boolean | string): MissingConstant =>
  typeof value === "string"
    ? { type: "code", column, code: value }
    : { type: "number", column, value: Number(value) + 0 }

const digestOf = (file: StudyDataFile, form: TableForm | null): Uint8Array => {
  if (file.schema_digest !== null) return fromHex(file.schema_digest)
  if (form !== null) return form.digest
  throw new ConsiliumError(
    "config/invalid",
    `data.schema_digest: the schema ${file.schema} is not built in, so the study names it by its digest as well.`,
    { remedy: "Run `consilium data profile` with the schema file: it prints the digest." },
  )
}

/** @throws {ConsiliumError} "config/invalid", "records/bad-preparation" */
export const studyDataOf = (file: StudyDataFile, features: readonly string[]): StudyData => {
  const form = builtInForm(file.schema)
  const given = Object.entries(file.constants).map(([column, value]) => constantOf(column, value))
  const declared =
    form === null || file.missing === "drop"
      ? []
      : constantsFromMeans(
          form.schema,
          form.features,
          new Map(form.standardiser.names.map((name, i) => [name, form.standardiser.means[i] as number])),
        )
  const constants = [
    ...declared.map((constant) => given.find(({ column }) => column === constant.column) ?? constant),
    ...given.filter(({ column }) => !declared.some((constant) => constant.column === column)),
  ]
  const data = { schema: file.schema, schemaDigest: digestOf(file, form), missing: file.missing, constants }
  if (form !== null) checkPreparation(form.schema, form.features, features, data)
  return data
}
