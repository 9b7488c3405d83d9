import { insecureSeededRandom } from "@consilium/base/testing"
import type { Examples } from "@consilium/learning/data"
import { referenceKernel } from "@consilium/learning/kernel/reference-kernel"
import { NetworkTrainer } from "@consilium/learning/network/trainer"
import { gridSensitivity } from "@consilium/privacy/clipped-sum"
import { FastDiscreteGaussian } from "@consilium/privacy/fast-discrete-gaussian"
import { finestUsefulStep } from "@consilium/privacy/grid"
import { poissonSample } from "@consilium/privacy/poisson-sample"
import { RandomBits } from "@consilium/privacy/random-bits"
import { exactly, multiply } from "@consilium/privacy/rational"
import { describe, expect, it } from "vitest"
import { initialModel } from "../src/model.js"
import { isNetwork, networkExamplesOf, networkOf } from "../src/network-training.js"
import { isPrivate, type StudyPrivacy, stepEvent } from "../src/privacy-plan.js"
import { trainNetworkPrivately } from "../src/private-network-training.js"
import { codeOf } from "./errors.js"
import { runStudy } from "./harness.js"
import { testStudy } from "./members.js"
import { onImages, TINY_IMAGE_NETWORK, tinyImages } from "./network-studies.js"
import { somePrivacy } from "./private-study.js"
import { models } from "./scenes.js"

const DIMENSION = 29
const studyOf = (privacy: Partial<StudyPrivacy>, training: object) => {
  const study = testStudy(4, {
    model: TINY_IMAGE_NETWORK,
    privacy: somePrivacy({ standardise: [], ...privacy }),
    quantisation: { weights: "equal", largestWeight: 1 },
    training: { steps: 3, learningRate: 0.5, batchSize: 8, optimiser: "sgd", ...training },
  })
  if (!isNetwork(study) || !isPrivate(study)) throw new Error("The study has no network or no noise.")
  return study
}
type Of = ReturnType<typeof studyOf>

const everyone = (rows: number): readonly number[] => Array.from({ length: rows }, (_, row) => row)
const train = (
  study: Of,
  examples: Examples,
  parameters: Float64Array,
  patients: readonly number[] = everyone(examples.rows),
) =>
  trainNetworkPrivately({
    study,
    parameters,
    examples,
    patients,
    random: insecureSeededRandom(1, "private network"),
  })

/** The rows at these places. */
const rowsAt = ({ columns, features, labels }: Examples, places: readonly number[]): Examples => ({
  rows: places.length,
  columns,
  features: Float64Array.from(places.flatMap((at) => [...features.slice(at * columns, (at + 1) * columns)])),
  labels: Uint8Array.from(places, (at) => labels[at] as number),
})

const GRID = { maxNorm: 1, dimension: DIMENSION, step: finestUsefulStep(1, DIMENSION) }
const f32 = Math.fround

/** A row's gradient by the plain JavaScript kernels. */
const gradientOf = (study: Of, parameters: Float64Array, examples: Examples, row: number): Float64Array => {
  const trainer = new NetworkTrainer({
    network: networkOf(study, parameters),
    examples: networkExamplesOf(examples),
    batchSize: 1,
    shards: 1,
    optimiser: { kind: "sgd" },
    schedule: { kind: "constant", rate: 1 },
    newKernel: referenceKernel,
  })
  trainer.accumulate(Uint32Array.of(row))
  return Float64Array.from(trainer.gradientSum())
}

/** DP-SGD as one would write it down: one row at a time, whole numbers as bigints, every 32-bit operation spelled out. */
const slowly = (study: Of, start: Float64Array, examples: Examples): Float64Array => {
  const { noiseMultiplier, sampleRate } = study.privacy
  const random = insecureSeededRandom(1, "private network")
  const sigma = exactly(noiseMultiplier * gridSensitivity(GRID))
  const noise = new FastDiscreteGaussian(multiply(sigma, sigma), random)
  const coins = new RandomBits(random)
  let parameters = start
  for (let step = 0; step < study.training.steps; step++) {
    const sum = new Array<bigint>(DIMENSION).fill(0n)
    for (const row of poissonSample(sampleRate, examples.rows, coins)) {
      const gradient = gradientOf(study, parameters, examples, row)
      const largest = Math.max(...gradient.map(Math.abs))
      const relative = gradient.map((value) => (largest === 0 ? 0 : value / largest))
      const norm = Math.sqrt(relative.reduce((total, value) => total + value * value, 0))
      const clipped =
        largest * norm <= GRID.maxNorm ? gradient : relative.map((value) => value * (GRID.maxNorm / norm))
      clipped.forEach((value, i) => {
        sum[i] = (sum[i] as bigint) + BigInt(Math.round(value / GRID.step))
      })
    }
    const drawn = noise.samples(DIMENSION)
    const noisy = sum.map((value, i) => Number(value + (drawn[i] as bigint)) * GRID.step)
    const share = f32(1 / study.training.batchSize)
    parameters = parameters.map((value, i) =>
      f32(value - f32(f32(study.training.learningRate) * f32(f32(noisy[i] as number) * share))),
    )
  }
  return parameters
}

describe("a network's round by DP-SGD", () => {
  it("is the slow, obvious one bit for bit, given the same noise", () => {
    const study = studyOf({ noiseMultiplier: 0.8, sampleRate: 0.4 }, { steps: 6 })
    const examples = tinyImages("reference", 24)
    const start = initialModel(study)
    const { parameters, steps } = train(study, examples, start)
    expect(Array.from(parameters)).toEqual(Array.from(slowly(study, start, examples)))
    expect([steps, start]).toEqual([6, initialModel(study)])
  })

  it("releases the event that is charged, in empty samples too", () => {
    const study = studyOf({ sampleRate: 1e-6, noiseMultiplier: 2 }, { steps: 2 })
    const start = initialModel(study)
    const { parameters, event, steps } = train(study, tinyImages("few", 4), start)
    expect([event, steps]).toEqual([stepEvent(study), 2])
    const moved = Array.from(parameters, (value, i) => value - (start[i] as number))
    expect(moved.filter((value) => value !== 0).length).toBeGreaterThan(DIMENSION - 3)
    // two steps of rate 0.5 / 8, noise of 2 sensitivities: 0.18 a parameter
    const spread = Math.sqrt(moved.reduce((sum, value) => sum + value * value, 0) / DIMENSION)
    expect(spread).toBeGreaterThan(0.09)
    expect(spread).toBeLessThan(0.36)
  })

  it.each(["momentum", "adam"] as const)("hands noisy sums to %s", (optimiser) => {
    const plain = studyOf({}, {})
    const other = studyOf({}, { optimiser })
    const start = initialModel(plain)
    const examples = tinyImages("optimiser", 20)
    expect(train(other, examples, start).parameters).not.toEqual(train(plain, examples, start).parameters)
  })

  it("is refused where rows do not say whose they are, and without rows", () => {
    const study = studyOf({}, {})
    const start = initialModel(study)
    expect(codeOf(() => train(study, tinyImages("x", 4), start, [0, 1]))).toBe("learning/bad-examples")
    expect(codeOf(() => train(study, tinyImages("x", 0), start))).toBe("learning/no-examples")
  })

  it("is the same model under every protection, and ends when the budget does", () => {
    const study = onImages({
      privacy: somePrivacy({ standardise: [] }),
      quantisation: { weights: "equal", largestWeight: 1 },
      training: { steps: 2, learningRate: 0.2, batchSize: 4 },
    })
    const records = (facility: string) => ({
      train: tinyImages(facility, 14),
      holdOut: tinyImages(`${facility}, held out`, 8),
    })
    const [plain, shamir, ckks] = (["plain", "shamir", "ckks"] as const).map((protection) =>
      models(runStudy({ study: { ...study, protection }, records })),
    )
    expect(plain).toHaveLength(2)
    expect([shamir, ckks]).toEqual([plain, plain])
  })
})

/** What one step adds, before noise that is the same in every call: whole grid steps, exact in 32 bits. */
const sumOf = (study: Of, start: Float64Array, examples: Examples, patients: readonly number[]): number[] => {
  const { parameters } = train(study, examples, start, patients)
  return Array.from(parameters, (value, i) => ((start[i] as number) - value) / GRID.step)
}
const EXACT = { steps: 1, learningRate: 1, batchSize: 1 }
const norm = (values: readonly number[]): number => Math.hypot(...values)
const apart = (one: readonly number[], other: readonly number[]): number[] =>
  one.map((value, i) => value - (other[i] as number))

describe("[S20] what one patient moves the whole-number sum of a network's gradients", () => {
  const study = studyOf({ sampleRate: 1, noiseMultiplier: 1e-3, epsilon: 1e12 }, EXACT)
  // parameters on the grid, so that a step from them loses nothing in 32 bits
  const start = initialModel(study).map((value) => Math.round((4 * value) / GRID.step) * GRID.step)
  const examples = tinyImages("sensitivity", 16)
  const limit = gridSensitivity(GRID)

  it("is at most gridSensitivity, is its own clipped row, and is whole", () => {
    const all = sumOf(study, start, examples, everyone(16))
    expect(all.every(Number.isInteger)).toBe(true)
    let most = 0
    for (let gone = 0; gone < 16; gone++) {
      const rest = everyone(16).filter((row) => row !== gone)
      const moved = apart(all, sumOf(study, start, rowsAt(examples, rest), everyone(15)))
      expect(norm(moved)).toBeLessThanOrEqual(limit)
      most = Math.max(most, norm(moved))
      // whoever else is there
      const pair = rowsAt(examples, [gone, (gone + 5) % 16])
      const alone = rowsAt(examples, [(gone + 5) % 16])
      expect(moved).toEqual(apart(sumOf(study, start, pair, [0, 1]), sumOf(study, start, alone, [0])))
    }
    // gradients were clipped: the bound is met, not undercut
    expect(most).toBeGreaterThan(0.9 * limit)
  })

  it("is no more for a patient of many images", () => {
    const patients = everyone(16).map((row) => Math.min(row, 3))
    const all = sumOf(study, start, examples, patients)
    const moved = apart(all, sumOf(study, start, rowsAt(examples, [0, 1, 2]), [0, 1, 2]))
    expect(norm(moved)).toBeLessThanOrEqual(limit)
    expect(norm(moved)).toBeGreaterThan(0.5 * limit)
  })

  it("is nothing for one whose gradient is not finite, and no error tells of it", () => {
    const features = examples.features.slice()
    features.fill(3e38, 0, 36)
    const odd = { ...examples, features }
    const rest = everyone(16).slice(1)
    expect(sumOf(study, start, odd, everyone(16))).toEqual(
      sumOf(study, start, rowsAt(odd, rest), everyone(15)),
    )
  })
})
