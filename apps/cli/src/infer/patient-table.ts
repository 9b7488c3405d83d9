import { ConsiliumError, isConsiliumError } from "@consilium/base/errors"
import type { Prediction } from "@consilium/inference/client/asker"
import type { InputSchema } from "@consilium/inference/schema/fields"
import { type Patient, PatientReader } from "@consilium/inference/schema/patient"
import { csvRecords } from "@consilium/records/csv-records"
import { csvText } from "@consilium/records/csv-write"
import { writtenPatient } from "./written-patient.js"

/** One row of a table: a patient, or why it is none, in words without a value. */
export type PatientRow = {
  readonly line: number
  /** The row's texts of columns that the model does not ask for. */
  readonly kept: readonly string[]
} & ({ readonly patient: Patient } | { readonly problem: string })

export interface PatientTable {
  /** Columns that the model does not ask for: they stay here. */
  readonly kept: readonly string[]
  readonly rows: readonly PatientRow[]
}

/**
 * The patients of a CSV text with the model's fields as its header, in any order, among other columns. Rows that are no patients are told with
 * their line; the others are patients all the same.
 *
 * @throws {ConsiliumError} "csv/..." if the text is no table; "inference/bad-patient" if a field has no column, or two
 */
export const patientTable = (schema: InputSchema, source: string, bytes: Uint8Array): PatientTable => {
  const [header, ...records] = csvRecords(source, bytes)
  const names = (header?.fields ?? []).map((name) => name.trim())
  const asked = schema.fields.map(({ name }) => name)
  for (const name of asked) {
    const columns = names.filter((one) => one === name).length
    if (columns !== 1)
      throw new ConsiliumError(
        "inference/bad-patient",
        `${source} has ${columns === 0 ? "no column" : `${columns} columns`} "${name}".`,
        { remedy: `Give a header with each of: ${asked.join(", ")}.` },
      )
  }
  const reader = new PatientReader(schema)
  const keptAt = names.flatMap((name, at) => (asked.includes(name) ? [] : [at]))
  const rows = records.map(({ line, fields }): PatientRow => {
    const kept = keptAt.map((at) => fields[at] ?? "")
    if (fields.length !== names.length)
      return { line, kept, problem: `The row has ${fields.length} fields, the header ${names.length}.` }
    const texts = new Map(asked.map((name) => [name, fields[names.indexOf(name)] as string]))
    const patient = writtenPatient(schema, texts)
    try {
      reader.columns(patient).fill(0)
      return { line, kept, patient }
    } catch (error) {
      if (!isConsiliumError(error, "inference/bad-patient")) throw error
      return { line, kept, problem: `${error.message} ${error.remedy}` }
    }
  })
  return { kept: keptAt.map((at) => names[at] as string), rows }
}

/** A row with what the model says of it; null where the row is no patient. */
export interface PredictedRow {
  readonly line: number
  readonly prediction: Prediction | null
  readonly problem: string | null
}

/** The table of predictions: the line of each row, the columns that stayed here, and what the model says. */
export const predictionsText = ({ kept, rows }: PatientTable, predicted: readonly PredictedRow[]): string =>
  csvText(
    ["line", ...kept, "probability", "rounded", "logit", "problem"],
    predicted.map(({ line, prediction, problem }, at) => [
      String(line),
      ...(rows[at] as PatientRow).kept,
      ...(prediction === null
        ? ["", "", ""]
        : [prediction.probability, prediction.rounded, prediction.logit].map(String)),
      problem ?? "",
    ]),
  )
