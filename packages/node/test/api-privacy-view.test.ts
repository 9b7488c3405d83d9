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

  it("says nothing of a study without noise", () => {
    const { view } = ran({}).log.reduce(applyEntry, startView(new LoggedStudy(ran({}))))
    expect(view.privacy.map(({ epsilon, delta }) => [epsilon, delta])).toEqual(Array(4).fill([null, null]))
    expect(view.marks).not.toContain("exact-metrics")
  })
})
