import { ConsiliumError } from "@consilium/base/errors"
import type { RandomSource } from "@consilium/base/random"
import { Asker } from "@consilium/inference/client/asker"
import { compile } from "@consilium/inference/compile/compile"
import { type Patient, PatientReader } from "@consilium/inference/schema/patient"
import { ModelServer } from "@consilium/inference/server/model-server"
import { describe, expect, it } from "vitest"
import { extremePatient, HEART, HEART_LINEAR, HEART_SCALING, randomPatient, testRandom } from "./heart.js"

const PATIENT: Patient = {
  age: 63,
  sex: "male",
  cp: "asymptomatic",
  trestbps: 145,
  chol: 233,
  fbs: true,
  restecg: "hypertrophy",
  thalach: 150,
  exang: false,
  oldpeak: 2.3,
  slope: "down",
  ca: 0,
  thal: "fixed",
}

describe("a patient", () => {
  it("becomes the model's columns, and unit values between -1 and 1", () => {
    expect([...new PatientReader(HEART).columns(PATIENT)]).toEqual([
      63, 1, 4, 145, 233, 1, 2, 150, 0, 2.3, 3, 0, 6,
    ])
    const units = new PatientReader(HEART).units(PATIENT)
    expect(units[0]).toBeCloseTo(0.05, 12)
    expect([units[1], units[2], units[8], units[11]]).toEqual([1, 1, -1, -1])
    expect([...new PatientReader(HEART).units(extremePatient(0))]).toEqual(new Array<number>(13).fill(-1))
    expect([...new PatientReader(HEART).units(extremePatient(8191))]).toEqual(new Array<number>(13).fill(1))
  })
  it("may have one column for each name of a category", () => {
    const columns = [
      { field: "cp", equals: "typical" },
      { field: "cp", equals: "asymptomatic" },
    ]
    expect([...new PatientReader({ ...HEART, columns }).columns(PATIENT)]).toEqual([0, 1])
  })
})

describe("what cannot be a patient is refused before anything is encrypted, without its values", () => {
  const { plan } = compile(HEART_LINEAR, HEART, { model: "heart", version: "1", scaling: HEART_SCALING })
  const asker = new Asker(plan)
  const never: RandomSource = {
    bytes() {
      throw new Error("randomness was asked for")
    },
  }
  const { age: _, ...ageless } = PATIENT
  const { fbs: __, ...withoutFbs } = PATIENT
  it.each([
    ["a missing field", ageless, '"age" is missing'],
    ["a field that nobody asked for", { ...PATIENT, weight: 987_654 }, '"weight" is not asked for'],
    ["a number above its range", { ...PATIENT, age: 987_654 }, '"age" is outside 0 to 120 years'],
    ["a number below its range", { ...PATIENT, oldpeak: -987_654 }, '"oldpeak" is outside -10 to 10 mm'],
    ["text for a number", { ...PATIENT, chol: "987654" }, '"chol" is not a number'],
    ["no number", { ...PATIENT, chol: Number.NaN }, '"chol" is not a number'],
    ["a number for yes or no", { ...PATIENT, exang: 987_654 }, '"exang" is neither true nor false'],
    ["an unknown category", { ...PATIENT, thal: "987654" }, '"thal" is none of the known names'],
    ["what every object inherits", { ...withoutFbs, toString: 987_654 } as unknown as Patient, '"toString"'],
  ])("%s", (_name, patient, message) => {
    let error: unknown
    try {
      asker.ask([PATIENT, patient], { random: never })
    } catch (caught) {
      error = caught
    }
    expect(error).toBeInstanceOf(ConsiliumError)
    expect(error).toMatchObject({ code: "inference/bad-patient" })
    expect((error as ConsiliumError).message).toContain(message)
    expect(`${(error as ConsiliumError).message} ${(error as ConsiliumError).remedy}`).not.toContain("987")
  })
  it("no patients, or more than a request takes", () => {
    for (const count of [0, plan.patients + 1])
      expect(() => asker.ask(new Array<Patient>(count).fill(PATIENT), { random: never })).toThrowError(
        expect.objectContaining({ code: "inference/too-many" }),
      )
  })
})

describe("keys", () => {
  const compiled = compile(HEART_LINEAR, HEART, { model: "heart", version: "1", scaling: HEART_SCALING })
  it("are fresh for each request: the same patient is never the same bytes", () => {
    const asker = new Asker(compiled.plan)
    const random = testRandom("fresh")
    expect(asker.ask([PATIENT], { random }).bytes).not.toEqual(asker.ask([PATIENT], { random }).bytes)
  })
  it("are gone once the answer is opened, and survive an answer that is refused", () => {
    const question = new Asker(compiled.plan).ask([PATIENT], { random: testRandom("erased") })
    const answer = new ModelServer(compiled).answer(question.bytes)
    expect(() => question.open(answer.subarray(1))).toThrow()
    const [first] = question.open(answer)
    expect(first?.rounded).toBeGreaterThan(0)
    expect(() => question.open(answer)).toThrow("opened already")
  })
  it("are in nothing that is shown", () => {
    const asker = new Asker(
      compile(HEART_LINEAR, HEART, { model: "heart", version: "1", weights: "kept" }).plan,
    )
    const key = asker.newKey(new Uint8Array(32), testRandom("shown"))
    const question = asker.ask([randomPatient(testRandom("p"))], { key, random: testRandom("q") })
    expect(JSON.stringify(key)).toContain('"secret":"[secret]"')
    expect(Object.keys(question).sort()).toEqual(["bytes", "patients"])
  })
})
