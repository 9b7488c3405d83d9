import { utf8 } from "@consilium/base/platform"
import { calibratedProbability } from "@consilium/inference/calibration/calibration"
import type { TrainedModelFile } from "@consilium/inference/files/trained-model-file"
import { plainLogit, scaleColumns } from "@consilium/inference/model/model"
import { type Patient, PatientReader } from "@consilium/inference/schema/patient"
import type { LongSecret, Secret } from "./needles.js"

const REAL = 8

/** One number by itself: as text it has digits that only its patient explains, and a double is 64 bits. */
const alone = (name: string, value: number): readonly LongSecret[] => {
  const text = utf8(String(value))
  const double = (little: boolean): Uint8Array => {
    const bytes = new Uint8Array(REAL)
    new DataView(bytes.buffer).setFloat64(0, value, little)
    return bytes
  }
  return [
    { name, form: "text alone", bytes: text, width: text.length },
    { name, form: "text alone, two bytes each", bytes: twoBytes(String(value)), width: 2 * text.length },
    { name, form: "f64 alone, little-endian", bytes: double(true), width: REAL },
    { name, form: "f64 alone, big-endian", bytes: double(false), width: REAL },
  ]
}
const twoBytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "utf16le"))

/**
 * What nobody but the asker may see of patients: each figure by itself, the patient as a row, as the model's scaled columns and as what is
 * encrypted, each in every form that the scanner knows; and what the model says of each.
 */
export const secretsOfPatients = (
  patients: readonly Patient[],
  { model, scaling, schema, calibration }: TrainedModelFile,
): readonly (Secret | LongSecret)[] => {
  const reader = new PatientReader(schema)
  return patients.flatMap((patient, at) => {
    const name = `patient ${at + 1}`
    const columns = reader.columns(patient)
    const logit = plainLogit(model, scaling, columns)
    const figures = schema.fields.flatMap((field) => {
      const value = patient[field.name]
      return field.type === "number" && typeof value === "number" ? [[field.name, value] as const] : []
    })
    return [
      { name, values: [...columns] },
      { name: `${name}, figures`, values: figures.map(([, value]) => value) },
      { name: `${name}, scaled`, values: [...scaleColumns(scaling, columns)] },
      { name: `${name}, as encrypted`, values: [...reader.units(patient)] },
      ...figures.flatMap(([field, value]) => alone(`${field} of ${name}`, value)),
      ...alone(`logit of ${name}`, logit),
      ...alone(`probability of ${name}`, calibratedProbability(calibration, logit)),
    ]
  })
}
