import { clippedSumNoiseMultiplier, nextClipNorm, unclippedShare } from "@consilium/privacy/adaptive-clipping"
import {
  type DistributedGaussian,
  distributedEpsilon,
  distributedEvent,
  distributedRho,
  roundedL2,
  sumOfDiscreteGaussiansGap,
} from "@consilium/privacy/distributed"
import { RdpAccountant } from "@consilium/privacy/rdp"
import { epsilonOfOrder } from "@consilium/privacy/rdp-conversion"
import { describe, expect, it } from "vitest"

const BETA = Math.exp(-0.5)
const setting = (
  granularity: number,
  localSigma: number,
  parties: number,
  dimension: number,
): DistributedGaussian => ({ clip: 1, granularity, localSigma, parties, dimension, beta: BETA })

describe("distributed discrete Gaussian", () => {
  // computed with the authors' code, which takes whole orders only; over all orders there is a smaller epsilon
  it.each([
    [0.001, 0.5, 10, 1024, 1, 2.8161443678],
    [0.01, 1, 5, 16_384, 50, 24.3866311],
  ])(
    "step %d, share %d, %d parties, length %d, %d sums",
    (step, sigma, parties, dimension, steps, epsilon) => {
      const x = setting(step, sigma, parties, dimension)
      const rho = steps * distributedRho(x)
      let whole = Infinity
      for (let order = 2; order <= 256; order++)
        whole = Math.min(whole, epsilonOfOrder(order, order * rho, 1e-5))
      expect(whole / epsilon).toBeCloseTo(1, 8)
      const own = distributedEpsilon(x, steps, 1e-5)
      expect(own).toBeLessThanOrEqual(whole)
      expect(own).toBeGreaterThan(whole * 0.98)
      const ledger = new RdpAccountant().compose(distributedEvent(x), steps).getEpsilon(1e-5)
      expect(ledger).toBeGreaterThanOrEqual(own)
      expect(ledger / own).toBeLessThan(1.01)
    },
  )

  it("vectors that are whole already cost as much as any that are rounded to the same norm", () => {
    const rounded = setting(0.01, 0.5, 10, 1024)
    const norm = roundedL2(rounded)
    const whole = { ...rounded, clip: norm, whole: true }
    expect(roundedL2(whole)).toBe(norm)
    expect(distributedEvent(whole)).toEqual(distributedEvent(rounded))
  })

  it("fewer honest parties, coarser steps and more entries cost more", () => {
    const base = distributedRho(setting(0.01, 0.5, 10, 1024))
    expect(distributedRho(setting(0.01, 0.5, 9, 1024))).toBeGreaterThan(base)
    expect(distributedRho(setting(0.02, 0.5, 10, 1024))).toBeGreaterThan(base)
    expect(distributedRho(setting(0.01, 0.5, 10, 2048))).toBeGreaterThan(base)
    expect(distributedRho({ ...setting(0.01, 0.5, 10, 1024), beta: 0 })).toBeGreaterThan(base)
    expect(distributedRho(setting(0, 0.5, 10, 1024))).toBe(0.5 / 10 / 0.25)
  })

  it("noise of a grid step or less is not a discrete Gaussian any more, and is charged", () => {
    const fine = sumOfDiscreteGaussiansGap(setting(0.1, 0.3, 3, 4))
    expect(fine).toBeLessThan(1e-30)
    // 10 (e^(-2 pi^2 / 4 / 2) + e^(-2 pi^2 / 4 * 2 / 3)) at a deviation of half a step
    const x = Math.PI * Math.PI
    expect(sumOfDiscreteGaussiansGap(setting(0.2, 0.1, 3, 4))).toBeCloseTo(
      10 * (Math.exp(-x / 4) + Math.exp(-x / 3)),
      12,
    )
    // with so little noise the two forms differ: the first is the lesser with much clipping, the second with little
    const coarse = setting(0.2, 0.1, 3, 4)
    const gap = sumOfDiscreteGaussiansGap(coarse)
    const ratio = (clip: number) => roundedL2({ ...coarse, clip }) / (Math.sqrt(3) * 0.1)
    expect(distributedRho(coarse)).toBeCloseTo((ratio(1) ** 2 + gap * 2) / 2, 9)
    expect(distributedRho(coarse)).toBeGreaterThan(ratio(1) ** 2 / 2 + 0.5)
    const far = setting(0.2, 0.1, 1e9, 4)
    expect(sumOfDiscreteGaussiansGap(far)).toBeLessThan(10 * 1e9 * Math.exp(-x / 2) * 1.01)
    expect(sumOfDiscreteGaussiansGap(far)).toBeGreaterThan(10 * 1e9 * Math.exp(-x / 2) * 0.99)
  })

  it("has the right limits and refuses what makes no sense", () => {
    expect(distributedEpsilon(setting(0.01, 0, 10, 4), 1, 1e-5)).toBe(Infinity)
    expect(distributedEpsilon(setting(0.01, 1, 0, 4), 1, 1e-5)).toBe(Infinity)
    expect(distributedEpsilon(setting(0.01, 1, 5, 4), 0, 1e-5)).toBe(0)
    expect(roundedL2({ ...setting(0.5, 1, 1, 4), beta: 0 })).toBe(2)
    for (const wrong of [
      setting(-1, 1, 1, 1),
      setting(1, NaN, 1, 1),
      setting(1, 1, 1.5, 1),
      setting(1, 1, 1, 0),
    ])
      expect(() => distributedRho(wrong)).toThrow(expect.objectContaining({ code: "privacy/bad-parameter" }))
  })
})

describe("adaptive clipping", () => {
  // Andrew et al. 2021, theorem 1
  it.each([
    [1, 5, 1.0050378],
    [1, 0.6, 1.8090681],
  ])("z %d, noise of the count %d", (z, sigma, expected) => {
    expect(clippedSumNoiseMultiplier(z, sigma) / expected).toBeCloseTo(1, 7)
  })
  it("the split costs as much as the whole", () => {
    const split = clippedSumNoiseMultiplier(1.3, 4)
    expect(split ** -2 + (2 * 4) ** -2).toBeCloseTo(1.3 ** -2, 12)
    expect(clippedSumNoiseMultiplier(0, 4)).toBe(0)
  })
  it("moves the clip norm towards the quantile", () => {
    const rule = { targetQuantile: 0.5, learningRate: 0.2, minimum: 0.01, maximum: 10 }
    expect(nextClipNorm(2, 0.9, rule)).toBeCloseTo(2 * Math.exp(-0.08), 12)
    expect(nextClipNorm(2, 0.1, rule)).toBeCloseTo(2 * Math.exp(0.08), 12)
    expect(nextClipNorm(2, 0.5, rule)).toBe(2)
    expect(nextClipNorm(2, 1e6, rule)).toBe(0.01)
    expect(nextClipNorm(2, -1e6, rule)).toBe(10)
    expect(unclippedShare(-3, 12)).toBe(0.25)
    // norms spread evenly over [0, 1]: the median is found
    let norm = 0.05
    for (let i = 0; i < 200; i++) norm = nextClipNorm(norm, Math.min(1, norm), rule)
    expect(norm).toBeCloseTo(0.5, 3)
  })
  it.each<[string, () => unknown]>([
    ["a count that costs more than all", () => clippedSumNoiseMultiplier(1, 0.5)],
    ["a count without noise", () => clippedSumNoiseMultiplier(1, 0)],
    [
      "a clip norm of 0",
      () => nextClipNorm(0, 0.5, { targetQuantile: 0.5, learningRate: 1, minimum: 1, maximum: 2 }),
    ],
    [
      "a share that is no number",
      () => nextClipNorm(1, NaN, { targetQuantile: 0.5, learningRate: 1, minimum: 1, maximum: 2 }),
    ],
    [
      "bounds the wrong way round",
      () => nextClipNorm(1, 0.5, { targetQuantile: 0.5, learningRate: 1, minimum: 3, maximum: 2 }),
    ],
    ["no rows", () => unclippedShare(1, 0)],
    ["a count that is no number", () => unclippedShare(Infinity, 1)],
  ])("refuses %s", (_, act) => {
    expect(act).toThrow(expect.objectContaining({ code: "privacy/bad-parameter" }))
  })
})
