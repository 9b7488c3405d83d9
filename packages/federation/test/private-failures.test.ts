import { insecureSeededSecret } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import { countStatistics } from "../src/figures/statistics.js"
import { startLocalState } from "../src/local-state.js"
import { modelHashOf } from "../src/model.js"
import type { Study } from "../src/study.js"
import { trainRound } from "../src/training.js"
import { codeOf } from "./errors.js"
import { testStudy, toyRecords } from "./members.js"
import { withPrivacy } from "./private-study.js"
import { sumStudy } from "./sum-study.js"

/** A round on these rows, from a model of the leader's choice. */
const round = (study: Study, parameters: Float64Array, examples: ReturnType<typeof toyRecords>) =>
  trainRound({
    study,
    spec: { round: 1, attempt: 1, model: modelHashOf(study, parameters) },
    parameters,
    examples,
    patients: Array.from({ length: examples.rows }, (_, row) => row),
    local: startLocalState(),
    secret: insecureSeededSecret("failures"),
  }).values

describe("training that comes to numbers which are not finite", () => {
  // infinity less infinity for a patient with a large first and second value, and for nobody else
  const searching = Float64Array.of(1e308, -1e308, 0, 0)
  const others = toyRecords("others", 3, 20)
  const withPatient = {
    ...others,
    rows: 21,
    features: Float64Array.from([...others.features.map((value) => value / 8), 5, 5, 0]),
    labels: Uint8Array.from([...others.labels, 1]),
  }
  const always = { sampleRate: 1 }
  it.each([
    ["noise of its own", testStudy(4, withPrivacy(always))],
    ["adaptive clipping", testStudy(4, withPrivacy({ ...always, clipping: adaptive() }))],
    ["noise on the sum over patients", sumStudy("patient")],
    ["noise on the sum over facilities", sumStudy("facility")],
  ] as const)("[S20] [S26] is no error that tells of a patient: %s", (_, study) => {
    expect(round(study, searching, withPatient)).toHaveLength(4)
  })

  it("[S20] is no error that nothing is charged for, where noisy steps overflow", () => {
    const study = testStudy(4, { ...withPrivacy({ maxGradNorm: 1000 }), training: { learningRate: 1e308 } })
    expect([...round(study, new Float64Array(4), others)]).toEqual([0, 0, 0, 0])
  })

  it("is an error without privacy", () => {
    expect(codeOf(() => round(testStudy(4), searching, withPatient))).toBe("learning/diverged")
  })
})

function adaptive() {
  return {
    type: "adaptive",
    targetQuantile: 0.5,
    learningRate: 0.2,
    countSigma: 10,
    minimum: 0.01,
    maximum: 10,
  } as const
}

describe("a value that is no number", () => {
  it("[S27] moves statistics by no more than any other", () => {
    const statistics = {
      bins: 4,
      ranges: [{ low: 0, high: 1 }],
      mostRows: 9,
      noiseMultiplier: 1,
    }
    const study = { ...testStudy(4, withPrivacy()), statistics }
    const features = [0.2, 0.9, 0.6]
    const counted = (values: readonly number[]) =>
      countStatistics(
        { ...study, model: { kind: "logistic-regression", features: ["a"] } },
        {
          rows: values.length,
          columns: 1,
          features: Float64Array.from(values),
          labels: new Uint8Array(values.length),
          patients: values.map((_, i) => i),
        },
      )
    expect(counted([...features, Number.NaN])).toEqual(counted([...features, 0]))
  })
})
