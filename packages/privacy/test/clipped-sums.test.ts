import { describe, expect, it } from "vitest"
import { clippedSumNoiseMultiplier } from "../src/adaptive-clipping.js"
import { clippedSum, gridSensitivity } from "../src/clipped-sum.js"
import { countedClippedSum, countedGrid } from "../src/counted-clipped-sum.js"
import { l1ClippedSum, l1GridSensitivity } from "../src/l1-clipped-sum.js"
import { layerClippedSum, layerSensitivity } from "../src/layer-clipped-sum.js"

const rows = (count: number, dimension: number, size = 1): Float64Array[] =>
  Array.from({ length: count }, (_, r) =>
    Float64Array.from({ length: dimension }, (_v, i) => size * Math.sin(7 * r + 3 * i + 1)),
  )
const STEP = 2 ** -8

/** The slow and obvious way. */
const slowly = (row: readonly number[], norm: number, length: number): number[] =>
  row.map((v) => Math.round((v * Math.min(1, norm / length)) / STEP))
const l2 = (row: readonly number[]) => Math.hypot(...row)
const l1 = (row: readonly number[]) => row.reduce((sum, v) => sum + Math.abs(v), 0)
const added = (all: readonly (readonly number[])[]): number[] =>
  (all[0] as readonly number[]).map((_, i) => all.reduce((sum, row) => sum + (row[i] as number), 0))

describe("clipping layer by layer", () => {
  const layers = [
    { size: 3, maxNorm: 0.5 },
    { size: 1, maxNorm: 2 },
    { size: 2, maxNorm: 0.25 },
  ]
  it("is each layer clipped by itself", () => {
    const given = rows(9, 6)
    const expected = added(
      given.map((row) => {
        const parts = [[...row.slice(0, 3)], [...row.slice(3, 4)], [...row.slice(4)]]
        return parts.flatMap((part, at) => slowly(part, layers[at]?.maxNorm as number, l2(part)))
      }),
    )
    expect([...layerClippedSum(given, { layers, step: STEP })]).toEqual(expected)
  })
  it("has known answers", () => {
    const row = Float64Array.from([3, 0, 4, -1, 0, 0])
    expect([...layerClippedSum([row], { layers, step: STEP })]).toEqual([77, 0, 102, -256, 0, 0])
    expect([...layerClippedSum([], { layers, step: STEP })]).toEqual([0, 0, 0, 0, 0, 0])
    const parts = [128 + Math.sqrt(3) / 2, 512.5, 64 + Math.sqrt(2) / 2]
    expect(layerSensitivity({ layers, step: STEP })).toBeCloseTo(Math.hypot(...parts), 10)
  })
  it("with one layer is flat clipping", () => {
    const one = { layers: [{ size: 6, maxNorm: 0.7 }], step: STEP }
    const grid = { maxNorm: 0.7, dimension: 6, step: STEP }
    expect(layerClippedSum(rows(5, 6), one)).toEqual(clippedSum(rows(5, 6), grid))
    expect(layerSensitivity(one) / gridSensitivity(grid)).toBeCloseTo(1, 14)
  })
})

describe("clipping in L1", () => {
  const grid = { maxNorm: 1.5, dimension: 6, step: STEP }
  it("is the slow way", () => {
    const given = rows(9, 6)
    const expected = added(given.map((row) => slowly([...row], 1.5, l1([...row]))))
    expect([...l1ClippedSum(given, grid)]).toEqual(expected)
  })
  it("has known answers", () => {
    expect([...l1ClippedSum([Float64Array.from([2, -1, 0, 0, 0, 0])], grid)]).toEqual([256, -128, 0, 0, 0, 0])
    expect([...l1ClippedSum([Float64Array.from([0.5, -0.5, 0, 0, 0, 0])], grid)]).toEqual([
      128, -128, 0, 0, 0, 0,
    ])
    expect(l1GridSensitivity(grid)).toBe(387)
    // every coordinate rounds up by half a step: the bound is reached, not passed
    const half = { maxNorm: 9, dimension: 6, step: 1 }
    const row = new Float64Array(6).fill(1.5)
    expect(l1ClippedSum([row], half).reduce((sum, v) => sum + v, 0)).toBe(l1GridSensitivity(half))
  })
})

it("a row that rounding in the scaling carries over the bound is shrunk until it is not", () => {
  // the floating-point sum of 1,500 thirds is too small by 2e-14 of itself, so the row comes out that much too long: every entry
  // then lies just above a half instead of just below, and rounds up
  const row = Float64Array.from({ length: 1510 }, (_, i) => (i < 10 ? 300 : 100))
  const grid = { maxNorm: (10 * 10.5 + 1500 * 3.5) * (1 - 1e-14), dimension: 1510, step: 1 }
  expect(l1GridSensitivity(grid)).toBe(10 * 11 + 1500 * 4 - 1)
  expect(l1([...l1ClippedSum([row], grid)])).toBe(10 * 10 + 1500 * 3)
})

describe("a sum with its count", () => {
  it("splits the noise as theorem 1 of Andrew et al. says", () => {
    for (const [z, countSigma] of [
      [1.1, 5],
      [0.6, 20],
      [4, 2.1],
      [1, 0.51],
    ] as const) {
      const { sensitivity, weight } = countedGrid(z, countSigma, 14, 2 ** -9)
      const sigma = z * sensitivity
      const ofSum = gridSensitivity({ maxNorm: 1, dimension: 14, step: 2 ** -9 })
      // weight is rounded to a whole number: what it moves is exact in the joint cost
      expect(Math.abs(sigma / (2 * weight) / countSigma - 1)).toBeLessThan(1 / weight)
      expect(sigma / ofSum / clippedSumNoiseMultiplier(z, sigma / (2 * weight))).toBeCloseTo(1, 9)
      expect((ofSum / sigma) ** 2 + (weight / sigma) ** 2).toBeCloseTo(z ** -2, 9)
    }
  })
  it("is the flat sum in units of the clip norm, and counts", () => {
    const grid = countedGrid(1, 3, 4, 2 ** -8)
    const given = [1, 2, 3, 0.1].map((x) => Float64Array.from([0, x, 0, 0]))
    const { weight } = grid
    expect([...countedClippedSum(given, 2, grid)]).toEqual([0, 128 + 256 + 256 + 13, 0, 0, 2 * weight])
    expect([...countedClippedSum(given, 0.5, grid)]).toEqual([0, 3 * 256 + 51, 0, 0, -2 * weight])
    expect([...countedClippedSum([], 2, grid)]).toEqual([0, 0, 0, 0, 0])
    // a power of two as clip norm is the flat grid to the last bit
    const flat = clippedSum(rows(7, 4, 3), { maxNorm: 2, dimension: 4, step: 2 ** -7 })
    expect(countedClippedSum(rows(7, 4, 3), 2, grid).slice(0, 4)).toEqual(flat)
  })
  it("gives a count of hardly any cost the least weight there is", () => {
    expect(countedGrid(1, 1e9, 4, 2 ** -8).weight).toBe(1)
  })
})
