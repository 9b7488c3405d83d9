import { insecureSeededRandom } from "@consilium/base/testing"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { nttPrimes } from "../src/ring/primes.js"
import { Ring } from "../src/ring/ring.js"
import { QuotientCodec } from "../src/sums/quotient-codec.js"
import { sumsKernel } from "../src/sums/wide-gaussian.js"

const ring = Ring.of(1024, nttPrimes(1024, 26, 4))
const options = { lanes: 3, laneBits: 13, largest: 4000 }
const codec = new QuotientCodec(ring, options)
const room = codec.delta / 2n - (1n << 38n) - 1n

describe("lanes above a quotient", () => {
  it("come back under any error below their room, with its size", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -4000, max: 4000 }), { minLength: 5, maxLength: 5 }),
        fc.bigInt(-room, room),
        fc.boolean(),
        (few, drawn, extreme) => {
          const error = extreme ? (drawn < 0n ? -room : room) : drawn
          const vector = Int32Array.from({ length: codec.capacity }, (_, i) => few[i % 5] as number)
          const errors = new Array<bigint>(1024).fill(error)
          const noisy = ring.add(ring.combine(codec.message(vector, 0)), ring.fromBigInts(errors))
          const { values, remainder } = codec.decode(noisy)
          expect(values).toEqual(vector)
          const size = error < 0n ? -error : error
          const off = remainder - size
          expect(off <= (1n << 38n) + 2n && off >= -((1n << 38n) + 2n)).toBe(true)
        },
      ),
      { numRuns: 20 },
    )
  })

  it("are decoded by both kernels alike, also from nonsense", () => {
    for (const [degreePrimes, lanes, laneBits] of [
      [nttPrimes(1024, 26, 4), 3, 13],
      [nttPrimes(1024, 30, 7), 4, 31],
      [nttPrimes(1024, 27, 2), 1, 20],
    ] as const) {
      const own = Ring.of(1024, degreePrimes)
      const any = new QuotientCodec(own, { lanes, laneBits, largest: 2 ** (laneBits - 1) - 1 })
      const a = own.inverse(own.uniformSecret(insecureSeededRandom("quotient")))
      const run = (which: "wasm" | "plain") => {
        try {
          return any.decode(a, sumsKernel(which))
        } catch (error) {
          return String(error)
        }
      }
      expect(run("wasm")).toEqual(run("plain"))
      // and as the definition says
      const plain = 1n << BigInt(lanes * laneBits)
      const found = run("wasm")
      if (typeof found === "string" || lanes !== 3) continue
      own.toBigInts(a).forEach((x, i) => {
        const twice = 2n * plain * x + own.modulus
        const quotient =
          (((twice / (2n * own.modulus) - (twice % (2n * own.modulus) < 0n ? 1n : 0n)) % plain) + plain) %
          plain
        let joined = 0n
        for (let lane = lanes - 1; lane >= 0; lane--)
          joined = (joined << BigInt(laneBits)) + BigInt(found.values[lane * 1024 + i] as number)
        expect((((joined - quotient) % plain) + plain) % plain).toBe(0n)
      })
    }
  })

  it("refuse sums beyond the largest, and packings that do not fit", () => {
    const sum = ring.combine(codec.message(new Int32Array(3072).fill(2045), 0))
    const refusal = expect.objectContaining({ code: "lattice/out-of-range" })
    expect(() => codec.decode(ring.add(sum, sum))).toThrow(refusal)
    expect(() => codec.decode(ring.inverse(ring.uniform(new Uint8Array(32))))).toThrow(refusal)
    for (const wrong of [
      { ...options, lanes: 5 },
      { ...options, laneBits: 32 },
      { ...options, largest: 4096 },
      { lanes: 3, laneBits: 25, largest: 10 },
    ])
      expect(() => new QuotientCodec(ring, wrong)).toThrow(
        expect.objectContaining({ code: "lattice/bad-ring" }),
      )
  })
})
