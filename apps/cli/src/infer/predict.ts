import { readFile } from "node:fs/promises"
import { basename, resolve } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import { fromUtf8, utf8 } from "@consilium/base/platform"
import type { Prediction } from "@consilium/inference/client/asker"
import type { Patient } from "@consilium/inference/schema/patient"
import { PreparedPlan } from "@consilium/inference/wire/prepared-plan"
import type { InferenceClient } from "@consilium/inference-client/client"
import type { ExchangeFigures } from "@consilium/inference-client/figures"
import { storeError } from "@consilium/node/store/files"
import { EndWith, type Format, print } from "../commands/printed.js"
import { writeReport } from "../commands/report-file.js"
import { type AskingPlace, beginAsking } from "./asking.js"
import { type PredictedRow, patientTable, predictionsText } from "./patient-table.js"
import { writtenPatient } from "./written-patient.js"

export interface PredictArguments extends AskingPlace {
  /** One patient, a JSON file. */
  readonly patient?: string
  /** One patient, `field=value` each. */
  readonly set: readonly string[]
  /** A table of patients. */
  readonly csv?: string
  /** Where the table of predictions goes; standard output unless told. */
  readonly to?: string
  readonly format: Format
}

/** The exit code of a table with rows that are no patients. */
const ROWS_REFUSED = 6

const usage = (message: string, remedy: string): never => {
  throw new ConsiliumError("cli/usage", message, { remedy })
}

const bytesOf = (path: string): Promise<Uint8Array> =>
  readFile(resolve(path)).catch((error) => {
    throw storeError(error, `read ${path}`)
  })

/** @throws {ConsiliumError} "inference/bad-patient" whose message holds nothing of the file */
const patientOfFile = async (path: string): Promise<Patient> => {
  let value: unknown
  try {
    value = JSON.parse(fromUtf8(await bytesOf(path)))
  } catch (error) {
    if (error instanceof ConsiliumError) throw error
    value = null
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Patient
  throw new ConsiliumError("inference/bad-patient", `${path} is no JSON object of fields.`, {
    remedy: 'Give one patient, such as {"age": 63, "sex": "male", ...}.',
  })
}

const textsOf = (words: readonly string[]): ReadonlyMap<string, string> => {
  const texts = new Map<string, string>()
  for (const word of words) {
    const at = word.indexOf("=")
    const name = word.slice(0, at)
    if (at < 1) return usage("--set takes field=value.", "Write it as in --set age=63.")
    if (texts.has(name)) return usage(`"${name}" is set twice.`, "Give each field once.")
    texts.set(name, word.slice(at + 1))
  }
  return texts
}

const checkArguments = ({ patient, set, csv, to }: PredictArguments): void => {
  const given = [patient !== undefined, set.length > 0, csv !== undefined].filter(Boolean).length
  if (given !== 1)
    usage("One of --patient, --set and --csv is needed.", "Say about whom the model is asked in one way.")
  if (to !== undefined && csv === undefined)
    usage("--to is for the predictions of --csv.", "Leave it out: one prediction is printed.")
}

/** What every result says of the model and of how it was asked. */
const askedOf = ({ plan, planHash, reveals }: InferenceClient) => {
  const prepared = new PreparedPlan(plan)
  return {
    model: plan.model,
    version: plan.version,
    plan: planHash,
    marks: plan.marks,
    weights: plan.weights,
    calibration: plan.calibration?.type ?? null,
    errorBound: plan.errorBound,
    keyBytes: prepared.takesKey ? prepared.keyBytes : 0,
    reveals,
  }
}
type Asked = ReturnType<typeof askedOf>

const sum = (exchanges: readonly ExchangeFigures[]) => ({
  requests: exchanges.reduce((total, { requests }) => total + requests, 0),
  bytesUp: exchanges.reduce((total, { bytesUp }) => total + bytesUp, 0),
  bytesDown: exchanges.reduce((total, { bytesDown }) => total + bytesDown, 0),
})

const headOf = ({ model, version, plan }: Asked): string => `${model}, version ${version}, plan ${plan}`
const notesOf = ({ marks, calibration, weights, reveals }: Asked): readonly string[] => [
  ...(marks.length === 0 ? [] : [`THE MODEL IS MARKED: ${marks.join(", ")}.`]),
  ...(calibration === null
    ? ["The model is not calibrated: its probability ranks patients but cannot be taken at its word."]
    : []),
  `Weights ${weights}: ${reveals}`,
]
const keyWords = ({ keyBytes }: Asked): string =>
  keyBytes === 0 ? "" : `, and a public key of ${keyBytes} bytes`

const predictOne = async (client: InferenceClient, patient: Patient, format: Format): Promise<void> => {
  const { figures, ...prediction } = await client.predict(patient)
  const asked = askedOf(client)
  const { probability, rounded, logit } = prediction
  const server = figures.serverMs === null ? "" : `, ${figures.serverMs.toFixed(2)} of them computing`
  print(format, { ...asked, ...prediction, sent: figures }, [
    headOf(asked),
    "",
    `  rounded      ${rounded.toFixed(3)}`,
    `  probability  ${probability}`,
    `  logit        ${logit}, off by at most ${asked.errorBound.toExponential(1)}`,
    "",
    `Sent ${figures.bytesUp} bytes that nobody but this process can open${keyWords(asked)}; received ${figures.bytesDown}.`,
    `${figures.encryptMs.toFixed(2)} ms encrypting, ${figures.roundTripMs.toFixed(2)} ms on the way and at the server${server}, ${figures.openMs.toFixed(2)} ms opening.`,
    "Pass on the rounded probability only: digits of a logit carry traces of the key.",
    ...notesOf(asked),
  ])
}

const predictTable = async (
  client: InferenceClient,
  { csv, to, format }: PredictArguments & { readonly csv: string },
): Promise<void> => {
  const table = patientTable(client.plan.schema, basename(csv), await bytesOf(csv))
  const good = table.rows.flatMap((row) => ("patient" in row ? [row.patient] : []))
  const { predictions, exchanges } =
    good.length === 0 ? { predictions: [], exchanges: [] } : await client.predictMany(good)
  const inOrder = predictions.values()
  const rows = table.rows.map((row): PredictedRow => {
    const { line } = row
    if ("problem" in row) return { line, prediction: null, problem: row.problem }
    return { line, prediction: inOrder.next().value as Prediction, problem: null }
  })
  const asked = askedOf(client)
  const sent = sum(exchanges)
  const text = predictionsText(table, rows)
  const refused = rows.length - good.length
  if (to !== undefined) await writeReport(to, utf8(text), false)
  else if (format === "text") process.stdout.write(text)
  const lines = [
    headOf(asked),
    `${good.length} of ${rows.length} rows were asked about, in ${sent.requests} requests: ${sent.bytesUp} bytes sent that nobody but this process can open${keyWords(asked)}, ${sent.bytesDown} received.`,
    ...(table.kept.length === 0 ? [] : [`Not sent: ${table.kept.join(", ")}.`]),
    ...rows.flatMap(({ line, problem }) => (problem === null ? [] : [`Line ${line}: ${problem}`])),
    ...notesOf(asked),
  ]
  const report = {
    ...asked,
    file: to === undefined ? null : resolve(to),
    rows: rows.map(({ line, prediction, problem }) => ({ line, ...prediction, problem })),
    predicted: good.length,
    refused,
    sent,
  }
  // without --to the table is the result
  if (to === undefined && format === "text") process.stderr.write(`${lines.join("\n")}\n`)
  else print(format, report, [...lines, ...(to === undefined ? [] : [`Written   ${resolve(to)}`])])
  if (refused > 0) throw new EndWith(ROWS_REFUSED)
}

/** Asks a model about one encrypted patient or a table of them. */
export const inferPredict = async (options: PredictArguments): Promise<void> => {
  checkArguments(options)
  const { patient, set, csv, format } = options
  const texts = textsOf(set)
  const given = patient === undefined ? null : await patientOfFile(patient)
  const { client, close } = await beginAsking(options)
  try {
    if (csv !== undefined) await predictTable(client, { ...options, csv })
    else await predictOne(client, given ?? writtenPatient(client.plan.schema, texts), format)
  } finally {
    await close()
  }
}
