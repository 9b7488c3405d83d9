import { ConsiliumError } from "@consilium/base/errors"
import { compile } from "@consilium/inference/compile/compile"
import type { ColumnScaling, ModelLayer, TrainedModel } from "@consilium/inference/model/model"
import { planHash, planToBytes } from "@consilium/inference/plan/plan"
import { columnsOf, type InputSchema } from "@consilium/inference/schema/fields"
import { describe, expect, it } from "vitest"
import { HEART, HEART_LINEAR, HEART_SCALING, squareNetwork, testRandom } from "./heart.js"

const NAMED = { model: "heart", version: "1", scaling: HEART_SCALING }
const refusal = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    if (error instanceof ConsiliumError) return `${error.code}: ${error.message}`
    throw error
  }
  return "none"
}
const network = (...layers: readonly ModelLayer[]): TrainedModel => ({ kind: "network", layers })
const dense = (outputs: number, inputs: number, weight = 0.1): ModelLayer => ({
  kind: "dense",
  weights: Array.from({ length: outputs }, () => new Array<number>(inputs).fill(weight)),
  biases: new Array<number>(outputs).fill(0),
})
const square: ModelLayer = { kind: "square" }

describe("a plan", () => {
  it("holds no weight: the same bytes for weights of the same reach", () => {
    const turned: TrainedModel = {
      ...HEART_LINEAR,
      weights: (HEART_LINEAR as { weights: readonly number[] }).weights.map((w) => -w),
      bias: 0.21,
    } as TrainedModel
    const scaling: ColumnScaling = {
      source: "declared",
      means: new Array<number>(13).fill(0),
      deviations: HEART_SCALING.deviations,
    }
    const [a, b] = [HEART_LINEAR, turned].map((model) => compile(model, HEART, { ...NAMED, scaling }))
    expect(planToBytes((a as NonNullable<typeof a>).plan)).toEqual(
      planToBytes((b as NonNullable<typeof b>).plan),
    )
  })
  it("has another hash for another version, calibration or range", () => {
    const plans = [
      compile(HEART_LINEAR, HEART, NAMED),
      compile(HEART_LINEAR, HEART, { ...NAMED, version: "2" }),
      compile(HEART_LINEAR, HEART, { ...NAMED, calibration: { type: "temperature", temperature: 2 } }),
      compile(
        HEART_LINEAR,
        {
          ...HEART,
          fields: HEART.fields.map((field) =>
            field.name === "age"
              ? { ...field, range: [0, 121] as const, type: "number", unit: "years" }
              : field,
          ),
        },
        NAMED,
      ),
    ].map(({ plan }) => planHash(plan).join())
    expect(new Set(plans).size).toBe(4)
  })
  it("is proven: what each layer reaches, and the room that it has", () => {
    for (const { proof } of [
      compile(HEART_LINEAR, HEART, NAMED),
      compile(HEART_LINEAR, HEART, { ...NAMED, weights: "kept" }),
      compile(squareNetwork(testRandom("p"), 13, 16), HEART, NAMED),
    ])
      for (const { low, high, largest, room } of proof) {
        expect(low).toBeLessThanOrEqual(high)
        expect(largest < room).toBe(true)
      }
  })
})

describe("what is refused", () => {
  it("a linear model whose logits no parameters hold", () => {
    const model: TrainedModel = { kind: "linear", weights: new Array<number>(13).fill(1e9), bias: 0 }
    expect(refusal(() => compile(model, HEART, NAMED))).toMatch(/^inference\/no-plan: Layer 1 \(linear\)/)
  })
  it("a network whose squares no parameters hold, by its layer", () => {
    const wild = squareNetwork(testRandom("wild"), 13, 16, 1e6)
    expect(refusal(() => compile(wild, HEART, NAMED))).toMatch(
      /^inference\/no-plan: Layer [23] \((square|dense)\)/,
    )
  })
  it.each([
    ["two activations in a row", [dense(4, 13), square, square, dense(1, 4)], "Layer 3 (square)"],
    ["no activation", [dense(4, 13), dense(1, 4)], "Layer 2 (dense)"],
    ["a square first", [square, dense(1, 13)], "Layer 1 (square)"],
    ["nothing behind the square", [dense(1, 13), square], "Layer 2:"],
    [
      "a polynomial of degree four",
      [dense(4, 13), { kind: "polynomial", coefficients: [0.5, 0.197, 0, 0, -0.004] }, dense(1, 4)],
      "Layer 2 (polynomial)",
    ],
    [
      "a polynomial that is a line",
      [dense(4, 13), { kind: "polynomial", coefficients: [0.5, 1, 0, 0] }, dense(1, 4)],
      "Layer 2 (polynomial)",
    ],
    [
      "nine hidden layers",
      [...Array.from({ length: 9 }, (_, i) => [dense(1, i === 0 ? 13 : 1), square]).flat(), dense(1, 1)],
      "Layer 17 (dense)",
    ],
  ] as const)("%s, by the layer", (_, layers, name) => {
    expect(refusal(() => compile(network(...layers), HEART, NAMED))).toContain(`inference/no-plan: ${name}`)
  })
  it("a network whose weights are to be kept", () => {
    const model = squareNetwork(testRandom("k"), 13, 4)
    expect(refusal(() => compile(model, HEART, { ...NAMED, weights: "kept" }))).toContain("inference/no-plan")
  })
  it("[S33] scaling by one facility's statistics, or of another length", () => {
    const own = { ...HEART_SCALING, source: "facility" } as unknown as ColumnScaling
    expect(refusal(() => compile(HEART_LINEAR, HEART, { ...NAMED, scaling: own }))).toContain("stay with it")
    const short = { ...HEART_SCALING, means: [1] }
    expect(refusal(() => compile(HEART_LINEAR, HEART, { ...NAMED, scaling: short }))).toContain(
      "inference/bad-model",
    )
  })
  it("models that contradict themselves", () => {
    const bad = (model: TrainedModel) => refusal(() => compile(model, HEART, NAMED))
    expect(bad({ kind: "linear", weights: [1], bias: 0 })).toContain("1 weights for 13 columns")
    expect(bad({ kind: "linear", weights: new Array<number>(13).fill(Number.NaN), bias: 0 })).toContain(
      "not finite",
    )
    expect(bad(network(dense(4, 12), square, dense(1, 4)))).toContain("Layer 1 (dense) does not take 13")
    expect(bad(network(dense(4, 13), square, dense(2, 4)))).toContain("gives 2 numbers")
  })
  it("schemas that contradict themselves", () => {
    const bad = (change: Partial<InputSchema>) =>
      refusal(() => compile(HEART_LINEAR, { ...HEART, ...change }, NAMED))
    const [age, ...rest] = HEART.fields
    const twice = [age, ...rest.slice(1), age] as InputSchema["fields"]
    expect(bad({ fields: twice, columns: columnsOf(twice) })).toContain("given twice")
    const empty = [
      { name: "age", type: "number", unit: "years", range: [5, 5] },
      ...rest,
    ] as InputSchema["fields"]
    expect(bad({ fields: empty })).toContain("range")
    expect(bad({ columns: [{ field: "sex", equals: "other" }] })).toContain("cannot be")
    expect(bad({ columns: [] })).toContain("inference/bad-schema")
  })
})
