import { toHex } from "@consilium/base/bytes"
import { encode } from "@consilium/base/encoding"
import { sha256 } from "@consilium/base/hash"
import { describe, expect, it } from "vitest"
import { startFog, stepFog } from "../src/fog.js"
import { startLeader, stepLeader } from "../src/leader.js"
import type { LeaderContext, LeaderEvent } from "../src/leader-state.js"
import {
  envelopeCodec,
  type Message,
  type MessageOf,
  pack,
  type RoundSpec,
  specDigest,
  submissionMessage,
} from "../src/messages.js"
import { openRoster, participantId, type Roster, signRoster } from "../src/roster.js"
import { encodeStudy, openingThreshold, type Protection, studyDigest } from "../src/study.js"
import { readableBytes } from "../src/sums/plain.js"
import { type Options, type Outcome, runStudy, type Utterance } from "./harness.js"
import {
  authorityKey,
  changedRoster,
  directoryOf,
  keysFor,
  participant,
  rosterOf,
  signed,
  suite,
  testStudy,
} from "./members.js"
import {
  audited,
  cohorts,
  evidence,
  keptHeads,
  models,
  openedSums,
  silentFrom,
  Trainings,
  together,
  trainedSums,
  voids,
} from "./scenes.js"

const BOTH: readonly Protection[] = ["plain", "shamir"]
const clinics = (...numbers: readonly number[]): readonly string[] => numbers.map((n) => `clinic-${n}`)
const ALL_FOUR = clinics(1, 2, 3, 4)

/** A run whose opened sums are what the cohorts trained, and whose log and kept heads a stranger finds in order. */
const run = (options: Options): Outcome => {
  const trainings = new Trainings()
  const outcome = runStudy({ ...options, train: trainings.listen })
  expect(openedSums(outcome).map(({ sum }) => sum)).toEqual(trainedSums(outcome, trainings))
  const audit = audited(outcome, outcome.log, keptHeads(outcome))
  expect(audit.certifiedRounds).toBe(outcome.leader.progress.closed.length)
  expect(toHex(audit.directory.digest)).toBe(toHex(outcome.leader.progress.directory.digest))
  return outcome
}

/** Rosters of a study in a row: who joins and leaves. */
const rostersOf = (options: Options, ...changes: readonly Parameters<typeof changedRoster>[1][]) => {
  const study = testStudy(4, options.study)
  let roster = rosterOf(study, 4, 2)
  return changes.map((change) => {
    roster = changedRoster(roster, change)
    return signed(roster, study)
  })
}

describe.each(BOTH)("facilities that join and leave between rounds, %s", (protection) => {
  const options: Options = { study: { protection, rounds: 4 } }
  const [second, third] = rostersOf(
    options,
    { join: { "clinic-5": "fog-1", "clinic-6": "fog-3" }, fogs: ["fog-3"] },
    { leave: ["clinic-2"] },
  ) as [Uint8Array, Uint8Array]
  const outcome = run({
    ...options,
    rosters: [
      { during: 1, signed: second },
      { during: 2, signed: third },
    ],
  })

  it("take part from the next round on, and no longer", () => {
    expect(cohorts(outcome)).toEqual([
      ALL_FOUR,
      clinics(1, 2, 3, 4, 5, 6),
      clinics(1, 3, 4, 5, 6),
      clinics(1, 3, 4, 5, 6),
    ])
    expect(outcome.leader.phase).toBe("closed")
    expect([voids(outcome), outcome.security, evidence(outcome)]).toEqual([[], [], []])
    for (const { startedAt, closedAt } of outcome.leader.progress.closed)
      expect(closedAt - startedAt).toBeLessThan(1000)
    expect(outcome.lines.filter((line) => / (joined|left) /.test(line))).toEqual([
      expect.stringMatching(/^clinic-[56], clinic-[56] joined the study$/),
      "clinic-2 left the study",
    ])
  })

  it("know of every change, wherever they are in the tree", () => {
    const told = (name: string) =>
      outcome.records
        .filter(({ by, event }) => by === name && event === "roster-changed")
        .map((r) => r.detail)
    expect(told("clinic-1")).toEqual(["roster 2, 6 facilities", "roster 3, 5 facilities"])
    expect(told("clinic-2")).toEqual(["roster 2, 6 facilities", "roster 3, 5 facilities"])
    expect(told("clinic-5")).toEqual(["roster 3, 5 facilities"])
    expect(told("fog-1")).toEqual(["roster 2, 3 facilities here", "roster 3, 3 facilities here"])
    expect(told("fog-2")).toEqual(["roster 2, 2 facilities here", "roster 3, 1 facilities here"])
    expect(told("fog-3")).toEqual(["roster 3, 1 facilities here"])
  })

  it("who has left has ended, and says nothing more", () => {
    const left = outcome.facilities.get("clinic-2")
    expect(left).toMatchObject({ phase: "ended", signature: null })
    const changed = outcome.said.find(({ message }) => message.type === "roster" && message.signed === third)
    const later = outcome.said.filter(({ by, at }) => by === "clinic-2" && at > (changed?.at ?? 0))
    expect(later).toEqual([])
  })

  it("who has joined sees one log with the others, and its heads are on it", () => {
    const heads = [...outcome.facilities].map(([name, state]) => [name, state.memory.head?.seq])
    const last = outcome.facilities.get("clinic-1")?.memory.head?.seq
    expect(heads.filter(([name]) => name !== "clinic-2").map(([, seq]) => seq)).toEqual(
      new Array(5).fill(last),
    )
    // one for each round, and the final one
    const kept = (name: string) => outcome.cosigned.get(name)?.map(({ signed: { type } }) => type)
    expect(kept("clinic-1")).toEqual([...new Array(4).fill("certificate"), "final"])
    expect(kept("clinic-5")).toEqual([...new Array(3).fill("certificate"), "final"])
    expect(kept("clinic-2")).toEqual(new Array(2).fill("certificate"))
  })
})

it("[S15] the protection changes no bit of the model, whoever comes and goes", () => {
  const [plain, shamir] = BOTH.map((protection) => {
    const options: Options = { study: { protection, rounds: 3 } }
    const [second] = rostersOf(options, { leave: ["clinic-1"], join: { "clinic-5": "fog-2" } })
    return run({ ...options, rosters: [{ during: 1, signed: second as Uint8Array }] })
  }) as [Outcome, Outcome]
  expect(models(plain)).toHaveLength(3)
  expect(models(shamir)).toEqual(models(plain))
})

describe("more facilities than the study's threshold withstands", () => {
  const options: Options = { study: { rounds: 2, attempts: 1 } }
  const [grown] = rostersOf(options, {
    join: { "clinic-5": "fog-1", "clinic-6": "fog-2", "clinic-7": "fog-1" },
  })
  const rosters = [{ during: 1, signed: grown as Uint8Array }]
  const silent = (...names: readonly string[]) =>
    together(...names.map((name) => silentFrom(name, "partial")))

  it("need more of them to open a sum: t grows with n", () => {
    const study = testStudy(4)
    expect([4, 5, 6, 7, 8, 9].map((n) => openingThreshold(study, n))).toEqual([3, 4, 4, 5, 5, 6])
    const lost = run({ ...options, rosters, speak: silent("clinic-5", "clinic-6", "clinic-7") })
    expect(voids(lost)).toEqual(["sharing/too-few-shares: 4 shares were given and 5 are needed."])
    const enough = run({ ...options, rosters, speak: silent("clinic-5", "clinic-6") })
    expect(cohorts(enough).map((cohort) => cohort.length)).toEqual([4, 7])
  })
})

describe("[S17] when a roster holds", () => {
  const options: Options = { study: { rounds: 3 } }
  const [second, third] = rostersOf(
    options,
    { join: { "clinic-5": "fog-1" } },
    { join: { "clinic-6": "fog-2" } },
  ) as [Uint8Array, Uint8Array]

  it("one that comes before the start: from the first round on", () => {
    const outcome = run({ ...options, rosters: [{ during: 0, signed: second }] })
    expect(cohorts(outcome)).toEqual(new Array(3).fill(clinics(1, 2, 3, 4, 5)))
    expect(outcome.log[0]?.header.type).toBe("roster")
  })

  it("one that comes in the last round: never, and it is not in the log", () => {
    const outcome = run({ ...options, rosters: [{ during: 3, signed: second }] })
    expect(cohorts(outcome)).toEqual(new Array(3).fill(ALL_FOUR))
    expect(outcome.log.some(({ header }) => header.type === "roster")).toBe(false)
    expect(outcome.leader.phase).toBe("closed")
  })

  it("never within a round, nor for a redone one", () => {
    const outcome = run({
      ...options,
      rosters: [{ during: 1, signed: second }],
      speak: (() => {
        let attempts = 0
        return (utterance: Utterance) => {
          if (utterance.message.type === "announce") attempts += 1
          return attempts === 1 && utterance.message.type === "signature" ? [] : [utterance]
        }
      })(),
    })
    expect(voids(outcome)).toHaveLength(1)
    expect(cohorts(outcome)).toEqual([ALL_FOUR, clinics(1, 2, 3, 4, 5), clinics(1, 2, 3, 4, 5)])
    expect(outcome.leader.progress.closed[0]).toMatchObject({ attempt: 2 })
  })

  it("of two that come in one round, the later one alone", () => {
    const outcome = run({
      ...options,
      rosters: [
        { during: 1, signed: second },
        { during: 1, after: 1, signed: third },
        // again, and the one before it, come to nothing
        { during: 1, after: 2, signed: third },
        { during: 1, after: 3, signed: second },
      ],
    })
    expect(cohorts(outcome)).toEqual([ALL_FOUR, clinics(1, 2, 3, 4, 5, 6), clinics(1, 2, 3, 4, 5, 6)])
    expect(evidence(outcome)).toEqual(["security:identity/bad-roster leader"])
    expect(outcome.lines[0]).toBe(
      "a new roster cannot be used: Roster 2 does not come after roster 3, which waits for the next round.",
    )
  })
})

describe("[S17] a roster that cannot work is refused and recorded, and the study goes on", () => {
  const changes = { protection: "plain", rounds: 2, quantisation: { largestWeight: 8000 } } as const
  const study = testStudy(4, changes)
  const first = rosterOf(study, 4, 2)
  const next = changedRoster(first, { join: { "clinic-5": "fog-1" } })
  const changing = (name: string, change: object): Roster => ({
    ...next,
    participants: next.participants.map((p) => (p.name === name ? { ...p, ...change } : p)),
  })
  const deposed: Roster = {
    ...next,
    participants: [
      participant("usurper", "leader"),
      ...next.participants
        .filter(({ role }) => role !== "leader")
        .map((p) => (p.role === "fog" ? { ...p, parent: participantId("usurper") } : p)),
    ].sort((a, b) => (toHex(a.id) < toHex(b.id) ? -1 : 1)),
  }
  const other = testStudy(4, { rounds: 9 })
  const many = Object.fromEntries([5, 6, 7, 8, 9].map((i) => [`clinic-${i}`, "fog-1"]))
  const cases: readonly (readonly [string, Uint8Array, string, RegExp])[] = [
    [
      "too few facilities",
      signed(changedRoster(first, { leave: ["clinic-1", "clinic-2"] }), study),
      "round/bad-study",
      /2 facilities cannot form a cohort of 3/,
    ],
    [
      "more facilities than their sum has bits for",
      signed(changedRoster(first, { join: many }), study),
      "round/bad-study",
      /9 facilities of weight up to 8000 sum to/,
    ],
    [
      "another key of a member",
      signed(changing("clinic-2", { signingKey: keysFor("mallory").signingKey }), study),
      "identity/bad-roster",
      /changes the entry of clinic-2/,
    ],
    [
      "a member under another fog",
      signed(changing("clinic-2", { parent: participantId("fog-1") }), study),
      "identity/bad-roster",
      /changes the entry of clinic-2/,
    ],
    ["another leader", signed(deposed, study), "identity/bad-roster", /leader|fog/],
    [
      "a fog less",
      signed(changedRoster(first, { leave: ["fog-2", "clinic-2", "clinic-4"], join: { a: "fog-1" } }), study),
      "identity/bad-roster",
      /leaves out the fog fog-2/,
    ],
    [
      "the same version and another facility",
      signed({ ...next, version: 1 }, study),
      "identity/bad-roster",
      /Roster 1 does not come after roster 1/,
    ],
    [
      "a signature that is not the authority's",
      signRoster(next, encodeStudy(study), keysFor("leader").sign),
      "identity/bad-roster",
      /not signed by the authority/,
    ],
    [
      "another study",
      signed({ ...next, study: studyDigest(other) }, other),
      "identity/bad-roster",
      /of another study/,
    ],
    [
      "the bytes of another study",
      signed(next, other),
      "identity/bad-roster",
      /of another study than the one that came with it/,
    ],
    ["no roster at all", new Uint8Array(9), "encoding/malformed", /./],
  ]

  it.each(cases)("%s", (_, bytes, code, reason) => {
    const outcome = run({ study: changes, rosters: [{ during: 1, signed: bytes }] })
    expect(evidence(outcome)).toEqual([`security:${code} leader`])
    expect(outcome.lines[0]).toMatch(/^a new roster cannot be used: /)
    expect(outcome.lines[0]).toMatch(reason)
    expect(cohorts(outcome)).toEqual([ALL_FOUR, ALL_FOUR])
    expect(outcome.leader.phase).toBe("closed")
    expect(outcome.log.some(({ header }) => header.type === "roster")).toBe(false)
  })

  it("a version that is over", () => {
    const [second, third] = rostersOf(
      { study: { rounds: 3 } },
      { join: { "clinic-5": "fog-1" } },
      { leave: ["clinic-5"] },
    ) as [Uint8Array, Uint8Array]
    const outcome = run({
      study: { rounds: 3 },
      rosters: [
        { during: 1, signed: third },
        { during: 2, signed: second },
      ],
    })
    expect(evidence(outcome)).toEqual(["security:identity/bad-roster leader"])
    expect(outcome.lines.find((line) => line.startsWith("a new roster"))).toMatch(
      /Roster 2 does not come after roster 3\.$/,
    )
    expect(cohorts(outcome)).toEqual(new Array(3).fill(ALL_FOUR))
  })
})

describe("somebody who has left", () => {
  const study = testStudy(4, { protection: "plain" })
  const directory = directoryOf(study, 4, 2)
  const without = signed(changedRoster(directory.roster, { leave: ["clinic-1"] }), study)
  const left = directory.named("clinic-1")

  it("is not heard by the leader any more", () => {
    const inShares = testStudy(4)
    const before = directoryOf(inShares, 4, 2)
    const context: LeaderContext = {
      study: inShares,
      directory: before,
      me: before.leader,
      keys: keysFor("leader"),
      suite,
      authorityKey,
    }
    const events: readonly LeaderEvent[] = [
      {
        type: "roster",
        at: 1,
        signed: signed(changedRoster(before.roster, { leave: ["clinic-1"] }), inShares),
      },
      { type: "start", at: 2 },
    ]
    const state = events.reduce((at, event) => stepLeader(context, at, event).state, startLeader(context))
    if (state.phase !== "collecting") throw new Error("The round has not begun.")
    const submission = {
      spec: state.attempt.digest,
      facility: left.id,
      direct: null,
      parts: [],
      ledger: null,
    }
    const message: Message = {
      type: "submit",
      submission,
      signature: keysFor("clinic-1").sign(submissionMessage(submission)),
    }
    const envelope = encode(
      envelopeCodec,
      pack(studyDigest(inShares), left.id, before.leader.id, message, keysFor("clinic-1").sign),
    )
    const step = stepLeader(context, state, { type: "message", at: 3, from: left, message, envelope })
    expect(step.effects).toMatchObject([{ type: "append", header: { type: "dropped:submit" } }])
    expect(step.state).toMatchObject({ phase: "collecting", submissions: new Map() })
  })

  it("does not spoil its region's sum", () => {
    const context = { study, directory, me: directory.named("fog-1"), suite, authorityKey }
    const { directory: after } = openRoster(suite, authorityKey, without)
    const spec: RoundSpec = {
      study: studyDigest(study),
      round: 1,
      attempt: 1,
      purpose: "update",
      epoch: 0,
      roster: after.digest,
      model: new Uint8Array(32),
    }
    const orders: readonly Message[] = [
      { type: "roster", signed: without },
      { type: "announce", spec, model: new Uint8Array(1), members: null },
    ]
    const collecting = orders.reduce(
      (state, message) => stepFog(context, state, { type: "message", from: directory.leader, message }).state,
      startFog(context),
    )
    const payload = readableBytes(new Int32Array(5))
    const update = (name: string): MessageOf<"update"> => {
      const submission = {
        spec: specDigest(spec),
        facility: participantId(name),
        direct: sha256(payload),
        parts: [],
        ledger: null,
      }
      const signature = keysFor(name).sign(submissionMessage(submission))
      return { type: "update", submission: { submission, signature }, payload }
    }
    const told = stepFog(context, collecting, { type: "message", from: left, message: update("clinic-1") })
    expect(told).toEqual({ state: collecting, effects: [] })
    // and it is not waited for
    const last = stepFog(context, collecting, {
      type: "message",
      from: directory.named("clinic-3"),
      message: update("clinic-3"),
    })
    expect(last.effects.map(({ type }) => type)).toEqual(["record", "send"])
  })
})

describe("[S17] a leader that shows some another roster than others", () => {
  it("gets no quorum under either: no sum is opened, and everyone whose roster differs says so", () => {
    const options: Options = { study: { rounds: 2 } }
    const study = testStudy(4, options.study)
    const first = rosterOf(study, 4, 2)
    const shown = signed(changedRoster(first, { join: { "clinic-5": "fog-1" } }), study)
    const hidden = signed(changedRoster(first, { join: { "clinic-6": "fog-2" } }), study)
    const outcome = run({
      ...options,
      rosters: [{ during: 1, signed: shown }],
      speak: (utterance) =>
        utterance.message.type !== "roster"
          ? [utterance]
          : [
              ...["clinic-1", "clinic-2", "fog-1"].map((to) => ({ ...utterance, to })),
              ...["clinic-3", "clinic-4", "fog-2"].map((to) => ({
                ...utterance,
                to,
                message: { type: "roster", signed: hidden } as const,
              })),
            ],
    })
    expect(cohorts(outcome)).toEqual([ALL_FOUR])
    expect(outcome.leader.phase).toBe("aborted")
    const says = new Set(outcome.security.map(({ by, code, about }) => `${by} ${code} ${about}`))
    expect([...says].sort()).toEqual(["clinic-3 round/unexpected leader", "clinic-4 round/unexpected leader"])
  })

  it("or a roster in the middle of a round: no facility takes it, and the next attempt is among the old one", () => {
    const study = testStudy(4, { rounds: 1 })
    const early = signed(changedRoster(rosterOf(study, 4, 2), { leave: ["clinic-4"] }), study)
    let locked = 0
    const outcome = run({
      study: { rounds: 1 },
      speak: (utterance) =>
        utterance.message.type !== "lock" || locked++ > 0
          ? [utterance]
          : [
              ...ALL_FOUR.map((to) => ({
                ...utterance,
                to,
                message: { type: "roster", signed: early } as const,
              })),
              utterance,
            ],
    })
    expect(voids(outcome)).toHaveLength(1)
    expect(cohorts(outcome)).toEqual([ALL_FOUR])
    expect(outcome.security.map(({ by, code }) => `${by} ${code}`).sort()).toEqual(
      ALL_FOUR.map((name) => `${name} round/unexpected`),
    )
  })
})
