import { equalBytes, toHex } from "@consilium/base/bytes"
import { describe, expect, it } from "vitest"
import { startFacility, stepFacility } from "../src/facility.js"
import type { FacilityContext, FacilityEffect, FacilityState } from "../src/facility-state.js"
import { emptyHead, type LogHead, type LogHeader, nextHeader } from "../src/log.js"
import {
  type CosignedHead,
  finalHeadDigest,
  type Message,
  type MessageOf,
  type Proposal,
  type RoundSpec,
} from "../src/messages.js"
import { modelFile, modelHashOf } from "../src/model.js"
import { Directory, openRoster, participantId, type Roster } from "../src/roster.js"
import { studyDigest } from "../src/study.js"
import { type Options, type Outcome, runStudy } from "./harness.js"
import {
  authorityKey,
  changedRoster,
  facilityNames,
  flipped,
  keysFor,
  rosterOf,
  signed,
  suite,
  testPolicy,
  testStudy,
} from "./members.js"
import { audited, evidence, insteadOf, keptHeads, silentFrom, together } from "./scenes.js"

const ONE_ROUND: Options = { study: { rounds: 1 } }
const run = (options: Options): Outcome => {
  const outcome = runStudy({ ...ONE_ROUND, ...options })
  audited(outcome, outcome.log, keptHeads(outcome))
  return outcome
}
const endOf = ({ said }: Outcome): MessageOf<"ended"> => {
  const ended = said.map(({ message }) => message).find((message) => message.type === "ended")
  if (ended === undefined) throw new Error("The study has no end.")
  return ended
}
const lastKept = ({ cosigned }: Outcome, name: string): CosignedHead | undefined => cosigned.get(name)?.at(-1)

describe("[S7] the log's end, signed by the facilities", () => {
  it("carries everyone's signature, and everyone keeps it", () => {
    const outcome = run({})
    const { head } = endOf(outcome)
    expect(head).toMatchObject({ signed: { type: "final" } })
    expect(head?.signatures).toHaveLength(4)
    for (const name of facilityNames(4)) expect(lastKept(outcome, name)).toEqual(head)
    // it ends right before the leader asked for it
    const asked = outcome.log.find(({ header }) => header.type === "finish")
    expect(head?.seq).toBe((asked?.header.seq ?? 0) - 1)
  })

  it("is made by a quorum: one facility less does no harm, two less leave it out", () => {
    const one = run({ speak: silentFrom("clinic-1", "final-report") })
    expect(
      endOf(one)
        .head?.signatures.map(({ facility }) => one.nameOf(facility))
        .sort(),
    ).toEqual(facilityNames(4).slice(1))
    expect(lastKept(one, "clinic-1")).toEqual(endOf(one).head)
    const two = run({
      speak: together(silentFrom("clinic-1", "final-report"), silentFrom("clinic-2", "final-report")),
    })
    expect(endOf(two).head).toBeNull()
    expect(lastKept(two, "clinic-3")?.signed.type).toBe("certificate")
  })

  it("does not carry a wrong signature: it is evidence, and the others suffice", () => {
    const outcome = run({
      speak: insteadOf("clinic-1", "final-report", (message) => [
        { ...message, head: message.head && flipped(message.head, 5) },
      ]),
    })
    expect(evidence(outcome)).toEqual(["security:identity/bad-signature clinic-1"])
    expect(endOf(outcome).head?.signatures).toHaveLength(3)
  })

  it("that is another than the log's is signed by nobody, and everybody says so", () => {
    const outcome = runStudy({
      ...ONE_ROUND,
      speak: insteadOf("leader", "finish", (message) => [
        { ...message, head: { ...message.head, hash: new Uint8Array(32) } },
      ]),
    })
    expect(endOf(outcome).head).toBeNull()
    expect(outcome.security.map(({ by, code }) => `${by} ${code}`).sort()).toEqual(
      facilityNames(4).map((name) => `${name} log/not-extending`),
    )
    // their reports are sent all the same
    const finals = outcome.said.filter(({ message }) => message.type === "final-report")
    expect(finals).toHaveLength(4)
  })

  it("is missing where the study was aborted", () => {
    const outcome = run({
      study: { rounds: 1, attempts: 1 },
      speak: together(silentFrom("clinic-1", "start"), silentFrom("clinic-2", "start")),
    })
    expect(endOf(outcome).head).toBeNull()
    expect([...outcome.cosigned]).toEqual([])
  })

  it.each([
    ["with too few signatures", (head: CosignedHead) => ({ ...head, signatures: head.signatures.slice(2) })],
    [
      "with one facility's signature for all",
      (head: CosignedHead) => ({
        ...head,
        signatures: head.signatures.map((s) => ({
          ...s,
          signature: head.signatures[0]?.signature ?? s.signature,
        })),
      }),
    ],
    ["of another event", (head: CosignedHead) => ({ ...head, seq: head.seq - 1 })],
    ["of another log", (head: CosignedHead) => ({ ...head, hash: new Uint8Array(32) })],
    ["among another roster", (head: CosignedHead) => ({ ...head, roster: new Uint8Array(32) })],
  ] as const)("%s is kept by nobody", (_, change) => {
    const outcome = runStudy({
      ...ONE_ROUND,
      speak: insteadOf("leader", "ended", (message) => [
        { ...message, head: message.head && change(message.head) },
      ]),
    })
    for (const name of facilityNames(4)) expect(lastKept(outcome, name)?.signed.type).toBe("certificate")
    expect(new Set(outcome.security.map(({ code, about }) => `${code} ${about}`)).size).toBe(1)
    expect(outcome.security).toHaveLength(4)
    expect(outcome.security[0]?.code).toMatch(/^(cohort\/uncertified|identity\/bad-roster)$/)
  })
})

// One facility alone, to which a leader shows what it likes.

const study = testStudy(4, { protection: "plain" })
const first = rosterOf(study, 4, 2)
const second = changedRoster(first, { join: { "clinic-5": "fog-1" } })

const contextOf = (name: string, roster: Roster): FacilityContext => {
  const directory = new Directory(roster)
  return {
    study,
    directory,
    me: directory.named(name),
    keys: keysFor(name),
    suite,
    policy: testPolicy(),
    authorityKey,
  }
}
type Step = ReturnType<typeof stepFacility>
const tell = (context: FacilityContext, state: FacilityState, message: Message): Step =>
  stepFacility(context, state, { type: "message", at: 1_000, from: context.directory.leader, message })
const codes = (effects: readonly FacilityEffect[]): readonly string[] =>
  effects.flatMap((effect) => (effect.type === "security" ? [effect.code] : []))

/** Headers of a log, and its heads. */
const chainOf = (what: string, length: number) => {
  const heads: LogHead[] = [emptyHead(studyDigest(study))]
  const headers: LogHeader[] = []
  for (let i = 0; i < length; i++) {
    const { header, head } = nextHeader(heads.at(-1) as LogHead, {
      at: 1,
      actor: participantId("leader"),
      type: what,
      body: new Uint8Array(0),
    })
    headers.push(header)
    heads.push(head)
  }
  return { heads, headers }
}
const main = chainOf("main", 9)
const fork = chainOf("fork", 9)
const model = modelFile(study, new Float64Array(4), 1)
const shown = ({ heads, headers }: ReturnType<typeof chainOf>, from: number, to: number) => ({
  ...(heads[to] as LogHead),
  headers: headers.slice(from, to),
})
const finish = (head: MessageOf<"finish">["head"]): Message => ({ type: "finish", rounds: 2, model, head })
const proposing = (context: FacilityContext, head: ReturnType<typeof shown>): Message => {
  const spec: RoundSpec = {
    study: studyDigest(study),
    round: 2,
    attempt: 1,
    purpose: "update",
    epoch: 0,
    roster: context.directory.digest,
    model: modelHashOf(study, new Float64Array(4)),
  }
  const proposal: Proposal = {
    spec,
    cohort: [],
    headSeq: head.seq,
    head: head.hash,
    headers: head.headers,
  }
  return { type: "propose", proposal, submissions: [] }
}

describe("a facility that joined later", () => {
  const context = contextOf("clinic-5", second)
  const start = startFacility(context)
  const announced = tell(context, start, {
    type: "announce",
    spec: (proposing(context, shown(main, 0, 1)) as MessageOf<"propose">).proposal.spec,
    model: modelFile(study, new Float64Array(4), 0),
    members: null,
  }).state

  it("has seen nothing, and takes the first head with what leads to it", () => {
    expect(start.memory.head).toBeNull()
    expect(announced.phase).toBe("training")
    const seen = tell(context, announced, proposing(context, shown(main, 3, 6))).state
    expect(seen.memory.head).toEqual(main.heads[6])
    // also where there are no headers before it
    const bare = tell(context, announced, proposing(context, shown(main, 6, 6))).state
    expect(bare.memory.head).toEqual(main.heads[6])
  })

  it("takes none that does not follow from what is shown with it", () => {
    const [, , , third, , , sixth] = main.headers
    for (const headers of [[third as LogHeader, sixth as LogHeader], fork.headers.slice(3, 6)]) {
      const step = tell(context, announced, proposing(context, { ...shown(main, 3, 6), headers }))
      expect(codes(step.effects)).toEqual(["log/not-extending"])
      expect(step.state.memory.head).toBeNull()
    }
  })

  it("holds the leader to it from then on", () => {
    const seen = tell(context, announced, proposing(context, shown(main, 3, 6))).state
    expect(codes(tell(context, seen, proposing(context, shown(fork, 6, 8))).effects)).toEqual([
      "log/not-extending",
    ])
    expect(tell(context, seen, proposing(context, shown(main, 6, 8))).state.memory.head).toEqual(
      main.heads[8],
    )
  })

  it("that joined at the beginning knows where the log begins", () => {
    const early = contextOf("clinic-1", first)
    expect(startFacility(early).memory.head).toEqual(main.heads[0])
    expect(codes(tell(early, startFacility(early), finish(shown(main, 3, 6))).effects)).toEqual([
      "log/not-extending",
    ])
  })
})

describe("at the end, a facility", () => {
  const context = contextOf("clinic-1", first)
  const start = startFacility(context)
  const finished = (state: FacilityState) => {
    const step = stepFacility(context, state, {
      type: "finished",
      global: null,
      personal: null,
      subgroups: null,
    })
    const [report] = step.effects.flatMap((effect) => (effect.type === "send" ? [effect.message] : []))
    return report as MessageOf<"final-report">
  }
  const finalHead = (log: typeof main, seq: number, signers: readonly string[]): CosignedHead => {
    const { hash } = log.heads[seq] as LogHead
    const digest = finalHeadDigest(studyDigest(study), seq, hash)
    return {
      seq,
      hash,
      signed: { type: "final" },
      roster: context.directory.digest,
      signatures: signers.map((name) => ({
        facility: participantId(name),
        signature: keysFor(name).sign(digest),
      })),
    }
  }
  const [, two, three, four] = facilityNames(4) as [string, string, string, string]

  it("signs the head that it was shown, once", () => {
    const { state } = tell(context, start, finish(shown(main, 0, 9)))
    const { head } = finished(state)
    const digest = finalHeadDigest(studyDigest(study), 9, (main.heads[9] as LogHead).hash)
    expect(head && suite.verify(context.me.signingKey, digest, head)).toBe(true)
    const again = tell(context, state, finish(shown(fork, 0, 9)))
    expect(again.state).toBe(state)
    expect(again.effects).toMatchObject([{ type: "record", event: "message-dropped" }])
  })

  it("signs none that it cannot follow, and reports all the same", () => {
    const step = tell(context, start, finish(shown(main, 1, 9)))
    expect(codes(step.effects)).toEqual(["log/not-extending"])
    expect(step.effects.map(({ type }) => type)).toContain("finish")
    expect(finished(step.state)).toMatchObject({ type: "final-report", head: null })
  })

  it("keeps the head that the others signed with it", () => {
    const { state } = tell(context, start, finish(shown(main, 0, 9)))
    const head = finalHead(main, 9, ["clinic-1", two, three])
    expect(tell(context, state, { type: "ended", reason: "done", head }).effects).toEqual([
      { type: "cosigned", head },
      { type: "ended", reason: "done" },
    ])
  })

  it("keeps, as evidence, a head that the others signed on another log, and says so", () => {
    const { state } = tell(context, start, finish(shown(main, 0, 9)))
    for (const head of [finalHead(fork, 9, [two, three, four]), finalHead(main, 8, [two, three, four])]) {
      const { effects } = tell(context, state, { type: "ended", reason: "done", head })
      expect(codes(effects)).toEqual(["log/not-extending"])
      expect(effects).toContainEqual({ type: "cosigned", head })
      expect(effects.at(-1)).toEqual({ type: "ended", reason: "done" })
    }
  })

  it("keeps what the others signed also where it could not follow itself", () => {
    const { state } = tell(context, start, finish(shown(main, 1, 9)))
    const head = finalHead(main, 9, [two, three, four])
    expect(tell(context, state, { type: "ended", reason: "done", head }).effects).toEqual([
      { type: "cosigned", head },
      { type: "ended", reason: "done" },
    ])
  })

  it("that left before keeps nothing more, and never speaks", () => {
    const leaving = signed(changedRoster(first, { leave: ["clinic-1"] }), study)
    const step = tell(context, start, { type: "roster", signed: leaving })
    expect(step.effects).toEqual([
      { type: "record", event: "roster-changed", detail: "roster 2, 3 facilities" },
      { type: "ended", reason: "This facility has left the study." },
    ])
    for (const message of [finish(shown(main, 0, 9)), proposing(context, shown(main, 0, 2))])
      expect(tell(context, step.state, message).effects.map(({ type }) => type)).toEqual(["record"])
  })
})

describe("[S17] a roster that a facility is shown", () => {
  const context = contextOf("clinic-1", first)
  const start = startFacility(context)
  const rekeyed: Roster = {
    ...second,
    participants: second.participants.map((p) =>
      p.name === "clinic-2" ? { ...p, sealingKey: keysFor("mallory").sealingKey } : p,
    ),
  }
  const bySomebody = signed(second, study)
  const cases: readonly (readonly [string, Uint8Array])[] = [
    ["with a bit turned over", flipped(bySomebody, 8 * (bySomebody.length - 3))],
    ["with another key of a member", signed(rekeyed, study)],
    ["of another study", signed({ ...second, study: new Uint8Array(32) }, study)],
    ["of the same version", signed({ ...second, version: 1 }, study)],
  ]
  it.each(cases)("%s is refused, and changes nothing", (_, bytes) => {
    const step = tell(context, start, { type: "roster", signed: bytes })
    expect(codes(step.effects)).toEqual(["identity/bad-roster"])
    expect(step.state).toBe(start)
  })

  it("holds, and an announcement must be among it", () => {
    const step = tell(context, start, { type: "roster", signed: bySomebody })
    const { directory } = openRoster(suite, authorityKey, bySomebody)
    expect(toHex(step.state.memory.directory.digest)).toBe(toHex(directory.digest))
    const parameters = new Float64Array(4)
    const announcing = (roster: Uint8Array): Message => ({
      type: "announce",
      spec: {
        study: studyDigest(study),
        round: 1,
        attempt: 1,
        purpose: "update",
        epoch: 0,
        roster,
        model: modelHashOf(study, parameters),
      },
      model: modelFile(study, parameters, 0),
      members: null,
    })
    const old = tell(context, step.state, announcing(context.directory.digest))
    expect(codes(old.effects)).toEqual(["round/unexpected"])
    expect(old.state).toBe(step.state)
    expect(tell(context, step.state, announcing(directory.digest)).state.phase).toBe("training")
    // and the one of the beginning does not come back
    const back = tell(context, step.state, { type: "roster", signed: signed(first, study) })
    expect(codes(back.effects)).toEqual(["identity/bad-roster"])
    expect(equalBytes(back.state.memory.directory.digest, directory.digest)).toBe(true)
  })
})
