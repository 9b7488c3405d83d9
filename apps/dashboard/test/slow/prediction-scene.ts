import type { Calibration } from "@consilium/inference/calibration/calibration"
import { type CompiledModel, compile } from "@consilium/inference/compile/compile"
import type { WeightsMode } from "@consilium/inference/plan/plan"
import { columnsOf, type InputField, type InputSchema } from "@consilium/inference/schema/fields"
import type { Patient } from "@consilium/inference/schema/patient"
import type { Page } from "playwright-core"
import {
  HEART_FIELDS,
  HEART_LINEAR,
  HEART_SCALING,
  squareNetwork,
  testRandom,
} from "../../../../packages/inference/test/heart.js"

const LABELS: Readonly<Record<string, string>> = {
  age: "Age",
  sex: "Sex",
  cp: "Kind of chest pain",
  trestbps: "Blood pressure at rest; systolic",
  chol: "Cholesterol",
  thalach: "Highest heart rate reached",
}
const fields: readonly InputField[] = HEART_FIELDS.map((field) => {
  const label = LABELS[field.name]
  return label === undefined ? field : { ...field, label }
})
/** The thirteen questions of the heart disease data, some with a label. */
export const QUESTIONS: InputSchema = { fields, columns: columnsOf(fields) }
const NAMED = { model: "heart", scaling: HEART_SCALING }

export const CALIBRATION: Calibration = { type: "platt", slope: 0.85, offset: -0.2 }

export const linearModel = (
  version = "1",
  calibration: Calibration | null = CALIBRATION,
  weights: WeightsMode = "shared",
  marks: readonly string[] = [],
): CompiledModel => compile(HEART_LINEAR, QUESTIONS, { ...NAMED, version, weights, calibration, marks })

/** A model as the demo trains it, and where it says that it comes from. */
export const markedModel = (): CompiledModel =>
  linearModel("1", CALIBRATION, "shared", ["synthetic-data", "insecure-seed"])
export const ORIGIN = { study: "ab".repeat(32), round: 12 }

export const networkModel = (): CompiledModel =>
  compile(squareNetwork(testRandom("page"), QUESTIONS.columns.length, 16, 0.05), QUESTIONS, {
    ...NAMED,
    version: "1",
  })

/** Numbers with so many digits that none of them is anywhere by chance. */
export const SOMEBODY = {
  age: 61.3728519407,
  sex: "male",
  cp: "asymptomatic",
  trestbps: 143.5918260743,
  chol: 287.4319073582,
  fbs: true,
  restecg: "ST-T",
  thalach: 131.7702946158,
  exang: true,
  oldpeak: 2.7183604925,
  slope: "flat",
  ca: 1.6180339887,
  thal: "reversible",
} as const satisfies Patient

const written = (value: number | boolean | string): string =>
  typeof value === "boolean" ? (value ? "yes" : "no") : String(value)

/** Writes a patient into the form. */
export const fillIn = async (page: Page, patient: Patient): Promise<void> => {
  const controls = page.locator("#patient .field :is(input, select)")
  for (const [i, field] of QUESTIONS.fields.entries()) {
    const text = written(patient[field.name] as number | boolean | string)
    if (field.type === "number") await controls.nth(i).fill(text)
    else await controls.nth(i).selectOption(text)
  }
}

export const askButton = (page: Page) => page.getByRole("button", { name: "Encrypt and ask", exact: true })

/** Waits until keys and blanks are made. */
export const ready = async (page: Page): Promise<void> => {
  await page.locator('#patient button.primary[aria-disabled="false"]').waitFor({ timeout: 20_000 })
}

/** Asks, and waits for the answer that is not the one before. */
export const ask = async (page: Page): Promise<number> => {
  const result = page.locator("[data-asked]")
  const before = await result.getAttribute("data-asked")
  await askButton(page).click()
  await page.locator(`[data-asked]:not([data-asked="${before}"])`).waitFor({ timeout: 20_000 })
  return Number(await result.getAttribute("data-asked"))
}

/** A file of patients, with a column that the model does not ask for. */
export const patientsCsv = (patients: readonly Patient[]): string => {
  const names = QUESTIONS.fields.map(({ name }) => name)
  const rows = patients.map((patient, i) =>
    [`bed-${i + 1}`, ...names.map((name) => written(patient[name] as number | boolean | string))].join(","),
  )
  return `${["bed", ...names].join(",")}\n${rows.join("\n")}\n`
}
