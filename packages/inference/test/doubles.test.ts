import { ConsiliumError } from "@consilium/base/errors"
import { Asker } from "@consilium/inference/client/asker"
import { type CompileOptions, compile } from "@consilium/inference/compile/compile"
import { serverModelFromBytes, serverModelToBytes } from "@consilium/inference/files/server-model"
import { type ModelLayer, plainLogit, type TrainedModel } from "@consilium/inference/model/model"
import { planFromBytes, planToBytes } from "@consilium/inference/plan/plan"
import { columnsOf, type InputSchema } from "@consilium/inference/schema/fields"
import { PatientReader } from "@consilium/inference/schema/patient"
import { ModelServer } from "@consilium/inference/server/model-server"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { extremePatient, testRandom } from "./heart.js"

const NONCE = new Uint8Array(32).fill(5)
const NAMED: CompileOptions = { model: "doubles", version: "1" }
const square: ModelLayer = { kind: "square" }

const schemaOf = (...ranges: readonly (readonly [number, number])[]): InputSchema => {
  const fields = ranges.map((range, i) => ({ name: `f${i}`, type: "number" as const, unit: "", range }))
  return { fields, columns: columnsOf(fields) }
}
const linear = (weights: readonly number[], bias: number): TrainedModel => ({ kind: "linear", weights, bias })
const network = (
  weights: readonly (readonly number[])[],
  activation: ModelLayer,
  [last, bias]: readonly [readonly number[], number],
  first = 0.3,
): TrainedModel => ({
  kind: "network",
  layers: [
    { kind: "dense", weights, biases: weights.map(() => first) },
    activation,
    { kind: "dense", weights: [last], biases: [bias] },
  ],
})

/** How far answers are from the model's, and the bound; null where there is no plan. The server's model goes through its file. */
const errorOf = (
  model: TrainedModel,
  schema: InputSchema,
  options: Partial<CompileOptions> = {},
): { readonly off: number; readonly bound: number } | null => {
  const random = testRandom("doubles")
  let compiled: ReturnType<typeof compile>
  try {
    compiled = compile(model, schema, { ...NAMED, ...options })
  } catch (error) {
    if (error instanceof ConsiliumError && error.code === "inference/no-plan") return null
    throw error
  }
  const plan = planFromBytes(planToBytes(compiled.plan))
  const server = new ModelServer({ plan, integers: serverModelFromBytes(serverModelToBytes(compiled), plan) })
  const asker = new Asker(plan)
  const key = asker.prepared.takesKey ? asker.newKey(NONCE, random) : undefined
  const patients = [0, -1, 0x5555, 0xaaaa]
    .slice(0, plan.patients)
    .map((corner) => extremePatient(corner, schema))
  const question = asker.ask(patients, key === undefined ? { random } : { key, random })
  const given = key === undefined ? {} : { key: server.readKey(NONCE, key.upload) }
  const reader = new PatientReader(schema)
  const off = question.open(server.answer(question.bytes, { ...given, random })).map(({ logit }, i) => {
    const columns = reader.columns(patients[i] as (typeof patients)[number])
    return Math.abs(logit - plainLogit(model, options.scaling ?? null, columns))
  })
  return { off: Math.max(...off), bound: plan.errorBound }
}
const withinBound = (found: ReturnType<typeof errorOf>): void => {
  if (found !== null) expect(found.off).toBeLessThanOrEqual(found.bound)
}

describe("[S32] bounds hold where doubles have few digits left", () => {
  it.each([
    [1e6, 1],
    [1e13, 0.3],
    [1e16, 2],
  ])("for ranges at %d, whatever the packing", (far, weight) => {
    const schema = schemaOf([far, far + 2])
    for (const weights of ["shared", "kept"] as const)
      withinBound(errorOf(linear([weight], -weight * far), schema, { weights }))
    for (const packing of ["slots-by-patient", "slots-by-feature"] as const)
      withinBound(errorOf(network([[weight]], square, [[1], 0], -weight * far), schema, { packing }))
  })
  it("for activations that are almost lines, whose squares all but cancel out", () => {
    for (let exponent = 2; exponent <= 18; exponent++)
      for (const packing of ["slots-by-patient", "slots-by-feature"] as const)
        for (const largestError of [1e-2, 0.5]) {
          const almost = { kind: "polynomial", coefficients: [0.5, 0.2, 10 ** -exponent] } as const
          const model = network([[1.1]], almost, [[0.7], 0.1])
          withinBound(errorOf(model, schemaOf([0.1, 1.3]), { packing, largestError }))
        }
  })
  it("for any sizes of weights, biases and distances of a range from zero", () => {
    const size = fc.integer({ min: -30, max: 30 }).map((power) => 2 ** power)
    fc.assert(
      fc.property(size, size, fc.integer({ min: 0, max: 60 }), fc.boolean(), (weight, bias, far, kept) => {
        const low = 2 ** far
        const options = kept ? ({ weights: "kept" } as const) : {}
        withinBound(
          errorOf(linear([weight, -weight / 3], bias / 3), schemaOf([low, 1.5 * low], [-3, 5]), options),
        )
        const one = network([[weight, 0.1]], square, [[1 / 3], bias / 3])
        withinBound(errorOf(one, schemaOf([-low, -low / 3], [-3, 5]), { packing: "slots-by-patient" }))
      }),
      { numRuns: 60, seed: 2 },
    )
  })
})

describe("numbers at the ends of what doubles hold", () => {
  it.each([1e200, 1e280, 1e300])("%d: a model that no plan holds is refused with its layer", (huge) => {
    const schema = schemaOf([0, 1])
    expect(errorOf(linear([huge], 0), schema)).toBeNull()
    expect(errorOf(linear([0.1], huge), schema)).toBeNull()
    expect(errorOf(network([[huge]], square, [[1], 0]), schema)).toBeNull()
    expect(errorOf(network([[1]], square, [[1], huge]), schema)).toBeNull()
  })
  it("a range that is too narrow to be divided is refused", () => {
    expect(() => compile(linear([1], 0), schemaOf([0, 5e-324]), NAMED)).toThrow(/too narrow/)
  })
  it("weights, biases and ranges of -0 are those of 0, in the files of plan and model too", () => {
    const constant = { source: "declared", means: [0, 0], deviations: [1, 0] } as const
    const cubic: ModelLayer = { kind: "polynomial", coefficients: [0.5, 0.2, 0.1, -0.1] }
    const schema = schemaOf([-0, 1], [-1, 1])
    for (const packing of ["slots-by-patient", "slots-by-feature"] as const) {
      withinBound(errorOf(network([[1, -2]], square, [[1], 0]), schema, { packing, scaling: constant }))
      withinBound(errorOf(network([[1, -0]], square, [[-0], -0], -0), schema, { packing }))
    }
    withinBound(errorOf(network([[1.1, 0]], cubic, [[0], 0.1]), schema))
    withinBound(errorOf(linear([-0, 1], -0), schema))
  })
})
