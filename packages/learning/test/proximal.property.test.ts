import { insecureSeededRandom } from "@consilium/base/testing"
import { type Architecture, initialParameters } from "@consilium/learning/architecture"
import { nextBatch, startCursor } from "@consilium/learning/batches"
import type { Examples } from "@consilium/learning/data"
import { gradient } from "@consilium/learning/logistic"
import { type LocalTraining, trainLocally } from "@consilium/learning/train"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { distance, examplesOf, randomExamples } from "./tables.js"

const COLUMNS = 4
const architecture: Architecture = { kind: "logistic-regression", inputs: COLUMNS }
const training = (seed: number, change: Partial<LocalTraining> = {}): LocalTraining => ({
  architecture,
  parameters: initialParameters(architecture, insecureSeededRandom(seed, "initial")),
  examples: randomExamples(insecureSeededRandom(seed, "examples"), 23, COLUMNS),
  steps: 31,
  batchSize: 4,
  learningRate: 0.1,
  cursor: startCursor(),
  random: insecureSeededRandom(seed, "batches"),
  ...change,
})
const anchorOf = (seed: number): Float64Array =>
  initialParameters(architecture, insecureSeededRandom(seed, "anchor")).map((value) => 3 * value)

const seeds = fc.integer({ min: 0, max: 1 << 20 })
const muValues = fc.double({ min: 0, max: 5, noNaN: true })
const BITS = { numRuns: 60 }

describe("the proximal term", () => {
  it("mu 0 gives the bits of training without one", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const plain = trainLocally(training(seed))
        const proximal = trainLocally(training(seed, { proximal: { mu: 0, towards: anchorOf(seed) } }))
        expect([...new BigUint64Array(proximal.parameters.buffer)]).toEqual([
          ...new BigUint64Array(plain.parameters.buffer),
        ])
        expect(proximal.cursor).toEqual(plain.cursor)
      }),
      BITS,
    )
  })

  it("any other mu gives other parameters, from the same batches", () => {
    const plain = trainLocally(training(1))
    const proximal = trainLocally(training(1, { proximal: { mu: 1e-6, towards: anchorOf(1) } }))
    expect([...proximal.parameters]).not.toEqual([...plain.parameters])
    expect(proximal.cursor).toEqual(plain.cursor)
  })

  it("follows the slow reference: gradient descent on F(w) + mu / 2 |w - towards|^2, by differences of that function", () => {
    fc.assert(
      fc.property(seeds, muValues, (seed, mu) => {
        const given = training(seed, { steps: 9 })
        const towards = anchorOf(seed)
        const random = insecureSeededRandom(seed, "batches")
        let cursor = startCursor()
        let w = [...given.parameters]
        for (let step = 0; step < given.steps; step++) {
          const batch = nextBatch(cursor, given.examples.rows, given.batchSize, random)
          cursor = batch.cursor
          const objective = (at: readonly number[]): number => {
            const losses = [...batch.indices].map((row) => {
              const x = [...given.examples.features.subarray(COLUMNS * row, COLUMNS * (row + 1)), 1]
              const z = x.reduce((sum, value, j) => sum + value * at[j]!, 0)
              return Math.log1p(Math.exp(-Math.abs(z))) + Math.max(z, 0) - given.examples.labels[row]! * z
            })
            const pull = at.reduce((sum, value, j) => sum + (value - towards[j]!) ** 2, 0)
            return losses.reduce((sum, loss) => sum + loss, 0) / losses.length + (mu / 2) * pull
          }
          const h = 1e-5
          const moved = (j: number, by: number): number[] =>
            w.map((value, i) => (i === j ? value + by : value))
          w = w.map(
            (value, j) => value - (0.1 * (objective(moved(j, h)) - objective(moved(j, -h)))) / (2 * h),
          )
        }
        const found = trainLocally({ ...given, proximal: { mu, towards } })
        expect(distance(found.parameters, w)).toBeLessThan(1e-8)
      }),
      BITS,
    )
  })

  // worked out in Python
  it.each([
    {
      rows: [[2]],
      labels: [1],
      start: [0.5, -0.25],
      towards: [0.1, 0.2],
      learningRate: 0.5,
      mu: 0.3,
      after: [
        [0.760821300824607, -0.022089349587696483],
        [0.8441902698308037, 0.10247013491540188],
        [0.8755301893134811, 0.1885838446567406],
      ],
    },
    {
      rows: [
        [1, -2],
        [0.5, 3],
      ],
      labels: [1, 0],
      start: [0.2, 0.1, -0.3],
      towards: [0.2, 0.1, -0.3],
      learningRate: 0.25,
      mu: 2,
      after: [
        [0.23899411538402363, -0.24047782450751723, -0.2938170838334101],
        [0.25075808532376065, -0.27772293532231074, -0.28376776026058803],
        [0.2550016017427452, -0.2834088595107173, -0.27917410526040815],
        [0.2566618545826932, -0.28431056004513, -0.27721150177727477],
      ],
    },
  ])("by hand, mu $mu", ({ rows, labels, start, towards, learningRate, mu, after }) => {
    for (const [i, expected] of after.entries()) {
      const { parameters } = trainLocally(
        training(1, {
          architecture: { kind: "logistic-regression", inputs: start.length - 1 },
          parameters: Float64Array.from(start),
          examples: examplesOf(rows, labels),
          batchSize: rows.length,
          steps: i + 1,
          learningRate,
          proximal: { mu, towards: Float64Array.from(towards) },
        }),
      )
      expect(distance(parameters, expected)).toBeLessThan(1e-14)
    }
  })

  it("ends where the slope of the loss balances the pull, nearer to the anchor the stronger it pulls", () => {
    const given = training(5, { batchSize: 23, steps: 4000, learningRate: 0.05 })
    const towards = anchorOf(5)
    const away = [0.1, 0.5, 2, 8].map((mu) => {
      const { parameters } = trainLocally({ ...given, proximal: { mu, towards } })
      const slope = new Float64Array(COLUMNS + 1)
      const everyone = Uint32Array.from({ length: 23 }, (_, row) => row)
      gradient(parameters, given.examples as Examples, everyone, slope)
      for (const [j, value] of slope.entries())
        expect(value + mu * (parameters[j]! - towards[j]!)).toBeCloseTo(0, 6)
      return Math.hypot(...parameters.map((value, j) => value - towards[j]!))
    })
    expect(away).toEqual([...away].sort((a, b) => b - a))
  })

  it("writes to neither model it was given, and may be given one for both", () => {
    const given = training(2)
    const before = [...given.parameters]
    const towards = given.parameters
    const { parameters } = trainLocally({ ...given, proximal: { mu: 0.5, towards } })
    expect([...given.parameters]).toEqual(before)
    const apart = { mu: 0.5, towards: Float64Array.from(before) }
    expect([...parameters]).toEqual([...trainLocally(training(2, { proximal: apart })).parameters])
  })

  it.each([
    ["bad-setting", { mu: -0.01, towards: new Float64Array(COLUMNS + 1) }],
    ["bad-setting", { mu: Number.NaN, towards: new Float64Array(COLUMNS + 1) }],
    ["bad-setting", { mu: Number.POSITIVE_INFINITY, towards: new Float64Array(COLUMNS + 1) }],
    ["bad-parameters", { mu: 1, towards: new Float64Array(COLUMNS) }],
    ["bad-parameters", { mu: 1, towards: new Float64Array(COLUMNS + 1).fill(Number.NaN) }],
  ])("is refused: %s", (what, proximal) => {
    expect(() => trainLocally(training(1, { proximal }))).toThrow(
      expect.objectContaining({ code: `learning/${what}` }),
    )
  })
})
