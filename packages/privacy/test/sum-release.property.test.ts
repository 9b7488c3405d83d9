import fc from "fast-check"
import { describe, expect, it } from "vitest"
import {
  type RowClipping,
  type SumRelease,
  type SumReleaseParameters,
  sumRelease,
} from "../src/sum-release.js"

const DIMENSION = 5
const FLAT: SumReleaseParameters = { noiseMultiplier: 1.3, maxGradNorm: 0.7, dimension: DIMENSION }
const norms = [0.6, Math.sqrt(0.13)] as const
const LAYERS: RowClipping = {
  type: "per-layer",
  layers: [
    { size: 3, maxNorm: norms[0] },
    { size: 2, maxNorm: norms[1] },
  ],
}
const ADAPTIVE: RowClipping = {
  type: "adaptive",
  rule: { targetQuantile: 0.5, learningRate: 0.2, minimum: 1e-3, maximum: 1e3 },
  countSigma: 2,
}
const RELEASES: readonly (readonly [string, SumReleaseParameters])[] = [
  ["flat", FLAT],
  ["per layer", { ...FLAT, clipping: LAYERS }],
  ["adaptive", { ...FLAT, clipping: ADAPTIVE }],
  ["Laplace", { ...FLAT, mechanism: "laplace" }],
]
const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.double({ min: -1, max: 1, noNaN: true }),
  fc.constantFrom(0, -0, 0.7, 0.35, 1e-300, 5e-324),
)
const rowOf = fc
  .array(number, { minLength: DIMENSION, maxLength: DIMENSION })
  .map((values) => Float64Array.from(values))
const sensitivityOf = ({ event }: SumRelease): number => {
  if (event.type === "discrete-gaussian-vector") return event.l2Sensitivity
  if (event.type === "discrete-laplace") return event.sensitivity
  throw new Error(`no sensitivity: ${event.type}`)
}

describe.each(RELEASES)("one row more or less, clipped %s", (name, parameters) => {
  const release = sumRelease(parameters)
  const normOf = (moved: readonly number[]): number =>
    name === "Laplace"
      ? moved.reduce((sum, v) => sum + Math.abs(v), 0)
      : Math.sqrt(moved.reduce((sum, v) => sum + v * v, 0))

  it("moves the whole numbers before noise by at most the sensitivity that is charged", () => {
    fc.assert(
      fc.property(
        fc.array(rowOf, { maxLength: 4 }),
        rowOf,
        fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
        (others, row, clipNorm) => {
          const at = name === "adaptive" ? clipNorm : 0.7
          const without = release.sum(others, at)
          const moved = Array.from(release.sum([...others, row], at), (v, i) => v - (without[i] as number))
          expect(moved.every(Number.isInteger)).toBe(true)
          expect(normOf(moved)).toBeLessThanOrEqual(sensitivityOf(release) * (1 + 2 ** -50))
        },
      ),
      { numRuns: 1000 },
    )
  })

  it("and some row moves them by nearly that", () => {
    const least = sensitivityOf(release) * 0.985
    const far = Float64Array.from([90, -90, 90, 90, -90])
    expect(normOf([...release.sum([far], 0.7)])).toBeGreaterThan(least)
  })

  it("noise is the multiplier times the sensitivity", () => {
    expect(release.noise).toBe(1.3 * sensitivityOf(release))
  })
})

describe("what goes together", () => {
  it("layers cost no more than the whole row", () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(sizes, fc.double({ min: 0.01, max: 100, noNaN: true }), (parts, maxGradNorm) => {
        const dimension = parts.reduce((sum, size) => sum + size, 0)
        const layers = parts.map((size) => ({ size, maxNorm: maxGradNorm * Math.sqrt(size / dimension) }))
        const whole = sumRelease({ ...FLAT, maxGradNorm, dimension })
        const layered = sumRelease({
          ...FLAT,
          maxGradNorm,
          dimension,
          clipping: { type: "per-layer", layers },
        })
        expect(sensitivityOf(layered)).toBeLessThanOrEqual(sensitivityOf(whole) * (1 + 1e-12))
        expect(layered.noise / sensitivityOf(layered)).toBeCloseTo(1.3, 12)
      }),
    )
  })

  it.each<[string, Partial<SumReleaseParameters>]>([
    ["layers that are not the row", { dimension: 6, clipping: LAYERS }],
    ["layers that are longer than the row", { maxGradNorm: 0.69, clipping: LAYERS }],
    ["no layers", { clipping: { type: "per-layer", layers: [] } }],
    ["a layer without a norm", { clipping: { type: "per-layer", layers: [{ size: 5, maxNorm: 0 }] } }],
    ["Laplace noise by layers", { mechanism: "laplace", clipping: LAYERS }],
    ["Laplace noise on an adapted norm", { mechanism: "laplace", clipping: ADAPTIVE }],
    ["a count that costs more than all", { clipping: { ...ADAPTIVE, countSigma: 0.65 } }],
    ["a first norm outside the limits", { maxGradNorm: 1e-4, clipping: ADAPTIVE }],
    ["a grid that swallows every row", { mechanism: "laplace", dimension: 1, gridStep: 4 }],
    ["less noise than none", { noiseMultiplier: -1 }],
  ])("refuses %s", (_, changes) => {
    expect(() => sumRelease({ ...FLAT, ...changes })).toThrow(
      expect.objectContaining({ code: "privacy/bad-parameter" }),
    )
  })
})
