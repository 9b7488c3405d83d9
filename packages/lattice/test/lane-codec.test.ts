import { insecureSeededRandom } from "@consilium/base/testing"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { LaneCodec, type LaneOptions } from "../src/ring/lane-codec.js"
import { nttPrimes } from "../src/ring/primes.js"
import { Ring } from "../src/ring/ring.js"

const DEGREE = 1024
const ring = Ring.of(DEGREE, nttPrimes(DEGREE, 26, 4))
const SHAPES: readonly (readonly [number, LaneOptions])[] = [
  [4, { lanes: 2, laneBits: 24, deltaBits: 55 }],
  [4, { lanes: 4, laneBits: 22, deltaBits: 15 }],
  [4, { lanes: 1, laneBits: 31, deltaBits: 56 }],
  [4, { lanes: 3, laneBits: 2, deltaBits: 1 }],
  [1, { lanes: 4, laneBits: 5, deltaBits: 5 }],
  [3, { lanes: 3, laneBits: 17, deltaBits: 26 }],
]
const ringOf = (limbs: number): Ring => ring.sub([0, 1, 2, 3].slice(0, limbs))

describe.each(SHAPES)("lanes over %d primes, %j", (limbs, options) => {
  const own = ringOf(limbs)
  const codec = new LaneCodec(own, options)
  const number = fc.oneof(
    fc.constantFrom(0, 1, -1, codec.largest, -codec.largest),
    fc.integer({ min: -codec.largest, max: codec.largest }),
  )
  const half = 1n << BigInt(options.deltaBits - 1)

  it("are what the definition says", () => {
    fc.assert(
      fc.property(fc.array(number, { minLength: 5, maxLength: 5 }), (few) => {
        const vector = Int32Array.from({ length: codec.capacity }, (_, i) => few[i % 5] as number)
        const values = own.toBigInts(codec.encode(vector, 0))
        for (const place of [0, 1, 7, DEGREE - 1]) {
          let expected = 0n
          for (let lane = 0; lane < options.lanes; lane++)
            expected +=
              BigInt(vector[lane * DEGREE + place] as number) <<
              BigInt(options.deltaBits + lane * options.laneBits)
          expect(values[place]).toBe(expected)
        }
      }),
      { numRuns: 20 },
    )
  })

  it("come back exactly under every error below Delta / 2, whose size is told", () => {
    fc.assert(
      fc.property(
        fc.array(number, { minLength: 5, maxLength: 5 }),
        fc.bigInt(-half, half - 1n),
        fc.boolean(),
        (few, drawn, extreme) => {
          const error = extreme ? (drawn < 0n ? -half : half - 1n) : drawn
          const vector = Int32Array.from({ length: codec.capacity }, (_, i) => few[i % 5] as number)
          const errors = new BigInt64Array(DEGREE)
          errors[3] = error
          const noisy = own.add(codec.encode(vector, 0), own.fromWide(errors))
          expect(codec.decode(noisy)).toEqual({ values: vector, remainder: error < 0n ? -error : error })
        },
      ),
      { numRuns: 40 },
    )
  })

  it("are decoded by both kernels alike, also where the numbers are too large", () => {
    const plain = Ring.of(DEGREE, own.primes, { kernel: "plain" })
    const { layout } = codec
    expect(new LaneCodec(plain, options).layout).toEqual(layout)
    for (let i = 0; i < 4; i++) {
      const a = own.inverse(own.uniformSecret(insecureSeededRandom("decode", String(i))))
      expect(own.decodeLanes(a, layout)).toEqual(plain.decodeLanes(a, layout))
    }
  })
})

describe("a vector", () => {
  const codec = new LaneCodec(ring, { lanes: 2, laneBits: 24, deltaBits: 40 })

  it.each([1, DEGREE - 1, DEGREE, DEGREE + 1, 2 * DEGREE, 2 * DEGREE + 1, 5000])(
    "of %d numbers is cut into blocks, the rest zero",
    (length) => {
      const vector = Int32Array.from({ length }, (_, i) => i - 2000)
      const out = new Int32Array(codec.blocks(length) * codec.capacity)
      for (let block = 0; block < codec.blocks(length); block++)
        out.set(codec.decode(codec.encode(vector, block)).values, block * codec.capacity)
      expect(out.subarray(0, length)).toEqual(vector)
      expect(out.subarray(length).every((value) => value === 0)).toBe(true)
    },
  )

  it("with a number beyond the largest is refused wherever it stands, without naming it", () => {
    for (const place of [0, 1023, 1024, 2047, 2050])
      for (const value of [2 ** 23, -(2 ** 23), 2 ** 31 - 1, -(2 ** 31)]) {
        const vector = new Int32Array(2051)
        vector[place] = value
        const block = place < 2048 ? 0 : 1
        expect(() => codec.encode(vector, block)).toThrow(
          expect.objectContaining({
            code: "lattice/out-of-range",
            message: `A number of block ${block} is larger than 8388607.`,
          }),
        )
        expect(() => codec.encode(vector, 1 - block)).not.toThrow()
      }
  })

  it("has no blocks beyond its end", () => {
    for (const block of [-1, 1, 0.5])
      expect(() => codec.encode(new Int32Array(2048), block)).toThrow(
        expect.objectContaining({ code: "lattice/bad-polynomial" }),
      )
    expect(codec.blocks(0)).toBe(0)
  })
})

describe("what does not fit", () => {
  it("is a bad packing, told with its numbers", () => {
    expect(() => new LaneCodec(ring, { lanes: 2, laneBits: 24, deltaBits: 56 })).toThrow(
      "2 lanes of 24 bits up to 8388607 above 56 bits do not fit into 104 bits of modulus",
    )
    for (const wrong of [
      { lanes: 5, laneBits: 4, deltaBits: 4 },
      { lanes: 0, laneBits: 4, deltaBits: 4 },
      { lanes: 1, laneBits: 32, deltaBits: 4 },
      { lanes: 1, laneBits: 4, deltaBits: 57 },
      { lanes: 1, laneBits: 4, deltaBits: 0 },
      { lanes: 1, laneBits: 4, deltaBits: 4, largest: 8 },
    ])
      expect(() => new LaneCodec(ring, wrong)).toThrow(expect.objectContaining({ code: "lattice/bad-ring" }))
  })
  it("fits if the largest number is smaller, up to the very middle of Q", () => {
    const largest = Number((ring.modulus / 2n - 2n ** 55n) / ((1n + 2n ** 24n) << 56n))
    const options = { lanes: 2, laneBits: 24, deltaBits: 56 }
    expect(() => new LaneCodec(ring, { ...options, largest: largest + 1 })).toThrow("Q / 2")
    const codec = new LaneCodec(ring, { ...options, largest })
    const vector = new Int32Array(2048).fill(largest)
    const errors = new BigInt64Array(DEGREE).fill(2n ** 55n - 1n)
    expect(codec.decode(ring.add(codec.encode(vector, 0), ring.fromWide(errors))).values).toEqual(vector)
    expect(
      codec.decode(ring.negate(ring.add(codec.encode(vector, 0), ring.fromWide(errors)))).values,
    ).toEqual(vector.map((value) => -value))
  })
  it("is noticed when sums overflow or nonsense is opened", () => {
    const codec = new LaneCodec(ring, { lanes: 2, laneBits: 24, deltaBits: 40, largest: 1000 })
    const sum = codec.encode(new Int32Array(2048).fill(1000), 0)
    const refusal = expect.objectContaining({ code: "lattice/out-of-range" })
    expect(() => codec.decode(ring.add(sum, sum))).toThrow(refusal)
    for (let bit = 88n; bit < 103n; bit++)
      for (const sign of [1n, -1n]) {
        const values = new Array<bigint>(DEGREE).fill(0n)
        values[5] = sign << bit
        expect(() => codec.decode(ring.fromBigInts(values)), `bit ${bit}`).toThrow(refusal)
      }
    const nonsense = ring.inverse(ring.uniform(new Uint8Array(32)))
    expect(() => codec.decode(nonsense)).toThrow(refusal)
  })
})
