import { SecretKey } from "@consilium/base/random"
import { insecureSeededRandom } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import { isNttPrime, nttPrimes } from "../src/ring/primes.js"
import { ERROR_PAIRS, Ring } from "../src/ring/ring.js"
import { chiSquareRatio, choose } from "./reference.js"

/** Every statistical check raises a false alarm with probability 10^-6 on fresh randomness; the seeds are fixed. */
const POLYNOMIALS = 128
const DEGREE = 4096
const COUNT = POLYNOMIALS * DEGREE
const ring = Ring.of(DEGREE, nttPrimes(DEGREE, 26, 1))
const sourceOf = (label: string) => insecureSeededRandom("samplers", label)

describe("centred binomial errors", () => {
  it.each([1, 2, ERROR_PAIRS, 32, 44, 64])("of %d pairs have their distribution", (pairs) => {
    const counts = new Array<number>(2 * pairs + 1).fill(0)
    const random = sourceOf(`binomial ${pairs}`)
    let [sum, squares, neighbours] = [0, 0, 0]
    for (let p = 0; p < POLYNOMIALS; p++) {
      const values = ring.centredBinomial(random, pairs)
      values.forEach((value, i) => {
        counts[value + pairs] = (counts[value + pairs] as number) + 1
        sum += value
        squares += value * value
        neighbours += value * (values[(i + 1) % DEGREE] as number)
      })
    }
    // the sum of two rows of fair bits: binomial(2 k, k + value) / 4^k; cells that expect less than 20 are put together
    const ideal = counts.map((_, i) => (choose(2 * pairs, i) / 4 ** pairs) * COUNT)
    const first = ideal.findIndex((expected) => expected >= 20)
    const folded = (cells: readonly number[]): number[] => {
      const inner = cells.slice(first, cells.length - first)
      inner[0] = cells.slice(0, first + 1).reduce((x, y) => x + y, 0)
      inner[inner.length - 1] = cells.slice(cells.length - first - 1).reduce((x, y) => x + y, 0)
      return inner
    }
    expect(chiSquareRatio(folded(counts), folded(ideal))).toBeLessThan(1)
    const variance = pairs / 2
    expect(Math.abs(sum / Math.sqrt(variance * COUNT))).toBeLessThan(4.9)
    // the square of a value deviates by at most sqrt(2) variance
    expect(Math.abs(squares / COUNT / variance - 1)).toBeLessThan(4.9 * Math.sqrt(2 / COUNT))
    expect(Math.abs(neighbours / variance / Math.sqrt(COUNT))).toBeLessThan(4.9)
  })
})

it("ternary secrets are uniform on -1, 0, 1, also pair by pair", () => {
  const singles = [0, 0, 0]
  const pairs = new Array<number>(9).fill(0)
  const random = sourceOf("ternary")
  for (let p = 0; p < POLYNOMIALS; p++) {
    const values = ring.ternary(random)
    for (let i = 0; i < DEGREE; i += 2) {
      const [x, y] = [(values[i] as number) + 1, (values[i + 1] as number) + 1]
      singles[x] = (singles[x] as number) + 1
      singles[y] = (singles[y] as number) + 1
      pairs[3 * x + y] = (pairs[3 * x + y] as number) + 1
    }
  }
  expect(
    chiSquareRatio(
      singles,
      singles.map(() => COUNT / 3),
    ),
  ).toBeLessThan(1)
  expect(
    chiSquareRatio(
      pairs,
      pairs.map(() => COUNT / 18),
    ),
  ).toBeLessThan(1)
})

/** The largest prime below seven tenths of 2^26, where three of ten words are rejected. */
const sparsePrime = (degree: number): number => {
  for (let q = Math.floor((0.7 * 2 ** 26) / (2 * degree)) * 2 * degree + 1; ; q -= 2 * degree)
    if (isNttPrime(q, degree)) return q
}

describe("uniform residues", () => {
  it.each([
    ["the largest prime of 26 bits", nttPrimes(DEGREE, 26, 1)[0] as number],
    // three of ten words are rejected: a sampler that folded them back would be seen at once
    [
      "a prime far below a power of two",
      nttPrimes(DEGREE, 26, 400).find((q) => q < 0.72 * 2 ** 26) as number,
    ],
  ])("modulo %s fill [0, q) evenly", (_, q) => {
    const own = Ring.of(DEGREE, [q])
    const random = sourceOf(`uniform ${q}`)
    const high = new Array<number>(256).fill(0)
    const low = new Array<number>(256).fill(0)
    let beyond = false
    for (let p = 0; p < POLYNOMIALS; p++)
      for (const value of own.uniformSecret(random)) {
        beyond ||= value >= q
        const cell = Math.floor((value / q) * 256)
        high[cell] = (high[cell] as number) + 1
        low[value % 256] = (low[value % 256] as number) + 1
      }
    expect(beyond).toBe(false)
    const even = high.map(() => COUNT / 256)
    expect(chiSquareRatio(high, even)).toBeLessThan(1)
    expect(chiSquareRatio(low, even)).toBeLessThan(1)
  })

  it("the WebAssembly's rejections are the twin's, where they are many", () => {
    const q = sparsePrime(1024)
    const key = new Uint8Array(32).fill(5)
    expect(Ring.of(1024, [q]).uniform(key)).toEqual(Ring.of(1024, [q], { kernel: "plain" }).uniform(key))
  })
})

describe("randomness", () => {
  it("is 32 bytes of the source for each polynomial, and its copy is erased", () => {
    const given: Uint8Array[] = []
    const random = {
      bytes: (length: number) => {
        given.push(new Uint8Array(length).fill(given.length + 1))
        return given.at(-1) as Uint8Array
      },
    }
    const first = ring.ternary(random)
    const second = ring.ternary(random)
    ring.centredBinomial(random)
    ring.uniformSecret(random)
    expect(first).not.toEqual(second)
    expect(given.map((bytes) => bytes.length)).toEqual([32, 32, 32, 32])
    expect(given.every((bytes) => bytes.every((byte) => byte === 0))).toBe(true)
  })

  it("one key gives unrelated secrets, errors and uniform polynomials", () => {
    const constant = { bytes: () => new SecretKey(new Uint8Array(32).fill(8)).expose() }
    const streams = [ring.ternary(constant), ring.centredBinomial(constant), ring.uniformSecret(constant)]
    const parity = streams.map((values) => Array.from(values, (value) => value & 1))
    for (const [i, j] of [
      [0, 1],
      [0, 2],
      [1, 2],
    ] as const) {
      // odd with probability 2/3, 1/2 and 1/2: at most one half of the places agree but for chance
      const agreeing = parity[i]?.filter((bit, at) => bit === parity[j]?.[at]).length as number
      expect(Math.abs(agreeing - DEGREE / 2) / Math.sqrt(DEGREE / 4)).toBeLessThan(4.9)
    }
  })
})
