import { concatBytes, fromHex } from "@consilium/base/bytes"
import { utf8 } from "@consilium/base/platform"
import {
  logisticFromSafetensors,
  logisticToSafetensors,
  networkFromSafetensors,
  networkToSafetensors,
} from "@consilium/learning/model-tensors"
import { decodeSafetensors, encodeSafetensors } from "@consilium/learning/safetensors"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { EVERY_LAYER, networkFor, seeded } from "./networks.js"

/** Written by the safetensors library 0.8.0 for Python. */
const PYTHON =
  "e0000000000000007b225f5f6d657461646174615f5f223a7b226e6f7465223a226d616465205c22656c736577686572655c22227d2c2261223a7b226474797065223a22463634222c227368617065223a5b325d2c22646174615f6f666673657473223a5b302c31365d7d2c2262223a7b226474797065223a22463332222c227368617065223a5b322c325d2c22646174615f6f666673657473223a5b31362c33325d7d2c226e61c3af7665223a7b226474797065223a22463332222c227368617065223a5b322c305d2c22646174615f6f666673657473223a5b33322c33325d7d7d20202020209a9999999999b93f00000000000008c00000c03f000010c0000000006f12833a"

const unreadable = expect.objectContaining({ code: "model/unreadable" })
const inconsistent = expect.objectContaining({ code: "model/inconsistent" })
const fileOf = (header: string, data = new Uint8Array(0)): Uint8Array => {
  const text = utf8(header)
  const length = new Uint8Array(8)
  new DataView(length.buffer).setBigUint64(0, BigInt(text.length), true)
  return concatBytes(length, text, data)
}

describe("the file", () => {
  it("of another library is read", () => {
    expect(decodeSafetensors(fromHex(PYTHON))).toEqual({
      tensors: [
        { name: "a", shape: [2], values: Float64Array.of(0.1, -3) },
        { name: "b", shape: [2, 2], values: Float32Array.of(1.5, -2.25, 0, 1e-3) },
        { name: "naïve", shape: [2, 0], values: new Float32Array(0) },
      ],
      metadata: { note: 'made "elsewhere"' },
    })
  })

  it("has the other library's bytes where tensors come in its order", () => {
    expect(encodeSafetensors(decodeSafetensors(fromHex(PYTHON)))).toEqual(fromHex(PYTHON))
  })

  it("round-trips whatever it can write, to the bit", () => {
    const tensor = fc
      .tuple(fc.boolean(), fc.array(fc.nat({ max: 4 }), { maxLength: 3 }), fc.nat())
      .map(([single, shape, seed]) => {
        const size = shape.reduce((product, side) => product * side, 1)
        const bytes = seeded(String(seed)).bytes(size)
        const values = Array.from(bytes, (byte) => (byte === 0 ? -0 : (byte - 99) / 7))
        return { shape, values: single ? Float32Array.from(values) : Float64Array.from(values) }
      })
    const entries = fc.dictionary(fc.string({ minLength: 1, maxLength: 6 }), tensor, { maxKeys: 5 })
    fc.assert(
      fc.property(entries, fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 }), (tensors, metadata) => {
        const given = {
          tensors: Object.entries(tensors)
            .filter(([name]) => name !== "__proto__")
            .map(([name, rest]) => ({ name, ...rest })),
          metadata: Object.fromEntries(Object.entries(metadata).filter(([name]) => name !== "__proto__")),
        }
        const file = encodeSafetensors(given)
        const found = decodeSafetensors(file)
        expect(found.metadata).toEqual(given.metadata)
        // tensors without numbers have no place of their own in the order
        const order = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1)
        expect([...found.tensors].sort(order)).toEqual([...given.tensors].sort(order))
      }),
      { numRuns: 150 },
    )
  })
})

describe("refuses", () => {
  const file = fromHex(PYTHON)

  it("every shorter file and every longer one", () => {
    for (let length = 0; length < file.length; length++)
      expect(() => decodeSafetensors(file.subarray(0, length))).toThrow(unreadable)
    expect(() => decodeSafetensors(concatBytes(file, Uint8Array.of(0)))).toThrow(unreadable)
  })

  it("altered bytes, or reads something that can be written, and fails with its own error only", () => {
    fc.assert(
      fc.property(fc.nat({ max: file.length - 1 }), fc.nat({ max: 255 }), (at, byte) => {
        const changed = file.slice()
        changed[at] = byte
        try {
          encodeSafetensors(decodeSafetensors(changed))
        } catch (error) {
          expect([
            "model/unreadable",
            "model/inconsistent", // an altered name may be one that is not written
          ]).toContain((error as { code?: string }).code)
        }
      }),
      { numRuns: 1500 },
    )
  })

  const tensor = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
  const four = new Uint8Array(4)
  it.each([
    ["a header that is no object", fileOf("[]")],
    ["a header that begins with a space", fileOf(` {"a":${tensor}}`, four)],
    ["a header that is not UTF-8", concatBytes(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 0xff))],
    ["a header of 2^60 bytes", concatBytes(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 16), four)],
    ["something behind the header's end", fileOf(`{"a":${tensor}}x`, four)],
    ["a name twice", fileOf(`{"a":${tensor},"a":${tensor}}`, four)],
    ["a name twice, once escaped", fileOf(`{"a":${tensor},"\\u0061":${tensor}}`, four)],
    ["a field twice", fileOf('{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', four)],
    ["a field too many", fileOf('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}', four)],
    ["a field too few", fileOf('{"a":{"dtype":"F32","data_offsets":[0,4]}}', four)],
    ["another type", fileOf('{"a":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}', four)],
    [
      "a type named after a method",
      fileOf('{"a":{"dtype":"toString","shape":[1],"data_offsets":[0,4]}}', four),
    ],
    ["a fraction in a shape", fileOf('{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}', four)],
    ["a negative side", fileOf('{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', four)],
    [
      "sides whose product is no whole number",
      fileOf('{"a":{"dtype":"F32","shape":[9007199254740991,9007199254740991],"data_offsets":[0,4]}}', four),
    ],
    [
      "a shape that does not fill its place",
      fileOf('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', four),
    ],
    ["places that overlap", fileOf(`{"a":${tensor},"b":${tensor}}`, four)],
    ["a gap", fileOf('{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', new Uint8Array(8))],
    ["metadata that are no texts", fileOf('{"__metadata__":{"a":1}}')],
    ["endless nesting", fileOf(`{"a":${"[".repeat(100_000)}`)],
    ["an unfinished text", fileOf('{"a')],
    ["a broken escape", fileOf('{"\\x":1}')],
    ["a line break in a text", fileOf('{"a\n":1}')],
  ])("%s", (_, bytes) => {
    expect(() => decodeSafetensors(bytes)).toThrow(unreadable)
  })

  it("to write names and shapes that cannot be", () => {
    const values = Float32Array.of(1, 2)
    for (const tensors of [
      [{ name: "", shape: [2], values }],
      [{ name: "__metadata__", shape: [2], values }],
      [
        { name: "a", shape: [2], values },
        { name: "a", shape: [2], values },
      ],
      [{ name: "a", shape: [3], values }],
      [{ name: "a", shape: [-1, -2], values }],
    ])
      expect(() => encodeSafetensors({ tensors, metadata: {} })).toThrow(inconsistent)
  })
})

describe("models", () => {
  it.each(Object.entries(EVERY_LAYER))("%s comes back with the same bits", (name, description) => {
    const network = networkFor(description, seeded("safetensors", name))
    network.parameters[0] = -0
    const file = networkToSafetensors(network)
    expect(networkFromSafetensors(description, file)).toEqual(network)
    const { tensors, metadata } = decodeSafetensors(file)
    const reversed = encodeSafetensors({ tensors: [...tensors].reverse(), metadata })
    expect(networkFromSafetensors(description, reversed)).toEqual(network)
  })

  it("a logistic regression comes back with the same bits", () => {
    const architecture = { kind: "logistic-regression", inputs: 3 } as const
    const parameters = Float64Array.of(0.1, -0, 1e-300, 7)
    const file = logisticToSafetensors(architecture, parameters)
    expect(logisticFromSafetensors(architecture, file)).toEqual(parameters)
    expect(() => logisticFromSafetensors({ ...architecture, inputs: 2 }, file)).toThrow(inconsistent)
  })

  it("another description, another type and numbers that are not finite are refused", () => {
    const description = EVERY_LAYER["dense to many"]!
    const network = networkFor(description, seeded("refused"))
    const { tensors } = decodeSafetensors(networkToSafetensors(network))
    const read = (changed: typeof tensors) => () =>
      networkFromSafetensors(description, encodeSafetensors({ tensors: changed, metadata: {} }))
    expect(read(tensors)).not.toThrow()
    expect(read(tensors.slice(1))).toThrow(inconsistent)
    expect(read([...tensors, { name: "more", shape: [0], values: new Float32Array(0) }])).toThrow(
      inconsistent,
    )
    expect(read(tensors.map((tensor) => ({ ...tensor, name: `x${tensor.name}` })))).toThrow(inconsistent)
    expect(read(tensors.map((tensor) => ({ ...tensor, shape: [...tensor.shape].reverse() })))).toThrow(
      inconsistent,
    )
    expect(read(tensors.map((tensor) => ({ ...tensor, values: Float64Array.from(tensor.values) })))).toThrow(
      inconsistent,
    )
    expect(read(tensors.map((tensor) => ({ ...tensor, values: tensor.values.map(() => NaN) })))).toThrow(
      expect.objectContaining({ code: "learning/bad-parameters" }),
    )
    expect(() => networkFromSafetensors(EVERY_LAYER.relu!, networkToSafetensors(network))).toThrow(
      inconsistent,
    )
  })
})
