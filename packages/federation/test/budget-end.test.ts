import { toHex } from "@consilium/base/bytes"
import { describe, expect, it } from "vitest"
import { endReason } from "../src/budget-end.js"
import type { MessageOf } from "../src/messages.js"
import { epsilonAfter, isPrivate, type PrivateStudy } from "../src/privacy-plan.js"
import { textOf } from "./errors.js"
import { altered, eventsOf, placeOf, said } from "./forged-log.js"
import { type Outcome, runStudy } from "./harness.js"
import { testPolicy, testStudy } from "./members.js"
import { withPrivacy } from "./private-study.js"
import { audited, keptHeads, models } from "./scenes.js"

const asPrivate = (study: ReturnType<typeof testStudy>): PrivateStudy => {
  if (!isPrivate(study)) throw new Error("The study was to be private.")
  return study
}
const PLANNED = 5
const FIT = 2
const study = asPrivate(testStudy(4, { ...withPrivacy(), rounds: PLANNED }))
/** More than so many rounds cost, and less than one more. */
const between = (rounds: number): number =>
  (epsilonAfter(study, rounds) + epsilonAfter(study, rounds + 1)) / 2
const capped = (rounds: number) => ({
  privacy: {
    ...testPolicy().privacy,
    study: { epsilon: between(rounds), delta: 1e-5 },
  },
})

const used = (rounds: number) => ({ ...withPrivacy({ epsilon: between(rounds) }), rounds: PLANNED })
const endsOf = ({ said }: Outcome) =>
  said.flatMap(({ message }) => (message.type === "ended" ? [(message as MessageOf<"ended">).reason] : []))
const typesFrom = ({ log }: Outcome, type: string): readonly string[] =>
  log.slice(placeOf(log, type)).map(({ header }) => header.type)

describe("a study whose facilities have used up their budgets", () => {
  it.each(["plain", "shamir", "masked", "ckks"] as const)(
    "[S20] ends with the model of the last closed round, in good order: %s",
    (protection) => {
      const changes = { ...used(FIT), protection }
      const run = runStudy({ facilities: 4, fogs: 2, study: changes })
      const reason = endReason(run.study, FIT, [])
      expect(reason).toBe(
        "The privacy budget is used up after round 2 of 5: too few facilities may spend on another round.",
      )
      expect(run.leader.phase).toBe("closed")
      expect(models(run)).toHaveLength(FIT)
      expect(endsOf(run)).toEqual([reason])
      expect(run.lines).toContain(reason)
      expect(run.security).toEqual([])
      for (const [name, charges] of run.charges) expect([name, charges.length]).toEqual([name, FIT])
      for (const state of run.facilities.values()) expect(state.phase).toBe("ended")
      // one announcement is enough: nobody is asked a second time
      expect(run.said.filter(({ message }) => message.type === "void")).toHaveLength(1)
      // figures and signatures come in as at any other end
      const audit = audited(run, run.log, keptHeads(run))
      expect(audit).toMatchObject({ ended: true, stopped: null, certifiedRounds: FIT })
      expect(toHex(audit.model)).toBe(models(run).at(-1))
      expect(audit.cosigned?.signed.type).toBe("final")
      expect(typesFrom(run, "finish").filter((type) => type === "final-report")).toHaveLength(4)
    },
  )

  it("goes on while a cohort is left, and ends when it is not", () => {
    const policies = { "clinic-1": capped(1), "clinic-2": capped(3) }
    const run = runStudy({ facilities: 4, fogs: 2, study: { ...withPrivacy(), rounds: PLANNED }, policies })
    expect(run.leader.phase).toBe("closed")
    expect(run.leader.progress.closed.map(({ cohort }) => cohort.length)).toEqual([4, 3, 3])
    expect(audited(run, run.log)).toMatchObject({ ended: true, certifiedRounds: 3 })
  })

  it("goes on where only figures cannot be paid for, which are given up", () => {
    // rounds leave room in the budget, and one evaluation costs more than all of it
    const evaluation = { bins: 2, every: 1, mostRows: 64, noiseMultiplier: 0.05, stop: null }
    const run = runStudy({ facilities: 4, fogs: 2, study: { ...used(FIT), rounds: FIT, evaluation } })
    expect(run.leader.phase).toBe("closed")
    expect(models(run)).toHaveLength(FIT)
    expect(endsOf(run)).toEqual(["The study is complete."])
    expect(run.lines.filter((line) => line.includes("is given up"))).toHaveLength(FIT)
    expect(audited(run, run.log)).toMatchObject({ ended: true, certifiedRounds: FIT })
  })

  it("is aborted where not one round is closed: there is no model to end with", () => {
    const policies = Object.fromEntries(
      [1, 2, 3, 4].map((i) => [
        `clinic-${i}`,
        { privacy: { ...capped(1).privacy, study: { epsilon: 1e-3, delta: 1e-5 } } },
      ]),
    )
    const run = runStudy({ facilities: 4, fogs: 2, study: { ...withPrivacy(), attempts: 2 }, policies })
    expect(run.leader.phase).toBe("aborted")
    expect(run.leader.progress.closed).toEqual([])
  })
})

describe("a leader that ends a study early and blames budgets", () => {
  const run = runStudy({ facilities: 4, fogs: 2, study: used(FIT) })
  const events = eventsOf(run.log)
  const finish = placeOf(run.log, "finish")
  const check = (log: Parameters<typeof audited>[1]) => textOf(() => audited(run, log))

  it("[S20] is found out where facilities did not refuse, or not for that", () => {
    // the same log up to a round's end, and then the finish: nobody has refused anything
    const closed = placeOf(run.log, "closed", FIT)
    expect(check(altered(run, closed + 1, events[finish] as (typeof events)[number]))).toContain(
      "the study is finished before its 5 rounds are closed",
    )
    // two of four refusals are enough of a reason where three are needed for a sum; one is not
    const last = placeOf(run.log, "announce", FIT + 1)
    const refusals = events.slice(last + 1, finish).filter(({ type }) => type === "refusal")
    expect(refusals).toHaveLength(4)
    const voided = events[placeOf(run.log, "void")] as (typeof events)[number]
    const after = (count: number) =>
      altered(run, last + 1, ...refusals.slice(0, count), voided, events[finish] as (typeof events)[number])
    expect(check(after(1))).toContain("the study is finished before its 5 rounds are closed")
    expect(check(after(2))).not.toContain("the study is finished before")
  })

  it("is found out if it names another reason, or fewer rounds than are closed", () => {
    const ended = placeOf(run.log, "ended")
    const lying = said<"ended">(events[ended] as (typeof events)[number], (message) => ({
      ...message,
      reason: "The study is complete.",
    }))
    expect(check(altered(run, ended, lying))).toContain("the study ends after 2 rounds for another reason")
    const fewer = said<"finish">(events[finish] as (typeof events)[number], (message) => ({
      ...message,
      rounds: 1,
    }))
    expect(check(altered(run, finish, fewer))).toContain(
      "the study is finished before its 5 rounds are closed",
    )
  })

  it("goes on with nothing after it has finished", () => {
    const again = events[placeOf(run.log, "announce", FIT + 1)] as (typeof events)[number]
    expect(check(altered(run, finish + 1, { ...again, body: again.body }))).toContain("announced out of turn")
  })
})
