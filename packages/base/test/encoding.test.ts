import { describe, expect, it } from "vitest"
import { concatBytes, fromHex, toHex } from "../src/bytes.js"
import {
  bool,
  bytes,
  type Codec,
  decode,
  encode,
  f64,
  f64Array,
  fixedBytes,
  i32Array,
  list,
  nullable,
  oneOf,
  record,
  sortedBy,
  text,
  u8,
  u16,
  u32,
  u53,
  variant,
} from "../src/encoding.js"
import { type ConsiliumError, isConsiliumError } from "../src/errors.js"
import { utf8 } from "../src/platform.js"

const codeOf = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    return isConsiliumError(error) ? error.code : `foreign error: ${String(error)}`
  }
  return "no error"
}
const HUGE = 2 ** 32 - 1
const names = sortedBy(text(20), utf8, 10)

describe("the bytes of the encoding are frozen", () => {
  it("writes big-endian numbers, length-prefixed strings and places of words", () => {
    const hex = <T>(codec: Codec<T>, value: T): string => toHex(encode(codec, value))
    expect(hex(u8, 0xab)).toBe("ab")
    expect(hex(u16, 0xabcd)).toBe("abcd")
    expect(hex(u32, 0xabcdef01)).toBe("abcdef01")
    expect(hex(u53, 2 ** 53 - 1)).toBe("001fffffffffffff")
    expect(hex(f64, -1.5)).toBe("bff8000000000000")
    expect(hex(bool, true)).toBe("01")
    expect(hex(bytes(3), Uint8Array.of(7, 8))).toBe("000000020708")
    expect(hex(fixedBytes(2), Uint8Array.of(7, 8))).toBe("0708")
    expect(hex(text(9), "é")).toBe("00000002c3a9")
    expect(hex(oneOf("a", "b"), "b")).toBe("01")
    expect(hex(list(u8, 3), [1, 2])).toBe("000000020102")
    expect(hex(nullable(u8), null)).toBe("00")
    expect(hex(nullable(u8), 5)).toBe("0105")
    expect(hex(record({ b: u8, a: u16 }), { a: 2, b: 1 })).toBe("010002")
    expect(hex(variant({ x: record({}), y: record({ n: u8 }) }), { type: "y", n: 3 })).toBe("0103")
    expect(hex(i32Array(2), Int32Array.of(-2))).toBe("00000001fffffffe")
    expect(hex(f64Array(2), Float64Array.of(1))).toBe("000000013ff0000000000000")
  })

  it("sorts by key, whatever order a set was given in", () => {
    expect(toHex(encode(names, ["b", "a"]))).toBe(toHex(encode(names, ["a", "b"])))
  })
})

describe("values without an encoding are refused", () => {
  const cases: readonly (readonly [string, Codec<unknown>, readonly unknown[]])[] = [
    ["u8", u8, [-1, 256, 0.5, -0, Number.NaN, Number.POSITIVE_INFINITY, "1", undefined, 1n]],
    ["u16", u16, [-1, 65_536, -0]],
    ["u32", u32, [-1, 2 ** 32, -0]],
    ["u53", u53, [-1, 2 ** 53, -0, 0.5, Number.NaN]],
    ["f64", f64, [-0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, "1"]],
    ["f64Array", f64Array(4), [Float64Array.of(1, -0), Float64Array.of(Number.NaN), [1]]],
    ["i32Array", i32Array(4), [[1], Float64Array.of(1.5), undefined]],
    ["bool", bool, [0, 1, "true", undefined, null, {}]],
    ["bytes", bytes(8), ["abc", [1, 2, 300], { length: 0 }, undefined, Uint16Array.of(1)]],
    ["fixedBytes", fixedBytes(2), [Uint8Array.of(1), Uint8Array.of(1, 2, 3), "ab", [1, 2]]],
    ["text", text(8), ["\ud800", "a\udc00", 5, undefined]],
    ["oneOf", oneOf("a", "b"), ["c", "", undefined]],
    ["list", list(u8, 4), [[256], "abc", { length: 0 }, undefined]],
    ["sortedBy", names, [["a", "a"], "ab", undefined]],
    ["nullable", nullable(u8), [undefined, 256]],
    ["record", record({ flag: bool }), [{}, { flag: 1 }, undefined, null, "x"]],
    ["variant", variant({ x: record({}) }), [{ type: "z" }, {}, { type: "toString" }, undefined]],
  ]
  it.each(cases)("%s", (_, codec, values) => {
    for (const value of values)
      expect([value, codeOf(() => encode(codec, value))]).toEqual([value, "encoding/bad-value"])
  })

  it.each([
    ["bytes", bytes(2), Uint8Array.of(1, 2, 3)],
    ["text", text(2), "abc"],
    ["text counts bytes, not characters", text(2), "éé"],
    ["list", list(u8, 2), [1, 2, 3]],
    ["i32Array", i32Array(2), new Int32Array(3)],
    ["f64Array", f64Array(2), new Float64Array(3)],
  ] as readonly (readonly [string, Codec<unknown>, unknown])[])(
    "too large when written: %s",
    (_, codec, value) => {
      expect(codeOf(() => encode(codec, value))).toBe("encoding/too-large")
    },
  )
})

describe("bytes that the encoder would not have written are refused", () => {
  it.each([
    ["a number of no bytes", u8, ""],
    ["an integer above 2^53 - 1", u53, "0020000000000000"],
    ["negative zero", f64, "8000000000000000"],
    ["NaN", f64, "7ff8000000000000"],
    ["NaN with another payload", f64, "fff0000000000001"],
    ["infinity", f64, "7ff0000000000000"],
    ["negative zero in an array", f64Array(1), "000000018000000000000000"],
    ["a truth value of 2", bool, "02"],
    ["a presence of 2", nullable(u8), "0205"],
    ["an overlong UTF-8 form", text(4), "00000002c080"],
    ["a UTF-8 surrogate", text(4), "00000003eda080"],
    ["a place beyond the words", oneOf("a", "b"), "02"],
    ["a place beyond the alternatives", variant({ x: record({}) }), "01"],
    ["a sorted list out of order", names, "00000002000000016200000001" + "61"],
    ["a sorted list with a key twice", names, "00000002000000016100000001" + "61"],
    ["a byte after the end", u8, "0000"],
  ] as readonly (readonly [string, Codec<unknown>, string])[])("%s", (_, codec, hex) => {
    expect(codeOf(() => decode(codec, fromHex(hex)))).toBe("encoding/malformed")
  })

  it("keeps a byte order mark as the character it is", () => {
    const withMark = "\ufeffa"
    expect(decode(text(8), encode(text(8), withMark))).toBe(withMark)
  })
})

describe("length bombs", () => {
  const prefixed = (max: number): readonly (readonly [string, Codec<unknown>])[] => [
    ["bytes", bytes(max) as Codec<unknown>],
    ["text", text(max) as Codec<unknown>],
    ["list", list(u8, max) as Codec<unknown>],
    ["sortedBy", sortedBy(text(4), utf8, max) as Codec<unknown>],
    ["i32Array", i32Array(max) as Codec<unknown>],
    ["f64Array", f64Array(max) as Codec<unknown>],
  ]
  const held = (): number => process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed

  it.each(prefixed(1000))(
    "%s: a length above the limit is too large, however short the bytes",
    (_, codec) => {
      for (const hex of ["ffffffff", "000003e9"])
        expect(codeOf(() => decode(codec, fromHex(hex)))).toBe("encoding/too-large")
    },
  )

  it.each(prefixed(HUGE))(
    "%s: a permitted length without its bytes allocates nothing for them",
    (_, codec) => {
      const bomb = concatBytes(fromHex("7fffffff"), new Uint8Array(3))
      const before = held()
      expect(codeOf(() => decode(codec, bomb))).toBe("encoding/malformed")
      expect(held() - before).toBeLessThan(16 * 2 ** 20)
    },
  )

  it("says by how much, and never what the bytes were", () => {
    let caught: unknown
    try {
      decode(bytes(1000), fromHex("ffffffffabcdef"))
    } catch (error) {
      caught = error
    }
    expect((caught as ConsiliumError).message).toMatchInlineSnapshot(
      `"A length of 4294967295 exceeds the limit of 1000."`,
    )
  })
})

describe("one encoding after another", () => {
  const pair = record({ id: fixedBytes(2), body: bytes(1 << 22) })

  it("holds nothing of what was written before, whole or given up halfway", () => {
    const small = { id: Uint8Array.of(1, 2), body: Uint8Array.of(3) }
    const wire = toHex(encode(pair, small))
    encode(pair, { id: Uint8Array.of(9, 9), body: new Uint8Array(5000).fill(0xff) })
    expect(toHex(encode(pair, small))).toBe(wire)
    expect(() => encode(pair, { id: Uint8Array.of(9, 9), body: "no bytes" as never })).toThrow()
    expect(toHex(encode(pair, small))).toBe(wire)
    // larger than what is kept for the next
    expect(encode(pair, { ...small, body: new Uint8Array(3 << 20) })).toHaveLength(6 + (3 << 20))
    expect(toHex(encode(pair, small))).toBe(wire)
  })

  it("within another is its own", () => {
    const outer = bytes(1000)
    const nested = {
      write: (writer: Parameters<typeof outer.write>[0], value: { id: Uint8Array; body: Uint8Array }) =>
        outer.write(writer, encode(pair, value)),
      read: () => {
        throw new Error("It is only written.")
      },
    }
    const value = { id: Uint8Array.of(1, 2), body: Uint8Array.of(3) }
    expect(toHex(encode(record({ first: outer, nested }), { first: Uint8Array.of(7), nested: value }))).toBe(
      "0000000107000000070102000000" + "0103",
    )
  })
})

describe("decoded values are copies", () => {
  it("shares no memory with the input, be it an array, a view into a larger one or a Node Buffer", () => {
    const schema = record({ id: fixedBytes(2), body: bytes(4) })
    const wire = encode(schema, { id: Uint8Array.of(1, 2), body: Uint8Array.of(3, 4) })
    const room = new Uint8Array(wire.length + 6)
    room.set(wire, 3)
    for (const input of [wire.slice(), room.subarray(3, 3 + wire.length), Buffer.from(wire)]) {
      const value = decode(schema, input)
      input.fill(0xff)
      expect(toHex(value.id) + toHex(value.body)).toBe("01020304")
    }
  })

  it("an encoding shares no memory with the value", () => {
    const value = Uint8Array.of(1, 2)
    const wire = encode(fixedBytes(2), value)
    value.fill(9)
    expect(toHex(wire)).toBe("0102")
  })
})
