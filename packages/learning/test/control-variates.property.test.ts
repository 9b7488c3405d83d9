import { insecureSeededRandom } from "@consilium/base/testing"
import { type Architecture, initialParameters } from "@consilium/learning/architecture"
import { startCursor } from "@consilium/learning/batches"
import { movedCommon, nextControl } from "@consilium/learning/control-variates"
import { type LocalTraining, trainLocally } from "@consilium/learning/train"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { randomExamples } from "./tables.js"

const COLUMNS = 3
const architecture: Architecture = { kind: "logistic-regression", inputs: COLUMNS }
const RULE = { steps: 7, learningRate: 0.25 }

const vectorOf = (seed: number, name: string): Float64Array =>
  initialParameters(architecture, insecureSeededRandom(seed, name))
const training = (seed: number, change: Partial<LocalTraining> = {}): LocalTraining => ({
  architecture,
  parameters: vectorOf(seed, "initial"),
  examples: randomExamples(insecureSeededRandom(seed, "examples"), 11, COLUMNS),
  ...RULE,
  batchSize: 11,
  cursor: startCursor(),
  random: insecureSeededRandom(seed, "batches"),
  ...change,
})
const bits = (values: Float64Array): readonly bigint[] => [...new BigUint64Array(values.buffer)]
const near = (found: Float64Array, expected: ArrayLike<number>, within: number): void => {
  for (const [j, value] of found.entries())
    expect(Math.abs(value - (expected[j] as number))).toBeLessThan(within)
}
const seeds = fc.integer({ min: 0, max: 1 << 20 })
const shares = fc.double({ min: 0.05, max: 1, noNaN: true })

describe("the correction of local steps", () => {
  it("of two equal control variates gives the bits of steps without one", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const own = vectorOf(seed, "control")
        const corrected = trainLocally(training(seed, { correction: { own, common: own.slice() } }))
        expect(bits(corrected.parameters)).toEqual(bits(trainLocally(training(seed)).parameters))
      }),
      { numRuns: 40 },
    )
  })

  it("moves every step by the rate times what the common one is over the own one", () => {
    const own = vectorOf(1, "own")
    const common = vectorOf(1, "common")
    const one = training(1, { steps: 1 })
    const plain = trainLocally(one).parameters
    const corrected = trainLocally({ ...one, correction: { own, common } }).parameters
    near(
      corrected,
      plain.map((w, j) => w - 0.25 * ((common[j] as number) - (own[j] as number))),
      1e-15,
    )
  })

  it("refuses control variates of another length, and such as are not finite", () => {
    for (const own of [new Float64Array(2), Float64Array.of(0, 0, Number.NaN, 0)])
      expect(() => trainLocally(training(1, { correction: { own, common: new Float64Array(4) } }))).toThrow(
        /^A control variate of \d values does not fit 4 parameters, or is not finite\.$/,
      )
  })
})

describe("control variates after a round", () => {
  it("a facility's own is the mean of the gradients that it met, whatever corrected its steps", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const correction = { own: vectorOf(seed, "own"), common: vectorOf(seed, "common") }
        const met = [new Float64Array(COLUMNS + 1)]
        let w = vectorOf(seed, "initial")
        const first = w
        for (let step = 0; step < RULE.steps; step++) {
          const one = training(seed, { steps: 1, parameters: w })
          const plain = trainLocally(one).parameters
          met.push(plain.map((value, j) => ((w[j] as number) - value) / RULE.learningRate))
          w = trainLocally({ ...one, correction }).parameters
        }
        const update = w.map((value, j) => value - (first[j] as number))
        const mean = update.map(
          (_, j) => met.reduce((sum, slope) => sum + (slope[j] as number), 0) / RULE.steps,
        )
        near(nextControl(correction, update, RULE), mean, 1e-12)
      }),
      { numRuns: 40 },
    )
  })

  it("the common one moves by the mean of what the own ones of the cohort move by, times the cohort's share", () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 6 }), shares, (seed, cohort, share) => {
        const common = vectorOf(seed, "common")
        const updates = Array.from({ length: cohort }, (_, i) => vectorOf(seed, `update-${i}`))
        const moves = updates.map((update, i) => {
          const own = vectorOf(seed, `own-${i}`)
          return nextControl({ own, common }, update, RULE).map((value, j) => value - (own[j] as number))
        })
        const meanOf = (all: readonly Float64Array[]): Float64Array =>
          common.map((_, j) => all.reduce((sum, one) => sum + (one[j] as number), 0) / cohort)
        const mean = meanOf(moves)
        near(
          movedCommon(common, meanOf(updates), share, RULE),
          common.map((c, j) => c + share * (mean[j] as number)),
          1e-12,
        )
      }),
      { numRuns: 60 },
    )
  })

  it("are refused for no steps, an impossible share, and an update that overflows", () => {
    const zero = new Float64Array(4)
    const code = (run: () => unknown): unknown => {
      try {
        return run()
      } catch (error) {
        return (error as { code: string }).code
      }
    }
    expect(code(() => nextControl({ own: zero, common: zero }, zero, { ...RULE, steps: 0 }))).toBe(
      "learning/bad-setting",
    )
    for (const share of [0, 1.01, Number.NaN])
      expect(code(() => movedCommon(zero, zero, share, RULE))).toBe("learning/bad-setting")
    const huge = new Float64Array(4).fill(1e308)
    expect(code(() => movedCommon(zero, huge, 1, { steps: 1, learningRate: 1e-9 }))).toBe("learning/diverged")
  })

  it("never hold a negative zero, which has no canonical bytes", () => {
    const zero = new Float64Array(4)
    for (const values of [
      nextControl({ own: zero, common: zero }, zero, RULE),
      movedCommon(zero, zero, 1, RULE),
    ])
      for (const value of values) expect(Object.is(value, 0)).toBe(true)
  })
})
