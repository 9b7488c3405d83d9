import { createHash } from "node:crypto"
import { toHex } from "@consilium/base/bytes"
import { digestHex } from "@consilium/base/hash"
import { predictLogits, predictProbabilities } from "@consilium/learning/logistic"
import { parameterHash } from "@consilium/learning/model-file"
import { networkShape } from "@consilium/learning/network/description"
import { GOLDEN_CNN, GOLDEN_LR, GOLDEN_MLP } from "@consilium/learning/network/golden"
import { networkParameterHash } from "@consilium/learning/network/network-file"
import { networkOutputs, networkPredictions } from "@consilium/learning/network/predict"
import { logisticToOnnx } from "@consilium/learning/onnx/logistic-onnx"
import { networkToOnnx } from "@consilium/learning/onnx/network-onnx"
import { env, InferenceSession, Tensor } from "onnxruntime-web"
import { describe, expect, it } from "vitest"
import { EVERY_LAYER, examplesFor, networkFor, seeded } from "./networks.js"

env.wasm.numThreads = 1
env.logLevel = "error"

/** What onnxruntime-web makes of a file. */
const run = async (
  file: Uint8Array,
  inputs: Tensor,
): Promise<Readonly<Record<string, ArrayLike<number>>>> => {
  const session = await InferenceSession.create(file)
  const found = await session.run({ inputs })
  await session.release()
  return Object.fromEntries(
    Object.entries(found).map(([name, tensor]) => [name, tensor.data as ArrayLike<number> & Float32Array]),
  )
}

const farthest = (found: ArrayLike<number> | undefined, expected: ArrayLike<number>): number => {
  expect(found?.length).toBe(expected.length)
  let most = 0
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs((found?.[i] as number) - (expected[i] as number))
    most = Math.max(most, difference / Math.max(1, Math.abs(expected[i] as number)))
  }
  return most
}

describe("networks give the same outputs in onnxruntime-web to 1e-5", () => {
  it.each(Object.entries({ ...EVERY_LAYER, lr: GOLDEN_LR, mlp: GOLDEN_MLP, cnn: GOLDEN_CNN }))(
    "%s",
    async (name, description) => {
      const network = networkFor(description, seeded("onnx", name))
      const rows = 9
      const { inputs } = examplesFor(description, rows, seeded("onnx rows", name))
      const file = networkToOnnx(network)
      const found = await run(file, new Tensor("float32", inputs, [rows, ...description.input]))
      expect(farthest(found.outputs, networkOutputs(network, rows, inputs))).toBeLessThan(1e-5)
      if (description.loss === "squared-error") expect(found.predictions).toBeUndefined()
      else expect(farthest(found.predictions, networkPredictions(network, rows, inputs))).toBeLessThan(1e-5)
      // outputs of another network would be seen
      const other = { ...network, parameters: network.parameters.map((value) => -value) }
      if (networkShape(description).parameters > 0 && name !== "constant polynomial")
        expect(farthest(found.outputs, networkOutputs(other, rows, inputs))).toBeGreaterThan(1e-3)
      expect(Buffer.from(file).includes(digestHex(networkParameterHash(network)))).toBe(true)
    },
  )
})

it("a logistic regression gives the same logits and probabilities to 1e-12", async () => {
  const architecture = { kind: "logistic-regression", inputs: 13 } as const
  const network = networkFor(GOLDEN_MLP, seeded("logistic"))
  const parameters = Float64Array.from(network.parameters.subarray(0, 14))
  const features = Float64Array.from(network.parameters.subarray(14, 14 + 13 * 7), (value) => 3 * value)
  const file = logisticToOnnx(architecture, parameters)
  const found = await run(file, new Tensor("float64", features, [7, 13]))
  const examples = { columns: 13, rows: 7, features, labels: new Uint8Array(7) }
  expect(farthest(found.outputs, predictLogits(parameters, examples))).toBeLessThan(1e-12)
  expect(farthest(found.predictions, predictProbabilities(parameters, examples))).toBeLessThan(1e-12)
  expect(Buffer.from(file).includes(digestHex(parameterHash(architecture, parameters)))).toBe(true)
})

it("the bytes stay the same between releases", () => {
  const description = EVERY_LAYER["group-norm of images"]!
  const { parameters } = networkShape(description)
  const network = {
    description,
    parameters: Float32Array.from({ length: parameters }, (_, i) => (i % 17) / 8 - 1),
  }
  expect(createHash("sha256").update(networkToOnnx(network)).digest("hex")).toMatchInlineSnapshot(
    `"b875217fdbf10023704da6b8e9062c25db2ec6463f3a7d13bbe7a4b87c60f1cc"`,
  )
  const bytes = logisticToOnnx({ kind: "logistic-regression", inputs: 2 }, Float64Array.of(1, -0.5, 0.25))
  expect(toHex(bytes.subarray(0, 40))).toMatchInlineSnapshot(
    `"08081209636f6e73696c69756d3a98030a300a06696e707574730a0777656967687473120776616c"`,
  )
})

it("networks and parameters that cannot be are refused", () => {
  const network = networkFor(GOLDEN_LR, seeded("refused"))
  expect(() => networkToOnnx({ ...network, parameters: network.parameters.map(() => NaN) })).toThrow(
    expect.objectContaining({ code: "learning/bad-parameters" }),
  )
  expect(() => logisticToOnnx({ kind: "logistic-regression", inputs: 2 }, Float64Array.of(1))).toThrow(
    expect.objectContaining({ code: "learning/bad-parameters" }),
  )
})
