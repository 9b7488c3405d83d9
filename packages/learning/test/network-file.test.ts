import { concatBytes, toHex } from "@consilium/base/bytes"
import { digestHex, hash } from "@consilium/base/hash"
import { modelFileVersion } from "@consilium/learning/model-container"
import { decodeModel, encodeModel } from "@consilium/learning/model-file"
import type { NetworkDescription } from "@consilium/learning/network/description"
import {
  decodeNetworkModel,
  encodeNetworkModel,
  type NetworkModel,
  networkModelHash,
  networkParameterHash,
} from "@consilium/learning/network/network-file"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { EVERY_LAYER, networkFor, seeded } from "./networks.js"

const description: NetworkDescription = {
  input: [2],
  layers: [
    { kind: "dense", outputs: 3 },
    { kind: "polynomial", coefficients: [0, 0.5, -1] },
    { kind: "dropout", rate: 0.25 },
    { kind: "dense", outputs: 1 },
  ],
  loss: "sigmoid-cross-entropy",
}
const model: NetworkModel = {
  network: {
    description,
    parameters: Float32Array.from({ length: 13 }, (_, i) => (i - 5) / 4),
  },
  inputNames: ["age", "cholestérol"],
  provenance: { study: "heart", round: 3, flags: ["insecure-seed"] },
}
const file = encodeNetworkModel(model)
const unreadable = expect.objectContaining({ code: "model/unreadable" })
const inconsistent = expect.objectContaining({ code: "model/inconsistent" })
const withParameters = (parameters: Float32Array): NetworkModel => ({
  ...model,
  network: { description, parameters },
})
const resealed = (change: (body: Uint8Array) => void): Uint8Array => {
  const body = file.slice(0, -32)
  change(body)
  return concatBytes(body, hash("model-file", body))
}
const find = (bytes: Uint8Array): number => {
  const at = toHex(file).indexOf(toHex(bytes)) / 2
  expect(at).toBeGreaterThan(0)
  return at
}

describe("the file", () => {
  it("round-trips, and ends with its content hash", () => {
    expect(decodeNetworkModel(file)).toEqual(model)
    expect(file.slice(-32)).toEqual(new Uint8Array(networkModelHash(model)))
    expect(decodeNetworkModel(Buffer.from(concatBytes(Uint8Array.of(9), file)).subarray(1))).toEqual(model)
  })

  it("keeps its bytes between releases", () => {
    expect([
      file.length,
      digestHex(networkModelHash(model)),
      digestHex(networkParameterHash(model.network)),
    ]).toMatchInlineSnapshot(`
      [
        358,
        "f8336ea16036f1ec577e1b414f454de2464a00093fff703fea8f216638ca77ad",
        "708d9ac613425ab7d088d5d95ccb831194fe95cffcb8b5b0280fd9babc5d1839",
      ]
    `)
  })

  it.each(Object.entries(EVERY_LAYER))("holds %s", (name, each) => {
    const given: NetworkModel = {
      network: networkFor(each, seeded("file", name)),
      inputNames: [],
      provenance: { study: name, round: 0, flags: [] },
    }
    expect(decodeNetworkModel(encodeNetworkModel(given))).toEqual(given)
  })

  it("says which kind of model it holds; neither reader takes the other's", () => {
    const logistic = encodeModel({
      architecture: { kind: "logistic-regression", inputs: 1 },
      parameters: Float64Array.of(1, 2),
      featureNames: ["age"],
      provenance: model.provenance,
    })
    expect([modelFileVersion(logistic), modelFileVersion(file)]).toEqual([1, 2])
    expect(() => decodeModel(file)).toThrow("A model file has version 2; this program reads 1.")
    expect(() => decodeNetworkModel(logistic)).toThrow("A model file has version 1; this program reads 2.")
    expect(() => modelFileVersion(new Uint8Array(60))).toThrow(unreadable)
  })

  it("is one byte string per model: the sign of zero does not matter", () => {
    const zero = (sign: number) => withParameters(new Float32Array(13).fill(0 * sign))
    expect(encodeNetworkModel(zero(-1))).toEqual(encodeNetworkModel(zero(1)))
    expect(networkParameterHash(zero(-1).network)).toEqual(networkParameterHash(zero(1).network))
    const signed = (sign: number): NetworkDescription => ({
      ...description,
      layers: [
        { kind: "polynomial", coefficients: [0 * sign, 1] },
        { kind: "dense", outputs: 1 },
      ],
    })
    const parameters = new Float32Array(3)
    expect(networkParameterHash({ description: signed(-1), parameters })).toEqual(
      networkParameterHash({ description: signed(1), parameters }),
    )
  })

  it("two networks have the same parameter hash only if they compute the same", () => {
    const seen = new Set<string>()
    const { parameters } = model.network
    const variants: NetworkDescription[] = [
      description,
      { ...description, loss: "squared-error" },
      { ...description, layers: [description.layers[0]!, { kind: "square" }, description.layers[3]!] },
      { ...description, layers: [description.layers[0]!, { kind: "relu" }, description.layers[3]!] },
    ]
    for (const each of variants) seen.add(digestHex(networkParameterHash({ description: each, parameters })))
    for (let i = 0; i < 13; i++) {
      const changed = parameters.slice()
      changed[i]! += 2 ** -20
      seen.add(digestHex(networkParameterHash({ description, parameters: changed })))
    }
    expect(seen.size).toBe(17)
  })
})

describe("refuses", () => {
  it("every flipped bit, every shorter file, every longer one", () => {
    for (let bit = 0; bit < 8 * file.length; bit++) {
      const flipped = file.slice()
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      expect(() => decodeNetworkModel(flipped)).toThrow(unreadable)
    }
    for (let length = 0; length < file.length; length++)
      expect(() => decodeNetworkModel(file.subarray(0, length))).toThrow(unreadable)
    expect(() => decodeNetworkModel(concatBytes(file, Uint8Array.of(0)))).toThrow(unreadable)
  })

  it("any content under a right hash, or reads what it would write, and fails with its own errors only", () => {
    fc.assert(
      fc.property(fc.nat({ max: file.length - 33 - 18 }), fc.nat({ max: 255 }), (at, byte) => {
        const changed = resealed((body) => body.set([byte], 18 + at))
        try {
          expect(encodeNetworkModel(decodeNetworkModel(changed))).toEqual(changed)
        } catch (error) {
          expect((error as { code?: string }).code).toMatch(
            /^(encoding\/(malformed|too-large)|learning\/bad-(setting|parameters)|model\/inconsistent)$/,
          )
        }
      }),
      { numRuns: 1500 },
    )
  })

  const bits = (value: number) => new Uint8Array(Float32Array.of(value).buffer)
  it.each([
    ["NaN", NaN, "learning/bad-parameters"],
    ["infinity", Infinity, "learning/bad-parameters"],
    ["negative zero", -0, "model/inconsistent"],
  ] as const)("%s as a parameter in a file with a right hash", (_, value, code) => {
    expect(() => decodeNetworkModel(resealed((body) => body.set(bits(value), find(bits(-1.25)))))).toThrow(
      expect.objectContaining({ code }),
    )
  })

  it("another name of a tensor", () => {
    const name = Buffer.from("0.dense.weights")
    expect(() =>
      decodeNetworkModel(resealed((body) => body.set(Buffer.from("0.dense.weighty"), find(name)))),
    ).toThrow(inconsistent)
  })

  it.each([
    ["a name too few", { inputNames: ["age"] }],
    ["a name twice", { inputNames: ["age", "age"] }],
    ["an empty name", { inputNames: ["age", ""] }],
    ["an empty study", { provenance: { ...model.provenance, study: "" } }],
    ["a flag twice", { provenance: { ...model.provenance, flags: ["a", "a"] } }],
  ])("to write %s", (_, change) => {
    expect(() => encodeNetworkModel({ ...model, ...change })).toThrow(inconsistent)
  })

  it("to write or hash parameters that are not finite or do not fit, and layers that do not exist", () => {
    for (const parameters of [new Float32Array(12), new Float32Array(13).fill(NaN)])
      for (const act of [
        encodeNetworkModel,
        networkModelHash,
        (m: NetworkModel) => networkParameterHash(m.network),
      ])
        expect(() => act(withParameters(parameters))).toThrow(
          expect.objectContaining({ code: "learning/bad-parameters" }),
        )
    const layers = [{ kind: "lstm" }] as unknown as NetworkDescription["layers"]
    expect(() =>
      encodeNetworkModel({
        ...model,
        network: { ...model.network, description: { ...description, layers } },
      }),
    ).toThrow(expect.objectContaining({ code: "learning/bad-setting" }))
  })
})
