import { describe, expect, it } from "vitest"
import { planBudget } from "../src/plan-budget.js"
import { epsilonAfter, isPrivate, type PrivateStudy } from "../src/privacy-plan.js"
import { type StudyChanges, testStudy } from "./members.js"
import { withPrivacy } from "./private-study.js"

const studyOf = (
  privacy: Parameters<typeof withPrivacy>[0] = {},
  changes: StudyChanges = {},
): PrivateStudy => {
  const study = testStudy(5, { ...withPrivacy(privacy), rounds: 6, ...changes })
  if (!isPrivate(study)) throw new Error("The study was to be private.")
  return study
}
const planOf = (study: PrivateStudy) => {
  const plan = planBudget(study, 5)
  if (plan === null) throw new Error("A private study has a plan.")
  return plan
}

describe("what a budget has room for", () => {
  it("counts the rounds that fit, planned or not", () => {
    for (const epsilon of [4, 8, 30]) {
      const study = studyOf({ epsilon })
      const rounds = planOf(study).roundsWithin as number
      expect(epsilonAfter(study, rounds)).toBeLessThanOrEqual(epsilon)
      expect(epsilonAfter(study, rounds + 1)).toBeGreaterThan(epsilon)
    }
    expect(planOf(studyOf({ epsilon: 0.001, noiseMultiplier: 1 })).roundsWithin).toBe(0)
    expect(planOf(studyOf({ epsilon: 1e5 })).roundsWithin).toBeNull()
    expect(planBudget(testStudy(5), 5)).toBeNull()
  })

  it("reads the same rounds by PLD as well, which is never more", () => {
    const study = studyOf()
    const { readings } = planOf(study)
    expect(readings).toMatchObject({ rounds: 6, rdp: epsilonAfter(study, 6) })
    expect(readings.pld).toBeLessThan(readings.rdp)
    expect(readings.pld).toBeGreaterThan(readings.rdp / 2)
    expect(planOf(studyOf({ mechanism: "laplace" })).readings.pld).toBeNull()
  })

  it("shows what the same budget buys as one noise on the sum", () => {
    const study = studyOf({ epsilon: 1, noiseMultiplier: 9, sampleRate: 0.1 })
    const { places, onePlace } = planOf(study)
    expect(onePlace).toBeNull()
    const [local, sum] = places
    expect(local).toMatchObject({
      where: "local",
      chosen: true,
      noiseMultiplier: 9,
      steps: 24,
      sampleRate: 0.1,
    })
    expect(sum).toMatchObject({ where: "sum", chosen: false, steps: 6, sampleRate: 1 })
    expect(sum?.epsilon).toBeLessThanOrEqual(1)
    expect(sum?.epsilon).toBeGreaterThan(0.99)
    // local: sqrt(5) 9 / 0.1; on the sum: sqrt(5 / (3 - 1)) times its multiplier
    expect(local?.relativeNoise).toBeCloseTo((Math.sqrt(5) * 9) / 0.1, 9)
    expect(sum?.relativeNoise).toBeCloseTo(Math.sqrt(5 / 2) * (sum?.noiseMultiplier ?? 0), 9)
  })

  it("says why there is no other place", () => {
    expect(planOf(studyOf({ mechanism: "laplace" }))).toMatchObject({
      places: [],
      onePlace: "Noise on the sum is Gaussian, on gradients that are clipped as a whole.",
    })
    expect(planOf(studyOf({}, { cohort: { colluders: 0 } })).onePlace).toContain(
      "a facility that may collude",
    )
  })
})
