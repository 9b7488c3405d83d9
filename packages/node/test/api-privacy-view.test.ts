import { describe, expect, it } from "vitest"
import { type Options, runStudy } from "../../federation/test/harness.js"
import { withPrivacy } from "../../federation/test/private-study.js"
import { studyViewSchema } from "../src/api/schemas.js"
import { applyEntry, startView } from "../src/api/view-fold.js"
import { LoggedStudy, ran } from "./api-study.js"

const viewOf = (options: Options) => {
  const outcome = runStudy(options)
  const { view } = outcome.log.reduce(applyEntry, startView(new LoggedStudy(outcome)))
  expect(studyViewSchema.parse(view)).toEqual(view)
  const ledger = (name: string) => outcome.charges.get(name)?.at(-1)?.epsilon ?? 0
  return { view, outcome, ledger }
}

describe("what a leader's log shows to be spent", () => {
  it.each(["shamir", "plain"] as const)("agrees with every facility's own ledger, under %s", (protection) => {
    const { view, ledger } = viewOf({ study: { ...withPrivacy(), protection } })
    expect(view.privacy).toHaveLength(4)
    for (const { facility, epsilon, delta } of view.privacy) {
      expect(epsilon).toBe(ledger(facility))
      expect(epsilon).toBeGreaterThan(1)
      expect(delta).toBe(1e-5)
    }
    expect(view.marks).toContain("exact-metrics")
  })

  it("counts a redone round once, and a facility that sits out not at all", () => {
    const policies = {
      "clinic-1": {
        privacy: { study: { epsilon: 0.1, delta: 1e-5 }, month: { epsilon: 1, delta: 1e-5 } },
      },
    }
    let voided = 0
    const { view, outcome, ledger } = viewOf({
      study: withPrivacy(),
      policies,
      // nobody certifies the first attempt
      speak: (said) => {
        if (said.message.type === "signature" && voided < 3) {
          voided += 1
          return []
        }
        return [said]
      },
    })
    expect(outcome.leader.phase).toBe("closed")
    expect(view.rounds.map(({ round, attempt }) => `${round}/${attempt}`)).toEqual(["1/1", "1/2", "2/1"])
    for (const { facility, epsilon } of view.privacy) expect(epsilon).toBe(ledger(facility))
    expect(view.privacy.find(({ facility }) => facility === "clinic-1")?.epsilon).toBe(0)
    expect(outcome.charges.get("clinic-2")).toHaveLength(2)
  })

  it("says how far the study's budget goes, what is drawn, and who is warned", () => {
    const study = { ...withPrivacy({ epsilon: 4.6 }), rounds: 6 }
    const policies = {
      "clinic-1": {
        privacy: { study: { epsilon: 0.1, delta: 1e-5 }, month: { epsilon: 1, delta: 1e-5 } },
      },
    }
    const outcome = runStudy({ study, policies, facilities: 5 })
    const closings = outcome.log.flatMap(({ header }) => (header.type === "closed" ? [header.seq] : []))
    const after = (events: number) =>
      outcome.log.slice(0, events).reduce(applyEntry, startView(new LoggedStudy(outcome))).view
    const fresh = after(0).budget
    expect(fresh).toMatchObject({
      epsilon: 4.6,
      delta: 1e-5,
      unit: "patient",
      noise: "local",
      noiseMultiplier: 1.5,
      sampleRate: 0.3,
      releasesPerRound: 4,
      exactMetrics: true,
      roundsPerDay: null,
    })
    expect(fresh?.mechanism).toContain("on a random sample that each joins with probability 0.3")
    expect(fresh?.facilities.find(({ facility }) => facility === "clinic-2")).toEqual({
      facility: "clinic-2",
      epsilon: 0,
      updates: 0,
      room: { rounds: 3, by: "budget" },
      reachedAt: null,
      warnings: [],
    })
    const second = after(closings[1] as number)
    expect(studyViewSchema.parse(second)).toEqual(second)
    const of = (name: string) => second.budget?.facilities.find(({ facility }) => facility === name)
    const spent = second.privacy.find(({ facility }) => facility === "clinic-2")?.epsilon
    expect(of("clinic-1")).toMatchObject({ epsilon: 0, room: { rounds: 3 }, warnings: [] })
    expect(of("clinic-2")).toMatchObject({ epsilon: spent, updates: 2, room: { rounds: 1, by: "budget" } })
    expect(of("clinic-2")?.warnings).toEqual([
      `The privacy budget for the study ${second.name} is 81 % used: epsilon ${spent?.toFixed(2)} of 4.60 (delta 0.00001).`,
      `Only 1 more round of the study ${second.name} fits: then the study's budget for patients' privacy is used up, and 4 are still planned.`,
    ])
    // one round a pace apart, so the second further one does not fit
    const [one, two] = second.rounds.map(({ endedAt }) => Date.parse(endedAt ?? ""))
    const pace = (two as number) - (one as number)
    expect(Date.parse(of("clinic-2")?.reachedAt ?? "")).toBeCloseTo((two as number) + 2 * pace, -1)
    const over = after(outcome.log.length)
    expect(
      over.budget?.facilities.every(({ room, warnings }) => room === null && warnings.length === 0),
    ).toBe(true)
  })

  it("says nothing of a study without noise", () => {
    const { view } = ran({}).log.reduce(applyEntry, startView(new LoggedStudy(ran({}))))
    expect(view.privacy.map(({ epsilon, delta }) => [epsilon, delta])).toEqual(Array(4).fill([null, null]))
    expect(view.marks).not.toContain("exact-metrics")
    expect(view.budget).toBeNull()
  })
})
