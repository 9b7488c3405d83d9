import { decode, encode } from "@consilium/base/encoding"
import { insecureSeededRandom } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import {
  addTraffic,
  type CosignedHead,
  certificateDigest,
  envelopeCodec,
  type Message,
  type MessageOf,
  messageCodec,
  noTraffic,
  type Proposal,
  pack,
  type ReportedMetrics,
  type SignedSubmission,
  trafficOf,
  unpack,
} from "../src/messages.js"
import { codeOf, textOf } from "./errors.js"
import { flipped, keysFor, participant, suite } from "./members.js"

const random = insecureSeededRandom("messages")
const some = (length: number): Uint8Array => random.bytes(length)
const inOrder = (length: number, count: number): readonly Uint8Array[] =>
  Array.from({ length: count }, (_, i) => new Uint8Array(length).fill(i + 1))

const submission: SignedSubmission = {
  submission: {
    spec: some(32),
    facility: some(16),
    direct: some(32),
    parts: inOrder(16, 3).map((recipient) => ({ recipient, digest: some(32) })),
    ledger: { seq: 4, hash: some(32) },
  },
  signature: some(64),
}
const proposal: Proposal = {
  spec: {
    study: some(32),
    round: 3,
    attempt: 2,
    purpose: "update",
    epoch: 0,
    roster: some(32),
    model: some(32),
  },
  cohort: inOrder(16, 3).map((facility) => ({ facility, digest: some(32) })),
  headSeq: 12,
  head: some(32),
  headers: [
    {
      seq: 12,
      previous: some(32),
      at: 1_700_000_000_000,
      actor: some(16),
      type: "submit",
      bodyHash: some(32),
    },
  ],
}
const metrics: ReportedMetrics = {
  rows: 104,
  accuracy: 0.75,
  balancedAccuracy: 0.5,
  auc: null,
  logLoss: 0.61,
  brier: null,
  calibration: [{ predicted: 0.1, observed: 0.25, count: 4 }],
}
const cosigned: CosignedHead = {
  seq: 12,
  hash: some(32),
  signed: { type: "certificate", spec: some(32), cohort: proposal.cohort },
  roster: some(32),
  signatures: inOrder(16, 2).map((facility) => ({ facility, signature: some(64) })),
}
const traffic = { update: 1, relayed: 2, opening: 3, metadata: 4 }

/** One of each: a message that is added must be added here. */
const SAMPLES: { readonly [T in Message["type"]]: MessageOf<T> } = {
  announce: { type: "announce", spec: proposal.spec, model: some(300), members: inOrder(16, 3) },
  lock: { type: "lock", spec: some(32), submissions: [submission] },
  openings: {
    type: "openings",
    spec: some(32),
    openings: [{ dealer: some(16), opening: some(50), signature: some(64) }],
  },
  propose: { type: "propose", proposal, submissions: [submission] },
  certificate: {
    type: "certificate",
    proposal,
    signatures: inOrder(16, 2).map((facility) => ({ facility, signature: some(64) })),
    openers: inOrder(16, 2),
  },
  "key-test": { type: "key-test", spec: some(32), dealers: inOrder(16, 3), openers: inOrder(16, 2) },
  candidate: { type: "candidate", spec: some(32), model: some(300) },
  void: { type: "void", spec: some(32), reason: "2 facilities sent an update; 3 are needed" },
  closed: { type: "closed", spec: some(32), accepted: some(32) },
  finish: {
    type: "finish",
    rounds: 15,
    model: some(300),
    head: { seq: 12, hash: some(32), headers: proposal.headers },
  },
  ended: { type: "ended", reason: "The study is complete.", head: cosigned },
  roster: { type: "roster", signed: some(500) },
  "ledger-known": {
    type: "ledger-known",
    nonce: some(32),
    evidence: [
      { roster: some(500), submission, certificate: cosigned },
      { roster: some(500), submission, certificate: null },
    ],
  },
  update: { type: "update", submission, payload: some(60) },
  share: { type: "share", spec: some(32), sealed: some(160) },
  submit: { type: "submit", ...submission },
  opening: {
    type: "opening",
    spec: some(32),
    challenge: some(32),
    opening: { dealer: some(16), opening: some(50), signature: some(64) },
  },
  verdict: {
    type: "verdict",
    spec: some(32),
    challenge: some(32),
    good: inOrder(16, 2),
    complaints: [{ dealer: some(16), sealed: some(160), key: some(32) }],
  },
  "key-tested": {
    type: "key-tested",
    spec: some(32),
    test: some(60),
    answers: inOrder(16, 2).map((dealer) => ({ dealer, opening: some(50) })),
  },
  signature: { type: "signature", digest: some(32), signature: some(64) },
  partial: { type: "partial", digest: some(32), sealed: some(128) },
  report: { type: "report", spec: some(32), metrics },
  "final-report": {
    type: "final-report",
    global: metrics,
    personal: null,
    subgroups: [
      [{ rows: 40, positives: 12, accuracy: 0.8, balancedAccuracy: 0.75, auc: 0.9, logLoss: 0.4 }, null],
    ],
    head: some(64),
  },
  refusal: {
    type: "refusal",
    purpose: "update",
    round: 2,
    attempt: 1,
    code: "policy/cohort",
    reason: "Größere Kohorten.",
  },
  "ledger-asked": { type: "ledger-asked", nonce: some(32) },
  region: { type: "region", spec: some(32), submissions: [submission], sum: some(60) },
  traffic: { type: "traffic", round: 2, received: traffic },
  security: { type: "security", code: "round/equivocation", about: some(16), evidence: some(32) },
}
const ALL = Object.values(SAMPLES) as readonly Message[]

describe("messages", () => {
  it.each(ALL)("$type is read as it was written", (message) => {
    const bytes = encode(messageCodec, message)
    expect(decode(messageCodec, bytes)).toEqual(message)
    expect(encode(messageCodec, decode(messageCodec, bytes))).toEqual(bytes)
  })

  it.each(ALL)("$type is refused when cut or grown", (message) => {
    const bytes = encode(messageCodec, message)
    for (const wrong of [bytes.slice(0, -1), new Uint8Array([...bytes, 0])])
      expect(codeOf(() => decode(messageCodec, wrong))).toMatch(/^encoding\/(malformed|too-large)$/)
  })

  it("a list in another order than that of the ids, or with an id twice, is refused", () => {
    const [a, b] = inOrder(16, 2) as [Uint8Array, Uint8Array]
    const good = encode(messageCodec, { ...SAMPLES.verdict, good: [a, b], complaints: [] })
    expect(good).toEqual(encode(messageCodec, { ...SAMPLES.verdict, good: [b, a], complaints: [] }))
    const first = 1 + 32 + 32 + 4
    const swapped = good.slice()
    swapped.set(b, first)
    swapped.set(a, first + 16)
    expect(codeOf(() => decode(messageCodec, swapped))).toBe("encoding/malformed")
    expect(codeOf(() => encode(messageCodec, { ...SAMPLES.verdict, good: [a, a] }))).toBe(
      "encoding/bad-value",
    )
  })
})

describe("an envelope", () => {
  const me = participant("clinic-1", "facility", "fog-1")
  const study = some(32)
  const envelope = pack(study, me.id, some(16), SAMPLES.submit, keysFor("clinic-1").sign)

  it.each(ALL)("carries $type", (message) => {
    const packed = pack(study, me.id, some(16), message, keysFor("clinic-1").sign)
    const crossed = decode(envelopeCodec, encode(envelopeCodec, packed))
    expect(unpack(suite, me, crossed)).toEqual(message)
  })

  it("of another sender is refused", () => {
    expect(
      textOf(() => unpack(suite, participant("clinic-2", "facility", "fog-1"), envelope)),
    ).toMatchInlineSnapshot(`
      "identity/bad-signature: A message in the name of clinic-2 is not signed by it.
        remedy: Check that sender and receiver hold the same roster; if they do, someone altered the message: see the security events.
        see: docs/reference/errors.md#identitybad-signature"
    `)
  })

  it.each(["study", "from", "to", "body", "signature"] as const)("with another %s is refused", (field) => {
    for (const bit of [0, 77])
      expect(codeOf(() => unpack(suite, me, { ...envelope, [field]: flipped(envelope[field], bit) }))).toBe(
        "identity/bad-signature",
      )
  })

  it("whose signed body is no message is refused", () => {
    const { sign } = keysFor("clinic-1")
    const odd = pack(study, me.id, some(16), SAMPLES.signature, sign)
    expect(unpack(suite, me, odd)).toEqual(SAMPLES.signature)
    expect(codeOf(() => unpack(suite, me, { ...odd, body: new Uint8Array(0) }))).toBe(
      "identity/bad-signature",
    )
  })
})

describe("the digest that is certified", () => {
  const changes: readonly (readonly [string, Partial<Proposal>, boolean])[] = [
    ["round", { spec: { ...proposal.spec, round: 4 } }, true],
    ["attempt", { spec: { ...proposal.spec, attempt: 3 } }, true],
    ["purpose", { spec: { ...proposal.spec, purpose: "keys" } }, true],
    ["epoch", { spec: { ...proposal.spec, epoch: 1 } }, true],
    ["model", { spec: { ...proposal.spec, model: some(32) } }, true],
    ["cohort", { cohort: proposal.cohort.slice(1) }, true],
    [
      "update of a member",
      { cohort: proposal.cohort.map((m, i) => (i === 1 ? { ...m, digest: some(32) } : m)) },
      true,
    ],
    ["roster", { spec: { ...proposal.spec, roster: some(32) } }, true],
    ["head", { head: some(32) }, true],
    ["number of the head", { headSeq: 13 }, true],
    // what the head says already
    ["headers", { headers: [] }, false],
  ]
  it.each(changes)("another %s is another digest, or the same: as it should", (_, change, differs) => {
    const same = certificateDigest({ ...proposal, ...change }).every(
      (b, i) => b === certificateDigest(proposal)[i],
    )
    expect(same).toBe(!differs)
  })
})

describe("traffic", () => {
  it.each(ALL)("of $type adds up to the bytes of its body", (message) => {
    const bytes = encode(messageCodec, message).length
    const counted = trafficOf(message, bytes)
    expect(counted.update + counted.relayed + counted.opening + counted.metadata).toBe(bytes)
  })

  it("counts updates, sealed shares and openings apart from all else", () => {
    expect(trafficOf(SAMPLES.update, 1000)).toEqual({ ...noTraffic, update: 60, metadata: 940 })
    expect(trafficOf(SAMPLES.region, 1000)).toEqual({ ...noTraffic, update: 60, metadata: 940 })
    expect(trafficOf(SAMPLES.share, 1000)).toEqual({ ...noTraffic, relayed: 160, metadata: 840 })
    expect(trafficOf(SAMPLES.partial, 1000)).toEqual({ ...noTraffic, opening: 128, metadata: 872 })
    expect(trafficOf(SAMPLES["key-tested"], 1000)).toEqual({ ...noTraffic, opening: 160, metadata: 840 })
    for (const type of [
      "announce",
      "submit",
      "opening",
      "verdict",
      "signature",
      "report",
      "refusal",
    ] as const)
      expect(trafficOf(SAMPLES[type], 1000)).toEqual({ ...noTraffic, metadata: 1000 })
  })

  it("adds up kind by kind", () => {
    expect(addTraffic(traffic, { update: 10, relayed: 20, opening: 30, metadata: 40 })).toEqual({
      update: 11,
      relayed: 22,
      opening: 33,
      metadata: 44,
    })
  })
})
