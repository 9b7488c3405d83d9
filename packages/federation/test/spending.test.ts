import { describe, expect, it } from "vitest"
import { type CapSpending, type RoundsLeft, roundsWarning, shareWarning } from "../src/spending.js"

const spent = (epsilon: number, changes: Partial<CapSpending> = {}): CapSpending => ({
  kind: "month",
  name: "2026-11",
  cap: { epsilon: 16, delta: 1e-5 },
  epsilon,
  ...changes,
})
const room = (changes: Partial<RoundsLeft>): RoundsLeft => ({
  study: "heart",
  by: "study",
  rounds: 2,
  left: 9,
  ...changes,
})

describe("warnings before a budget stops a study", () => {
  it("come from four fifths of a budget on, and not before", () => {
    expect(shareWarning(spent(12.79))).toBeNull()
    expect(shareWarning(spent(12.8))).toMatchObject({ kind: "share", cap: "month" })
    expect(shareWarning(spent(0))).toBeNull()
  })

  it("say which budget it is, with the numbers", () => {
    const said = [
      spent(13.13),
      spent(6.5, { kind: "study", name: "heart", cap: { epsilon: 8, delta: 1e-6 } }),
      spent(39, { kind: "lifetime", name: "", cap: { epsilon: 40, delta: 1e-5 } }),
      spent(16),
      spent(Number.POSITIVE_INFINITY),
    ].map((one) => shareWarning(one)?.says)
    expect(said).toMatchInlineSnapshot(`
      [
        "The privacy budget for 2026-11, over all studies, is 82 % used: epsilon 13.13 of 16.00 (delta 0.00001).",
        "The privacy budget for the study heart is 81 % used: epsilon 6.50 of 8.00 (delta 0.000001).",
        "The lifetime privacy budget, over all studies of all months, is 97 % used: epsilon 39.00 of 40.00 (delta 0.00001).",
        "The privacy budget for 2026-11, over all studies, is used up: epsilon 16.00 of 16.00 (delta 0.00001).",
        "The privacy budget for 2026-11, over all studies, is used up: epsilon without bound of 16.00 (delta 0.00001).",
      ]
    `)
  })

  it("come when fewer than three further rounds fit, unless no more are planned", () => {
    expect(roundsWarning(room({ rounds: 3 }))).toBeNull()
    expect(roundsWarning(room({ by: "planned", rounds: 2, left: 2 }))).toBeNull()
    expect(roundsWarning(room({ rounds: 2, left: 2 }))).toBeNull()
    const said = [
      room({}),
      room({ rounds: 1, left: 2, by: "month" }),
      room({ rounds: 0, left: 1, by: "lifetime" }),
    ].map((one) => roundsWarning(one)?.says)
    expect(said).toMatchInlineSnapshot(`
      [
        "Only 2 more rounds of the study heart fit: then the study's budget for patients' privacy is used up, and 9 are still planned.",
        "Only 1 more round of the study heart fits: then this month's budget for patients' privacy is used up, and 2 are still planned.",
        "No further round of the study heart fits: the lifetime budget for patients' privacy is used up, and 1 is still planned.",
      ]
    `)
  })
})
