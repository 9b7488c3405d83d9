import { toHex } from "@consilium/base/bytes"
import { encode, i32Array } from "@consilium/base/encoding"
import { sha256 } from "@consilium/base/hash"
import { insecureSeededRandom, insecureSeededSecret } from "@consilium/base/testing"
import type { Examples } from "@consilium/learning/data"
import { gradient } from "@consilium/learning/logistic"
import { gridSensitivity } from "@consilium/privacy/clipped-sum"
import { DpOptimizer } from "@consilium/privacy/dp-optimizer"
import { finestUsefulStep } from "@consilium/privacy/grid"
import { RdpAccountant } from "@consilium/privacy/rdp"
import { describe, expect, it } from "vitest"
import { startLocalState } from "../src/local-state.js"
import { epsilonAfter, type PrivateStudy, type StudyPrivacy, stepEvent } from "../src/privacy-plan.js"
import { trainPrivately } from "../src/private-training.js"
import { trainRound } from "../src/training.js"
import { codeOf } from "./errors.js"
import { testStudy, toyRecords } from "./members.js"
import { somePrivacy } from "./private-study.js"

const COLUMNS = 20
const study = (privacy: Partial<StudyPrivacy>, steps: number, learningRate: number) => {
  const standardise = Array.from({ length: COLUMNS }, () => ({ mean: 0, deviation: 1 }))
  return testStudy(4, {
    model: { features: standardise.map((_, i) => `x${i}`) },
    privacy: somePrivacy({ standardise, ...privacy }),
    quantisation: { weights: "equal", largestWeight: 1 },
    training: { steps, learningRate },
  })
}
const train = (
  of: ReturnType<typeof study>,
  examples: Examples,
  seed: number,
  patients?: readonly number[],
) =>
  trainRound({
    study: of,
    spec: { round: 1, attempt: 1, model: new Uint8Array(32) },
    parameters: new Float64Array(COLUMNS + 1),
    examples,
    patients: patients ?? Array.from({ length: examples.rows }, (_, row) => row),
    local: startLocalState(),
    secret: insecureSeededSecret(seed, "private-training"),
  })
const values = (...given: Parameters<typeof train>) => Array.from(train(...given).values, (v) => v / 2 ** 14)

/** Rows without any feature: whatever their weights become is noise. */
const featureless = (rows: number): Examples => ({
  rows,
  columns: COLUMNS,
  features: new Float64Array(rows * COLUMNS),
  labels: Uint8Array.from({ length: rows }, (_, i) => i % 2),
})

describe("a round by DP-SGD", () => {
  // 100 runs of 20 weights: the variance lies within 25 % but for one build in ten million; halved noise is 75 % below
  it.each([
    ["most batches are empty", 0.02, 20, 1],
    ["batches are full", 1, 20, 1],
    ["several steps", 0.5, 40, 4],
  ])("has the noise that is accounted, %s", (_, sampleRate, rows, steps) => {
    const noiseMultiplier = 2
    const learningRate = (0.002 * sampleRate * rows) / noiseMultiplier
    const dimension = COLUMNS + 1
    const step = finestUsefulStep(1, dimension)
    const sensitivity = step * gridSensitivity({ maxNorm: 1, dimension, step })
    const expected = steps * ((learningRate * noiseMultiplier * sensitivity) / (sampleRate * rows)) ** 2
    const of = study({ sampleRate, noiseMultiplier }, steps, learningRate)
    const weights = Array.from({ length: 100 }, (_v, seed) =>
      values(of, featureless(rows), seed).slice(0, COLUMNS),
    )
    const squares = weights.flat().reduce((sum, value) => sum + value * value, 0)
    expect(squares / (100 * COLUMNS) / expected).toBeGreaterThan(0.75)
    expect(squares / (100 * COLUMNS) / expected).toBeLessThan(1.25)
  })

  it("is the same for the same secret and another for another", () => {
    const of = study({}, 3, 0.2)
    const examples = toyRecords("rows", COLUMNS, 30)
    expect(values(of, examples, 1)).toEqual(values(of, examples, 1))
    expect(values(of, examples, 1)).not.toEqual(values(of, examples, 2))
    expect(train(of, examples, 1).local).toEqual(startLocalState())
  })

  it("learns when there is little noise", () => {
    const of = study({ noiseMultiplier: 0.4, epsilon: 1e9 }, 60, 0.5)
    const [first, second] = values(of, toyRecords("many", COLUMNS, 400), 1)
    expect(first).toBeGreaterThan(0.1)
    expect(second).toBeLessThan(0)
  })

  it("[S20] lets a patient of many rows move it no further than a patient may", () => {
    const learningRate = 0.5
    const of = study({ sampleRate: 1, noiseMultiplier: 1e-3, epsilon: 1e12 }, 1, learningRate)
    const people = 10
    // nine patients of one row, and one of fifty far-out rows
    const patients = Array.from({ length: 59 }, (_, row) => Math.min(row, people - 1))
    const rows = (label: number): Examples => ({
      rows: 59,
      columns: COLUMNS,
      features: Float64Array.from({ length: 59 * COLUMNS }, (_, at) => (at < 9 * COLUMNS ? 0.1 : 30)),
      labels: Uint8Array.from({ length: 59 }, (_, row) => (row < 9 ? row % 2 : label)),
    })
    const one = values(of, rows(1), 1, patients)
    const other = values(of, rows(0), 1, patients)
    const moved = Math.hypot(...one.map((value, i) => value - (other[i] as number)))
    const most = (2 * learningRate) / people
    expect(moved).toBeLessThan(1.02 * most)
    expect(moved).toBeGreaterThan(0.95 * most)
  })

  it("is refused where rows do not say whose they are, and without rows", () => {
    const of = study({}, 1, 0.1)
    expect(codeOf(() => train(of, featureless(5), 1, [1, 2, 3, 4]))).toBe("learning/bad-examples")
    expect(codeOf(() => train(of, featureless(5), 1, []))).toBe("learning/bad-examples")
    expect(codeOf(() => train(of, featureless(0), 1))).toBe("learning/no-examples")
  })
})

describe("a proximal term beside the noise", () => {
  const LEARNING_RATE = 0.2
  const withMu = (mu: number, steps: number, privacy: Partial<StudyPrivacy> = {}): PrivateStudy => {
    const of = study(privacy, steps, LEARNING_RATE)
    return { ...of, training: { ...of.training, proximalMu: mu } } as PrivateStudy
  }
  const start = Float64Array.from({ length: COLUMNS + 1 }, (_, i) => (i % 5) / 10)
  const run = (of: PrivateStudy, examples: Examples, seed = 1) =>
    trainPrivately({
      study: of,
      parameters: start,
      examples,
      patients: Array.from({ length: examples.rows }, (_, row) => row),
      random: insecureSeededRandom(seed, "proximal"),
    })

  it("pulls by what the noisy parameters are away from the global model, also where a step drew nobody", () => {
    // nobody is drawn, so a term inside the patients' gradients would have no effect
    const nobody = { sampleRate: 1e-6, noiseMultiplier: 2 }
    const rows = featureless(40)
    const once = run(withMu(0, 1, nobody), rows).parameters
    const plain = run(withMu(0, 2, nobody), rows).parameters
    const pulled = run(withMu(0.5, 2, nobody), rows).parameters
    for (const [j, value] of pulled.entries()) {
      const away = (once[j] as number) - (start[j] as number)
      expect(Math.abs(away)).toBeGreaterThan(1)
      const expected = (plain[j] as number) - LEARNING_RATE * 0.5 * away
      expect(Math.abs(value / expected - 1)).toBeLessThan(1e-12)
    }
  })

  it("is added to the optimizer's noisy clipped step, whose sum, noise and charge are as without it", () => {
    const mu = 2.5
    const of = withMu(mu, 6, { sampleRate: 0.4, noiseMultiplier: 0.6 })
    const examples = toyRecords("rows", COLUMNS, 30)
    const { privacy } = of
    const optimizer = new DpOptimizer({
      noiseMultiplier: privacy.noiseMultiplier,
      maxGradNorm: privacy.maxGradNorm,
      sampleRate: privacy.sampleRate,
      datasetSize: 30,
      dimension: COLUMNS + 1,
      learningRate: LEARNING_RATE,
      random: insecureSeededRandom(1, "proximal"),
      accountant: new RdpAccountant(),
    })
    const w = Float64Array.from(start)
    for (let step = 0; step < 6; step++) {
      const before = Float64Array.from(w)
      const gradients = Array.from(optimizer.nextBatch(), (row) => {
        const slope = new Float64Array(COLUMNS + 1)
        gradient(before, examples, Uint32Array.of(row), slope)
        return slope
      })
      optimizer.step(w, gradients)
      for (const [j, value] of before.entries())
        w[j] = (w[j] as number) - LEARNING_RATE * (mu * (value - (start[j] as number)))
    }
    const found = run(of, examples)
    expect([...found.parameters]).toEqual([...w])
    expect(found.event).toEqual(optimizer.event)
    expect(found.steps).toBe(6)
    expect(optimizer.accountant.getEpsilon(privacy.delta)).toBe(epsilonAfter(of, 1))
  })

  it("costs nothing: a study with any mu has the events of one without", () => {
    for (const mu of [0, 0.01, 5]) {
      const of = withMu(mu, 6)
      expect(stepEvent(of)).toEqual(stepEvent(withMu(0, 6)))
      expect(epsilonAfter(of, 3)).toBe(epsilonAfter(withMu(0, 6), 3))
    }
  })

  it("of mu 0 gives the integers that training gave before there was one", () => {
    const { values: integers } = train(study({}, 6, 0.2), toyRecords("rows", COLUMNS, 30), 1)
    expect(toHex(sha256(encode(i32Array(64), integers)))).toMatchInlineSnapshot(
      `"02a27980a6091092b1d8eef40bb6fb3fc6cf1d30cdd3f34feb759aee9bdfd2b3"`,
    )
  })
})
