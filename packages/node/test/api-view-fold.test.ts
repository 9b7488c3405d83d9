import { toHex } from "@consilium/base/bytes"
import { encode } from "@consilium/base/encoding"
import { sha256 } from "@consilium/base/hash"
import type { LogEntry } from "@consilium/federation/log"
import {
  addTraffic,
  type Message,
  messageCodec,
  noTraffic,
  submissionMessage,
  type Traffic,
  trafficOf,
} from "@consilium/federation/messages"
import { Directory } from "@consilium/federation/roster"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type Options, type Outcome, runStudy } from "../../federation/test/harness.js"
import { changedRoster, directoryOf, keysFor, signed, testStudy } from "../../federation/test/members.js"
import { insteadOf, silentFrom } from "../../federation/test/scenes.js"
import { eventView } from "../src/api/event-sentences.js"
import { studyViewSchema } from "../src/api/schemas.js"
import type { StudyView } from "../src/api/study-view.js"
import { applyEntry, type FoldState, startView } from "../src/api/view-fold.js"
import { LoggedStudy, ran } from "./api-study.js"

const CLINICS = ["clinic-1", "clinic-2", "clinic-3", "clinic-4"]

const folded = (handle: LoggedStudy, entries: readonly LogEntry[] = handle.outcome.log): FoldState =>
  entries.reduce(applyEntry, startView(handle))
const viewOf = (outcome: Outcome): StudyView => folded(new LoggedStudy(outcome)).view
const stepsOf = (view: StudyView, round: number, name: string): readonly string[] =>
  view.rounds[round]?.lanes.find((lane) => lane.name === name)?.steps.map(({ step }) => step) ?? []
const bytesFrom = (view: StudyView, name: string): Traffic | undefined =>
  view.edges.find(({ from }) => from === name)?.bytes

/** The bodies that somebody's messages have when they cross an edge. */
const sent = (outcome: Outcome, by: string, wanted: (message: Message, to: string) => boolean): Traffic =>
  outcome.said
    .filter((one) => one.by === by && wanted(one.message, one.to))
    .map(({ message }) => trafficOf(message, encode(messageCodec, message).length))
    .reduce(addTraffic, noTraffic)

describe("a study that nothing disturbs", () => {
  const shamir = ran({ study: { protection: "shamir", training: { fineTuneSteps: 2 } } })
  const plain = ran({ study: { protection: "plain" } })

  it("before its first event, waits", () => {
    const { view } = startView(new LoggedStudy(shamir))
    expect(studyViewSchema.parse(view)).toEqual(view)
    expect(view).toMatchObject({
      state: "waiting",
      startedAt: null,
      log: { events: 0 },
      rounds: [],
      marks: ["insecure-seed", "synthetic-data"],
      cohort: { smallest: 3, threshold: 3, colluders: 1 },
      model: { kind: "logistic-regression", features: ["a", "b", "c"], parameters: 4 },
    })
    expect(view.participants.map(({ name, parent }) => [name, parent]).sort()).toEqual([
      ["clinic-1", "fog-1"],
      ["clinic-2", "fog-2"],
      ["clinic-3", "fog-1"],
      ["clinic-4", "fog-2"],
      ["fog-1", "leader"],
      ["fog-2", "leader"],
      ["leader", null],
    ])
  })

  it.each([shamir, plain])(
    "ends complete, with the models, cohorts and head that the leader has",
    (outcome) => {
      const view = viewOf(outcome)
      expect(studyViewSchema.parse(view)).toEqual(view)
      const { closed, log } = outcome.leader.progress
      expect(view).toMatchObject({
        state: "complete",
        reason: null,
        plannedRounds: 2,
        log: { events: outcome.log.length, head: toHex(log.hash) },
        security: [],
      })
      expect(view.rounds.map(({ modelHash }) => modelHash)).toEqual(closed.map(({ model }) => toHex(model)))
      expect(view.rounds.map(({ round, attempt, phase }) => [round, attempt, phase])).toEqual([
        [1, 1, "closed"],
        [2, 1, "closed"],
      ])
      for (const round of view.rounds) {
        expect([...round.cohort].sort()).toEqual(CLINICS)
        expect(round.metrics.map(({ facility, rows }) => [facility, rows]).sort()).toEqual(
          CLINICS.map((name) => [name, 12]),
        )
        expect(Date.parse(round.endedAt as string)).toBe(
          closed.find(({ round: number }) => number === round.round)?.closedAt,
        )
      }
      expect(view.finals.map(({ facility }) => facility).sort()).toEqual(CLINICS)
      expect(view.privacy).toHaveLength(4)
      expect(view.participants.every(({ lastHeardAt }) => lastHeardAt !== null)).toBe(true)
    },
  )

  it("shows every step of a round with sealed shares", () => {
    const view = viewOf(shamir)
    expect(view.rounds[0]?.phases.map(({ phase }) => phase)).toEqual([
      "collecting",
      "locked",
      "challenged",
      "certifying",
      "opening",
      "validating",
      "closed",
    ])
    for (const name of CLINICS)
      expect(stepsOf(view, 0, name)).toEqual([
        "submitted",
        "answered-challenge",
        "checked-shares",
        "signed",
        "opened",
        "reported",
      ])
    expect(stepsOf(view, 0, "fog-1")).toEqual(["counted"])
    expect(view.finals.every(({ global, personal }) => global !== null && personal !== null)).toBe(true)
  })

  it("shows every step of a round without protection", () => {
    const view = viewOf(plain)
    expect(view.rounds[0]?.phases.map(({ phase }) => phase)).toEqual([
      "collecting",
      "certifying",
      "opening",
      "validating",
      "closed",
    ])
    expect(stepsOf(view, 0, "clinic-1")).toEqual(["submitted", "signed", "reported"])
    expect(stepsOf(view, 0, "fog-1")).toEqual(["summed", "counted"])
  })

  it.each([shamir, plain])("counts on each edge what crossed it to the leader, to the byte", (outcome) => {
    const view = viewOf(outcome)
    const toLeader = (name: string): Traffic => sent(outcome, name, (_, to) => to === "leader")
    for (const name of CLINICS) expect([name, bytesFrom(view, name)]).toEqual([name, toLeader(name)])
    for (const [fog, children] of [
      ["fog-1", ["clinic-1", "clinic-3"]],
      ["fog-2", ["clinic-2", "clinic-4"]],
    ] as const)
      expect(bytesFrom(view, fog)).toEqual([fog, ...children].map(toLeader).reduce(addTraffic))
  })

  it("knows of shares and of updates for a fog what the fog counted, and gives no facility a part of it", () => {
    const shares = viewOf(shamir).regions.map(({ bytes }) => bytes.relayed)
    const given = (names: readonly string[]): number =>
      names
        .map((name) => sent(shamir, name, (message) => message.type === "share").relayed)
        .reduce((a, b) => a + b)
    expect(shares.sort()).toEqual([given(["clinic-1", "clinic-3"]), given(["clinic-2", "clinic-4"])].sort())
    expect(CLINICS.map((name) => bytesFrom(viewOf(shamir), name)?.relayed)).toEqual([0, 0, 0, 0])
    expect(viewOf(plain).regions.every(({ bytes }) => bytes.update > 0)).toBe(true)
    expect(CLINICS.map((name) => bytesFrom(viewOf(plain), name)?.update)).toEqual([0, 0, 0, 0])
  })

  it("gives a fog's one facility all that the fog counted", () => {
    const outcome = ran({ facilities: 4, fogs: 4, study: { protection: "plain" } })
    const view = viewOf(outcome)
    for (const name of CLINICS)
      expect(bytesFrom(view, name)?.update).toBe(sent(outcome, name, (m) => m.type === "update").update)
    expect(bytesFrom(view, "clinic-1")?.update).toBeGreaterThan(0)
  })

  it("is the same whether it is folded at once, bit by bit, or stored in between", () => {
    const handle = new LoggedStudy(shamir)
    const whole = folded(handle)
    fc.assert(
      fc.property(fc.integer({ min: 0, max: shamir.log.length }), (cut) => {
        const first = folded(handle, shamir.log.slice(0, cut))
        const frozen = JSON.stringify(first.view)
        const rest = shamir.log.slice(cut).reduce(applyEntry, first)
        expect(rest.view).toEqual(whole.view)
        // pure: what was there has not changed under the reader's hands
        expect(JSON.stringify(first.view)).toBe(frozen)
      }),
      { numRuns: 20 },
    )
  })

  it("goes on over events that it does not know and bodies that it cannot read", () => {
    const handle = new LoggedStudy(shamir)
    const strange = (entry: LogEntry, type: string, body: Uint8Array): LogEntry => ({
      ...entry,
      header: { ...entry.header, type, bodyHash: sha256(body) },
      body,
    })
    const whole = folded(handle)
    for (const type of ["something-new", "announce", "region", "roster", "signature"]) {
      let state = startView(handle)
      for (const entry of shamir.log) {
        state = applyEntry(state, strange(entry, type, Uint8Array.of(255, 1, 2)))
        state = applyEntry(state, entry)
        expect(eventView(handle, strange(entry, type, Uint8Array.of(255))).says).toContain(type)
      }
      const { log: _, ...rest } = state.view
      expect(rest).toEqual({ ...whole.view, log: undefined })
    }
  })
})

describe("a study that something disturbs", () => {
  it("shows a void attempt with its reason, and the attempt after it", () => {
    const outcome = runStudy({
      speak: insteadOf("clinic-1", "announce", () => []),
      train: ({ facility, spec }) =>
        spec.attempt === 1 && facility !== "clinic-1" ? { fails: "a column is constant" } : {},
    })
    const view = viewOf(outcome)
    const [first, second] = view.rounds
    expect(first).toMatchObject({ round: 1, attempt: 1, phase: "void", modelHash: null })
    expect(first?.reason).toMatch(/1 facilities sent an update; 3 are needed/)
    expect(first?.lanes.find(({ name }) => name === "clinic-2")?.steps).toMatchObject([
      { step: "refused", detail: "a column is constant (learning/diverged)" },
    ])
    expect(second).toMatchObject({ round: 1, attempt: 2, phase: "closed" })
    expect(view.state).toBe("complete")
  })

  it("shows why a study was given up", () => {
    const outcome = runStudy({ study: { attempts: 2 }, train: () => ({ fails: "no rows" }) })
    expect(outcome.leader.phase).toBe("aborted")
    const view = viewOf(outcome)
    expect(view.state).toBe("aborted")
    expect(view.reason).toMatch(/^Round 1 failed 2 times/)
    expect(view.rounds.map(({ phase }) => phase)).toEqual(["void", "void"])
  })

  it("shows who fell silent by the steps that are missing", () => {
    const view = viewOf(runStudy({ speak: silentFrom("clinic-2", "signature") }))
    expect(stepsOf(view, 0, "clinic-2")).toEqual(["submitted", "answered-challenge", "checked-shares"])
    expect(stepsOf(view, 1, "clinic-2")).toEqual([])
  })

  it("shows who contradicted itself, as a security event and in its lane", () => {
    const twice: Options["speak"] = (utterance) => {
      const { by, message } = utterance
      if (by !== "clinic-3" || message.type !== "submit") return [utterance]
      const submission = { ...message.submission, direct: new Uint8Array(32) }
      const signature = keysFor(by).sign(submissionMessage(submission))
      return [utterance, { ...utterance, message: { ...message, submission, signature } }]
    }
    const outcome = runStudy({ study: { rounds: 1 }, speak: twice })
    const view = viewOf(outcome)
    expect(view.security).not.toEqual([])
    expect(view.security.every(({ about }) => about === "clinic-3")).toBe(true)
    expect(view.security.map(({ code }) => code)).toContain("round/equivocation")
    expect(stepsOf(view, 0, "clinic-3")).toContain("excluded")
    expect(studyViewSchema.parse(view)).toEqual(view)
  })

  it("shows a facility that leaves and one that joins, from the round on in which they do", () => {
    const study = testStudy(5, { rounds: 3 })
    const before = directoryOf(study, 5, 2)
    const after = changedRoster(before.roster, { leave: ["clinic-2"], join: { newcomer: "fog-1" } })
    const outcome = runStudy({
      facilities: 5,
      study: { rounds: 3 },
      rosters: [{ during: 1, signed: signed(after, study) }],
    })
    expect(outcome.leader.phase).toBe("closed")
    const handle = new LoggedStudy(outcome, [new Directory(after), before])
    const { view } = folded(handle)
    const who = (name: string) => view.participants.find((one) => one.name === name)
    expect(who("clinic-2")).toMatchObject({ joinedAtRound: 1, leftAfterRound: 1 })
    expect(who("newcomer")).toMatchObject({ joinedAtRound: 2, leftAfterRound: null, parent: "fog-1" })
    expect(view.rounds.map(({ cohort }) => cohort.includes("newcomer"))).toEqual([false, true, true])
    expect(view.rounds.map(({ cohort }) => cohort.includes("clinic-2"))).toEqual([true, false, false])
    expect(view.rounds[1]?.lanes.map(({ name }) => name)).not.toContain("clinic-2")
    expect(bytesFrom(view, "newcomer")?.opening).toBeGreaterThan(0)
    expect(view.regions.find(({ fog }) => fog === "fog-1")?.facilities).toContain("newcomer")
    expect(view.privacy.map(({ facility }) => facility)).toContain("newcomer")
    expect(
      eventView(handle, handle.outcome.log.find(({ header }) => header.type === "roster") as LogEntry).says,
    ).toBe("The authority changed the list of participants; it holds from the next round on.")
  })
})

describe("sentences", () => {
  it("every kind of event has one of its own", () => {
    const told = new Map<string, string>()
    for (const options of [
      { study: { protection: "shamir", rounds: 1 } },
      { study: { protection: "plain", rounds: 1 } },
    ] as const) {
      const handle = new LoggedStudy(ran(options))
      for (const entry of handle.outcome.log) {
        const { type, says } = eventView(handle, entry)
        expect(says).toMatch(/^[A-Za-z0-9].*[.)]$/)
        expect(says).not.toMatch(/undefined|NaN|\[object|no words|does not know/)
        if (!told.has(type))
          told.set(type, says.replaceAll(/[0-9a-f]{16}/g, "<hash>").replace(/\d+ bytes/, "<n> bytes"))
      }
    }
    expect(Object.fromEntries([...told].sort(([a], [b]) => (a < b ? -1 : 1)))).toMatchInlineSnapshot(`
      {
        "announce": "Round 1, attempt 1, begins: the leader sent everyone the current model.",
        "candidate": "A new model was made from the sum and sent to everyone.",
        "certificate": "4 facilities signed the list of 4: their sum, and nothing else, may be opened.",
        "closed": "The round is closed with the model <hash>.",
        "ended": "The study has ended: The study is complete.",
        "final-report": "clinic-1 tested the final model on its held-out patients.",
        "finish": "After 1 round the final model was sent to everyone.",
        "lock": "The list of 4 updates is fixed; whoever dealt shares now shows that they fit together.",
        "opening": "clinic-1 answered the challenge on the shares it dealt.",
        "openings": "The answers of 4 facilities to the challenge were shown to everyone.",
        "partial": "clinic-1 gave its part of the opening.",
        "propose": "The leader asks every facility to sign the list of 4 facilities whose sum is to be opened.",
        "region": "fog-1 sent the sum of the updates of 2 facilities.",
        "report": "clinic-1 tested the new model on its held-out patients.",
        "signature": "clinic-1 signed the list.",
        "submit": "clinic-1 sent its update as sealed shares and committed itself to them.",
        "sum-opened": "The sum over the certified facilities was opened.",
        "traffic": "fog-1 counted <n> bytes from its facilities.",
        "verdict": "clinic-1 checked the shares it holds: 4 good, 0 disputed.",
      }
    `)
  })

  it("events that hold no message are told by their type", () => {
    const handle = new LoggedStudy(ran())
    const [first] = handle.outcome.log as [LogEntry]
    const says = (type: string): string =>
      eventView(handle, { ...first, header: { ...first.header, type }, body: new Uint8Array(0) }).says
    expect(
      ["security:identity/bad-signature", "dropped:partial", "dealer-excluded", "aborted", "sum-opened"].map(
        says,
      ),
    ).toMatchInlineSnapshot(`
      [
        "Something that must not happen came in the name of leader: identity/bad-signature.",
        "A message of leader (partial) did not belong to this moment and was dropped.",
        "leader dealt a false share and sits this attempt out.",
        "The leader gave the study up.",
        "The sum over the certified facilities was opened.",
      ]
    `)
  })
})
