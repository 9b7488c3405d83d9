import { toHex } from "@consilium/base/bytes"
import { insecureSeededSecret } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import { startLocalState } from "../src/local-state.js"
import { initialModel, modelHashOf } from "../src/model.js"
import { meanOfSum } from "../src/quantise.js"
import { fineTune, trainRound } from "../src/training.js"
import { runStudy } from "./harness.js"
import { type StudyChanges, testStudy, toyRecords } from "./members.js"
import { models, openedSums } from "./scenes.js"

/** The models that a rule leads to from the sums that were opened. */
const byHand = (changes: StudyChanges, rule: (mean: Float64Array, round: number) => Float64Array) => {
  const outcome = runStudy({ study: { rounds: 4, ...changes } })
  const { weights, largestWeight, fractionBits } = outcome.study.quantisation
  const w = initialModel(outcome.study)
  const expected = openedSums(outcome).map(({ sum, cohort }, round) => {
    const opened = Float64Array.from(sum, Number)
    const step = rule(meanOfSum(opened, weights, cohort.length, largestWeight, fractionBits), round)
    for (const [j, value] of step.entries()) w[j] = (w[j] as number) + value
    return toHex(modelHashOf(outcome.study, w))
  })
  return { found: models(outcome), expected }
}

describe("averaging with momentum at the server", () => {
  it("moves the model by the updates so far, each weaker by beta1 for every round since", () => {
    const velocity = new Float64Array(4)
    const { found, expected } = byHand(
      { server: { strategy: "fedavgm", learningRate: 0.5, beta1: 0.75 } },
      (mean) => {
        for (const [j, value] of mean.entries()) velocity[j] = 0.75 * (velocity[j] as number) + value
        return velocity.map((value) => 0.5 * value)
      },
    )
    expect(expected).toHaveLength(4)
    expect(found).toEqual(expected)
  })

  it("without momentum averages", () => {
    const { found, expected } = byHand(
      { server: { strategy: "fedavgm", learningRate: 1, beta1: 0 } },
      (mean) => mean,
    )
    expect(found).toEqual(expected)
  })
})

describe("a proximal term", () => {
  const update = (proximalMu: number, clinic: number): number => {
    const study = testStudy(4, { training: { proximalMu, steps: 200, batchSize: 1 } })
    const { values } = trainRound({
      study,
      spec: { round: 1, attempt: 1, model: new Uint8Array(32) },
      parameters: initialModel(study),
      examples: toyRecords(`clinic-${clinic}`, 3, 20),
      local: startLocalState(),
      secret: insecureSeededSecret(clinic, "round"),
    })
    return Math.hypot(...values.slice(0, 4)) / 20
  }

  it("makes updates shorter, the more so the larger mu is", () => {
    for (const clinic of [1, 2, 3]) {
      const [none, some, much] = [0, 1, 10].map((mu) => update(mu, clinic)) as [number, number, number]
      expect(some).toBeLessThan(none)
      expect(much).toBeLessThan(some / 2)
    }
  })

  it("does not hold back fine-tuning, which is to suit one facility", () => {
    const own = (proximalMu: number): Float64Array => {
      const study = testStudy(4, { training: { proximalMu, batchSize: 20, fineTuneSteps: 50 } })
      return fineTune({
        study,
        spec: { round: 3, attempt: 1, model: new Uint8Array(32) },
        parameters: initialModel(study),
        examples: toyRecords("clinic-1", 3, 20),
        local: startLocalState(),
        secret: insecureSeededSecret(1, "round"),
      })
    }
    // batches are whole tables, so only the order of addition differs
    const [free, held] = [own(0), own(10)] as [Float64Array, Float64Array]
    for (const [j, value] of free.entries()) expect(held[j]).toBeCloseTo(value, 12)
  })
})
