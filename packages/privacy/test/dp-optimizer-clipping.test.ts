import { insecureSeededRandom } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import { nextClipNorm } from "../src/adaptive-clipping.js"
import { gridSensitivity } from "../src/clipped-sum.js"
import { countedGrid } from "../src/counted-clipped-sum.js"
import { DpOptimizer, type DpOptimizerParameters } from "../src/dp-optimizer.js"
import {
  composedEvent,
  discreteGaussianEvent,
  discreteGaussianVectorEvent,
  dpSgdEvent,
  poissonSampledEvent,
} from "../src/events.js"
import { PldAccountant } from "../src/pld.js"
import { RdpAccountant } from "../src/rdp.js"
import type { RowClipping } from "../src/sum-release.js"
import { chiSquareRatio, countsOf, gaussianWeight, idealCells } from "./goodness-of-fit.js"

const rule = { targetQuantile: 0.5, learningRate: 0.3, minimum: 0.01, maximum: 50 }
const ADAPTIVE = { type: "adaptive", rule, countSigma: 3 } as const
const LAYERS: RowClipping = {
  type: "per-layer",
  layers: [
    { size: 3, maxNorm: 0.8 },
    { size: 1, maxNorm: 0.6 },
  ],
}
const optimizer = (changes: Partial<DpOptimizerParameters> = {}, seed = "clipping") =>
  new DpOptimizer({
    noiseMultiplier: 1.1,
    maxGradNorm: 1,
    sampleRate: 0.1,
    datasetSize: 200,
    dimension: 4,
    learningRate: 0.5,
    random: insecureSeededRandom(seed),
    accountant: new RdpAccountant({ orders: [2, 8, 32] }),
    ...changes,
  })
const laplaceWeight =
  (scale: number) =>
  (x: number): number =>
    Math.exp(-Math.abs(x) / scale)

describe("noise on sums of clipped rows", () => {
  const COARSE = 2 ** -1
  /** Sums over batches that are surely empty. */
  const noiseOf = (changes: Partial<DpOptimizerParameters>) => {
    const dp = optimizer({ sampleRate: 2 ** -40, dimension: 3, gridStep: COARSE, ...changes }, "noise")
    const values: number[] = []
    for (let i = 0; i < 4000; i++) {
      expect(dp.nextBatch()).toHaveLength(0)
      values.push(...Array.from(dp.noisyClippedSum([]), Number))
    }
    return { values, dp }
  }
  const fits = (values: readonly number[], weight: (x: number) => number): number =>
    chiSquareRatio(
      countsOf(values, -40, 40),
      idealCells(weight, -40, 40, 2000).map((share) => share * values.length),
    )

  it("is discrete Laplace noise of the scale that is charged", () => {
    const { values, dp } = noiseOf({ mechanism: "laplace" })
    expect(dp.sigma).toBeCloseTo(1.1 * 3, 12)
    expect(fits(values, laplaceWeight(dp.sigma))).toBeLessThan(1)
    // and the test tells a tenth less noise, and noise of the other kind, apart
    expect(fits(values, laplaceWeight(0.9 * dp.sigma))).toBeGreaterThan(1)
    expect(fits(values, gaussianWeight(dp.sigma * Math.SQRT2))).toBeGreaterThan(1)
  })

  it("is discrete Gaussian noise of the standard deviation that is charged, by layers too", () => {
    const layers = [
      { size: 2, maxNorm: 0.8 },
      { size: 1, maxNorm: 0.6 },
    ]
    const { values, dp } = noiseOf({ clipping: { type: "per-layer", layers } })
    expect(dp.sigma).toBeCloseTo(1.1 * Math.hypot(1.6 + Math.SQRT1_2, 1.2 + 0.5), 10)
    expect(fits(values, gaussianWeight(dp.sigma))).toBeLessThan(1)
    expect(fits(values, gaussianWeight(0.9 * dp.sigma))).toBeGreaterThan(1)
  })

  it("keeps its ratio to the sensitivity while the clip norm moves", () => {
    const { values, dp } = noiseOf({ clipping: ADAPTIVE })
    // hardly a row is expected, so the noisy count drives the norm from one limit to the other
    expect(fits(values, gaussianWeight(dp.sigma))).toBeLessThan(1)
    expect(fits(values, gaussianWeight(0.9 * dp.sigma))).toBeGreaterThan(1)
  })
})

describe("adaptive clipping in training", () => {
  it("costs what a single Gaussian vector of the noise multiplier costs: the count is one more entry", () => {
    for (const countSigma of [0.7, 3, 1e6]) {
      const accountant = new RdpAccountant()
      const { event } = optimizer({ clipping: { ...ADAPTIVE, countSigma } })
      const spent = accountant.compose(event, 300).getEpsilon(1e-5)
      const flat = accountant.compose(optimizer().event, 300).getEpsilon(1e-5)
      expect(spent / flat).toBeCloseTo(1, 9)
      // and no less than Gaussian noise of that multiplier truly costs
      const truth = new PldAccountant().compose(dpSgdEvent(1.1, 0.1, 300)).getEpsilon(1e-5)
      expect(spent).toBeGreaterThan(truth)
    }
  })

  it("costs no less than its sum and its count, one after the other on the same sample, without sampling exactly that", () => {
    const grid = countedGrid(1.1, 3, 4, 2 ** -8)
    const sigma = 1.1 * grid.sensitivity
    const both = composedEvent([
      discreteGaussianVectorEvent(sigma, gridSensitivity({ maxNorm: 1, dimension: 4, step: 2 ** -8 })),
      discreteGaussianEvent(sigma, grid.weight),
    ])
    const joint = discreteGaussianVectorEvent(sigma, grid.sensitivity)
    const spent = (event: Parameters<RdpAccountant["compose"]>[0]) =>
      new RdpAccountant().compose(event, 50).getEpsilon(1e-5)
    expect(spent(joint) / spent(both)).toBeCloseTo(1, 9)
    // on samples the accountant must take two events for dependent ones, which is dearer
    expect(spent(poissonSampledEvent(0.1, joint))).toBeLessThanOrEqual(spent(poissonSampledEvent(0.1, both)))
  })

  it("finds the quantile of the norms that it is told to, from above and from below", () => {
    // norms 0.1, 0.2, ..., 20
    const rowOf = (row: number) => Float64Array.from([0, (row + 1) / 10, 0, 0])
    for (const targetQuantile of [0.25, 0.7])
      for (const start of [0.05, 40]) {
        const clipping: RowClipping = { ...ADAPTIVE, rule: { ...rule, targetQuantile } }
        const dp = optimizer({ clipping, maxGradNorm: start, sampleRate: 0.5 }, "quantile")
        let mean = 0
        for (let step = 0; step < 240; step++) {
          dp.noisyClippedSum(Array.from(dp.nextBatch(), rowOf))
          if (step >= 80) mean += dp.clipNorm / 160
        }
        expect(mean / (20 * targetQuantile)).toBeGreaterThan(0.85)
        expect(mean / (20 * targetQuantile)).toBeLessThan(1.15)
      }
  })

  it("moves by the noisy count alone: the rule of the paper on what was released", () => {
    const dp = optimizer({ clipping: { ...ADAPTIVE, countSigma: 40 }, noiseMultiplier: 0.01, sampleRate: 1 })
    const rows = Array.from({ length: 200 }, (_, i) => Float64Array.from([i < 50 ? 0.5 : 2, 0, 0, 0]))
    dp.nextBatch()
    const { step } = dp.grid
    const sum = dp.noisyClippedSum(rows)
    expect(Number(sum[0]) * step).toBeCloseTo(50 * 0.5 + 150, 0)
    expect(sum).toHaveLength(4)
    expect(dp.clipNorm / nextClipNorm(1, 0.25, rule)).toBeCloseTo(1, 1)
    expect(dp.grid.step / step).toBeCloseTo(dp.clipNorm, 12)
  })

  it("never moves by the exact count: with the same rows, each noise leads to another norm", () => {
    const norms = Array.from({ length: 20 }, (_, seed) => {
      const dp = optimizer({ clipping: ADAPTIVE, sampleRate: 1 }, `count ${seed}`)
      dp.noisyClippedSum(Array.from(dp.nextBatch(), () => new Float64Array(4)))
      return dp.clipNorm
    })
    expect(new Set(norms).size).toBe(20)
    // the deviation of a share is countSigma / rows, and the rule multiplies it by its learning rate
    const logs = norms.map((norm) => Math.log(norm))
    const mean = logs.reduce((sum, x) => sum + x, 0) / 20
    const deviation = Math.sqrt(logs.reduce((sum, x) => sum + (x - mean) ** 2, 0) / 19)
    expect(mean).toBeCloseTo(-0.3 * 0.5, 2)
    expect(deviation / ((0.3 * 3) / 200)).toBeGreaterThan(0.5)
    expect(deviation / ((0.3 * 3) / 200)).toBeLessThan(1.6)
  })

  it("stays within its limits however long batches are empty or rows are far out", () => {
    for (const [value, quantile, limit] of [
      [1e300, 0.9, 50],
      [0, 0.1, 0.01],
    ] as const) {
      const clipping: RowClipping = { ...ADAPTIVE, rule: { ...rule, targetQuantile: quantile } }
      const dp = optimizer({ clipping, sampleRate: 1 }, "limits")
      for (let i = 0; i < 60; i++)
        dp.noisyClippedSum(Array.from(dp.nextBatch(), () => new Float64Array(4).fill(value)))
      expect(dp.clipNorm).toBe(limit)
    }
    const nobody = optimizer({ clipping: ADAPTIVE, sampleRate: 1e-6 }, "nobody")
    const parameters = new Float64Array(4)
    for (let i = 0; i < 200; i++) {
      nobody.step(
        parameters,
        Array.from(nobody.nextBatch(), () => new Float64Array(4)),
      )
      expect(nobody.clipNorm).toBeGreaterThanOrEqual(rule.minimum)
      expect(nobody.clipNorm).toBeLessThanOrEqual(rule.maximum)
    }
    expect(parameters.every(Number.isFinite)).toBe(true)
  })

  it("goes on from the norm it is given, with the same noise and the same charge", () => {
    const first = optimizer({ clipping: ADAPTIVE }, "resume")
    first.nextBatch()
    const second = optimizer({ clipping: ADAPTIVE, clipNorm: 3.7 }, "resume")
    expect(second.clipNorm).toBe(3.7)
    expect(second.event).toEqual(first.event)
    expect(second.sigma).toBe(first.sigma)
    expect(second.grid.step / first.grid.step).toBeCloseTo(3.7, 12)
  })

  it.each<[string, Partial<DpOptimizerParameters>]>([
    ["a norm to go on from outside its limits", { clipping: ADAPTIVE, clipNorm: 51 }],
    ["another norm without adapting", { clipNorm: 2 }],
    ["a quantile above 1", { clipping: { ...ADAPTIVE, rule: { ...rule, targetQuantile: 1.5 } } }],
    ["limits the wrong way round", { clipping: { ...ADAPTIVE, rule: { ...rule, minimum: 60 } } }],
    ["layers and a batch rate of 2", { clipping: LAYERS, sampleRate: 2 }],
  ])("refuses %s", (_, changes) => {
    expect(() => optimizer(changes)).toThrow(expect.objectContaining({ code: "privacy/bad-parameter" }))
  })
})

it("learns the same with layers and with Laplace noise where there is little noise", () => {
  const source = insecureSeededRandom("rows")
  const rows = Array.from({ length: 300 }, () => {
    const x = Float64Array.from([...Array.from(source.bytes(3), (byte) => byte / 127.5 - 1), 1])
    return { x, y: (x[0] as number) - 0.5 * (x[1] as number) > 0 ? 1 : 0 }
  })
  const score = (w: Float64Array, x: Float64Array) =>
    1 / (1 + Math.exp(-x.reduce((sum, v, i) => sum + v * (w[i] as number), 0)))
  for (const changes of [{ clipping: LAYERS }, { mechanism: "laplace" }, { clipping: ADAPTIVE }] as const) {
    const dp = optimizer({ ...changes, datasetSize: 300, learningRate: 4, sampleRate: 0.3 }, "learn")
    const w = new Float64Array(4)
    for (let t = 0; t < 60; t++)
      dp.step(
        w,
        Array.from(dp.nextBatch(), (r) => {
          const { x, y } = rows[r] as (typeof rows)[number]
          return x.map((v) => v * (score(w, x) - y))
        }),
      )
    expect(rows.filter(({ x, y }) => score(w, x) > 0.5 === (y === 1)).length / 300).toBeGreaterThan(0.85)
  }
})
