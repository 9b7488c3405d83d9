import { toHex } from "@consilium/base/bytes"
import { decode, encode } from "@consilium/base/encoding"
import { parameterHash } from "@consilium/learning/model-file"
import { describe, expect, it } from "vitest"
import { stepLeader } from "../src/leader.js"
import type { LeaderContext } from "../src/leader-state.js"
import { STOPPED, stopCodec, stopReason } from "../src/leader-stop.js"
import type { MessageOf } from "../src/messages.js"
import { initialModel } from "../src/model.js"
import { isKeyed, type Protection } from "../src/study.js"
import { architectureOf } from "../src/training.js"
import { textOf } from "./errors.js"
import { altered, eventsOf, placeOf, said } from "./forged-log.js"
import { LATENCY, type Options, type Outcome, runStudy, stopOf } from "./harness.js"
import { authorityKey, keysFor, suite } from "./members.js"
import { audited, calm, keptHeads, models } from "./scenes.js"

const ROUNDS = 2
const shape = (protection: Protection) =>
  ({ facilities: 4, fogs: 2, study: { rounds: ROUNDS, protection } }) as const satisfies Options
const SHAMIR = shape("shamir")
/** What is said of the leader's own in each, beside what is said in all. */
const SHAPES = [
  { ...shape("plain"), also: [], every: LATENCY },
  { ...SHAMIR, also: ["lock", "openings", "certificate"], every: 2 * LATENCY },
  // messages take two hops up and two down: one moment of each phase
  { ...shape("masked"), also: ["certificate"], every: 4 * LATENCY },
  { ...shape("ckks"), also: ["lock", "openings", "key-test", "certificate"], every: 4 * LATENCY },
] as const

/** What the leader had said last when the study was stopped. */
const SAID = ["announce", "lock", "openings", "key-test", "propose", "certificate", "candidate", "finish"]
const saidBefore = ({ log }: Outcome): string =>
  log
    .slice(0, placeOf(log, STOPPED))
    .filter(({ header }) => SAID.includes(header.type))
    .at(-1)?.header.type ?? "nothing"

const stopsIn = ({ log }: Outcome) =>
  log.flatMap(({ header, body }) => (header.type === STOPPED ? [decode(stopCodec, body)] : []))
/** Milliseconds from a run's first word to the first message of a type. */
const afterStart = ({ said }: Outcome, type: string): number =>
  (said.find(({ message }) => message.type === type)?.at as number) - (said[0]?.at as number)
const modelOf = ({ study, leader }: Outcome): string =>
  toHex(parameterHash(architectureOf(study), leader.progress.parameters))
const firstModel = ({ study }: Outcome): string =>
  toHex(parameterHash(architectureOf(study), initialModel(study)))

/** Everything that must hold of a study that was stopped, whenever it was. */
const expectStopped = (outcome: Outcome, undisturbed: Outcome): void => {
  const { leader, facilities, fogs, security } = outcome
  if (leader.phase !== "aborted") throw new Error(`It goes on: ${leader.phase}.`)
  const { stopped, reason } = leader
  if (stopped === undefined) throw new Error("It ended otherwise.")
  const closed = models(outcome)
  expect(stopped).toMatchObject({ rounds: closed.length, by: "R. Person", via: "token owner" })
  expect(reason).toBe(stopReason(stopped))
  expect(closed).toEqual(models(undisturbed).slice(0, closed.length))
  expect(modelOf(outcome)).toBe(closed.at(-1) ?? firstModel(outcome))
  expect(toHex(stopped.model)).toBe(modelOf(outcome))
  expect(stopsIn(outcome)).toEqual([stopped])
  const audit = audited(outcome, outcome.log, keptHeads(outcome))
  expect(audit).toMatchObject({ ended: true, stopped, certifiedRounds: closed.length })
  expect(toHex(audit.model)).toBe(modelOf(outcome))
  for (const [name, state] of facilities) {
    expect([name, state.phase]).toEqual([name, "ended"])
    // nothing that could still be opened is kept
    expect(state.memory.trained).toBeNull()
  }
  const ends = outcome.said.filter(({ message }) => message.type === "ended")
  expect(ends.map(({ message }) => (message as MessageOf<"ended">).reason)).toEqual([reason])
  expect(fogs.size).toBe(2)
  expect(security).toEqual([])
}

describe("a study that a person stops", () => {
  it.each(SHAPES)("ends in good order in every phase: $study.protection", ({ also, every, ...options }) => {
    const undisturbed = calm(options)
    const last = afterStart(undisturbed, "ended")
    const met = new Set<string>()
    const rounds = new Set<number>()
    const ceremony = isKeyed(undisturbed.study)
    for (let after = LATENCY / 2; after <= last; after += every) {
      const outcome = runStudy({ ...options, stops: [{ during: ceremony ? 0 : 1, after }] })
      if (outcome.leader.phase === "closed") {
        // it was over before anybody stopped it
        expect(stopsIn(outcome)).toEqual([])
        expect(outcome.lines).toContain("R. Person stopped a study that is over")
        continue
      }
      expectStopped(outcome, undisturbed)
      met.add(saidBefore(outcome))
      rounds.add(models(outcome).length)
    }
    met.delete("nothing")
    expect([...met].sort()).toEqual(["announce", "propose", "candidate", "finish", ...also].sort())
    expect([...rounds].sort()).toEqual([0, 1, 2])
  })

  it("may be stopped before it begins", () => {
    const outcome = runStudy({ ...SHAMIR, stops: [{ during: 0 }] })
    expectStopped(outcome, calm(SHAMIR))
    expect(saidBefore(outcome)).toBe("nothing")
    expect(models(outcome)).toEqual([])
  })

  it("is stopped once; later decisions change nothing", () => {
    const outcome = runStudy({
      ...SHAMIR,
      stops: [
        { during: 2, after: 5 },
        { during: 2, after: 5 },
        { during: 2, after: 300 },
      ],
    })
    expectStopped(outcome, calm(SHAMIR))
    const { study, directory, leader } = outcome
    const me = directory.leader
    const context: LeaderContext = { study, directory, me, keys: keysFor("leader"), suite, authorityKey }
    const again = stepLeader(context, leader, stopOf(9_000_000))
    expect(again.state).toEqual(leader)
    expect(again.effects.map(({ type }) => type)).toEqual(["progress"])
  })

  it("closes the round whose sum was opened, so that nothing that was spent is lost", () => {
    const undisturbed = calm(SHAMIR)
    const shown = afterStart(undisturbed, "candidate")
    const outcome = runStudy({ ...SHAMIR, stops: [{ during: 1, after: shown + 1 }] })
    expect(saidBefore(outcome)).toBe("candidate")
    expect(models(outcome)).toEqual(models(undisturbed).slice(0, 1))
    const types = outcome.log.map(({ header }) => header.type).filter((type) => !type.startsWith("dropped:"))
    expect(types.slice(types.indexOf("closed"))).toEqual(["closed", STOPPED, "aborted", "ended"])
    expect(outcome.lines.slice(-2)).toEqual([
      "R. Person stopped the study after 1 of 2 rounds: the labels of one facility are wrong",
      `the model is ${models(outcome)[0]?.slice(0, 16)}`,
    ])
  })
})

describe("an audit of a stopped study", () => {
  const outcome = runStudy({ ...SHAMIR, stops: [{ during: 2, after: 15 }] })
  const events = eventsOf(outcome.log)
  const at = placeOf(outcome.log, STOPPED)
  const decision = events[at] as (typeof events)[number]
  const forged = (change: object): string =>
    textOf(() =>
      audited(
        outcome,
        altered(outcome, at, {
          ...decision,
          body: encode(stopCodec, { ...decode(stopCodec, decision.body), ...change }),
        }),
      ),
    )

  it("names who stopped it and why, and refuses a decision that says what is not so", () => {
    expect(audited(outcome).stopped).toMatchObject({
      rounds: 1,
      by: "R. Person",
      reason: "the labels of one facility are wrong",
    })
    expect(audited(calm(SHAMIR)).stopped).toBeNull()
    const other = "the study is stopped with another model than its closed rounds led to"
    expect(forged({ rounds: 2 })).toContain(`Event ${at + 1} of the log: ${other}.`)
    expect(forged({ model: new Uint8Array(32) })).toContain(other)
    const actor = outcome.directory.facilities[0]?.id as Uint8Array
    expect(textOf(() => audited(outcome, altered(outcome, at, { ...decision, actor })))).toContain(
      "a leader's decision is logged in another's name",
    )
  })

  it("refuses a study that goes on after it, or ends for another reason", () => {
    expect(textOf(() => audited(outcome, altered(outcome, at, decision, decision)))).toContain(
      `Event ${at + 2} of the log: a study-stopped comes after the study was stopped.`,
    )
    const voided = events[placeOf(outcome.log, "void")] as (typeof events)[number]
    const announced = events[placeOf(outcome.log, "announce", 2)] as (typeof events)[number]
    expect(textOf(() => audited(outcome, altered(outcome, at, decision, voided, announced)))).toContain(
      "a announce comes after the study was stopped",
    )
    const ended = events[placeOf(outcome.log, "ended")] as (typeof events)[number]
    const otherwise = said<"ended">(ended, (message) => ({ ...message, reason: "It is complete." }))
    expect(textOf(() => audited(outcome, altered(outcome, at, decision, voided, otherwise)))).toContain(
      "the study ends for another reason than the one it was stopped for",
    )
    expect(textOf(() => audited(outcome, altered(outcome, outcome.log.length, decision)))).toContain(
      "a study-stopped comes after the end of the study",
    )
  })

  it("refuses a stop between an opened sum and the end of its round", () => {
    const { log } = calm(SHAMIR)
    const opened = placeOf(log, "candidate")
    expect(
      textOf(() => audited(calm(SHAMIR), altered({ study: outcome.study, log }, opened, decision))),
    ).toContain("the study is stopped between an opened sum and its round's end")
  })
})
