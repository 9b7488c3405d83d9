import { equalBytes, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { type Digest, sha256 } from "@consilium/base/hash"
import { checkCertificate, headOfCertificate, sameProposal } from "./cosigned.js"
import { checkTested, onKeyCertificate } from "./facility-keys.js"
import { ownHeadOn, refuseSetBack, setBackIn, withLedgersSeen } from "./facility-ledger.js"
import { sendsShare } from "./facility-made.js"
import {
  checkCohortSize,
  checkedSubmissions,
  checkMembers,
  checkOneSpec,
  checkOwnDigest,
  headOfProposal,
  ownSideOf,
  settingOf,
  smallestCohort,
  toLeader,
  withHead,
  withOpened,
  withoutKeys,
  withoutUpdate,
} from "./facility-rules.js"
import type {
  Checked,
  FacilityContext,
  FacilityEffect,
  FacilityState,
  FacilityStep,
  Locked,
  Memory,
  Opened,
  Signed,
  Submissions,
  Submitted,
  Training,
} from "./facility-state.js"
import {
  certificateDigest,
  finalHeadDigest,
  type MessageOf,
  type Proposal,
  type SignedSubmission,
  specDigest,
} from "./messages.js"
import { modelHashOf, modelParameters } from "./model.js"
import { refuseStudy } from "./policy.js"
import { isEarlier, subjectOf } from "./purpose.js"
import { checkRedone, checkSameCohort } from "./redo.js"
import { openingThreshold, studyDigest } from "./study.js"
import { sealBetween } from "./suite.js"
import { facilitySchemeOf } from "./sums/facility/schemes.js"
import { protectionOf, schemeOf } from "./sums/protections.js"

// Certified: one list per attempt, over a log that only grows

export const onPropose = (
  context: FacilityContext,
  state: FacilityState,
  message: MessageOf<"propose">,
): FacilityStep => {
  const { proposal } = message
  checkOneSpec(state, proposal.spec)
  if (proposal.spec.purpose !== "keys" && isEarlier(proposal.spec, state.memory.last))
    throw new ConsiliumError("round/stale", "A list to be certified is of an attempt that is over.")
  const grown = withHead(state, headOfProposal(proposal))
  if (!("attempt" in grown) || !equalBytes(grown.attempt.digest, specDigest(proposal.spec)))
    throw new ConsiliumError("round/stale", "A list to be certified is not of the attempt under way.")
  if (grown.phase === "signed" || grown.phase === "opened") {
    if (!sameProposal(grown.proposal, proposal))
      throw new ConsiliumError("cohort/second-list", "A second list was proposed in one attempt.")
    return { state: grown, effects: [signatureOf(context, proposal)] }
  }
  const signed = accept(context, grown, proposal, message.submissions)
  const setBack = setBackIn(context, grown.memory, proposal.cohort, signed.listed)
  if (setBack !== null) return refuseSetBack(context, grown, proposal, setBack)
  return {
    state: signed,
    effects: [
      {
        type: "record",
        event: "list-signed",
        detail: `round ${proposal.spec.round}, attempt ${proposal.spec.attempt}, ${proposal.cohort.length} facilities, ${toHex(certificateDigest(proposal))}`,
      },
      signatureOf(context, proposal),
    ],
  }
}

/** Checks a proposal by all rules and remembers its cohort as opened: from here on nothing undoes it. */
const accept = (
  context: FacilityContext,
  state: Training | Submitted | Locked | Checked,
  proposal: Proposal,
  submissions: readonly SignedSubmission[],
): Signed => {
  const { spec } = state.attempt
  const needsCheck = schemeOf(context.study, spec).checked !== null
  if (needsCheck && state.phase !== "checked")
    throw new ConsiliumError("cohort/uncertified", "A list was proposed before its shares were checked.")
  if (spec.purpose === "keys" && state.phase === "checked") checkTested(state, proposal.cohort)
  const listed =
    state.phase === "checked" ? state.listed : checkedSubmissions(context, state.attempt, submissions)
  checkMembers(proposal.cohort, listed)
  checkCohortSize(context, proposal.cohort.length)
  if (proposal.cohort.some(({ facility }) => equalBytes(facility, context.me.id)))
    checkOwnDigest(context, "mine" in state ? state.mine : null, listed)
  const facilities = proposal.cohort.map((member) => member.facility)
  if (spec.purpose !== "keys") {
    const { opened } = state.memory
    if (sendsShare(context.study, spec.purpose)) checkSameCohort(opened, subjectOf(spec), facilities)
    else checkRedone(opened, subjectOf(spec), facilities, smallestCohort(context))
  }
  return {
    phase: "signed",
    memory: withLedgersSeen(withOpened(state, proposal).memory, proposal.cohort, listed),
    attempt: state.attempt,
    mine: "mine" in state ? state.mine : null,
    challenge: state.phase === "checked" ? state.challenge : null,
    proposal,
    listed,
    parts: state.phase === "checked" ? state.parts : uncheckedParts(context, state, proposal, listed),
  }
}

/** The parts of a list's members that arrived as they were submitted, where shares show themselves at the opening only. */
const uncheckedParts = (
  context: FacilityContext,
  state: Training | Submitted | Locked,
  { cohort }: Proposal,
  listed: Submissions,
): ReadonlyMap<string, Uint8Array> => {
  const { openPart } = facilitySchemeOf(context.study, state.attempt.spec)
  const parts = new Map<string, Uint8Array>()
  if (openPart === null) return parts
  const own = ownSideOf(context, state.memory)
  for (const { facility } of cohort) {
    const name = toHex(facility)
    if (equalBytes(facility, context.me.id)) {
      if ("mine" in state && state.mine?.own) parts.set(name, state.mine.own)
      continue
    }
    const sealed = state.received.get(name)
    const promised = listed
      .get(name)
      ?.submission.parts.find(({ recipient }) => equalBytes(recipient, context.me.id))
    if (sealed === undefined || !promised || !equalBytes(sha256(sealed), promised.digest)) continue
    try {
      parts.set(name, openPart(settingOf(context, state.attempt), own, facility, sealed))
    } catch (error) {
      // what does not open counts as not received: this facility will have no answer for the list
      if (!(error instanceof ConsiliumError)) throw error
    }
  }
  return parts
}

export const onCertificate = (
  context: FacilityContext,
  state: FacilityState,
  message: MessageOf<"certificate">,
  at: number,
): FacilityStep => {
  const { proposal, signatures, openers } = message
  checkOneSpec(state, proposal.spec)
  if (!("attempt" in state) || !equalBytes(state.attempt.digest, specDigest(proposal.spec)))
    throw new ConsiliumError("round/stale", "A certificate is not of the attempt under way.")
  checkCertificate(context.suite, context.study, context.directory, proposal, signatures)
  const ceremony = proposal.spec.purpose === "keys"
  if (ceremony && state.phase !== "signed") return onKeyCertificate(context, state, null, message, at)
  if (state.phase !== "signed" && state.phase !== "opened")
    throw new ConsiliumError(
      "cohort/uncertified",
      "A certificate came for a list that this facility has not checked itself.",
    )
  if (!sameProposal(state.proposal, proposal))
    throw new ConsiliumError(
      "cohort/second-list",
      "A certificate came for another list than the one this facility signed.",
    )
  if (state.phase === "opened") {
    if (!sameFacilities(state.openers, openers))
      throw new ConsiliumError(
        "cohort/second-list",
        "Other facilities were named to open a list already answered.",
      )
    return { state, effects: state.partial ? [toLeader(context, state.partial)] : [] }
  }
  if (ceremony) return onKeyCertificate(context, state, state, message, at)
  checkOpeners(context, message)
  const opened = open(context, state, openers)
  const head = headOfCertificate(proposal, signatures)
  const own = ownHeadOn(context, proposal, state.listed)
  return { ...opened, effects: [{ type: "cosigned", head }, ...own, ...opened.effects] }
}

/** Gives this facility's one answer for the certified list. */
const open = (context: FacilityContext, state: Signed, openers: readonly Uint8Array[]): FacilityStep => {
  const { study, keys, directory, me } = context
  const { attempt, proposal } = state
  const { partial: give } = facilitySchemeOf(study, attempt.spec)
  const opened = (memory: Memory, partial: MessageOf<"partial"> | null): Opened => ({
    phase: "opened",
    memory,
    attempt,
    proposal,
    listed: state.listed,
    openers,
    partial,
    measured: false,
  })
  const named = protectionOf(study).opened !== "named" || openers.some((id) => equalBytes(id, me.id))
  if (give === null || !named) return { state: opened(state.memory, null), effects: [] }
  const digest = certificateDigest(proposal)
  const { opening, epochKeys } = give(
    settingOf(context, attempt),
    ownSideOf(context, state.memory),
    { cohort: proposal.cohort.map(({ facility }) => facility), openers },
    state.parts,
  )
  const partial: MessageOf<"partial"> = {
    type: "partial",
    digest,
    sealed: sealBetween(keys, directory.leader.sealingKey, digest, opening),
  }
  return {
    state: opened({ ...state.memory, keys: epochKeys }, partial),
    effects: [
      {
        type: "record",
        event: "partial-opening-given",
        detail: `round ${attempt.spec.round}, attempt ${attempt.spec.attempt}, ${toHex(digest)}`,
      },
      toLeader(context, partial),
    ],
  }
}

const sameFacilities = (a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean =>
  a.length === b.length && a.every((id, i) => equalBytes(id, b[i] as Uint8Array))

/** Who opens is t enrolled facilities that signed the list, where the protection names them; else nobody is named. */
const checkOpeners = (
  { study, directory }: FacilityContext,
  { openers, signatures }: MessageOf<"certificate">,
): void => {
  const needed =
    protectionOf(study).opened === "named" ? openingThreshold(study, directory.facilities.length) : 0
  const signers = new Set(signatures.map(({ facility }) => toHex(facility)))
  if (openers.length !== needed || openers.some((id) => !signers.has(toHex(id))))
    throw new ConsiliumError(
      "cohort/wrong-member",
      `A certificate names ${openers.length} facilities to open where ${needed} of its signers are needed.`,
    )
}

/**
 * Measures the new model once per certified list of updates: exact figures on patients are not given for any model asked
 * about, nor once more for an evaluation, which is how all patients together are counted.
 */
export const onCandidate = (
  context: FacilityContext,
  state: FacilityState,
  message: MessageOf<"candidate">,
): FacilityStep => {
  const parameters = modelParameters(context.study, message.model)
  const asked =
    "attempt" in state &&
    state.attempt.spec.purpose === "update" &&
    equalBytes(state.attempt.digest, message.spec)
  if (asked && state.phase === "opened" && state.measured)
    throw new ConsiliumError("round/stale", "The new model of this attempt was measured before.")
  if (!asked || state.phase !== "opened" || !maySendMetrics(context))
    return { state, effects: [toLeader(context, { type: "report", spec: message.spec, metrics: null })] }
  return {
    state: { ...state, measured: true },
    effects: [{ type: "measure", spec: message.spec, parameters }],
  }
}

export const onFinish = (
  context: FacilityContext,
  state: FacilityState,
  message: MessageOf<"finish">,
): FacilityStep => {
  const parameters = modelParameters(context.study, message.model)
  const { seq, hash } = message.head
  const seen = withHeadOrNull(state, message.head)
  const digest = finalHeadDigest(studyDigest(context.study), seq, hash)
  const rest = withoutKeys(withoutUpdate((seen ?? state).memory))
  return {
    state: {
      phase: "ended",
      memory: rest.memory,
      signature: seen === null ? null : context.keys.sign(digest),
    },
    effects: [
      ...(seen === null
        ? [
            {
              type: "security",
              code: "log/not-extending",
              about: context.directory.leader.id,
              evidence: digest,
              detail: `The final head at event ${seq} does not extend the log that this facility has seen.`,
            } as const,
          ]
        : []),
      ...rest.effects,
      {
        type: "finish",
        round: message.rounds + 1,
        parameters,
        model: modelHashOf(context.study, parameters),
        metrics: maySendMetrics(context),
      },
    ],
  }
}

const withHeadOrNull = (state: FacilityState, head: MessageOf<"finish">["head"]): FacilityState | null => {
  try {
    return withHead(state, { ...head, hash: head.hash as Digest })
  } catch (error) {
    if (error instanceof ConsiliumError) return null
    throw error
  }
}

const maySendMetrics = ({ policy, study }: FacilityContext): boolean =>
  policy.metrics === "exact" &&
  study.validation === "report" &&
  (study.privacy === null || study.privacy.metrics === "exact") &&
  refuseStudy(policy, study) === null

const signatureOf = (context: FacilityContext, proposal: Proposal): FacilityEffect => {
  const digest = certificateDigest(proposal)
  return toLeader(context, { type: "signature", digest, signature: context.keys.sign(digest) })
}
