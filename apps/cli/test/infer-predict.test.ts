import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { utf8 } from "@consilium/base/platform"
import { PatientReader } from "@consilium/inference/schema/patient"
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { HEART_INPUTS } from "../src/infer/heart-model.js"
import { patientTable, predictionsText } from "../src/infer/patient-table.js"
import { writtenPatient } from "../src/infer/written-patient.js"
import { consilium } from "./in-process.js"

const reader = new PatientReader(HEART_INPUTS)
const ROW = {
  ...{ age: "63", sex: "male", cp: "no symptoms", trestbps: "145", chol: "233", fbs: "true" },
  ...{ restecg: "left ventricular hypertrophy", thalach: "150", exang: "false", oldpeak: "2.3" },
}
const written = (changed: object = {}) =>
  writtenPatient(HEART_INPUTS, new Map(Object.entries({ ...ROW, ...changed })))

describe("a patient in written fields", () => {
  it("is the patient that the schema knows", () => {
    expect(written()).toEqual({
      ...{ age: 63, sex: "male", cp: "no symptoms", trestbps: 145, chol: 233, fbs: true },
      ...{ restecg: "left ventricular hypertrophy", thalach: 150, exang: false, oldpeak: 2.3 },
    })
  })
  it("may give codes of categories, and yes or no in any usual way", () => {
    expect(written({ cp: "4", restecg: " 2 ", fbs: "Yes", exang: "0" })).toEqual(written())
  })
  it("is refused by the schema where a text says nothing, without the text", () => {
    const message = (changed: object): string => {
      try {
        reader.columns(written(changed))
        return "taken"
      } catch (error) {
        return (error as Error).message
      }
    }
    expect(message({ age: "63 years" })).toBe('"age" is not a number.')
    expect(message({ age: "0x3f" })).toBe('"age" is not a number.')
    expect(message({ age: "1e999" })).toBe('"age" is not a number.')
    expect(message({ chol: "" })).toBe('"chol" is missing.')
    expect(message({ cp: "9" })).toBe('"cp" is none of the known names.')
    expect(message({ fbs: "perhaps" })).toBe('"fbs" is neither true nor false.')
    expect(message({ heart: "1" })).toBe('"heart" is not asked for.')
  })
  it("gives every decimal back that it can be written as", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 120, noNaN: true }), (age) => {
        expect(written({ age: String(age) }).age).toBe(age)
      }),
    )
  })
})

const HEAD = Object.keys(ROW)
const csv = (...rows: readonly (readonly string[])[]): Uint8Array =>
  utf8(rows.map((row) => row.join(",")).join("\n"))
const values = Object.values(ROW)

describe("a table of patients", () => {
  it("is read by its header, in any order, among columns that stay here", () => {
    const turned = [...HEAD].reverse()
    const bytes = csv(["id", ...turned, "note"], ["A1", ...[...values].reverse(), "seen twice"])
    expect(patientTable(HEART_INPUTS, "p.csv", bytes)).toEqual({
      kept: ["id", "note"],
      rows: [{ line: 2, kept: ["A1", "seen twice"], patient: written() }],
    })
  })
  it("tells rows that are no patients by their lines and without their values, and takes the others", () => {
    const wrong = values.with(0, "4711.5").with(1, "unsaid")
    const { rows } = patientTable(
      HEART_INPUTS,
      "p.csv",
      csv(HEAD, values, wrong, [], ["63", "male"], values.with(4, "233333"), values),
    )
    expect(rows.map((row) => [row.line, "problem" in row ? row.problem : "a patient"])).toEqual([
      [2, "a patient"],
      [3, '"age" is outside 0 to 120 years. Give a number from 0 to 120 years.'],
      [5, "The row has 2 fields, the header 10."],
      [6, expect.stringMatching(/^"chol" is outside 0 to \d+ mg\/dl/)],
      [7, "a patient"],
    ])
    expect(JSON.stringify(rows)).not.toMatch(/4711|unsaid|233333/)
  })
  it.each([
    [csv(HEAD.slice(1), values.slice(1)), 'p.csv has no column "age".'],
    [csv([...HEAD, "chol"], [...values, "1"]), 'p.csv has 2 columns "chol".'],
    [utf8(""), 'p.csv has no column "age".'],
  ])("is refused without a column for each field", (bytes, message) => {
    expect(() => patientTable(HEART_INPUTS, "p.csv", bytes)).toThrow(message)
  })
  it("becomes a table of predictions with a row for each row", () => {
    const table = patientTable(HEART_INPUTS, "p.csv", csv(["id", ...HEAD], ["A1", ...values], ["A2"]))
    const prediction = { logit: 0.5, probability: 0.6225, rounded: 0.623 }
    const [good, bad] = table.rows
    expect(
      predictionsText(table, [
        { line: good?.line as number, prediction, problem: null },
        { line: bad?.line as number, prediction: null, problem: "too short" },
      ]),
    ).toBe('line,id,probability,rounded,logit,problem\n2,A1,0.6225,0.623,0.5,""\n3,A2,"","","",too short\n')
  })
})

describe("consilium infer predict", () => {
  let folder = ""
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "consilium-predict-"))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it.each([
    [["--models", "x"], "One of --patient, --set and --csv is needed."],
    [["--models", "x", "--set", "age=1", "--csv", "p.csv"], "One of --patient, --set and --csv is needed."],
    [["--set", "age=1"], "One of --server and --models is needed."],
    [["--set", "age=1", "--models", "x", "--server", "https://x"], "One of --server and --models is needed."],
    [
      ["--set", "age=1", "--models", "x", "--token-file", "t"],
      "--token-file, --ca and --keys are for --server.",
    ],
    [["--set", "age=1", "--models", "x", "--to", "t"], "--to is for the predictions of --csv."],
    [["--set", "age", "--models", "x"], "--set takes field=value."],
    [["--set", "age=1", "--set", "age=2", "--models", "x"], '"age" is set twice.'],
  ])("refuses %j", async (words, message) => {
    const { code, stdout, stderr } = await consilium("infer", "predict", ...words)
    expect([code, stdout]).toEqual([2, ""])
    expect(stderr).toContain(message)
  })
  it("refuses a file that is no patient, and shows nothing of it", async () => {
    await writeFile(join(folder, "p.json"), '{"age": 63.4711,')
    const words = ["--patient", join(folder, "p.json"), "--models", "x"]
    const { code, stderr } = await consilium("infer", "predict", ...words)
    expect(code).toBe(6)
    expect(stderr).toContain("p.json is no JSON object of fields.")
    expect(stderr).not.toContain("4711")
  })
  it("says that a server cannot be reached", async () => {
    const { code, stderr } = await consilium(
      ...["infer", "predict", "--set", "age=1", "--server", "http://127.0.0.1:9"],
    )
    expect([code, stderr.split(":")[0]]).toEqual([5, "network/unreachable"])
  })
})
