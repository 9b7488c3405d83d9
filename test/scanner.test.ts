import { deflateRawSync, deflateSync, gzipSync } from "node:zlib"
import { insecureSeededRandom } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import { plausibleDeflate } from "./security/deflate.js"
import { needlesOf, windowsOf } from "./security/needles.js"
import { Scanner } from "./security/scanner.js"

const INTEGERS = {
  name: "integers",
  values: [-41_290, 77_531, 190_223, -65_077, 63_818, 0, 120_404, 90_171, 5],
}
const FLOATS = {
  name: "floats",
  values: [0.013725281, -0.2204186, 1 / 3, 0, 147.318253, 263.771919, -0.000123456789, 0.5],
}
const P = 2n ** 61n - 1n
const mod = (value: number): bigint => ((BigInt(value) % P) + P) % P

/** Numbers in bytes, by hand and one by one: what the scanner must find, made without its help. */
const laidOut = (
  values: readonly number[],
  width: number,
  write: (bytes: Buffer, value: number, at: number) => void,
): Buffer => {
  const out = Buffer.alloc(width * values.length)
  for (const [i, value] of values.entries()) write(out, value, i * width)
  return out
}

const FORMS: readonly (readonly [string, (values: readonly number[]) => Buffer, "any" | "whole"])[] = [
  ["f32 little-endian", (v) => laidOut(v, 4, (b, x, at) => b.writeFloatLE(x, at)), "any"],
  ["f32 big-endian", (v) => laidOut(v, 4, (b, x, at) => b.writeFloatBE(x, at)), "any"],
  ["f64 little-endian", (v) => laidOut(v, 8, (b, x, at) => b.writeDoubleLE(x, at)), "any"],
  ["f64 big-endian", (v) => laidOut(v, 8, (b, x, at) => b.writeDoubleBE(x, at)), "any"],
  ["i32 little-endian", (v) => laidOut(v, 4, (b, x, at) => b.writeInt32LE(x, at)), "whole"],
  ["i32 big-endian", (v) => laidOut(v, 4, (b, x, at) => b.writeInt32BE(x, at)), "whole"],
  ["i64 little-endian", (v) => laidOut(v, 8, (b, x, at) => b.writeBigInt64LE(BigInt(x), at)), "whole"],
  ["i64 big-endian", (v) => laidOut(v, 8, (b, x, at) => b.writeBigInt64BE(BigInt(x), at)), "whole"],
  ["field little-endian", (v) => laidOut(v, 8, (b, x, at) => b.writeBigUInt64LE(mod(x), at)), "whole"],
  ["field big-endian", (v) => laidOut(v, 8, (b, x, at) => b.writeBigUInt64BE(mod(x), at)), "whole"],
  ["text with commas", (v) => Buffer.from(JSON.stringify(v)), "any"],
  ["text with spaces", (v) => Buffer.from(v.join(" ")), "any"],
  ["text in lines", (v) => Buffer.from(v.join("\n")), "any"],
  ["text with commas and spaces", (v) => Buffer.from(v.join(", ")), "any"],
  ["text with tabs", (v) => Buffer.from(v.join("\t")), "any"],
  ["text of two bytes a character", (v) => Buffer.from(v.join(","), "utf16le"), "any"],
  ["text of field elements", (v) => Buffer.from(v.map(mod).join(",")), "whole"],
]

const random = insecureSeededRandom(1, "scanner")
const noise = (length: number): Buffer => Buffer.from(random.bytes(length))

const ELEMENTS = {
  name: "elements",
  values: [
    1783460289734012345n,
    2207183490127734111n,
    91734098127340912n,
    5n,
    1999999999999999999n,
    734509123740912347n,
  ],
}

const scanner = new Scanner([INTEGERS, FLOATS, ELEMENTS])
const found = (bytes: Uint8Array): readonly string[] =>
  scanner.scan(bytes, "bytes").map(({ secret }) => secret)

const elementBytes = (values: readonly bigint[], little: boolean): Buffer => {
  const out = Buffer.alloc(8 * values.length)
  for (const [i, value] of values.entries())
    if (little) out.writeBigUInt64LE(value, 8 * i)
    else out.writeBigUInt64BE(value, 8 * i)
  return out
}

it("elements of the field are found as bytes of either order, as text, and as the field's own vectors hold them", () => {
  const values = ELEMENTS.values
  for (const some of [values, values.slice(0, 3), values.slice(2)]) {
    expect(found(elementBytes(some, false))).toEqual(["elements"])
    expect(found(elementBytes(some, true))).toEqual(["elements"])
    expect(found(Buffer.from(some.join(",")))).toEqual(["elements"])
    expect(found(Buffer.from(elementBytes(some, false).toString("base64")))).toEqual(["elements"])
  }
  const limbs = Uint32Array.from(values, (value) => Number(value & 0xffffffffn))
  expect(found(new Uint8Array(limbs.buffer))).toEqual(["elements"])
})

const cases = FORMS.flatMap(([form, write, kind]) =>
  (kind === "any" ? [INTEGERS, FLOATS] : [INTEGERS]).map((secret) => ({
    form,
    write,
    secret,
    name: secret.name,
  })),
)

describe.each(cases)("$name as $form", ({ write, secret }) => {
  const bytes = write(secret.values)

  it("is found as it is, at any offset, whole or in part", () => {
    for (const before of [0, 1, 2, 3, 4, 5, 6, 7])
      expect(found(Buffer.concat([noise(before), bytes, noise(9)]))).toEqual([secret.name])
    expect(found(write(secret.values.slice(0, 5)))).toEqual([secret.name])
    expect(found(write(secret.values.slice(2)))).toEqual([secret.name])
  })

  it("is found in hexadecimal and base64, in all alignments", () => {
    expect(found(Buffer.from(`x${bytes.toString("hex")}`))).toEqual([secret.name])
    expect(found(Buffer.from(`x${bytes.toString("hex").toUpperCase()}`))).toEqual([secret.name])
    for (const before of [0, 1, 2, 3])
      for (const encoding of ["base64", "base64url"] as const) {
        const text = Buffer.concat([noise(before), bytes, noise(5)]).toString(encoding)
        expect(found(Buffer.from(`"${text}"`))).toEqual([secret.name])
      }
  })

  it("is found inside gzip, zlib and raw deflate, and one inside the other", () => {
    const content = Buffer.concat([noise(30), bytes, Buffer.from("and so on and so on and so on")])
    for (const pack of [gzipSync, deflateSync, deflateRawSync])
      for (const level of [0, 1, 9])
        for (const inner of [content, bytes])
          expect(
            found(Buffer.concat([noise(37), pack(inner, { level }), noise(11)])),
            `${pack.name} ${level}`,
          ).toEqual([secret.name])
    expect(found(gzipSync(deflateRawSync(Buffer.from(bytes.toString("base64")))))).toEqual([secret.name])
  })

  it("is found in a packed stream that is cut off", () => {
    const packed = gzipSync(Buffer.concat([bytes, noise(2000)]))
    expect(found(packed.subarray(0, packed.length - 900))).toEqual([secret.name])
  })
})

it("nothing is found in 4 MB of noise, in zeros, or in other numbers", () => {
  expect(scanner.scan(noise(4 << 20), "noise", false)).toEqual([])
  expect(found(noise(1 << 18))).toEqual([])
  expect(found(new Uint8Array(1 << 20))).toEqual([])
  expect(found(new Uint8Array(1 << 20).fill(0xff))).toEqual([])
  for (const [, write] of FORMS) {
    expect(found(write(INTEGERS.values.map((value) => value + 1)))).toEqual([])
    // the same numbers in another order are another vector
    expect(found(write(INTEGERS.values.toReversed()))).toEqual([])
  }
})

it("a hit says which secret, in which form and where", () => {
  const bytes = Buffer.concat([Buffer.alloc(100), gzipSync(Buffer.from(JSON.stringify(FLOATS.values)))])
  expect(scanner.scan(bytes, "log")).toEqual([
    { secret: "floats", form: "text, commas", where: "log, gzip at 100 at 1" },
  ])
})

it("what is found across two portions is found if they overlap as the scanner asks", () => {
  const bytes = Buffer.concat([
    noise(5000),
    Buffer.from(JSON.stringify(INTEGERS.values), "utf16le"),
    noise(5000),
  ])
  for (let cut = 4900; cut < 5200; cut += 13) {
    const hits = [...found(bytes.subarray(0, cut)), ...found(bytes.subarray(cut - scanner.overlap))]
    expect(hits).toContain("integers")
  }
})

describe("needles", () => {
  it("hold at least three values and 80 bits", () => {
    expect(windowsOf([1, 1, 1, 1], () => 30)).toEqual([
      [1, 1, 1],
      [1, 1, 1],
    ])
    expect(windowsOf([1, 2, 3], () => 20)).toEqual([])
    for (const { bytes, form } of needlesOf(INTEGERS)) expect(bytes.length, form).toBeGreaterThanOrEqual(10)
  })

  it("a secret that chance could show is refused", () => {
    expect(() => needlesOf({ name: "zeros", values: [0, 0, 0, 0, 0] })).toThrow("zeros holds too little")
  })
})

describe("a long secret", () => {
  const LONG = { name: "key", form: "packed", bytes: new Uint8Array(noise(20_000)), width: 64 }
  const long = new Scanner([LONG])
  const secretsIn = (bytes: Uint8Array): readonly string[] =>
    long.scan(bytes, "bytes", false).map(({ secret }) => secret)

  it("is found in any intact kilobyte of it, in hexadecimal and base64 too", () => {
    for (let from = 0; from + 1024 <= LONG.bytes.length; from += 997) {
      const part = Buffer.from(LONG.bytes.subarray(from, from + 1024))
      for (const bytes of [
        part,
        Buffer.from(part.toString("hex")),
        Buffer.from(part.toString("base64")),
        gzipSync(part),
      ])
        expect(secretsIn(Buffer.concat([noise(from % 11), bytes, noise(7)]))).toEqual(["key"])
    }
  })

  it("is not found where every 32nd byte is another one", () => {
    const other = LONG.bytes.map((byte, i) => (i % 32 === 0 ? byte ^ 1 : byte))
    expect(secretsIn(other)).toEqual([])
  })
})

it("no compressor's stream is passed over", () => {
  for (let length = 8; length < 400; length += 7)
    for (const level of [0, 1, 6, 9])
      for (const text of [noise(length), Buffer.from(noise(length).toString("hex")), Buffer.alloc(length)]) {
        expect(plausibleDeflate(deflateRawSync(text, { level }), 0), `${length} ${level}`).toBe(true)
      }
})
