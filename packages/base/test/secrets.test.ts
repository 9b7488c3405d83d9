import { format, inspect } from "node:util"
import { describe, expect, it } from "vitest"
import { toHex } from "../src/bytes.js"
import {
  bool,
  bytes,
  encode,
  f64Array,
  fixedBytes,
  i32Array,
  list,
  record,
  text,
  u8,
  variant,
} from "../src/encoding.js"
import { isConsiliumError } from "../src/errors.js"
import { newSecretKey, PrfStream, SecretKey } from "../src/random.js"

const RAW = Uint8Array.from({ length: 32 }, (_, i) => 0xa0 + i)
const key = new SecretKey(RAW)
const HEX = toHex(RAW)
const SHOWN = [
  HEX,
  HEX.slice(0, 8),
  RAW.slice(0, 3).join(),
  RAW.slice(0, 3).join(", "),
  Buffer.from(RAW).toString("base64").slice(0, 8),
  "a0 a1 a2",
]

const hidden = (text: string): void => {
  for (const trace of SHOWN) expect(text.toLowerCase()).not.toContain(trace.toLowerCase())
}

describe("[S13] a secret key stays out of text", () => {
  it.each<[string, () => string]>([
    ["JSON.stringify", () => JSON.stringify({ key, list: [key] })],
    ["String()", () => String(key)],
    ["a template literal", () => `${key}`],
    ["a joined list", () => [key].join()],
    ["util.inspect", () => inspect(key)],
    [
      "util.inspect with everything shown",
      () => inspect({ key }, { showHidden: true, depth: 9, getters: true }),
    ],
    ["util.format", () => format("%s %o %O %j %d", key, key, key, key, key)],
    ["an error's message and stack", () => String(new Error(`bad: ${key}`, { cause: key }).stack)],
    ["own properties", () => JSON.stringify([Object.entries(key), Reflect.ownKeys(key), { ...key }])],
    ["structuredClone", () => inspect(structuredClone(key), { showHidden: true })],
    [
      "a stream made from it",
      () => inspect(new PrfStream(key, "x"), { showHidden: true }) + JSON.stringify(new PrfStream(key, "x")),
    ],
    ["iteration", () => inspect(Object.keys(key)) + inspect(Array.from(key as unknown as ArrayLike<number>))],
  ])("%s", (_, show) => {
    hidden(show())
  })

  it("says what it is", () => {
    expect(`${key} ${JSON.stringify(key)}`).toBe('[secret] "[secret]"')
  })

  it("the traces this test looks for do show what is not hidden", () => {
    expect(() => hidden(inspect(RAW).replace(/\s+/g, " ").replaceAll(" ", ""))).toThrow()
    expect(() => hidden(JSON.stringify([...RAW]))).toThrow()
    expect(() => hidden(HEX)).toThrow()
  })
})

describe("[S13] a secret key has no encoding", () => {
  // Each line must be an error of the type checker as well: `@ts-expect-error` fails the type check where it is none.
  const attempts: readonly (() => Uint8Array)[] = [
    // @ts-expect-error a secret is not bytes
    () => encode(bytes(64), key),
    // @ts-expect-error a secret is not bytes
    () => encode(fixedBytes(32), key),
    // @ts-expect-error a secret is not text
    () => encode(text(64), key),
    // @ts-expect-error a secret is not a number
    () => encode(u8, key),
    // @ts-expect-error a secret is not a truth value
    () => encode(bool, key),
    // @ts-expect-error a secret is not a list
    () => encode(list(u8, 64), key),
    // @ts-expect-error a secret is not an array of numbers
    () => encode(i32Array(64), key),
    // @ts-expect-error a secret is not an array of numbers
    () => encode(f64Array(64), key),
    // @ts-expect-error a secret has no public fields
    () => encode(record({ body: bytes(64) }), key),
    // @ts-expect-error a secret is not a field's value
    () => encode(record({ body: bytes(64) }), { body: key }),
    // @ts-expect-error a secret is no message
    () => encode(variant({ message: record({ body: bytes(64) }) }), key),
  ]
  it.each(attempts.map((attempt) => [String(attempt), attempt] as const))("%s", (_, attempt) => {
    let caught: unknown
    try {
      attempt()
    } catch (error) {
      caught = error
    }
    expect(isConsiliumError(caught, "encoding/bad-value")).toBe(true)
    hidden(inspect(caught, { showHidden: true, depth: 9 }))
  })
})

describe("a secret key's memory is its own", () => {
  it.each([
    ["an array", () => RAW.slice()],
    ["a Node Buffer", () => Buffer.from(RAW)],
  ])("made from %s", (_, make) => {
    const given = make()
    const secret = new SecretKey(given)
    given.fill(0)
    expect(toHex(secret.expose())).toBe(HEX)
    secret.expose().fill(0)
    expect(toHex(secret.expose())).toBe(HEX)
  })

  it("erasing overwrites the secret and nothing of the caller's", () => {
    const given = Buffer.from(RAW)
    const secret = new SecretKey(given)
    secret.erase()
    expect(toHex(secret.expose())).toBe("00".repeat(32))
    expect(toHex(given)).toBe(HEX)
  })

  it("comes from the source it is given", () => {
    expect(toHex(newSecretKey({ bytes: () => RAW }).expose())).toBe(HEX)
  })
})
