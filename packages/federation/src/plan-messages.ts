import { encode } from "@consilium/base/encoding"
import { type LogHeader, logHeaderCodec } from "./log.js"
import {
  cohortCodec,
  envelopeCodec,
  type Message,
  messageCodec,
  type Proposal,
  type ReportedMetrics,
  type RoundSpec,
  type SignedSubmission,
  signatureList,
  signedSubmissionCodec,
  type Traffic,
  trafficOf,
} from "./messages.js"
import type { CeremonySizes, SumSizes } from "./plan.js"
import { SEAL_OVERHEAD } from "./suite.js"

/*
 * The messages of an attempt in which nothing goes wrong, as the protocol's own codec writes them. Lists are not made at
 * their full length: each item adds the same, so the length with one item tells that with any number.
 */

/** A kind of message: how long its body is, and how much of that is payload of which kind. */
export interface Sized {
  readonly type: Message["type"]
  readonly bytes: number
  readonly traffic: Traffic
}

// what messages are about, with nothing in it: only lengths count
const ID = new Uint8Array(16)
const HASH = new Uint8Array(32)
const SIGNATURE = new Uint8Array(64)
const NOTHING = new Uint8Array(0)
const SPEC: RoundSpec = {
  study: HASH,
  round: 1,
  attempt: 1,
  purpose: "update",
  epoch: 0,
  roster: HASH,
  model: HASH,
}
const PROPOSAL: Proposal = { spec: SPEC, cohort: [], headSeq: 1, head: HASH, headers: [] }
const MEMBER_BYTES =
  encode(cohortCodec, [{ facility: ID, digest: HASH }]).length - encode(cohortCodec, []).length
const SIGNATURE_BYTES =
  encode(signatureList, [{ facility: ID, signature: SIGNATURE }]).length - encode(signatureList, []).length
/** What `sealBetween` adds to a message: a tag, and no key of its own. */
const TAG_BYTES = SEAL_OVERHEAD - 32

/** Bytes around the body of a message on its way: from whom, to whom, and the signature. */
export const ENVELOPE_BYTES = encode(envelopeCodec, {
  study: HASH,
  from: ID,
  to: ID,
  body: NOTHING,
  signature: SIGNATURE,
}).length

/** A message, with as many further bytes as the items that are left out of it have. */
const sized = (message: Message, left = 0): Sized => {
  const bytes = encode(messageCodec, message).length + left
  return { type: message.type, bytes, traffic: trafficOf(message, bytes) }
}
const zeros = (bytes: number): Uint8Array => new Uint8Array(bytes)

const submissionWith = (direct: boolean, ledger: boolean, parts: 0 | 1): SignedSubmission => ({
  submission: {
    spec: HASH,
    facility: ID,
    direct: direct ? HASH : null,
    parts: parts === 0 ? [] : [{ recipient: ID, digest: HASH }],
    ledger: ledger ? { seq: 1, hash: HASH } : null,
  },
  signature: SIGNATURE,
})
const PART_BYTES =
  encode(signedSubmissionCodec, submissionWith(false, false, 1)).length -
  encode(signedSubmissionCodec, submissionWith(false, false, 0)).length

const headerOf = (type: string): LogHeader => ({
  seq: 1,
  previous: HASH,
  at: 1,
  actor: ID,
  type,
  bodyHash: HASH,
})

/** Figures with eight of ten calibration bins filled, about what the heart data has over a study: a bin more or less is 20 bytes. */
const FIGURES: ReportedMetrics = {
  rows: 1,
  accuracy: 0,
  balancedAccuracy: 0,
  auc: 0,
  logLoss: 0,
  brier: 0,
  calibration: Array.from({ length: 8 }, () => ({ predicted: 0, observed: 0, count: 1 })),
}

/** What one facility says in an attempt. */
export interface FacilityMessages {
  /** To each of the other facilities. */
  readonly share: Sized | null
  /** An update to the parent, who adds it, or else the bare submission to the leader. */
  readonly submission: Sized
  readonly opening: Sized | null
  readonly verdict: Sized | null
  readonly tested: Sized | null
  readonly signature: Sized
  /** Of a facility that opens. */
  readonly partial: Sized | null
  /** On the new model. */
  readonly report: Sized | null
}

/** Who takes part, and what else decides lengths. */
export interface Party {
  readonly facilities: number
  /** Facilities that open together. */
  readonly threshold: number
  /** Whether submissions name the head of a privacy ledger. */
  readonly ledger: boolean
  /** Whether facilities send figures on their held-out patients. */
  readonly figures: boolean
}

const sharesOf = ({ facilities }: Party, share: number | null): Sized | null =>
  share === null || facilities < 2
    ? null
    : sized({ type: "share", spec: HASH, sealed: zeros(share + SEAL_OVERHEAD) })

const checkedOf = ({ facilities }: Party, answer: number | null) =>
  answer === null
    ? { opening: null, verdict: null }
    : {
        opening: sized({
          type: "opening",
          spec: HASH,
          challenge: HASH,
          opening: { dealer: ID, opening: zeros(answer), signature: SIGNATURE },
        }),
        verdict: sized(
          { type: "verdict", spec: HASH, challenge: HASH, good: [], complaints: [] },
          facilities * ID.length,
        ),
      }

const SIGNED = sized({ type: "signature", digest: HASH, signature: SIGNATURE })

/** What a facility says in a round. */
export const roundMessages = (party: Party, sizes: SumSizes): FacilityMessages => {
  const { payload, share, answer, opening } = sizes
  const parts = share === null ? 0 : PART_BYTES * (party.facilities - 1)
  const submission = submissionWith(payload !== null, party.ledger, 0)
  return {
    share: sharesOf(party, share),
    submission:
      payload === null
        ? sized({ type: "submit", ...submission }, parts)
        : sized({ type: "update", submission, payload: zeros(payload) }, parts),
    ...checkedOf(party, answer),
    tested: null,
    signature: SIGNED,
    partial:
      opening === null ? null : sized({ type: "partial", digest: HASH, sealed: zeros(opening + TAG_BYTES) }),
    report: sized({ type: "report", spec: HASH, metrics: party.figures ? FIGURES : null }),
  }
}

/** What a facility says in a key ceremony; `opens` is one that tests the keys of the others. */
export const ceremonyMessages = (party: Party, sizes: CeremonySizes, opens: boolean): FacilityMessages => ({
  share: sharesOf(party, sizes.share),
  submission: sized(
    { type: "submit", ...submissionWith(false, false, 0) },
    PART_BYTES * (party.facilities - 1),
  ),
  ...checkedOf(party, sizes.answer),
  tested: testedOf(party, sizes.test, opens),
  signature: SIGNED,
  partial: null,
  report: null,
})

const testedOf = ({ facilities }: Party, test: number, opens: boolean): Sized => {
  const with_ = (answers: 0 | 1): Sized =>
    sized({
      type: "key-tested",
      spec: HASH,
      test: zeros(test),
      answers: answers === 0 ? [] : [{ dealer: ID, opening: zeros(test) }],
    })
  const none = with_(0)
  if (!opens) return none
  const bytes = none.bytes + facilities * (with_(1).bytes - none.bytes)
  const opening = test * (1 + facilities)
  return { ...none, bytes, traffic: { ...none.traffic, opening, metadata: bytes - opening } }
}

/** What a fog says in a round: the sum of its region, where there is one, and what it counted. */
export const fogMessages = (party: Party, { payload, share }: SumSizes, region: number): readonly Sized[] => {
  const parts = share === null ? 0 : PART_BYTES * (party.facilities - 1)
  const submission = encode(signedSubmissionCodec, submissionWith(true, party.ledger, 0)).length + parts
  return [
    ...(payload === null
      ? []
      : [sized({ type: "region", spec: HASH, submissions: [], sum: zeros(payload) }, region * submission)]),
    sized({ type: "traffic", round: 1, received: { update: 0, relayed: 0, opening: 0, metadata: 0 } }),
  ]
}

/** What the leader is to say in an attempt, and what it will have logged since its last proposal. */
export interface LeaderPart {
  /** What a round starts from as it is announced, and the model that comes of it as it travels; empty in a ceremony. */
  readonly base: Uint8Array
  readonly model: Uint8Array
  readonly ceremony: boolean
  /** Whether the announcement names who holds keys. */
  readonly members: boolean
  readonly openers: number
  /** Types of logged events, with how many of each. */
  readonly logged: readonly (readonly [type: string, count: number])[]
}

/** What the leader tells everyone in an attempt, in its order. */
export const leaderMessages = (
  party: Party,
  sizes: Pick<SumSizes, "payload" | "share" | "answer">,
  { base, model, ceremony, members, openers, logged }: LeaderPart,
): readonly Sized[] => {
  const { facilities } = party
  const { payload, share, answer } = sizes
  const ledger = party.ledger && !ceremony
  const one = encode(signedSubmissionCodec, submissionWith(payload !== null, ledger, 0)).length
  const list = facilities * (one + (share === null ? 0 : PART_BYTES * (facilities - 1)))
  const headers = logged.reduce(
    (sum, [type, count]) => sum + count * encode(logHeaderCodec, headerOf(type)).length,
    0,
  )
  const cohort = facilities * MEMBER_BYTES
  const ids = (count: number): number => count * ID.length
  const shown = answer === null ? null : { dealer: ID, opening: zeros(answer), signature: SIGNATURE }
  const empty: Message = { type: "openings", spec: HASH, openings: [] }
  return [
    sized(
      { type: "announce", spec: SPEC, model: base, members: members ? [] : null },
      members ? ids(facilities) : 0,
    ),
    ...(shown === null
      ? []
      : [
          sized({ type: "lock", spec: HASH, submissions: [] }, list),
          sized(empty, facilities * (sized({ ...empty, openings: [shown] }).bytes - sized(empty).bytes)),
        ]),
    ...(ceremony
      ? [sized({ type: "key-test", spec: HASH, dealers: [], openers: [] }, ids(facilities + party.threshold))]
      : []),
    sized(
      { type: "propose", proposal: PROPOSAL, submissions: [] },
      cohort + headers + (shown === null ? list : 0),
    ),
    sized(
      { type: "certificate", proposal: PROPOSAL, signatures: [], openers: [] },
      cohort + facilities * SIGNATURE_BYTES + ids(openers),
    ),
    ...(ceremony
      ? []
      : [
          sized({ type: "candidate", spec: HASH, model }),
          sized({ type: "closed", spec: HASH, accepted: HASH }),
        ]),
  ]
}
