import { equalBytes, toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import { insecureSeededSecret } from "@consilium/base/testing"
import { dpEventCodec } from "@consilium/privacy/event-codec"
import { RdpAccountant } from "@consilium/privacy/rdp"
import { describe, expect, it } from "vitest"
import type { FacilityState, FacilityStep } from "../src/facility-state.js"
import { emptyLedger } from "../src/ledger-chain.js"
import { specDigest } from "../src/messages.js"
import { modelHashOf } from "../src/model.js"
import { epsilonAfter, isPrivate, type PrivateStudy, stepEvent } from "../src/privacy-plan.js"
import { facilityAlone } from "./facility-alone.js"
import { runStudy } from "./harness.js"
import { facilityNames, testStudy } from "./members.js"
import { withPrivacy } from "./private-study.js"
import { cohorts, models } from "./scenes.js"

const asPrivate = (study: ReturnType<typeof testStudy>): PrivateStudy => {
  if (!isPrivate(study)) throw new Error("The study was to be private.")
  return study
}

describe("a federation that trains with differential privacy", () => {
  const run = runStudy({ study: withPrivacy(), seed: 3 })

  it("closes its rounds, the same way each time and another way with other noise", () => {
    expect(run.leader.phase).toBe("closed")
    expect(run.security).toEqual([])
    expect(models(runStudy({ study: withPrivacy(), seed: 3 }))).toEqual(models(run))
    expect(models(runStudy({ study: withPrivacy(), seed: 4 }))).not.toEqual(models(run))
  })

  it("gives the same model under another protection: noise does not depend on it", () => {
    expect(models(runStudy({ study: { ...withPrivacy(), protection: "plain" }, seed: 3 }))).toEqual(
      models(run),
    )
  })

  it("[S20] charges every facility for each update, by the accountant's own figure for the steps taken", () => {
    const study = asPrivate(run.study)
    for (const name of facilityNames(4)) {
      const charges = run.charges.get(name) ?? []
      expect(charges.map(({ round, attempt }) => [round, attempt])).toEqual([
        [1, 1],
        [2, 1],
      ])
      let accountant = new RdpAccountant()
      for (const { event, steps, epsilon, delta, insecureSeed } of charges) {
        expect(decode(dpEventCodec, event)).toEqual(stepEvent(study))
        accountant = accountant.compose(decode(dpEventCodec, event), steps)
        expect(epsilon / accountant.getEpsilon(1e-5)).toBeCloseTo(1, 12)
        expect({ delta, insecureSeed }).toEqual({ delta: 1e-5, insecureSeed: true })
      }
      expect(run.facilities.get(name)?.memory.charges).toBe(2)
    }
  })

  it("a study without charges nothing", () => {
    expect(runStudy({}).charges.size).toBe(0)
  })

  it("sends exact figures on held-out patients only where the study says so", () => {
    const reports = (of: typeof run) =>
      of.said.flatMap(({ message }) => (message.type === "report" ? [message.metrics] : []))
    expect(reports(run)).toHaveLength(8)
    expect(reports(run)).not.toContain(null)
    const quiet = runStudy({ study: withPrivacy({ metrics: "none" }) })
    expect(new Set(reports(quiet))).toEqual(new Set([null]))
  })
})

describe("a facility whose budget is used up", () => {
  const changes = { ...withPrivacy(), rounds: 3 }
  const study = asPrivate(testStudy(4, changes))
  const capped = (factor: number) => ({
    privacy: {
      study: { epsilon: factor * epsilonAfter(study, 1), delta: 1e-5 },
      month: { epsilon: 100, delta: 1e-5 },
    },
  })

  it("[S20] sits out, says so, and the round goes on", () => {
    const run = runStudy({ study: changes, policies: { "clinic-1": capped(1.0001) } })
    expect(run.leader.phase).toBe("closed")
    const rest = ["clinic-2", "clinic-3", "clinic-4"]
    expect(cohorts(run).map((cohort) => [...cohort].sort())).toEqual([["clinic-1", ...rest], rest, rest])
    expect(run.charges.get("clinic-1")).toHaveLength(1)
    expect(run.charges.get("clinic-2")).toHaveLength(3)
    const [refused] = run.records.filter(({ by, event }) => by === "clinic-1" && event === "round-refused")
    expect(refused?.detail).toMatchInlineSnapshot(
      `"policy/privacy-budget: This facility's privacy budget for this study is used up: 1 round has spent epsilon 2.86 of 2.86 (delta 0.00001), and another would make it 3.76."`,
    )
    expect(run.lines.filter((line) => line.includes("policy/privacy-budget"))).toHaveLength(2)
  })

  it("takes no part where not one round fits", () => {
    const run = runStudy({ study: changes, policies: { "clinic-1": capped(0.999) } })
    expect(run.charges.has("clinic-1")).toBe(false)
    expect(run.records.find(({ event }) => event === "round-refused")?.detail).toMatchInlineSnapshot(
      `"policy/privacy-budget: One round costs epsilon 2.86; this facility may spend 2.85 of its patients' privacy in this study (delta 0.00001)."`,
    )
  })

  it("the study's own epsilon is a cap for every facility, and the study ends when too few are left", () => {
    const epsilon = 1.0001 * epsilonAfter(study, 2)
    const run = runStudy({ study: { ...withPrivacy({ epsilon }), rounds: 3 } })
    expect(run.leader.phase).toBe("closed")
    expect(run.leader.progress.closed).toHaveLength(2)
    for (const charges of run.charges.values()) expect(charges).toHaveLength(2)
  })

  it("refuses a delta above its own", () => {
    const policies = { "clinic-1": { privacy: { ...capped(9).privacy, study: { epsilon: 9, delta: 1e-6 } } } }
    const run = runStudy({ study: changes, policies })
    expect(run.records.find(({ event }) => event === "round-refused")?.detail).toMatchInlineSnapshot(
      `"policy/privacy-delta: The study's delta is 0.00001; this facility's policy allows 0.000001."`,
    )
  })
})

it("[S20] a facility that scales rows by their own figures takes no part in a study with differential privacy", () => {
  const run = runStudy({ study: { ...withPrivacy(), attempts: 1 }, preparation: "own-statistics" })
  expect(run.leader.phase).toBe("aborted")
  expect(run.charges.size).toBe(0)
  expect(run.records.find(({ event }) => event === "round-refused")?.detail).toMatchInlineSnapshot(
    `"policy/own-statistics: This facility prepares its rows with figures computed on them; with differential privacy they must be declared constants."`,
  )
  expect(runStudy({ preparation: "own-statistics" }).leader.phase).toBe("closed")
})

describe("what is charged once and what again", () => {
  const study = asPrivate(testStudy(4, { ...withPrivacy(), protection: "plain" }))
  const alone = facilityAlone(study)
  const { me, parameters, start, step, restarted } = alone
  const specOf = (attempt: number) => alone.specOf({ round: 1, attempt })
  const announce = (state: FacilityState, attempt: number) => alone.announce(state, specOf(attempt))
  const justTrained = (state: FacilityState, attempt: number) =>
    step(state, {
      type: "trained",
      spec: specDigest(specOf(attempt)),
      values: Int32Array.of(1, 2, 3, attempt),
      secret: insecureSeededSecret("charged"),
    })
  const entered = (state: FacilityState, attempt: number) => alone.enter(state, specOf(attempt))
  const trained = (state: FacilityState, attempt: number) =>
    entered(justTrained(state, attempt).state, attempt)
  const voided = (state: FacilityState, attempt: number) => alone.giveUp(state, specOf(attempt))
  const types = ({ effects }: FacilityStep) =>
    effects.map((effect) => (effect.type === "send" ? `send ${effect.message.type}` : effect.type))

  it("[S20] the charge comes before what is sent", () => {
    const waiting = justTrained(announce(start, 1).state, 1)
    expect(types(waiting)).toEqual(["enter"])
    expect(types(entered(waiting.state, 1))).toEqual(["charge", "record", "send update"])
  })

  it("the same integers protected again are not charged again, also after a restart", () => {
    const idle = voided(trained(announce(start, 1).state, 1).state, 1).state
    for (const state of [idle, restarted(idle)]) {
      const again = announce(state, 2)
      expect(types(again)).toEqual(["record", "send update"])
      expect(again.state.memory.charges).toBe(1)
    }
  })

  it("[S20] new noise is", () => {
    const idle = voided(trained(announce(start, 1).state, 1).state, 1).state
    const forgotten: FacilityState = { phase: "idle", memory: { ...idle.memory, trained: null } }
    const again = trained(announce(forgotten, 2).state, 2)
    expect(types(again)[0]).toBe("charge")
    expect(again.state.memory.charges).toBe(2)
  })

  it("integers that came too late are charged when they are sent, once", () => {
    const late = trained(announce(start, 1).state, 1).state
    expect(late.memory.charges).toBe(1)
    const training = announce(start, 1).state
    if (training.phase !== "training") throw new Error("The facility was to train.")
    const locked: FacilityState = {
      ...training,
      phase: "locked",
      mine: null,
      challenge: new Uint8Array(32),
      listed: new Map(),
    }
    const kept = justTrained(locked, 1)
    expect(types(kept)).toEqual([])
    expect(kept.state.memory.charges).toBe(0)
    const idle = voided(kept.state, 1).state
    const waiting = announce(idle, 2)
    expect(types(waiting)).toEqual(["enter"])
    const sent = entered(waiting.state, 2)
    expect(types(sent)).toEqual(["charge", "record", "send update"])
    const resent = announce(voided(sent.state, 2).state, 3)
    expect(types(resent)).toEqual(["record", "send update"])
    expect(resent.state.memory.charges).toBe(1)
  })

  it("a place in the ledger that comes when nothing waits for it is not used", () => {
    const voidBefore = voided(justTrained(announce(start, 1).state, 1).state, 1).state
    for (const state of [start, voidBefore, trained(announce(start, 1).state, 1).state]) {
      const after = entered(state, 1)
      expect(after.effects).toEqual([])
      expect(after.state).toBe(state)
    }
  })

  it("a charge names the round, the model and what is spent with it", () => {
    const [charge] = trained(announce(start, 1).state, 1).effects
    if (charge?.type !== "charge") throw new Error("The first effect was to be a charge.")
    const { event, model, place, ...rest } = charge.charge
    expect(place).toEqual({ seq: 1, previous: emptyLedger(me.id).hash, month: "2026-11" })
    expect(equalBytes(model, modelHashOf(study, parameters))).toBe(true)
    expect(toHex(event).length).toBeGreaterThan(0)
    expect(rest).toEqual({
      purpose: "update",
      round: 1,
      attempt: 1,
      steps: 4,
      epsilon: epsilonAfter(study, 1),
      delta: 1e-5,
      insecureSeed: true,
    })
  })
})
