import { Asker } from "@consilium/inference/client/asker"
import { compile } from "@consilium/inference/compile/compile"
import { plainLogit, type TrainedModel } from "@consilium/inference/model/model"
import { columnsOf, type InputSchema } from "@consilium/inference/schema/fields"
import { type Patient, PatientReader } from "@consilium/inference/schema/patient"
import { ModelServer } from "@consilium/inference/server/model-server"
import { sigmoid } from "@consilium/learning/math"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { extremePatient, HEART, HEART_LINEAR, HEART_SCALING, randomPatient, testRandom } from "./heart.js"

const NAMED = { model: "heart", version: "1", scaling: HEART_SCALING }
const NONCE = new Uint8Array(32).fill(7)

/** Distances of decrypted logits from the model's. */
const errors = (
  model: TrainedModel,
  schema: InputSchema,
  options: Parameters<typeof compile>[2],
  patients: readonly Patient[],
  label: string,
) => {
  const random = testRandom(label)
  const compiled = compile(model, schema, options)
  const asker = new Asker(compiled.plan)
  const server = new ModelServer(compiled)
  const key = options.weights === "kept" ? asker.newKey(NONCE, random) : undefined
  const question = asker.ask(patients, key === undefined ? { random } : { key, random })
  const uploaded = key === undefined ? {} : { key: server.readKey(NONCE, key.upload) }
  const predictions = question.open(server.answer(question.bytes, { ...uploaded, random }))
  const distances = predictions.map(({ logit }, i) =>
    Math.abs(
      logit -
        plainLogit(model, options.scaling ?? null, new PatientReader(schema).columns(patients[i] as Patient)),
    ),
  )
  return { compiled, predictions, most: Math.max(...distances) }
}

describe.each(["shared", "kept"] as const)("a linear model, weights %s", (weights) => {
  it("[S32] answers as the model does, at the ends of all ranges and anywhere between", () => {
    const random = testRandom("patients")
    const { plan } = compile(HEART_LINEAR, HEART, { ...NAMED, weights })
    const patients = Array.from({ length: plan.patients }, (_, i) =>
      i % 2 === 0 ? extremePatient(Math.floor((i / plan.patients) * 8191)) : randomPatient(random),
    )
    const { most, predictions } = errors(HEART_LINEAR, HEART, { ...NAMED, weights }, patients, weights)
    expect(plan.errorBound).toBeLessThanOrEqual(1e-3)
    expect(most).toBeLessThanOrEqual(plan.errorBound)
    expect(predictions).toHaveLength(plan.patients)
    for (const { logit, probability, rounded } of predictions) {
      expect(probability).toBe(sigmoid(logit))
      expect(rounded).toBeCloseTo(probability, 3)
    }
  })

  it("[S32] keeps its bounds for any model, ranges and number of columns", () => {
    const finite = (most: number) => fc.double({ min: -most, max: most, noNaN: true })
    const column = fc.record({
      weight: finite(3),
      low: finite(500),
      width: fc.double({ min: 0.1, max: 50, noNaN: true }),
    })
    fc.assert(
      fc.property(
        fc.array(column, { minLength: 1, maxLength: 24 }),
        finite(5),
        fc.nat(2 ** 24 - 1),
        fc.nat(),
        (columns, bias, corner, seed) => {
          const fields = columns.map(({ low, width }, i) => ({
            name: `f${i}`,
            type: "number" as const,
            unit: "",
            range: [low, low + width] as const,
          }))
          const schema = { fields, columns: columnsOf(fields) }
          const model: TrainedModel = { kind: "linear", weights: columns.map(({ weight }) => weight), bias }
          const random = testRandom(String(seed))
          const patients = [extremePatient(corner, schema), randomPatient(random, schema)]
          const options = { model: "any", version: "1", weights, largestError: 0.01 }
          const { compiled, most } = errors(model, schema, options, patients, String(seed))
          expect(most).toBeLessThanOrEqual(compiled.plan.errorBound)
        },
      ),
      { numRuns: 25, seed: 1 },
    )
  })
})

describe("sizes", () => {
  it("shared: one upload of 16 KB at most, no key, 128 patients of 16 columns", () => {
    const { plan } = compile(HEART_LINEAR, HEART, NAMED)
    expect([plan.degree, plan.primes.length, plan.patients]).toEqual([2048, 2, 157])
    const { requestBytes, answerBytes } = new Asker(plan).prepared
    expect([requestBytes, answerBytes]).toEqual([13_384, 26_696])
  })
  it("kept: 56 KB at most, and one prime comes back", () => {
    const { plan } = compile(HEART_LINEAR, HEART, { ...NAMED, weights: "kept" })
    const { requestBytes, answerBytes, keyBytes } = new Asker(plan).prepared
    expect([plan.degree, plan.primes.length, plan.answerPrimes]).toEqual([4096, 4, 1])
    expect([requestBytes, answerBytes, keyBytes]).toEqual([53_352, 26_696, 53_320])
  })
})

describe("smaller errors take larger parameters, and are kept", () => {
  it.each([
    ["shared", 1e-7, 4096],
    ["kept", 1e-5, 4096],
    ["kept", 1e-7, 8192],
  ] as const)("%s, %d", (weights, largestError, degree) => {
    const patients = Array.from({ length: 40 }, (_, i) => extremePatient(i * 205))
    const options = { ...NAMED, weights, largestError }
    const { compiled, most } = errors(HEART_LINEAR, HEART, options, patients, `${largestError}`)
    expect(compiled.plan.degree).toBe(degree)
    expect(compiled.plan.errorBound).toBeLessThanOrEqual(largestError)
    expect(most).toBeLessThanOrEqual(compiled.plan.errorBound)
  })
})
