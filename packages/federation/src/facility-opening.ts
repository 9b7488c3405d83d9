import { equalBytes, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import type { Digest } from "@consilium/base/hash"
import { checkCertificate, headOfCertificate, sameProposal } from "./cosigned.js"
import {
  checkCohortSize,
  checkedSubmissions,
  checkMembers,
  checkOwnDigest,
  headOfProposal,
  isEarlier,
  settingOf,
  smallestCohort,
  toLeader,
  withHead,
  withOpened,
  withoutUpdate,
} from "./facility-rules.js"
import type {
  Checked,
  FacilityContext,
  FacilityEffect,
  FacilityState,
  FacilityStep,
  Locked,
  Opened,
  Signed,
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
import { checkRedone } from "./redo.js"
import { studyDigest } from "./study.js"
import { sealBetween } from "./suite.js"
import { protectionOf } from "./sums/protections.js"

// Certified: one list per attempt, over a log that only grows

export const onPropose = (
  context: FacilityContext,
  state: FacilityState,
  message: MessageOf<"propose">,
): FacilityStep => {
  const { proposal } = message
  if (isEarlier(proposal.spec, state.memory.last))
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
  const needsCheck = protectionOf(context.study).dealt !== null
  if (needsCheck && state.phase !== "checked")
    throw new ConsiliumError("cohort/uncertified", "A list was proposed before its shares were checked.")
  const listed =
    state.phase === "checked" ? state.listed : checkedSubmissions(context, state.attempt, submissions)
  checkMembers(proposal.cohort, listed)
  checkCohortSize(context, proposal.cohort.length)
  checkOwnDigest(
    context,
    "mine" in state ? state.mine : null,
    new Map([...listed].filter(([id]) => proposal.cohort.some((m) => toHex(m.facility) === id))),
  )
  const facilities = proposal.cohort.map((member) => member.facility)
  checkRedone(state.memory.opened, proposal.spec.model, facilities, smallestCohort(context))
  return {
    phase: "signed",
    memory: withOpened(state, proposal).memory,
    attempt: state.attempt,
    proposal,
    listed,
    parts: state.phase === "checked" ? state.parts : new Map(),
  }
}

export const onCertificate = (
  context: FacilityContext,
  state: FacilityState,
  message: MessageOf<"certificate">,
): FacilityStep => {
  const { proposal, signatures } = message
  if (!("attempt" in state) || !equalBytes(state.attempt.digest, specDigest(proposal.spec)))
    throw new ConsiliumError("round/stale", "A certificate is not of the attempt under way.")
  checkCertificate(context.suite, context.study, context.directory, proposal, signatures)
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
  if (state.phase === "opened")
    return { state, effects: state.partial ? [toLeader(context, state.partial)] : [] }
  const opened = open(context, state)
  const head = headOfCertificate(proposal, signatures)
  return { ...opened, effects: [{ type: "cosigned", head }, ...opened.effects] }
}

/** Gives this facility's one answer for the certified list. */
const open = (context: FacilityContext, state: Signed): FacilityStep => {
  const { study, keys, directory } = context
  const { attempt, proposal, memory } = state
  const scheme = protectionOf(study).opened
  const opened = (partial: MessageOf<"partial"> | null): Opened => ({
    phase: "opened",
    memory,
    attempt,
    proposal,
    listed: state.listed,
    partial,
    measured: false,
  })
  if (scheme === null) return { state: opened(null), effects: [] }
  const missing: string[] = []
  const parts = proposal.cohort.flatMap(({ facility }) => {
    const part = state.parts.get(toHex(facility))
    if (part === undefined) missing.push(directory.get(facility).name)
    return part === undefined ? [] : [part]
  })
  if (missing.length > 0)
    throw new ConsiliumError(
      "cohort/missing-part",
      `This facility holds no checked share of ${missing.join(", ")}.`,
    )
  const digest = certificateDigest(proposal)
  const answer = scheme.partial(settingOf(context, attempt), parts)
  const partial: MessageOf<"partial"> = {
    type: "partial",
    digest,
    sealed: sealBetween(keys, directory.leader.sealingKey, digest, answer),
  }
  return {
    state: opened(partial),
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

/** Measures the new model once per certified list: exact figures on patients are not given for any model asked about. */
export const onCandidate = (
  context: FacilityContext,
  state: FacilityState,
  message: MessageOf<"candidate">,
): FacilityStep => {
  const parameters = modelParameters(context.study, message.model)
  const asked = "attempt" in state && equalBytes(state.attempt.digest, message.spec)
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
  return {
    state: {
      phase: "ended",
      memory: withoutUpdate((seen ?? state).memory),
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
