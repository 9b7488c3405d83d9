import { uniformUnit } from "@consilium/base/random"
import { insecureSeededRandom } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import { guessExtremes, type OneRun, oneRunEpsilon, oneRunProbability } from "../src/audit/one-run.js"
import { FastDiscreteGaussian } from "../src/fast-discrete-gaussian.js"
import { gaussianEpsilon } from "../src/gaussian-analytic.js"
import { makeRandomizedResponse } from "../src/randomized-response.js"
import { exactly } from "../src/rational.js"

/** The bound in whole numbers, for e^epsilon = odds and delta = 1 / oneIn: the theorem, term by term. */
const obvious = ({ canaries, guesses, correct }: OneRun, odds: bigint, oneIn: bigint): number => {
  const choose = (n: bigint, k: bigint): bigint => (k === 0n ? 1n : (choose(n, k - 1n) * (n - k + 1n)) / k)
  const r = BigInt(guesses)
  const all = (odds + 1n) ** r
  const atLeast = (from: number): bigint => {
    let sum = 0n
    for (let k = BigInt(Math.max(0, from)); k <= r; k++) sum += choose(r, k) * odds ** k
    return sum
  }
  const digits = 10n ** 30n
  let steepest = 0n
  for (let i = 1; i <= canaries; i++) {
    const between = atLeast(correct - i) - atLeast(correct)
    const slope = (between * digits) / (all * BigInt(i))
    if (slope > steepest) steepest = slope
  }
  const beta = (atLeast(correct) * digits) / all
  return Math.min(1, Number(beta + (2n * BigInt(canaries) * steepest) / oneIn) / 1e30)
}

describe("what one run can show", () => {
  it.each([
    [{ canaries: 30, guesses: 20, correct: 17 }, 3n, 1000n],
    [{ canaries: 40, guesses: 40, correct: 31 }, 2n, 100_000n],
    [{ canaries: 25, guesses: 10, correct: 10 }, 7n, 500n],
    [{ canaries: 12, guesses: 12, correct: 3 }, 1n, 50n],
    [{ canaries: 9, guesses: 4, correct: 0 }, 4n, 10n],
  ] as const)("agrees with the theorem in whole numbers, %o", (run, odds, oneIn) => {
    const found = oneRunProbability(run, Math.log(Number(odds)), 1 / Number(oneIn))
    expect(Math.abs(found / obvious(run, odds, oneIn) - 1)).toBeLessThan(1e-12)
  })

  // SciPy 1.17.1: stats.binom.sf and cdf, optimize.brentq
  it.each([
    [1000, 1000, 600, 0.2, 1e-5, 0.0010232412152254599],
    [1000, 100, 90, 1.5, 1e-5, 0.018764588474672005],
    [100_000, 1500, 1429, 2.5, 1e-5, 0.032426468691744426],
    [100, 100, 100, 3, 0, 0.007760293235863748],
    [200, 50, 40, 0.3, 1e-3, 0.024289978197174676],
  ])(
    "known probabilities: %d canaries, %d guesses, %d right",
    (canaries, guesses, correct, epsilon, delta, p) => {
      expect(oneRunProbability({ canaries, guesses, correct }, epsilon, delta) / p).toBeCloseTo(1, 9)
    },
  )
  it.each([
    [1000, 1000, 600, 1e-5, 0.95, 0.29722695371876245],
    [1000, 100, 95, 1e-5, 0.95, 2.1651757997140515],
    [100, 100, 100, 0, 0.95, 3.4929654311522866],
    [100_000, 1500, 1429, 1e-5, 0.95, 2.6687544936070986],
    [500, 500, 480, 1e-4, 0.99, 2.620417191590772],
  ])(
    "known bounds: %d canaries, %d guesses, %d right",
    (canaries, guesses, correct, delta, confidence, epsilon) => {
      const found = oneRunEpsilon({ canaries, guesses, correct }, delta, confidence)
      expect(found).toBeLessThanOrEqual(epsilon)
      expect(found).toBeGreaterThan(epsilon - 1e-8)
    },
  )

  it("is 0 where guessing does no better than a coin, and refuses what cannot be", () => {
    expect(oneRunEpsilon({ canaries: 100, guesses: 100, correct: 55 }, 1e-5, 0.95)).toBe(0)
    expect(oneRunEpsilon({ canaries: 100, guesses: 0, correct: 0 }, 1e-5, 0.95)).toBe(0)
    expect(() => oneRunEpsilon({ canaries: 10, guesses: 11, correct: 1 }, 0, 0.95)).toThrow("11 of 10")
    expect(() => oneRunEpsilon({ canaries: 10, guesses: 4, correct: 5 }, 0, 0.95)).toThrow("5 of 4")
    expect(() => oneRunEpsilon({ canaries: 10, guesses: 4, correct: 1 }, 0, 1)).toThrow("confidence")
  })

  it("guesses the extremes", () => {
    const scores = [5, -1, 3, 0, 9, -7]
    const included = [true, false, false, false, true, true]
    expect(guessExtremes(scores, included, 4)).toEqual({ canaries: 6, guesses: 4, correct: 3 })
    expect(() => guessExtremes(scores, included, 3)).toThrow("1.5 of 6")
  })
})

const RUNS = 200
const CONFIDENCE = 0.95
const coins = (random: ReturnType<typeof insecureSeededRandom>, m: number): readonly boolean[] =>
  Array.from({ length: m }, () => uniformUnit(random) < 0.5)

// of 200 bounds at 95 % at most 24 may fail: more come of one sound build in 4,000; the seed keeps it the same each time
const MOST_FAILURES = 24

describe("the bound over many runs of a mechanism whose epsilon is known", () => {
  it("randomised response: it stays below in 95 %, and comes close", () => {
    const epsilon = 1
    const random = insecureSeededRandom(1, "one-run", "response")
    const response = makeRandomizedResponse(epsilon)
    const bounds = Array.from({ length: RUNS }, () => {
      const included = coins(random, 1000)
      const scores = included.map((inside) => response.apply(inside ? 1 : 0, random))
      // ties are broken by place, which tells nothing: every answer is a guess
      const correct = scores.filter((answer, i) => (answer === 1) === included[i]).length
      return oneRunEpsilon({ canaries: 1000, guesses: 1000, correct }, 0, CONFIDENCE)
    })
    expect(bounds.filter((bound) => bound > epsilon).length).toBeLessThanOrEqual(MOST_FAILURES)
    expect(bounds.reduce((sum, bound) => sum + bound, 0) / RUNS).toBeGreaterThan(0.85)
  })

  it.each([
    [1, 0.35],
    [2, 0.2],
  ])("noise of %f sensitivities: it stays below, and finds %f of it", (noise, share) => {
    const delta = 1e-5
    const epsilon = gaussianEpsilon(noise, delta)
    const grid = 64
    const random = insecureSeededRandom(2, "one-run", String(noise))
    const gaussian = new FastDiscreteGaussian(exactly((noise * grid) ** 2), random)
    const bounds = Array.from({ length: 20 }, () => {
      const included = coins(random, 1000)
      const noise = gaussian.samples(1000)
      const scores = included.map((inside, i) => (inside ? grid : 0) + Number(noise[i]))
      return oneRunEpsilon(guessExtremes(scores, included, 200), delta, CONFIDENCE)
    })
    for (const bound of bounds) expect(bound).toBeLessThan(epsilon)
    expect(bounds.reduce((sum, bound) => sum + bound, 0) / bounds.length).toBeGreaterThan(share * epsilon)
  })
})
