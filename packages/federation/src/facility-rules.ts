import { equalBytes, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import type { Digest } from "@consilium/base/hash"
import type { PrfStream, SecretKey } from "@consilium/base/random"
import type {
  Attempt,
  FacilityContext,
  FacilityEffect,
  FacilityState,
  Memory,
  Protected,
  Submissions,
} from "./facility-state.js"
import { extendHead, type LogHead, type LogHeader } from "./log.js"
import {
  type Cohort,
  type Message,
  type Proposal,
  type RoundSpec,
  type SignedSubmission,
  specDigest,
  submissionDigest,
  submissionMessage,
} from "./messages.js"
import { attemptName, subjectOf } from "./purpose.js"
import { difference } from "./redo.js"
import type { Participant } from "./roster.js"
import { checkLedgerNamed } from "./submissions.js"
import type { OwnSide } from "./sums/facility/facility-scheme.js"
import { ceremonyStream } from "./sums/facility/key-dealing.js"
import type { SumSetting } from "./sums/secure-sum.js"
import { roundStream } from "./training.js"

/** A head of the leader's log as it is shown, with the headers before it. */
interface ShownHead extends LogHead {
  readonly headers: readonly LogHeader[]
}

export const headOfProposal = ({ headSeq, head, headers }: Proposal): ShownHead => ({
  seq: headSeq,
  hash: head as Digest,
  headers,
})

/** The state that has seen a head; it must extend what was seen before. */
export const withHead = <S extends FacilityState>(state: S, shown: ShownHead): S => {
  const [first] = shown.headers
  const head: LogHead =
    state.memory.head ??
    (first === undefined
      ? { seq: shown.seq, hash: shown.hash }
      : { seq: first.seq - 1, hash: first.previous as Digest })
  const fresh = shown.headers.filter((header) => header.seq > head.seq)
  const grown = extendHead(head, fresh)
  if (grown.seq !== shown.seq || !equalBytes(grown.hash, shown.hash))
    throw new ConsiliumError(
      "log/not-extending",
      `The log head shown at event ${shown.seq} does not extend event ${head.seq} that was seen before.`,
    )
  return { ...state, memory: { ...state.memory, head: grown } }
}

/** The state in which a cohort counts as opened. */
export const withOpened = <S extends FacilityState>(state: S, { spec, cohort }: Proposal): S => {
  // a ceremony opens no update
  if (spec.purpose === "keys") return state
  const facilities = cohort.map((member) => member.facility)
  const { round, attempt } = spec
  const model = subjectOf(spec)
  const { opened } = state.memory
  const known = opened.some(
    (past) => equalBytes(past.model, model) && difference(past.facilities, facilities) === 0,
  )
  if (known) return state
  return { ...state, memory: { ...state.memory, opened: [...opened, { model, round, attempt, facilities }] } }
}

/** What a facility remembers once no round can follow: its integers and their secret are needed no more. */
export const withoutUpdate = (memory: Memory): Memory => ({
  ...memory,
  trained: null,
  counted: null,
})

/** The memory of a facility whose epoch is over, and the effects of that. */
export const withoutKeys = (
  memory: Memory,
): { readonly memory: Memory; readonly effects: readonly FacilityEffect[] } => {
  const { keys } = memory
  if (keys === null) return { memory, effects: [] }
  const detail = `epoch ${keys.epoch}: this facility's key and its ${keys.shares.length} shares of keys`
  return {
    memory: { ...memory, keys: null },
    effects: [
      { type: "record", event: "keys-destroyed", detail },
      { type: "forget-keys", epoch: keys.epoch },
    ],
  }
}

/** Whether a sum for this model that holds the facility's update counts as opened. */
export const isOpened = ({ opened }: Memory, model: Uint8Array, { id }: Participant): boolean =>
  opened.some(
    (past) => equalBytes(past.model, model) && past.facilities.some((facility) => equalBytes(facility, id)),
  )

/** Refuses a second specification for the attempt under way: a leader that names one has said two things. */
export const checkOneSpec = (state: FacilityState, spec: RoundSpec): void => {
  if (!("attempt" in state)) return
  const { attempt } = state
  const { purpose, epoch, round, attempt: number } = attempt.spec
  const same =
    spec.purpose === purpose &&
    (purpose === "keys" ? spec.epoch === epoch : spec.round === round && spec.attempt === number)
  if (same && !equalBytes(attempt.digest, specDigest(spec)))
    throw new ConsiliumError(
      "round/equivocation",
      `The leader gave ${purpose === "keys" ? `the key ceremony of epoch ${epoch}` : attemptName(attempt.spec)} a second specification.`,
    )
}

export const checkedSubmissions = (
  context: FacilityContext,
  attempt: Attempt,
  list: readonly SignedSubmission[],
): Submissions => {
  const out = new Map<string, SignedSubmission>()
  for (const signed of list) {
    const { submission, signature } = signed
    const facility = context.directory.find(submission.facility)
    if (facility?.role !== "facility")
      throw new ConsiliumError(
        "cohort/wrong-member",
        "A list names somebody who is not an enrolled facility.",
      )
    if (
      !equalBytes(submission.spec, attempt.digest) ||
      !context.suite.verify(facility.signingKey, submissionMessage(submission), signature)
    )
      throw new ConsiliumError(
        "identity/bad-signature",
        `A submission in the name of ${facility.name} is not signed by it for this attempt.`,
      )
    checkLedgerNamed(context.study, facility, submission, attempt.spec.purpose)
    if (out.has(toHex(facility.id)))
      throw new ConsiliumError("cohort/wrong-member", `A list names ${facility.name} twice.`)
    out.set(toHex(facility.id), signed)
  }
  return out
}

export const checkMembers = (cohort: Cohort, listed: Submissions): void => {
  for (const { facility, digest } of cohort) {
    const entry = listed.get(toHex(facility))
    if (entry === undefined || !equalBytes(submissionDigest(entry.submission), digest))
      throw new ConsiliumError(
        "cohort/wrong-member",
        "A list names a protected update that its facility did not submit.",
      )
  }
}

export const checkOwnDigest = (
  context: FacilityContext,
  mine: Protected | null,
  listed: Submissions,
): void => {
  const entry = listed.get(toHex(context.me.id))
  if (entry === undefined) return
  if (
    mine === null ||
    !equalBytes(submissionDigest(entry.submission), submissionDigest(mine.submission.submission))
  )
    throw new ConsiliumError(
      "cohort/wrong-member",
      "A list names a protected update of this facility that it did not submit in this attempt.",
    )
}

export const smallestCohort = (context: FacilityContext): number =>
  Math.max(context.study.cohort.minCohort, context.policy.smallestCohort)

export const checkCohortSize = (context: FacilityContext, size: number): void => {
  const smallest = smallestCohort(context)
  if (size < smallest)
    throw new ConsiliumError(
      "cohort/too-small",
      `A list of ${size} facilities was proposed; at least ${smallest} are needed.`,
    )
}

/** The randomness of what is protected or dealt in one attempt, and in no other. */
export const dealingStream = (
  { study }: FacilityContext,
  { spec, digest }: Attempt,
  secret: SecretKey,
): PrfStream =>
  spec.purpose === "keys"
    ? ceremonyStream({ spec: digest }, secret)
    : roundStream(study, spec, secret, `dealing/${study.protection}/${toHex(digest)}`)

/** This facility's own secrets, for the schemes. */
export const ownSideOf = (context: FacilityContext, { keys: epochKeys }: Memory): OwnSide => ({
  me: context.me.id,
  keys: context.keys,
  epochKeys,
})

export const settingOf = (context: FacilityContext, attempt: Attempt): SumSetting => ({
  study: context.study,
  directory: context.directory,
  spec: attempt.digest,
  epoch: attempt.spec.epoch,
  attempt: attempt.spec.attempt,
  suite: context.suite,
})

export const toLeader = (context: FacilityContext, message: Message): FacilityEffect => ({
  type: "send",
  to: context.directory.leader.id,
  message,
})

/** As much of a reason as a message carries. */
export const shortened = (reason: string): string => [...reason].slice(0, 250).join("")
