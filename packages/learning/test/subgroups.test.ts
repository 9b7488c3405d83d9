import { insecureSeededRandom } from "@consilium/base/testing"
import { type Architecture, initialParameters } from "@consilium/learning/architecture"
import { evaluate } from "@consilium/learning/metrics"
import { evaluateGroups, groupingOf } from "@consilium/learning/subgroups"
import { describe, expect, it } from "vitest"
import { examplesOf, randomExamples } from "./tables.js"

describe("groups of a feature's values", () => {
  it("begin at their cuts", () => {
    const ages = Float64Array.of(49.9, 50, 64.999, 65, -3, 120)
    expect(groupingOf(ages, [50, 65])).toEqual({ groups: 3, groupOf: Int32Array.of(0, 1, 1, 2, 0, 2) })
    expect(groupingOf(ages, [50])).toEqual({ groups: 2, groupOf: Int32Array.of(0, 1, 1, 1, 0, 1) })
  })

  it("are no and yes without cuts; what is neither belongs to none, and so does what is no number", () => {
    expect(groupingOf(Float64Array.of(0, 1, -0, 0.5, 2, Number.NaN), [])).toEqual({
      groups: 2,
      groupOf: Int32Array.of(0, 1, 0, -1, -1, -1),
    })
    expect([...groupingOf(Float64Array.of(Number.NaN, Number.POSITIVE_INFINITY), [50]).groupOf]).toEqual([
      -1, 1,
    ])
  })
})

describe("figures of groups", () => {
  const architecture: Architecture = { kind: "logistic-regression", inputs: 3 }
  const parameters = initialParameters(architecture, insecureSeededRandom(1, "model"))
  const examples = randomExamples(insecureSeededRandom(1, "rows"), 120, 3)
  const patients = Array.from({ length: 120 }, (_, row) => row)
  const column = (j: number): Float64Array =>
    Float64Array.from({ length: 120 }, (_, row) => examples.features[3 * row + j] as number)

  it("are those of the group's rows by themselves", () => {
    const cuts = [-0.5, 0.7]
    const [found] = evaluateGroups(architecture, parameters, examples, patients, [
      groupingOf(column(2), cuts),
    ])
    const bounds = [Number.NEGATIVE_INFINITY, ...cuts, Number.POSITIVE_INFINITY]
    for (const [group, figures] of found!.entries()) {
      const rows = patients.filter((row) => {
        const value = examples.features[3 * row + 2] as number
        return value >= bounds[group]! && value < bounds[group + 1]!
      })
      const alone = evaluate(
        architecture,
        parameters,
        examplesOf(
          rows.map((row) => [...examples.features.subarray(3 * row, 3 * row + 3)]),
          rows.map((row) => examples.labels[row] as number),
        ),
      )
      const { rows: count, positives, accuracy, balancedAccuracy, auc, logLoss } = alone
      expect(figures).toEqual({ rows: count, positives, accuracy, balancedAccuracy, auc, logLoss })
    }
  })

  it("are null for a small group and its neighbour", () => {
    // three rows lie above the last cut
    const last = [...column(2)].sort((a, b) => b - a)[3]! + 1e-9
    const [found] = evaluateGroups(architecture, parameters, examples, patients, [
      groupingOf(column(2), [0, last]),
    ])
    expect(found!.map((figures) => figures === null)).toEqual([false, true, true])
    expect(JSON.stringify(found![0])).not.toContain("null")
  })

  it("take several groupings at once, and none", () => {
    const groupings = [groupingOf(column(0), [0]), groupingOf(column(1), [-1, 1])]
    const found = evaluateGroups(architecture, parameters, examples, patients, groupings)
    expect(found.map((row) => row.length)).toEqual([2, 3])
    expect(evaluateGroups(architecture, parameters, examples, patients, [])).toEqual([])
  })

  it("of no rows at all are null", () => {
    expect(
      evaluateGroups(
        architecture,
        parameters,
        examplesOf([], [], 3),
        [],
        [groupingOf(new Float64Array(0), [])],
      ),
    ).toEqual([[null, null]])
  })

  it("of rows that are no examples are refused", () => {
    const labels = new Uint8Array(120).fill(2)
    expect(() =>
      evaluateGroups(architecture, parameters, { ...examples, labels }, patients, [
        groupingOf(column(0), []),
      ]),
    ).toThrow(expect.objectContaining({ code: "learning/bad-examples" }))
  })
})
