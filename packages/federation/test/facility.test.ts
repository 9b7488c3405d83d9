import { insecureSeededSecret } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import { startFacility, stepFacility } from "../src/facility.js"
import type { FacilityContext, FacilityEvent, FacilityState } from "../src/facility-state.js"
import { emptyHead, type LogHead, nextHeader } from "../src/log.js"
import {
  certificateDigest,
  type Message,
  type MessageOf,
  type Proposal,
  type RoundSpec,
  type SignedSubmission,
  specDigest,
  submissionDigest,
  submissionMessage,
} from "../src/messages.js"
import { modelFile, modelHashOf } from "../src/model.js"
import { participantId } from "../src/roster.js"
import { studyDigest, valueCount } from "../src/study.js"
import {
  authorityKey,
  directoryOf,
  facilityNames,
  flipped,
  keysFor,
  suite,
  testPolicy,
  testStudy,
} from "./members.js"

const study = testStudy(4, { protection: "plain" })
const directory = directoryOf(study, 4, 2)
const context: FacilityContext = {
  study,
  directory,
  me: directory.named("clinic-1"),
  keys: keysFor("clinic-1"),
  suite,
  policy: testPolicy(),
  authorityKey,
}
const parameters = new Float64Array(4)
const specOf = (change: Partial<RoundSpec> = {}): RoundSpec => ({
  study: studyDigest(study),
  round: 1,
  attempt: 1,
  purpose: "update",
  epoch: 0,
  roster: directory.digest,
  model: modelHashOf(study, parameters),
  ...change,
})
const announcementOf = (spec: RoundSpec): Message => ({
  type: "announce",
  spec,
  model: modelFile(study, parameters, 0),
  members: null,
})
const secret = insecureSeededSecret(1, "facility")
const values = new Int32Array(valueCount(study)).fill(3)

const step = (state: FacilityState, event: FacilityEvent) => stepFacility(context, state, event)
const tell = (state: FacilityState, message: Message, from = "leader") =>
  step(state, { type: "message", at: 1_000, from: directory.named(from), message })
const trained = (spec: RoundSpec): FacilityEvent => ({
  type: "trained",
  spec: specDigest(spec),
  values,
  secret,
})
const sent = (effects: ReturnType<typeof step>["effects"]): readonly Message[] =>
  effects.flatMap((effect) => (effect.type === "send" ? [effect.message] : []))
const codes = (effects: ReturnType<typeof step>["effects"]): readonly string[] =>
  effects.flatMap((effect) => (effect.type === "security" ? [effect.code] : []))
/** What a refused message leads to: a security event and a refusal for the leader, with one code. */
const refused = (result: ReturnType<typeof step>): string => {
  const [code] = codes(result.effects)
  expect(sent(result.effects)).toMatchObject([{ type: "refusal", code }])
  return String(code)
}

const start = startFacility(context)
const spec = specOf()
const training = tell(start, announcementOf(spec)).state
const submitted = step(training, trained(spec))
const own = (sent(submitted.effects)[0] as MessageOf<"update">).submission

const submissionOf = (name: string, of: RoundSpec = spec): SignedSubmission => {
  const submission = {
    spec: specDigest(of),
    facility: participantId(name),
    direct: new Uint8Array(32).fill(1),
    parts: [],
    ledger: null,
  }
  return { submission, signature: keysFor(name).sign(submissionMessage(submission)) }
}
const others = facilityNames(4)
  .slice(1)
  .map((name) => submissionOf(name))

const first = nextHeader(emptyHead(studyDigest(study)), {
  at: 1,
  actor: participantId("leader"),
  type: "announce",
  body: new Uint8Array(0),
})
const second = nextHeader(first.head, {
  at: 2,
  actor: participantId("leader"),
  type: "void",
  body: new Uint8Array(0),
})
const proposalOf = (
  list: readonly SignedSubmission[],
  of: RoundSpec = spec,
  head: LogHead = first.head,
): Proposal => ({
  spec: of,
  cohort: list
    .map(({ submission }) => ({ facility: submission.facility, digest: submissionDigest(submission) }))
    .sort((a, b) => directory.pointOf(a.facility) - directory.pointOf(b.facility)),
  headSeq: head.seq,
  head: head.hash,
  headers: head === first.head ? [first.header] : [first.header, second.header],
})
const proposing = (list: readonly SignedSubmission[], shown = list): Message => ({
  type: "propose",
  proposal: proposalOf(list),
  submissions: shown,
})
const certificateOf = (proposal: Proposal, signers = facilityNames(4).slice(1)): Message => ({
  type: "certificate",
  proposal,
  signatures: signers.map((name) => ({
    facility: participantId(name),
    signature: keysFor(name).sign(certificateDigest(proposal)),
  })),
  openers: [],
})

describe("an announcement", () => {
  it("of another study, of a round, an attempt or an epoch that the study does not have is refused", () => {
    for (const change of [
      { study: new Uint8Array(32) },
      { round: 3 },
      { attempt: 4 },
      { attempt: 0 },
      { epoch: 1 },
    ]) {
      const wrong = { ...specOf(change), round: change.round ?? (change.attempt === 0 ? 2 : 1) }
      const result = tell(start, announcementOf(wrong))
      expect(refused(result)).toBe("round/unexpected")
      expect(result.state).toBe(start)
      expect(sent(result.effects)).toMatchObject([{ round: wrong.round, attempt: wrong.attempt }])
    }
  })

  it("with another model than it names is refused, for the attempt it names", () => {
    const result = tell(start, announcementOf(specOf({ attempt: 2, model: new Uint8Array(32) })))
    expect(refused(result)).toBe("round/wrong-model")
    expect(sent(result.effects)).toMatchObject([{ round: 1, attempt: 2 }])
  })

  it("of an attempt that is over is dropped without a word", () => {
    const later = tell(training, announcementOf(specOf({ attempt: 2 }))).state
    for (const late of [spec, specOf({ attempt: 2 })]) {
      const result = tell(later, announcementOf(late))
      expect(result.state).toBe(later)
      expect(result.effects).toMatchObject([{ type: "record", event: "message-dropped" }])
    }
  })

  it("[S14] that policy does not allow is refused with the reason, and nothing is trained", () => {
    const policy = testPolicy({ protections: ["shamir"] })
    const result = stepFacility({ ...context, policy }, start, {
      type: "message",
      at: 1_000,
      from: directory.leader,
      message: announcementOf(spec),
    })
    expect(result.effects.map(({ type }) => type)).toEqual(["record", "send"])
    expect(sent(result.effects)).toMatchObject([{ type: "refusal", code: "policy/protection" }])
  })

  it("after the end of the study is dropped", () => {
    const { state } = tell(start, { type: "ended", reason: "enough", head: null })
    expect(tell(state, announcementOf(spec))).toMatchObject({
      state,
      effects: [{ event: "message-dropped" }],
    })
  })
})

describe("[S14] a study that a person here must allow", () => {
  const policy = testPolicy({ approval: "ask" })
  const asking = (state: FacilityState, event: FacilityEvent) =>
    stepFacility({ ...context, policy }, state, event)
  const announced = asking(start, {
    type: "message",
    at: 1_000,
    from: directory.leader,
    message: announcementOf(spec),
  })
  const decided = (state: FacilityState, approved: boolean) =>
    asking(state, { type: "decision", approved, by: "a person" })

  it("is not trained before, and nothing is sent", () => {
    expect(announced.effects).toMatchObject([{ type: "record", event: "approval-wanted" }])
  })

  it("is trained once it is allowed, then and from the next round on", () => {
    const allowed = decided(announced.state, true)
    expect(allowed.effects).toMatchObject([{ event: "study-approved" }, { type: "train" }])
    const idle = decided(start, true).state
    expect(
      asking(idle, { type: "message", at: 1, from: directory.leader, message: announcementOf(spec) }),
    ).toMatchObject({
      effects: [{ type: "train" }],
    })
  })

  it("is refused with the reason once it is denied, then and from the next round on", () => {
    const denied = decided(announced.state, false)
    expect(sent(denied.effects)).toMatchObject([{ type: "refusal", code: "policy/denied" }])
    const again = announcementOf(specOf({ attempt: 2 }))
    const later = asking(denied.state, { type: "message", at: 1, from: directory.leader, message: again })
    expect(sent(later.effects)).toMatchObject([{ type: "refusal", code: "policy/denied" }])
    expect(later.effects.some(({ type }) => type === "train")).toBe(false)
  })
})

describe("[S13] the end of a study in the middle of a round", () => {
  it("leaves neither the integers nor their secret, however it comes", () => {
    const { head } = first
    const finish: Message = {
      type: "finish",
      rounds: 2,
      model: modelFile(study, parameters, 2),
      head: { seq: head.seq, hash: head.hash, headers: [first.header] },
    }
    expect(submitted.state.memory.trained).not.toBeNull()
    for (const message of [{ type: "ended", reason: "enough", head: null } as const, finish]) {
      const { state } = tell(submitted.state, message)
      expect([state.phase, state.memory.trained]).toEqual(["ended", null])
      expect(step(state, trained(spec)).state.memory.trained).toBeNull()
    }
  })
})

describe("training that fails", () => {
  const failed = (of: RoundSpec, reason = "It diverged."): FacilityEvent => ({
    type: "training-failed",
    spec: specDigest(of),
    code: "learning/diverged",
    reason,
  })

  it("is a refusal of its attempt", () => {
    const result = step(training, failed(spec))
    expect(result.state.phase).toBe("idle")
    expect(sent(result.effects)).toEqual([
      {
        type: "refusal",
        purpose: "update",
        round: 1,
        attempt: 1,
        code: "learning/diverged",
        reason: "It diverged.",
      },
    ])
  })

  it("leaves another attempt alone, and one that was trained for", () => {
    const later = tell(training, announcementOf(specOf({ attempt: 2 }))).state
    expect(step(later, failed(spec))).toMatchObject({ state: later, effects: [{ event: "training-failed" }] })
    expect(step(submitted.state, failed(spec)).state).toBe(submitted.state)
  })

  it("for a reason longer than a message carries is told in part", () => {
    const [refusal] = sent(step(training, failed(spec, "é".repeat(5000))).effects) as [MessageOf<"refusal">]
    expect(refusal.reason).toBe("é".repeat(250))
  })

  it("by giving other values than the study's is a refusal, not an error", () => {
    const result = step(training, { ...trained(spec), values: new Int32Array(2) } as FacilityEvent)
    expect(sent(result.effects)).toMatchObject([{ type: "refusal", code: "sharing/wrong-length" }])
  })
})

describe("[S4] a list to be signed", () => {
  const all = [own, ...others]

  it("is signed when every rule holds, and signed again with the same bytes", () => {
    const signed = tell(submitted.state, proposing(all))
    expect(signed.state.phase).toBe("signed")
    const digest = certificateDigest(proposalOf(all))
    expect(sent(signed.effects)).toEqual([
      { type: "signature", digest, signature: keysFor("clinic-1").sign(digest) },
    ])
    expect(sent(tell(signed.state, proposing(all)).effects)).toEqual(sent(signed.effects))
  })

  it("may be without this facility, also before it has trained", () => {
    expect(tell(submitted.state, proposing(others)).state.phase).toBe("signed")
    expect(tell(training, proposing(others)).state.phase).toBe("signed")
  })

  const [two, three, four] = others as [SignedSubmission, SignedSubmission, SignedSubmission]
  const foreign: SignedSubmission = { ...submissionOf("fog-1"), signature: new Uint8Array(64) }
  const ownOther = submissionOf("clinic-1")
  const cases: readonly (readonly [string, Message, string])[] = [
    ["a list of two", proposing([own, two]), "cohort/too-small"],
    [
      "somebody who is no facility",
      proposing(
        [...all, foreign].filter((s) => s !== foreign),
        [...all, foreign],
      ),
      "cohort/wrong-member",
    ],
    ["a facility twice", proposing(all, [...all, two]), "cohort/wrong-member"],
    ["a facility that submitted nothing", proposing(all, [own, two, three]), "cohort/wrong-member"],
    [
      "another update than a facility submitted",
      proposing([own, two, three, four], [own, two, three, submissionOf("clinic-4", specOf({ attempt: 2 }))]),
      "identity/bad-signature",
    ],
    [
      "a submission that its facility did not sign",
      proposing(all, [own, two, three, { ...four, signature: flipped(four.signature, 4) }]),
      "identity/bad-signature",
    ],
    [
      "an update of this facility that it did not send",
      proposing([ownOther, ...others]),
      "cohort/wrong-member",
    ],
    [
      "a head that does not fit its headers",
      { type: "propose", proposal: { ...proposalOf(all), head: new Uint8Array(32) }, submissions: all },
      "log/not-extending",
    ],
    [
      "a head further on than its headers",
      { type: "propose", proposal: { ...proposalOf(all), headSeq: 2 }, submissions: all },
      "log/not-extending",
    ],
  ]
  it.each(cases)("that names or shows %s is refused", (_, message, code) => {
    const result = tell(submitted.state, message)
    expect(refused(result)).toBe(code)
    expect(result.state.phase).toBe("submitted")
    expect(result.state.memory.opened).toEqual([])
  })

  it("names updates, not facilities: the digest of another update is refused", () => {
    const proposal = proposalOf(all)
    const cohort = proposal.cohort.map((m, i) => (i === 2 ? { ...m, digest: new Uint8Array(32) } : m))
    const result = tell(submitted.state, {
      type: "propose",
      proposal: { ...proposal, cohort },
      submissions: all,
    })
    expect(refused(result)).toBe("cohort/wrong-member")
  })

  it("counts for the log that was shown, even if it is refused", () => {
    const result = tell(submitted.state, proposing([own, two]))
    expect(result.state.memory.head).toEqual(first.head)
    // and the log cannot go back behind it
    const back: Proposal = {
      ...proposalOf(all),
      headSeq: 0,
      head: emptyHead(studyDigest(study)).hash,
      headers: [],
    }
    expect(refused(tell(result.state, { type: "propose", proposal: back, submissions: all }))).toBe(
      "log/not-extending",
    )
  })

  it("is one for an attempt: a second is refused, and so is its certificate", () => {
    const { state } = tell(submitted.state, proposing(all))
    expect(refused(tell(state, proposing(others)))).toBe("cohort/second-list")
    const result = tell(state, certificateOf(proposalOf(others)))
    expect(refused(result)).toBe("cohort/second-list")
    expect(result.state.phase).toBe("signed")
  })

  it("is of the attempt under way: another's is dropped", () => {
    const later = tell(submitted.state, announcementOf(specOf({ attempt: 2 }))).state
    expect(tell(later, proposing(all)).effects).toMatchObject([{ type: "record", event: "message-dropped" }])
  })
})

describe("a certificate", () => {
  const signed = tell(submitted.state, proposing([own, ...others])).state

  it("opens the list that was signed", () => {
    expect(tell(signed, certificateOf(proposalOf([own, ...others]))).state.phase).toBe("opened")
  })

  it("with too few signatures is refused", () => {
    const result = tell(signed, certificateOf(proposalOf([own, ...others]), ["clinic-2", "clinic-3"]))
    expect(refused(result)).toBe("cohort/uncertified")
    expect(result.state).toBe(signed)
  })

  it("of a list that this facility did not sign opens nothing, but its cohort counts as opened", () => {
    const result = tell(submitted.state, certificateOf(proposalOf(others)))
    expect(refused(result)).toBe("cohort/uncertified")
    expect(result.state.phase).toBe("submitted")
    expect(result.state.memory.opened).toMatchObject([
      { round: 1, attempt: 1, facilities: expect.any(Array) },
    ])
    // the next attempt's cohort differs from it by this facility alone
    const next = specOf({ attempt: 2 })
    const redone = tell(result.state, announcementOf(next))
    const list = [
      (sent(redone.effects)[0] as MessageOf<"update">).submission,
      ...facilityNames(4)
        .slice(1)
        .map((name) => submissionOf(name, next)),
    ]
    const asked = tell(redone.state, {
      type: "propose",
      proposal: proposalOf(list, next, second.head),
      submissions: list,
    })
    expect(refused(asked)).toBe("cohort/differencing")
  })

  it("forged for such a list counts for nothing", () => {
    const result = tell(submitted.state, certificateOf(proposalOf(others), ["clinic-2"]))
    expect(result.state.memory.opened).toEqual([])
  })
})

describe("a model whose sum counts as opened", () => {
  it("is not trained from again once its integers are gone", () => {
    const all = [own, ...others]
    const opened = tell(tell(submitted.state, proposing(all)).state, certificateOf(proposalOf(all))).state
    const closed = tell(opened, {
      type: "closed",
      spec: specDigest(spec),
      accepted: new Uint8Array(32).fill(1),
    })
    expect(closed.effects.map(({ type }) => type)).toEqual(["record", "forget-secret"])
    const result = tell(closed.state, announcementOf(specOf({ round: 2 })))
    expect(refused(result)).toBe("cohort/differencing")
  })

  it("and that a round left as it was is answered with the same integers", () => {
    const all = [own, ...others]
    const opened = tell(tell(submitted.state, proposing(all)).state, certificateOf(proposalOf(all))).state
    const closed = tell(opened, { type: "closed", spec: specDigest(spec), accepted: spec.model })
    const result = tell(closed.state, announcementOf(specOf({ round: 2 })))
    const [before, after] = [submitted.effects, result.effects].map(
      (effects) => (sent(effects)[0] as MessageOf<"update">).payload,
    )
    expect(after).toEqual(before)
  })
})

describe("a message of another role", () => {
  it("is no order", () => {
    for (const from of ["clinic-2", "fog-1"]) {
      const result = tell(submitted.state, proposing([own, ...others]), from)
      expect(codes(result.effects)).toEqual(["round/unexpected"])
      expect(sent(result.effects)).toEqual([])
      expect(result.state).toBe(submitted.state)
    }
  })

  it("that is for somebody else is refused", () => {
    expect(
      codes(tell(start, { type: "update", submission: own, payload: new Uint8Array(1) }).effects),
    ).toEqual(["round/unexpected"])
    const share: Message = { type: "share", spec: specDigest(spec), sealed: new Uint8Array(1) }
    expect(codes(tell(training, share, "fog-1").effects)).toEqual(["round/unexpected"])
  })
})
