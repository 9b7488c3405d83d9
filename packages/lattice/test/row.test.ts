import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { toHex } from "@consilium/base/bytes"
import { sha256 } from "@consilium/base/hash"
import { insecureSeededRandom } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import { LaneCodec } from "../src/ring/lane-codec.js"
import { nttPrimes } from "../src/ring/primes.js"
import { ERROR_PAIRS, Ring } from "../src/ring/ring.js"
import { RING_WASM } from "../src/ring/ring-wasm.generated.js"
import { isSeed, seedOf } from "../src/ring/seeds.js"

const DEGREE = 4096
const primes = nttPrimes(DEGREE, 26, 4)
const ring = Ring.of(DEGREE, primes)
const LANES = { lanes: 2, laneBits: 24, deltaBits: 55 }
const vector = Int32Array.from({ length: 8192 }, (_, i) => ((i * 7919) % 65_535) - 32_767)
const makeRow = (own: Ring): Uint8Array => {
  const random = insecureSeededRandom("row")
  const secret = own.forward(own.fromSmall(own.ternary(random)))
  const message = new LaneCodec(own, LANES).message(vector, 0)
  return own.row({ seed: seedOf("row"), secret, error: { random, pairs: ERROR_PAIRS }, message })
}

describe("a row", () => {
  it("is A s + e + message, by its parts", () => {
    const random = insecureSeededRandom("row")
    const secret = ring.forward(ring.fromSmall(ring.ternary(random)))
    const error = ring.fromSmall(ring.centredBinomial(random, ERROR_PAIRS))
    const codec = new LaneCodec(ring, LANES)
    const product = ring.inverse(ring.multiply(ring.uniform(seedOf("row")), secret))
    const whole = ring.add(ring.add(product, error), codec.encode(vector, 0))
    expect(makeRow(ring)).toEqual(ring.pack(whole))
  })

  it("opens exactly under its key, and the remainder is the error", () => {
    const random = insecureSeededRandom("row")
    const secret = ring.forward(ring.fromSmall(ring.ternary(random)))
    const mask = ring.inverse(ring.multiply(ring.uniform(seedOf("row")), secret))
    const codec = new LaneCodec(ring, LANES)
    const opened = codec.decode(ring.subtract(ring.unpackCoefficients(makeRow(ring)), mask))
    expect(opened.values).toEqual(vector)
    const error = ring.centredBinomial(random, ERROR_PAIRS)
    expect(opened.remainder).toBe(BigInt(Math.max(...error.map(Math.abs))))
  })

  it("takes 64-bit numbers, or nothing but the product", () => {
    const random = insecureSeededRandom("flood")
    const secret = ring.uniformSecret(random)
    const seed = seedOf("row", Uint8Array.of(1))
    const product = ring.inverse(ring.multiply(ring.uniform(seed), secret))
    expect(ring.row({ seed, secret })).toEqual(ring.pack(product))
    const wide = new BigInt64Array(random.bytes(8 * DEGREE).buffer)
    expect(ring.row({ seed, secret, message: { wide } })).toEqual(
      ring.pack(ring.add(product, ring.fromWide(wide))),
    )
  })

  it("has these bytes, in both kernels", () => {
    const digest = toHex(sha256(makeRow(ring)))
    expect(digest).toMatchInlineSnapshot(`"c3b9de133ae3c08b6b170aeccce33042b3f589456d06ffec41c9e64dbfc16ded"`)
    expect(toHex(sha256(makeRow(Ring.of(DEGREE, primes, { kernel: "plain" }))))).toBe(digest)
  })

  it("is refused whole if a part does not fit", () => {
    const secret = ring.zeroEvaluations()
    const into = new Uint8Array(ring.packedLength).fill(9)
    const random = insecureSeededRandom("bad")
    const seed = seedOf("row")
    const bad = expect.objectContaining({ code: "lattice/bad-polynomial" })
    expect(() => ring.row({ seed: seed.subarray(1), secret }, into)).toThrow(bad)
    expect(() => ring.row({ seed, secret: secret.subarray(1) as typeof secret }, into)).toThrow(bad)
    expect(() => ring.row({ seed, secret, message: { wide: new BigInt64Array(5) } }, into)).toThrow(bad)
    expect(() => ring.row({ seed, secret, error: { random, pairs: 0 } }, into)).toThrow(
      expect.objectContaining({ code: "lattice/bad-ring" }),
    )
    expect(() => ring.row({ seed, secret }, into.subarray(1))).toThrow(
      expect.objectContaining({ code: "lattice/malformed" }),
    )
    expect(into.every((byte) => byte === 9)).toBe(true)
  })
})

describe("seeds", () => {
  it("are apart for every domain and every list of parts", () => {
    const [a, b] = [Uint8Array.of(1), Uint8Array.of(2)]
    const seeds = [
      seedOf("x", a, b),
      seedOf("x", b, a),
      seedOf("x", Uint8Array.of(1, 2)),
      seedOf("y", a, b),
      seedOf("x"),
    ]
    expect(new Set(seeds.map(toHex)).size).toBe(5)
    expect(seeds.every(isSeed)).toBe(true)
    expect(isSeed(new Uint8Array(31))).toBe(false)
  })
  it("and what is expanded from them, are frozen", () => {
    expect(toHex(seedOf("sum", Uint8Array.of(1), Uint8Array.of(2, 3)))).toMatchInlineSnapshot(
      `"a57a4524614f8f94db1e0d7e58593d1fb792f6aaf805f1cbb6ba7b2d113eb966"`,
    )
    expect([...ring.uniform(seedOf("frozen")).subarray(0, 4)]).toMatchInlineSnapshot(`
      [
        47105514,
        34004103,
        58858953,
        43912209,
      ]
    `)
    const constant = { bytes: () => Uint8Array.from({ length: 32 }, (_, i) => i) }
    expect(ring.ternary(constant).subarray(0, 16).join(" ")).toMatchInlineSnapshot(
      `"0 0 0 1 1 -1 1 1 0 0 1 1 -1 1 0 0"`,
    )
    expect(ring.centredBinomial(constant).subarray(0, 16).join(" ")).toMatchInlineSnapshot(
      `"3 3 -4 -6 -2 -9 -3 -2 -2 1 -1 -6 2 0 -6 -4"`,
    )
  })
})

describe("the WebAssembly", () => {
  it("is what its sources compile to", () => {
    const build = fileURLToPath(new URL("../assembly/build.mjs", import.meta.url))
    expect(() => execFileSync(process.execPath, [build, "--check"], { stdio: "pipe" })).not.toThrow()
  })
  it("is small", () => {
    expect(RING_WASM.length / 2).toBeLessThan(16 * 1024)
  })
})
