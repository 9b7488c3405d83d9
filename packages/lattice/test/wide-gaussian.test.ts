import { exp } from "@consilium/base/elementary"
import { insecureSeededRandom } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import { exponential, PlainSumsKernel } from "../src/sums/plain-sums-kernel.js"
import type { GaussianTable } from "../src/sums/sums-kernel.js"
import { MOST_SIGMA, sumsKernel, WideGaussian } from "../src/sums/wide-gaussian.js"
import { chiSquareRatio } from "./reference.js"

/** Every statistical check raises a false alarm with probability 10^-6 at most on fresh randomness; the seeds are fixed. */
const COUNT = 1 << 18
const samplesOf = (sigma: bigint, count = COUNT): BigInt64Array =>
  new WideGaussian(sigma).sample(insecureSeededRandom("wide", String(sigma)), new BigInt64Array(count))

const weight = (x: number, sigma: number): number => exp((-x * x) / (2 * sigma * sigma))

describe("the wide discrete Gaussian", () => {
  it.each([1n, 2n, 3n, 4n, 5n, 9n, 33n])("of sigma %d has each probability of the definition", (sigma) => {
    const width = Number(sigma)
    const reach = Math.ceil(12 * width)
    const ideal = Array.from({ length: 2 * reach + 1 }, (_, i) => weight(i - reach, width))
    const total = ideal.reduce((a, b) => a + b)
    const counts = new Array<number>(ideal.length).fill(0)
    for (const x of samplesOf(sigma)) counts[Number(x) + reach] = (counts[Number(x) + reach] as number) + 1
    const expected = ideal.map((w) => (w / total) * COUNT)
    const first = expected.findIndex((e) => e >= 20)
    const fold = (cells: readonly number[]): number[] => {
      const inner = cells.slice(first, cells.length - first)
      inner[0] = cells.slice(0, first + 1).reduce((a, b) => a + b)
      inner[inner.length - 1] = cells.slice(cells.length - first - 1).reduce((a, b) => a + b)
      return inner
    }
    expect(chiSquareRatio(fold(counts), fold(expected))).toBeLessThan(1)
  })

  const WIDE = [2n ** 20n + 7n, 2n ** 40n, 227_784_075_432_383n, 2n ** 48n, MOST_SIGMA]

  it.each(WIDE)("of sigma %d has even low bits, its deviation and its tails", (sigma) => {
    const samples = samplesOf(sigma)
    const low = new Array<number>(65_536 / 8).fill(0)
    let [squares, sum, beyond4] = [0, 0, 0]
    for (const x of samples) {
      const cell = Number(x & 0xffffn) >> 3
      low[cell] = (low[cell] as number) + 1
      const ratio = Number(x) / Number(sigma)
      squares += ratio * ratio
      sum += ratio
      if (Math.abs(ratio) > 3) beyond4++
    }
    // all 16 low bits in cells of eight, then the lowest three alone
    expect(
      chiSquareRatio(
        low,
        low.map(() => COUNT / low.length),
      ),
    ).toBeLessThan(1)
    const lowest = new Array<number>(8).fill(0)
    for (const x of samples) lowest[Number(x & 7n)] = (lowest[Number(x & 7n)] as number) + 1
    expect(
      chiSquareRatio(
        lowest,
        lowest.map(() => COUNT / 8),
      ),
    ).toBeLessThan(1)
    expect(Math.abs(Math.sqrt(squares / COUNT) - 1)).toBeLessThan(0.01)
    expect(Math.abs(sum / Math.sqrt(COUNT))).toBeLessThan(4.9)
    const three = 0.002699796063260207 * COUNT
    expect(Math.abs(beyond4 - three) / Math.sqrt(three)).toBeLessThan(4.9)
  })

  it.each(WIDE)("of sigma %d follows the normal law (Kolmogorov and Smirnov)", (sigma) => {
    const samples = [...samplesOf(sigma, 1 << 16)].sort((a, b) => (a < b ? -1 : 1))
    // Phi by its series around 0; wide enough steps make the discrete law's function that of the normal one within 2^-20
    const phi = (x: number): number => {
      let [term, sum] = [x, x]
      for (let k = 1; k < 200; k++) {
        term *= (x * x) / (2 * k + 1)
        sum += term
      }
      return 0.5 + (sum * exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI)
    }
    let most = 0
    samples.forEach((x, i) => {
      const ideal = phi(Number(x) / Number(sigma))
      most = Math.max(most, Math.abs(ideal - i / samples.length), Math.abs(ideal - (i + 1) / samples.length))
    })
    expect(most * Math.sqrt(samples.length)).toBeLessThan(Math.sqrt(Math.log(2 / 1e-6) / 2))
  })

  it("gives the same numbers in both kernels, and in whatever portions the keys allow", () => {
    for (const sigma of [1n, 4n, 7n, 1000n, 2n ** 47n + 12_345n, MOST_SIGMA]) {
      const run = (which: "wasm" | "plain") =>
        new WideGaussian(sigma, sumsKernel(which)).sample(
          insecureSeededRandom("twin", String(sigma)),
          new BigInt64Array(300),
        )
      expect(run("wasm")).toEqual(run("plain"))
    }
  })

  it("computes the probability of keeping within a relative 2^-57", () => {
    // e^-x in 200 bits, by its series after halving x eight times
    const exact = (x: bigint): bigint => {
      const one = 1n << 220n
      let [term, sum] = [one, 0n]
      for (let j = 1n; term !== 0n; j++) {
        sum += term
        term = (-term * x) / ((1n << 68n) * j)
      }
      for (let i = 0; i < 8; i++) sum = (sum * sum) >> 220n
      return sum
    }
    for (let i = 0n; i < 500n; i++) {
      const x = (i * 0x5851f42d4c957f2dn * 3n) % (7n << 60n)
      const { p, halvings } = exponential(x)
      const found = (p << 157n) >> halvings
      const difference = found - exact(x)
      const size = difference < 0n ? -difference : difference
      expect(size << 57n < exact(x), `x = ${x}`).toBe(true)
    }
  })

  it("has thresholds within 2^-127 of the base's", () => {
    let table: GaussianTable | undefined
    const spy = new (class extends PlainSumsKernel {
      override wideGaussian(_: Uint8Array, given: GaussianTable): void {
        table = given
      }
    })()
    new WideGaussian(3n, spy).sample(insecureSeededRandom("spy"), new BigInt64Array(1))
    const weights = Array.from({ length: 60 }, (_, y) => weight(y, 3))
    const total = weights.reduce((a, b) => a + b)
    let sum = 0
    table?.thresholds.slice(0, 30).forEach((threshold, y) => {
      sum += (weights[y] as number) / total
      expect(Number(threshold) / 2 ** 128).toBeCloseTo(sum, 13)
    })
    expect(table?.thresholds.length).toBeGreaterThan(38)
  })

  it("takes 32 bytes of its source, which it erases, and refuses widths beyond its own", () => {
    const given: Uint8Array[] = []
    const source = {
      bytes: (length: number) => {
        given.push(new Uint8Array(length).fill(9))
        return given.at(-1) as Uint8Array
      },
    }
    new WideGaussian(100n).sample(source, new BigInt64Array(4))
    expect(given.map((bytes) => [...bytes])).toEqual([new Array(32).fill(0)])
    for (const sigma of [0n, -1n, MOST_SIGMA + 1n])
      expect(() => new WideGaussian(sigma)).toThrow(expect.objectContaining({ code: "lattice/out-of-range" }))
    expect(() =>
      new WideGaussian(9n).sample({ bytes: () => new Uint8Array(8) }, new BigInt64Array(1)),
    ).toThrow(expect.objectContaining({ code: "lattice/bad-polynomial" }))
  })
})
