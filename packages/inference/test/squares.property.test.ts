import { Asker } from "@consilium/inference/client/asker"
import { compile } from "@consilium/inference/compile/compile"
import { plainLogit, type TrainedModel } from "@consilium/inference/model/model"
import { trainedNetwork } from "@consilium/inference/model/trained-network"
import { PatientReader } from "@consilium/inference/schema/patient"
import { ModelServer } from "@consilium/inference/server/model-server"
import { describe, expect, it } from "vitest"
import { extremePatient, HEART, HEART_SCALING, randomPatient, squareNetwork, testRandom } from "./heart.js"

const NAMED = { model: "heart-network", version: "1", scaling: HEART_SCALING }

const run = (model: TrainedModel, options: Parameters<typeof compile>[2], count: number, label: string) => {
  const random = testRandom(label)
  const compiled = compile(model, HEART, options)
  const patients = Array.from({ length: count }, (_, i) =>
    i % 2 === 0 ? extremePatient((i * 2_654_435_761) >>> 19) : randomPatient(random),
  )
  const question = new Asker(compiled.plan).ask(patients, { random })
  const predictions = question.open(new ModelServer(compiled).answer(question.bytes))
  const plain = patients.map((patient) =>
    plainLogit(model, options.scaling ?? null, new PatientReader(HEART).columns(patient)),
  )
  const most = Math.max(...predictions.map(({ logit }, i) => Math.abs(logit - (plain[i] as number))))
  return { compiled, question, predictions, plain, most }
}

describe("a network of one hidden layer", () => {
  it("13-16-1 with squares: 2,048 patients at once, extremes included, and no key", () => {
    const model = squareNetwork(testRandom("network"), 13, 16)
    const { compiled, question, predictions, plain, most } = run(model, NAMED, 2048, "full")
    const { plan } = compiled
    expect([plan.degree, plan.primes.length, plan.patients]).toEqual([4096, 4, 2048])
    expect(plan.errorBound).toBeLessThanOrEqual(1e-2)
    expect(most).toBeLessThanOrEqual(plan.errorBound)
    expect(question.bytes.length).toBe(692_680)
    const classes = predictions.map(({ logit }) => logit > 0)
    expect(classes).toEqual(plain.map((logit) => logit > 0))
  })

  it.each([
    ["a polynomial of degree two", [0.5, 0.197, 0.031]],
    ["one that opens downwards", [0.1, -0.4, -0.05]],
    ["one without a linear part", [0, 0, 0.125]],
  ])("takes %s for a square", (_, coefficients) => {
    const { layers } = squareNetwork(testRandom("polynomial"), 13, 5) as Extract<
      TrainedModel,
      { kind: "network" }
    >
    const model: TrainedModel = {
      kind: "network",
      layers: layers.map((layer) => (layer.kind === "square" ? { kind: "polynomial", coefficients } : layer)),
    }
    const { compiled, most } = run(model, NAMED, 64, "polynomial")
    expect(most).toBeLessThanOrEqual(compiled.plan.errorBound)
  })

  it("takes larger parameters for a smaller error", () => {
    const model = squareNetwork(testRandom("network"), 13, 16)
    const { compiled, most } = run(model, { ...NAMED, largestError: 1e-5 }, 16, "exact")
    expect([compiled.plan.degree, compiled.plan.patients]).toEqual([8192, 4096])
    expect(most).toBeLessThanOrEqual(compiled.plan.errorBound)
    expect(compiled.plan.errorBound).toBeLessThanOrEqual(1e-5)
  })

  it("[S32] keeps its bounds for many networks", () => {
    for (let i = 0; i < 8; i++) {
      const random = testRandom(`network ${i}`)
      const model = squareNetwork(random, 13, 1 + 3 * i, 0.05 * (i + 1))
      const { compiled, most } = run(model, NAMED, 9, String(i))
      expect([i, most <= compiled.plan.errorBound]).toEqual([i, true])
    }
  })

  it("is read from a trained network's flat parameters", () => {
    const parameters = Float64Array.of(1, 2, 3, 4, 5, 6, 0.5, -0.5, 7, 8, 9)
    const layers = [{ kind: "dense", outputs: 2 }, { kind: "square" }, { kind: "dense", outputs: 1 }] as const
    const model = trainedNetwork({ input: [3], layers, loss: "sigmoid-cross-entropy" }, parameters)
    expect(plainLogit(model, null, [1, -1, 2])).toBe(
      7 * (1 - 3 + 10 + 0.5) ** 2 + 8 * (2 - 4 + 12 - 0.5) ** 2 + 9,
    )
    const relu = [{ kind: "dense", outputs: 2 }, { kind: "relu" }, { kind: "dense", outputs: 1 }] as const
    expect(() =>
      trainedNetwork({ input: [3], layers: relu, loss: "sigmoid-cross-entropy" }, parameters),
    ).toThrow("Layer 2 (relu)")
  })
})
