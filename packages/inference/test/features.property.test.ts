import { insecureSeededRandom } from "@consilium/base/testing"
import { Asker } from "@consilium/inference/client/asker"
import { type CompileOptions, compile } from "@consilium/inference/compile/compile"
import { type ModelLayer, plainLogit, type TrainedModel } from "@consilium/inference/model/model"
import { trainedNetwork } from "@consilium/inference/model/trained-network"
import { planFromBytes, planToBytes } from "@consilium/inference/plan/plan"
import { columnsOf, type InputSchema } from "@consilium/inference/schema/fields"
import { PatientReader } from "@consilium/inference/schema/patient"
import { ModelServer } from "@consilium/inference/server/model-server"
import { networkOutputs } from "@consilium/learning/network/predict"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { SIGMOID_CUBIC } from "../src/training/activations.js"
import { trainedWithin } from "./encryption-training.js"
import {
  denseNetwork,
  extremePatient,
  HEART,
  HEART_SCALING,
  randomPatient,
  squareNetwork,
  testRandom,
} from "./heart.js"
import { heartRanges, syntheticRows } from "./heart-rows.js"

const NONCE = Uint8Array.from({ length: 32 }, (_, i) => 3 * i)
const NAMED: CompileOptions = { model: "features", version: "1", packing: "slots-by-feature" }
const square: ModelLayer = { kind: "square" }
const cubic: ModelLayer = { kind: "polynomial", coefficients: [0.5, 0.197, 0, -0.004] }

/** Columns from -1 to 1. */
const unitSchema = (columns: number): InputSchema => {
  const fields = Array.from({ length: columns }, (_, i) => ({
    name: `f${i}`,
    type: "number" as const,
    unit: "",
    range: [-1, 1] as const,
  }))
  return { fields, columns: columnsOf(fields) }
}

const run = (
  model: TrainedModel,
  schema: InputSchema,
  options: CompileOptions,
  most: number,
  label: string,
) => {
  const random = testRandom(label)
  const compiled = compile(model, schema, options)
  const { plan } = compiled
  const asker = new Asker(plan)
  const server = new ModelServer(compiled)
  const key = asker.newKey(NONCE, random)
  const uploaded = server.readKey(NONCE, key.upload)
  const patients = Array.from({ length: Math.min(most, plan.patients) }, (_, i) =>
    i % 2 === 0 ? extremePatient((i * 2_654_435_761) >>> 16, schema) : randomPatient(random, schema),
  )
  const question = asker.ask(patients, { key, random })
  const answer = server.answer(question.bytes, { key: uploaded })
  const predictions = question.open(answer)
  const off = predictions.map(({ logit }, i) => {
    const columns = new PatientReader(schema).columns(patients[i] as (typeof patients)[number])
    return Math.abs(logit - plainLogit(model, options.scaling ?? null, columns))
  })
  return { compiled, plan, asker, key, question, answer, most: Math.max(...off) }
}

describe("a network with its features in slots", () => {
  it("13-16-8-1 with squares: as many patients as fit, extremes included, under keys that were uploaded once", () => {
    const model = denseNetwork(testRandom("13-16-8-1"), [13, 16, 8, 1], [square, square], 0.7)
    const { plan, asker, question, answer, most } = run(model, unitSchema(13), NAMED, 1000, "deep")
    expect([plan.degree, plan.primes.length, plan.patients]).toEqual([8192, 5, 16])
    expect(plan.errorBound).toBeLessThanOrEqual(1e-2)
    expect(most).toBeLessThanOrEqual(plan.errorBound)
    const { requestBytes, answerBytes, keyBytes } = asker.prepared
    expect([question.bytes.length, answer.length]).toEqual([requestBytes, answerBytes])
    expect([requestBytes, answerBytes, keyBytes]).toEqual([143_464, 114_760, 4_931_656])
  })

  it("is what deeper networks compile to unasked, over the wide ranges of the heart schema too", () => {
    const model = denseNetwork(testRandom("heart"), [13, 8, 4, 1], [square, cubic], 0.2)
    const options = { model: "heart", version: "1", scaling: HEART_SCALING }
    const { plan, most } = run(model, HEART, options, 8, "heart")
    expect(plan.packing).toBe("slots-by-feature")
    expect(most).toBeLessThanOrEqual(plan.errorBound)
    const single = squareNetwork(testRandom("one"), 13, 4, 0.03)
    expect(compile(single, HEART, options).plan.packing).toBe("slots-by-patient")
    expect(compile(single, HEART, { ...options, packing: "slots-by-feature" }).plan.packing).toBe(
      "slots-by-feature",
    )
  })

  it("takes several ciphertexts where all columns beside all units do not fit into one", () => {
    const model = denseNetwork(testRandom("wide"), [100, 64, 1], [square], 1)
    const { asker, plan, most } = run(model, unitSchema(100), NAMED, 1, "wide")
    expect([asker.prepared.ciphertexts, plan.patients]).toEqual([2, 1])
    expect(most).toBeLessThanOrEqual(plan.errorBound)
  })

  it("grows wider and narrower, with squares and cubes in turn", () => {
    const model = denseNetwork(testRandom("turns"), [5, 3, 9, 2, 1], [square, cubic, square], 1)
    const { plan, most } = run(model, unitSchema(5), NAMED, 8, "turns")
    expect(plan.program?.layers.map(({ degree }) => degree)).toEqual([2, 3, 2])
    expect(most).toBeLessThanOrEqual(plan.errorBound)
  })

  it("[S32] keeps its bounds for any widths, activations and errors that are asked for", () => {
    const coefficient = fc.double({ min: -1, max: 1, noNaN: true })
    const leading = fc.double({ min: 0.05, max: 0.5, noNaN: true })
    const activation = fc.oneof(
      fc.constant(square),
      fc
        .tuple(fc.array(coefficient, { minLength: 2, maxLength: 3 }), leading, fc.boolean())
        .map(([lower, most, negative]): ModelLayer => {
          return { kind: "polynomial", coefficients: [...lower, negative ? -most : most] }
        }),
    )
    const hidden = fc.array(fc.tuple(fc.integer({ min: 1, max: 6 }), activation), {
      minLength: 1,
      maxLength: 2,
    })
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        hidden,
        fc.constantFrom(0.3, 1e-2, 1e-3),
        fc.nat(),
        (columns, layers, largestError, seed) => {
          const widths = [columns, ...layers.map(([width]) => width), 1]
          const model = denseNetwork(
            insecureSeededRandom(String(seed)),
            widths,
            layers.map(([, layer]) => layer),
            1.5,
          )
          const { plan, most } = run(model, unitSchema(columns), { ...NAMED, largestError }, 6, String(seed))
          expect(plan.errorBound).toBeLessThanOrEqual(largestError)
          expect(most).toBeLessThanOrEqual(plan.errorBound)
        },
      ),
      { numRuns: 12, seed: 5 },
    )
  })

  it("holds a cubic network that was trained within its limits, and answers held-out patients as it does", () => {
    const { train, test } = syntheticRows(200, "cubic")
    const { network } = trainedWithin(train, SIGMOID_CUBIC, "cubic", 300)
    const fields = heartRanges().map(([low, high], i) => ({
      name: `f${i}`,
      type: "number" as const,
      unit: "deviations",
      range: [low, high] as const,
    }))
    const schema = { fields, columns: columnsOf(fields) }
    const compiled = compile(trainedNetwork(network.description, network.parameters), schema, {
      model: "cubic",
      version: "1",
    })
    const { plan } = compiled
    expect([plan.packing, plan.degree]).toEqual(["slots-by-feature", 8192])
    const asker = new Asker(plan)
    const server = new ModelServer(compiled)
    const random = testRandom("held out")
    const key = asker.newKey(NONCE, random)
    const rows = Array.from({ length: plan.patients }, (_, p) => test.features.slice(13 * p, 13 * p + 13))
    const patients = rows.map((row) =>
      Object.fromEntries(fields.map(({ name }, i) => [name, row[i] as number])),
    )
    const question = asker.ask(patients, { key, random })
    const opened = question.open(server.answer(question.bytes, { key: server.readKey(NONCE, key.upload) }))
    const plain = networkOutputs(network, rows.length, Float32Array.from(rows.flatMap((row) => [...row])))
    // the plain network computes in single precision
    opened.forEach(({ logit }, p) => {
      expect(Math.abs(logit - (plain[p] as number))).toBeLessThanOrEqual(plan.errorBound + 1e-4)
    })
  })

  it("takes more primes for a smaller error", () => {
    const model = denseNetwork(testRandom("exact"), [4, 4, 1], [square], 1)
    const rough = run(model, unitSchema(4), NAMED, 4, "rough")
    const exact = run(model, unitSchema(4), { ...NAMED, largestError: 1e-6 }, 4, "exact")
    expect(exact.plan.primes.length).toBeGreaterThan(rough.plan.primes.length)
    expect(exact.most).toBeLessThanOrEqual(exact.plan.errorBound)
    expect(exact.plan.errorBound).toBeLessThanOrEqual(1e-6)
  })
})

describe("its plan", () => {
  const model = denseNetwork(testRandom("plan"), [6, 5, 4, 1], [square, cubic], 1)
  const compiled = compile(model, unitSchema(6), NAMED)

  it("is proven, layer by layer", () => {
    expect(compiled.proof.map(({ layer }) => layer)).toEqual([
      "Layer 1 (dense)",
      "Layer 2 (square)",
      "Layer 3 (dense)",
      "Layer 4 (polynomial)",
      "Layer 5 (dense)",
    ])
    for (const { low, high, largest, room } of compiled.proof) {
      expect(low).toBeLessThanOrEqual(high)
      expect(largest < room).toBe(true)
    }
  })
  it("has one form in bytes, and holds no weight", () => {
    const bytes = planToBytes(compiled.plan)
    expect(planFromBytes(bytes)).toEqual(compiled.plan)
    const turned: TrainedModel = {
      kind: "network",
      layers: (model as Extract<TrainedModel, { kind: "network" }>).layers.map((layer, l) =>
        layer.kind === "dense" && l === 0
          ? { ...layer, weights: layer.weights.map((row) => row.map((w) => -w)) }
          : layer,
      ),
    }
    expect(planToBytes(compile(turned, unitSchema(6), NAMED).plan)).toEqual(bytes)
  })
  it("is refused with the layer that goes furthest where no parameters hold it", () => {
    const wild = denseNetwork(testRandom("wild"), [6, 5, 4, 1], [square, square], 1e9)
    expect(() => compile(wild, unitSchema(6), NAMED)).toThrow(
      /^Layer [245] \((square|dense)\): over the declared ranges its values reach .+ the least found is /,
    )
  })
})
