import { toHex } from "@consilium/base/bytes"
import { insecureSeededRandom } from "@consilium/base/testing"
import { DpOptimizer } from "@consilium/privacy/dp-optimizer"
import { RdpAccountant } from "@consilium/privacy/rdp"
import { describe, expect, it } from "vitest"
import { epsilonAfter, isPrivate, type PrivateStudy, planNoise, stepEvent } from "../src/privacy-plan.js"
import { checkStudy, decodeStudy, encodeStudy, studyDigest, trainingDigest } from "../src/study.js"
import { textOf } from "./errors.js"
import { type StudyChanges, testStudy } from "./members.js"
import { somePrivacy, withPrivacy } from "./private-study.js"

const privateStudy = (changes: StudyChanges = {}): PrivateStudy => {
  const study = testStudy(4, { ...withPrivacy(), ...changes })
  if (!isPrivate(study)) throw new Error("The study was to be private.")
  return study
}
const WANTED = { epsilon: 8, delta: 1e-5, maxGradNorm: 1, sampleRate: 0.1, dimension: 14, steps: 200 }

describe("what a study's noise costs", () => {
  it("is charged by the event that the training's own optimiser charges", () => {
    const study = privateStudy()
    const optimizer = new DpOptimizer({
      noiseMultiplier: 1.5,
      maxGradNorm: 1,
      sampleRate: 0.3,
      datasetSize: 50,
      dimension: 4,
      learningRate: 0.5,
      random: insecureSeededRandom("event"),
      accountant: new RdpAccountant(),
    })
    expect(stepEvent(study)).toEqual(optimizer.event)
    // two rounds of four steps, taken one by one
    for (let step = 0; step < 8; step++)
      optimizer.noisyClippedSum(Array.from(optimizer.nextBatch(), () => new Float64Array(4)))
    const taken = optimizer.accountant.getEpsilon(1e-5)
    expect(epsilonAfter(study, 2) / taken).toBeCloseTo(1, 12)
  })

  it("calibrated noise keeps all planned steps within epsilon, and a little less would not", () => {
    const { noiseMultiplier, from, epsilon } = planNoise({ ...WANTED, floor: null, calibrate: true })
    expect(from).toBe("calibrated")
    expect(epsilon).toBeLessThanOrEqual(8)
    const less = planNoise({ ...WANTED, floor: 0.99 * noiseMultiplier, calibrate: false })
    expect(less.epsilon).toBeGreaterThan(8)
  })

  it("takes the larger of floor and calibrated noise, and says which", () => {
    const { noiseMultiplier } = planNoise({ ...WANTED, floor: 0.5, calibrate: true })
    expect(planNoise({ ...WANTED, floor: 0.5, calibrate: true }).from).toBe("calibrated")
    const floor = 2 * noiseMultiplier
    const planned = planNoise({ ...WANTED, floor, calibrate: true })
    expect(planned).toMatchObject({ from: "floor", noiseMultiplier: floor })
    expect(planned.epsilon).toBeLessThan(8)
  })

  it("leaves noise as it is given where nothing is to be calibrated", () => {
    expect(planNoise({ ...WANTED, floor: 0.7, calibrate: false })).toMatchObject({
      from: "given",
      noiseMultiplier: 0.7,
    })
    expect(textOf(() => planNoise({ ...WANTED, floor: null, calibrate: false }))).toMatchInlineSnapshot(`
      "privacy/bad-parameter: Noise is neither given nor to be calibrated, so there would be none.
        remedy: Give a noise multiplier, or let it be calibrated.
        see: docs/reference/errors.md#privacybad-parameter"
    `)
  })
})

describe("a study whose privacy cannot work is refused", () => {
  const refusal = (changes: StudyChanges): string => {
    const study = testStudy(4, { ...withPrivacy(), ...changes })
    const [first = "", second = ""] = textOf(() => checkStudy(study, 4)).split("\n")
    return `${first}\n${second}`
  }
  it("one that works passes", () => expect(checkStudy(privateStudy(), 4)).toBeUndefined())

  it("weights by record counts", () => {
    expect(refusal({ quantisation: { weights: "exact", largestWeight: 64 } })).toMatchInlineSnapshot(`
      "round/bad-study: Weights by exact record counts would tell the count, which no noise covers.
        remedy: Set quantisation.weights to equal."
    `)
  })
  it("fine-tuning", () => {
    expect(refusal({ training: { steps: 4, fineTuneSteps: 1 } })).toMatchInlineSnapshot(`
      "round/bad-study: Fine-tuned copies train without noise, and their figures would tell of the patients they were tuned on.
        remedy: Set training.fine_tune_steps to 0."
    `)
  })
  it("features without declared constants", () => {
    expect(
      refusal({ privacy: somePrivacy({ standardise: [{ mean: 0, deviation: 1 }] }) }),
    ).toMatchInlineSnapshot(`
      "round/bad-study: 1 pairs of mean and deviation are declared for 3 features.
        remedy: Declare a finite mean and a deviation above 0 for every feature; they must come from no patient of the study."
    `)
    const flat = [0, 1, 2].map(() => ({ mean: 0, deviation: 0 }))
    expect(refusal({ privacy: somePrivacy({ standardise: flat }) })).toContain("round/bad-study")
  })
  it("not one round fits", () => {
    expect(refusal({ privacy: somePrivacy({ noiseMultiplier: 0.3 }) })).toMatchInlineSnapshot(`
      "round/bad-study: One round of 4 steps costs epsilon 44.94, more than the study's 8.
        remedy: Add noise, draw fewer patients a step, take fewer steps a round, or raise epsilon."
    `)
  })
  it("numbers that mean nothing", () => {
    for (const privacy of [
      { epsilon: 0 },
      { epsilon: Number.NaN },
      { epsilon: Number.POSITIVE_INFINITY },
      { delta: 0 },
      { delta: 1 },
      { sampleRate: 0 },
      { sampleRate: 1.5 },
      { noiseMultiplier: 0 },
      { noiseMultiplier: Number.NaN },
      { maxGradNorm: 0 },
      { maxGradNorm: Number.POSITIVE_INFINITY },
    ])
      expect(refusal({ privacy: somePrivacy(privacy) })).toContain("round/bad-study")
  })
})

describe("the digests of a study with privacy", () => {
  it("a study without has the random streams it always had", () => {
    expect(toHex(trainingDigest(testStudy()))).toMatchInlineSnapshot(
      `"6b07427f662ecbd0ee98203c7aac1792821e600cb742232bf214e908ee6bf510"`,
    )
  })

  it("every number of it makes another study with other random streams", () => {
    const base = privateStudy()
    const changed = [
      { epsilon: 7 },
      { delta: 1e-6 },
      { noiseMultiplier: 1.6 },
      { maxGradNorm: 2 },
      { sampleRate: 0.31 },
      { standardise: [1, 1, 2].map((mean) => ({ mean, deviation: 1 })) },
      { metrics: "none" as const },
    ].map((privacy) => privateStudy({ privacy: somePrivacy(privacy) }))
    const off = testStudy(4, { ...withPrivacy(), privacy: null })
    for (const digest of [studyDigest, trainingDigest]) {
      const digests = [base, off, ...changed].map((study) => toHex(digest(study)))
      expect(new Set(digests).size).toBe(digests.length)
    }
    expect(decodeStudy(encodeStudy(base))).toEqual(base)
  })
})
