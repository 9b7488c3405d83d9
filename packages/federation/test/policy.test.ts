import { describe, expect, it } from "vitest"
import { DEFAULT_POLICY, type LocalPolicy, refuseStudy } from "../src/policy.js"
import { type StudyChanges, testStudy } from "./members.js"

const refusal = (policy: Partial<LocalPolicy> = {}, study: StudyChanges = {}) =>
  refuseStudy({ ...DEFAULT_POLICY, ...policy }, testStudy(4, { insecureSeed: null, ...study }))

describe("[S14] a facility that wrote no policy", () => {
  it("takes part in a protected study with secret randomness", () => {
    expect(refusal()).toBeNull()
  })

  it("takes part in nothing readable", () => {
    expect(refusal({}, { protection: "plain" })).toMatchInlineSnapshot(`
      {
        "code": "policy/protection",
        "reason": "This facility's policy allows ckks, bfv, masked, shamir; the study uses plain.",
      }
    `)
  })

  it("takes part in nothing seeded", () => {
    expect(refusal({}, { insecureSeed: 42 })).toMatchInlineSnapshot(`
      {
        "code": "policy/insecure-seed",
        "reason": "The study derives all secrets from a public seed; this facility's policy does not allow that.",
      }
    `)
    expect(refusal({}, { insecureSeed: 0 })?.code).toBe("policy/insecure-seed")
  })

  it("sends no metrics", () => {
    expect(DEFAULT_POLICY.metrics).toBe("none")
  })
})

describe("[S14] a policy refuses, with a reason for a person", () => {
  it("a kind of model", () => {
    expect(refusal({ modelKinds: [] })).toMatchInlineSnapshot(`
      {
        "code": "policy/model",
        "reason": "This facility's policy does not allow models of the kind logistic-regression.",
      }
    `)
  })

  it("a model that is too large, and no smaller one", () => {
    expect(refusal({ largestModel: 3 })).toMatchInlineSnapshot(`
      {
        "code": "policy/model",
        "reason": "The model has 4 parameters; this facility's policy allows 3.",
      }
    `)
    expect(refusal({ largestModel: 4 })).toBeNull()
  })

  it("a cohort that is too small", () => {
    expect(refusal({ smallestCohort: 4 })).toMatchInlineSnapshot(`
      {
        "code": "policy/cohort",
        "reason": "The study opens sums over 3 facilities; this facility's policy wants at least 4.",
      }
    `)
    expect(refusal({ smallestCohort: 4 }, { cohort: { minCohort: 4 } })).toBeNull()
  })

  it("a study that withstands too few colluders", () => {
    expect(refusal({ colluders: 2 })).toMatchInlineSnapshot(`
      {
        "code": "policy/colluders",
        "reason": "The study withstands 1 colluding facilities; this facility's policy wants at least 2.",
      }
    `)
    expect(refusal({ colluders: 2 }, { cohort: { colluders: 2 } })).toBeNull()
  })

  it("but not what it allows", () => {
    expect(
      refusal({ protections: ["plain"], insecureSeed: true }, { protection: "plain", insecureSeed: 1 }),
    ).toBeNull()
  })
})
