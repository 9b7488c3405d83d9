import { describe, expect, it } from "vitest"
import { paceOf, roundAt, whenReached } from "../src/pace.js"

const DAY = 86_400_000
const START = Date.UTC(2026, 10, 3)
/** Times so many days after the start. */
const days = (...after: readonly number[]): readonly number[] => after.map((day) => START + day * DAY)

describe("the pace of rounds", () => {
  it("is measured from the first to the last, whatever the order", () => {
    expect(paceOf(days(6, 0, 1.5))).toEqual({ roundsPerDay: 1 / 3, last: START + 6 * DAY })
    expect(paceOf(days(0, 0.25, 0.5))?.roundsPerDay).toBe(4)
  })

  it("is not known from fewer than two times", () => {
    for (const times of [[], days(1), days(2, 2)]) expect(paceOf(times)).toBeNull()
  })

  it("says when a further round comes, and none before the time it is looked at", () => {
    const pace = { roundsPerDay: 0.5, last: START }
    expect(roundAt(pace, 1, START)).toBe(START + 2 * DAY)
    expect(roundAt(pace, 4, START + DAY)).toBe(START + 8 * DAY)
    expect(roundAt(pace, 1, START + 5 * DAY)).toBe(START + 5 * DAY)
    expect(roundAt(pace, 2, START + 5 * DAY)).toBe(START + 7 * DAY)
  })
})

describe("when a shared budget is reached", () => {
  const daily = { roundsPerDay: 1, last: START }
  const everyOther = { roundsPerDay: 0.5, last: START }
  const within = (budget: number) => (rounds: readonly number[]) =>
    rounds.reduce((sum, n) => sum + n, 0) <= budget
  const ever = { from: START, until: Number.POSITIVE_INFINITY }

  it("is at the first round that no longer fits, in the order in which rounds come", () => {
    // days 1, 2, 2, 3, 4, 4, ...: the sixth round is the first that does not fit
    const studies = [
      { pace: daily, left: 90 },
      { pace: everyOther, left: 90 },
    ]
    expect(whenReached(studies, within(5), ever)).toEqual({
      rounds: 5,
      reachedAt: START + 4 * DAY,
      by: "cap",
    })
    expect(whenReached(studies, within(0), ever)).toMatchObject({ rounds: 0, reachedAt: START + DAY })
    expect(whenReached(studies, ([a = 0, b = 0]) => a + 3 * b <= 6, ever)).toEqual({
      rounds: 4,
      reachedAt: START + 4 * DAY,
      by: "cap",
    })
  })

  it("is never, where plans or the time end before", () => {
    expect(whenReached([{ pace: daily, left: 3 }], within(3), ever)).toEqual({
      rounds: 3,
      reachedAt: null,
      by: "planned",
    })
    expect(
      whenReached([{ pace: daily, left: 30 }], within(4), { from: START, until: START + 5 * DAY }),
    ).toEqual({ rounds: 4, reachedAt: null, by: "time" })
    expect(whenReached([], within(3), ever)).toEqual({ rounds: 0, reachedAt: null, by: "planned" })
  })

  it("says so where no pace is known, and leaves out a study that has none yet", () => {
    const fresh = { pace: null, left: 9 }
    expect(whenReached([fresh], within(3), ever)).toEqual({ rounds: null, reachedAt: null, by: "unknown" })
    expect(whenReached([fresh, { pace: daily, left: 9 }], within(3), ever)).toMatchObject({
      rounds: 3,
      by: "cap",
    })
  })
})
