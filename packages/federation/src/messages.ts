import {
  bytes,
  decode,
  type Encoded,
  encode,
  f64,
  fixedBytes,
  list,
  nullable,
  record,
  sortedBy,
  text,
  u16,
  u32,
  u53,
  variant,
} from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { type Digest, hash } from "@consilium/base/hash"
import { ledgerHeadCodec } from "./ledger-chain.js"
import { headerList } from "./log.js"
import { purposeCodec } from "./purpose.js"
import { subgroupReportCodec } from "./reporting.js"
import { MAX_PARTICIPANTS, type Participant, signedRosterBytes } from "./roster.js"
import type { CryptoSuite } from "./suite.js"

const MAX_PAYLOAD = 16 << 20

/** What crosses an edge, counted apart: updates and sums of updates, sealed shares passed on, openings, and all else. */
export const trafficKinds = ["update", "relayed", "opening", "metadata"] as const
export type TrafficKind = (typeof trafficKinds)[number]
export type Traffic = Readonly<Record<TrafficKind, number>>
export const noTraffic: Traffic = { update: 0, relayed: 0, opening: 0, metadata: 0 }
export const addTraffic = (a: Traffic, b: Traffic): Traffic => ({
  update: a.update + b.update,
  relayed: a.relayed + b.relayed,
  opening: a.opening + b.opening,
  metadata: a.metadata + b.metadata,
})

/** One attempt at one round: the announcement that everything in the attempt refers to by digest. */
export const roundSpecCodec = record({
  study: fixedBytes(32),
  round: u32,
  attempt: u16,
  purpose: purposeCodec,
  /** Key and committee period; 0 in a study without keys. */
  epoch: u32,
  /** Digest of the roster that the attempt is among. */
  roster: fixedBytes(32),
  /**
   * Parameter hash of the model the round starts from, or `baseHash` of it and the common control variate; zeros in a ceremony,
   * which no model depends on.
   */
  model: fixedBytes(32),
})
export type RoundSpec = Encoded<typeof roundSpecCodec>
export const specDigest = (spec: RoundSpec): Digest => hash("round-spec", encode(roundSpecCodec, spec))

/** A facility in a list, with the digest of what it protected. */
const memberCodec = record({ facility: fixedBytes(16), digest: fixedBytes(32) })
export type Member = Encoded<typeof memberCodec>
/** Lists of facilities in the order of their ids, each at most once. */
export const cohortCodec = sortedBy(memberCodec, (m) => m.facility, MAX_PARTICIPANTS)
export type Cohort = Encoded<typeof cohortCodec>

/**
 * What a facility says of its protected update. The digest covers every part, so a recipient can tell that the part it
 * holds is the one the whole cohort is certified over.
 */
const partCodec = record({ recipient: fixedBytes(16), digest: fixedBytes(32) })
export const submissionCodec = record({
  spec: fixedBytes(32),
  facility: fixedBytes(16),
  /** Digest of the part that goes to the parent, null if there is none. */
  direct: nullable(fixedBytes(32)),
  /** Digests of the sealed parts, by recipient. */
  parts: sortedBy(partCodec, (p) => p.recipient, MAX_PARTICIPANTS),
  /** The facility's privacy ledger up to and with the charge for this update; null in a study without privacy. */
  ledger: nullable(ledgerHeadCodec),
})
export type Submission = Encoded<typeof submissionCodec>
/** Everybody checks a submission in several places; what was decoded is not changed, so neither is its digest. */
const submissionDigests = new WeakMap<Submission, Digest>()
export const submissionDigest = (submission: Submission): Digest => {
  const known = submissionDigests.get(submission)
  if (known !== undefined) return known
  const digest = hash("protected-update", encode(submissionCodec, submission))
  submissionDigests.set(submission, digest)
  return digest
}

/** A submission with its facility's signature, so that anyone can check it without having seen it sent. */
export const signedSubmissionCodec = record({ submission: submissionCodec, signature: fixedBytes(64) })
export type SignedSubmission = Encoded<typeof signedSubmissionCodec>
const submissionMessages = new WeakMap<Submission, Uint8Array>()
export const submissionMessage = (submission: Submission): Uint8Array => {
  const known = submissionMessages.get(submission)
  if (known !== undefined) return known
  const message = hash("submission", submissionDigest(submission))
  submissionMessages.set(submission, message)
  return message
}

const openingCodec = record({
  dealer: fixedBytes(16),
  opening: bytes(MAX_PAYLOAD),
  signature: fixedBytes(64),
})
export type SignedOpening = Encoded<typeof openingCodec>
/** What a dealer signs with its masked opening: the spec, the challenge it answers, and the opening. */
export const openingMessage = (spec: Uint8Array, challenge: Uint8Array, opening: Uint8Array): Uint8Array =>
  hash("masked-opening", spec, challenge, opening)

const complaintCodec = record({
  dealer: fixedBytes(16),
  /** The sealed part as it arrived, and the key that opens this one message: anyone can check the complaint. */
  sealed: bytes(MAX_PAYLOAD),
  key: fixedBytes(32),
})
export type Complaint = Encoded<typeof complaintCodec>

/** Most complaints of one recipient. */
export const MAX_COMPLAINTS = 64

/** The list that facilities are asked to certify, with the log up to it. */
export const proposalCodec = record({
  spec: roundSpecCodec,
  cohort: cohortCodec,
  /** Number and hash of the log's last event, and the headers since the last head this study's facilities were shown. */
  headSeq: u53,
  head: fixedBytes(32),
  headers: headerList,
})
export type Proposal = Encoded<typeof proposalCodec>

/** The one thing that is certified: spec, cohort and log head with its number. */
export const digestOfCertificate = (
  spec: Uint8Array,
  cohort: Cohort,
  headSeq: number,
  head: Uint8Array,
): Digest => hash("certificate", spec, encode(cohortCodec, cohort), encode(u53, headSeq), head)
/** The leader compares every signature and answer with it. */
const certificateDigests = new WeakMap<Proposal, Digest>()
export const certificateDigest = (proposal: Proposal): Digest => {
  const known = certificateDigests.get(proposal)
  if (known !== undefined) return known
  const { spec, cohort, headSeq, head } = proposal
  const digest = digestOfCertificate(specDigest(spec), cohort, headSeq, head)
  certificateDigests.set(proposal, digest)
  return digest
}

const signatureCodec = record({ facility: fixedBytes(16), signature: fixedBytes(64) })
export const signatureList = sortedBy(signatureCodec, (s) => s.facility, MAX_PARTICIPANTS)
export type SignatureList = Encoded<typeof signatureList>

const calibrationBin = record({ predicted: f64, observed: f64, count: u32 })
export const metricsCodec = record({
  rows: u32,
  accuracy: nullable(f64),
  balancedAccuracy: nullable(f64),
  auc: nullable(f64),
  logLoss: nullable(f64),
  brier: nullable(f64),
  calibration: list(calibrationBin, 64),
})
export type ReportedMetrics = Encoded<typeof metricsCodec>

const refusalCodec = record({
  purpose: purposeCodec,
  round: u32,
  attempt: u16,
  code: text(64),
  reason: text(1024),
})
export const trafficCodec = record({ update: u53, relayed: u53, opening: u53, metadata: u53 })
const modelBytes = bytes(MAX_PAYLOAD)

/** The log's end as the leader shows it, with the headers that the facilities have not been shown yet. */
const shownHead = record({ seq: u53, hash: fixedBytes(32), headers: headerList })

/** What a facility signs at the end of a study: its last co-signed head. */
export const finalHeadDigest = (study: Uint8Array, seq: number, head: Uint8Array): Digest =>
  hash("final-head", study, encode(u53, seq), head)

/** A head of the leader's log that a quorum of facilities has signed: the leader cannot rewrite what came before it. */
export const cosignedHeadCodec = record({
  seq: u53,
  hash: fixedBytes(32),
  /** What was signed: a certificate's digest, or the final head's. */
  signed: variant({
    certificate: record({ spec: fixedBytes(32), cohort: cohortCodec }),
    final: record({}),
  }),
  roster: fixedBytes(32),
  signatures: signatureList,
})
export type CosignedHead = Encoded<typeof cosignedHeadCodec>

/** What shows that a facility's privacy ledger had a certain head once: the facility itself signed it. */
export const ledgerEvidenceCodec = record({
  /** The roster, with its study, that the submission was made among, as the authority signed it. */
  roster: signedRosterBytes,
  submission: signedSubmissionCodec,
  /** The certificate of the list that holds the submission; null if it was not certified. */
  certificate: nullable(cosignedHeadCodec),
})
export type LedgerEvidence = Encoded<typeof ledgerEvidenceCodec>

/** Facilities in the order of their ids. */
const idList = sortedBy(fixedBytes(16), (id) => id, MAX_PARTICIPANTS)

/** Everything one participant says to another. */
export const messageCodec = variant({
  // leader to everyone
  announce: record({
    spec: roundSpecCodec,
    /** What the attempt starts from, as `encodeBase` writes it; empty in a ceremony. */
    model: modelBytes,
    /** Facilities whose keys the epoch has, where it has any: only their updates can be opened. */
    members: nullable(idList),
  }),
  lock: record({ spec: fixedBytes(32), submissions: list(signedSubmissionCodec, MAX_PARTICIPANTS) }),
  openings: record({ spec: fixedBytes(32), openings: list(openingCodec, MAX_PARTICIPANTS) }),
  propose: record({ proposal: proposalCodec, submissions: list(signedSubmissionCodec, MAX_PARTICIPANTS) }),
  certificate: record({
    proposal: proposalCodec,
    signatures: signatureList,
    /** The facilities that are to open; empty where any may, or nobody needs to. */
    openers: idList,
  }),
  /** In a ceremony: whose keys are to be tested, and by whom. */
  "key-test": record({ spec: fixedBytes(32), dealers: idList, openers: idList }),
  candidate: record({ spec: fixedBytes(32), model: modelBytes }),
  void: record({ spec: fixedBytes(32), reason: text(1024) }),
  closed: record({ spec: fixedBytes(32), accepted: fixedBytes(32) }),
  finish: record({ rounds: u32, model: modelBytes, head: shownHead }),
  ended: record({ reason: text(1024), head: nullable(cosignedHeadCodec) }),
  /** The authority's next roster: it holds from the next announcement on. */
  roster: record({ signed: signedRosterBytes }),
  // leader to one facility
  /** The newest head that it knows of the facility's privacy ledger, and the newest certified one. */
  "ledger-known": record({ nonce: fixedBytes(32), evidence: list(ledgerEvidenceCodec, 2) }),
  // facility to its parent, to another facility, to the leader
  update: record({ submission: signedSubmissionCodec, payload: bytes(MAX_PAYLOAD) }),
  share: record({ spec: fixedBytes(32), sealed: bytes(MAX_PAYLOAD) }),
  submit: signedSubmissionCodec,
  opening: record({ spec: fixedBytes(32), challenge: fixedBytes(32), opening: openingCodec }),
  verdict: record({
    spec: fixedBytes(32),
    challenge: fixedBytes(32),
    /** Dealers whose share this recipient holds and has checked. */
    good: sortedBy(fixedBytes(16), (id) => id, MAX_PARTICIPANTS),
    complaints: list(complaintCodec, MAX_COMPLAINTS),
  }),
  /** A dealer's encryption of zero, and an opener's answer about every dealer. */
  "key-tested": record({
    spec: fixedBytes(32),
    test: nullable(bytes(MAX_PAYLOAD)),
    answers: sortedBy(
      record({ dealer: fixedBytes(16), opening: bytes(MAX_PAYLOAD) }),
      (answer) => answer.dealer,
      MAX_PARTICIPANTS,
    ),
  }),
  signature: record({ digest: fixedBytes(32), signature: fixedBytes(64) }),
  partial: record({ digest: fixedBytes(32), sealed: bytes(MAX_PAYLOAD) }),
  report: record({ spec: fixedBytes(32), metrics: nullable(metricsCodec) }),
  "final-report": record({
    global: nullable(metricsCodec),
    personal: nullable(metricsCodec),
    /** The last model by the study's groups of patients; null from a facility that sends no figures, or where none are declared. */
    subgroups: nullable(subgroupReportCodec),
    /** Signature over the final head; null from a facility that could not follow the log. */
    head: nullable(fixedBytes(64)),
  }),
  refusal: refusalCodec,
  /** Asks the leader what it knows of this facility's privacy ledger, over all studies. */
  "ledger-asked": record({ nonce: fixedBytes(32) }),
  // fog to leader
  region: record({
    spec: fixedBytes(32),
    submissions: list(signedSubmissionCodec, MAX_PARTICIPANTS),
    sum: bytes(MAX_PAYLOAD),
  }),
  traffic: record({ round: u32, received: trafficCodec }),
  /** Something that must not happen, with the digest of the evidence kept where it was seen. */
  security: record({ code: text(64), about: fixedBytes(16), evidence: fixedBytes(32) }),
})
export type Message = Encoded<typeof messageCodec>
export type MessageOf<T extends Message["type"]> = Extract<Message, { readonly type: T }>

/** A message on its way: from whom, to whom, and the sender's signature over all of it. */
export const envelopeCodec = record({
  study: fixedBytes(32),
  from: fixedBytes(16),
  to: fixedBytes(16),
  body: bytes(64 << 20),
  signature: fixedBytes(64),
})
export type Envelope = Encoded<typeof envelopeCodec>
export const envelopeList = list(envelopeCodec, 4096)

const envelopeMessage = (e: Omit<Envelope, "signature">): Uint8Array =>
  hash("envelope", e.study, e.from, e.to, e.body)

/** A signed envelope around a message. */
export const pack = (
  study: Uint8Array,
  from: Uint8Array,
  to: Uint8Array,
  message: Message,
  sign: (message: Uint8Array) => Uint8Array,
): Envelope => {
  const open = { study, from, to, body: encode(messageCodec, message) }
  return { ...open, signature: sign(envelopeMessage(open)) }
}

/**
 * The message of an envelope from `sender`.
 * @throws {ConsiliumError} "identity/bad-signature", "encoding/..."
 */
export const unpack = (suite: CryptoSuite, sender: Participant, envelope: Envelope): Message => {
  if (!suite.verify(sender.signingKey, envelopeMessage(envelope), envelope.signature))
    throw new ConsiliumError(
      "identity/bad-signature",
      `A message in the name of ${sender.name} is not signed by it.`,
    )
  return decode(messageCodec, envelope.body)
}

/** How the body of an envelope is counted: payload of updates, shares and openings apart from everything around it. */
export const trafficOf = (message: Message, bodyBytes: number): Traffic => {
  const split = (kind: TrafficKind, payload: number): Traffic => ({
    ...noTraffic,
    [kind]: payload,
    metadata: bodyBytes - payload,
  })
  if (message.type === "update") return split("update", message.payload.length)
  if (message.type === "region") return split("update", message.sum.length)
  if (message.type === "share") return split("relayed", message.sealed.length)
  if (message.type === "partial") return split("opening", message.sealed.length)
  if (message.type === "key-tested")
    return split(
      "opening",
      message.answers.reduce((sum, { opening }) => sum + opening.length, message.test?.length ?? 0),
    )
  return { ...noTraffic, metadata: bodyBytes }
}
