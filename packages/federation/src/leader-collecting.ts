import { equalBytes, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { allSent, sumOfHeld, withoutUpdateOf, withUpdate } from "./collecting.js"
import { endOnBudgets } from "./leader-budget.js"
import { proposeList } from "./leader-certifying.js"
import type { Collecting, LeaderContext, LeaderState } from "./leader-state.js"
import { answered, settingOf, sortedValues, type Turn, voidAttempt } from "./leader-turn.js"
import { type MessageOf, type SignedSubmission, submissionDigest, submissionMessage } from "./messages.js"
import type { Participant } from "./roster.js"
import { challengeFor, checkLedgerNamed } from "./submissions.js"
import { schemeOf } from "./sums/protections.js"

/** The submissions with one more, checked. */
export const withSubmission = (
  turn: Turn,
  state: Collecting,
  from: Participant,
  signed: SignedSubmission,
) => {
  const { submission, signature } = signed
  if (
    !equalBytes(submission.spec, state.attempt.digest) ||
    !equalBytes(submission.facility, from.id) ||
    !turn.context.suite.verify(from.signingKey, submissionMessage(submission), signature)
  )
    throw new ConsiliumError(
      "identity/bad-signature",
      `A submission of ${from.name} is not signed by it for this attempt.`,
    )
  checkLedgerNamed(turn.context.study, from, submission, state.attempt.spec.purpose)
  const before = state.submissions.get(toHex(from.id))
  if (before && !equalBytes(submissionDigest(before.submission), submissionDigest(submission)))
    throw new ConsiliumError(
      "round/equivocation",
      `${from.name} submitted two different updates in one attempt.`,
    )
  return new Map(state.submissions).set(toHex(from.id), { submission, signature })
}

export const withRegion = (
  turn: Turn,
  state: Collecting,
  fog: Participant,
  region: MessageOf<"region">,
): Collecting => {
  const { added } = schemeOf(turn.context.study, state.attempt.spec)
  added?.add(settingOf(turn, state.attempt), [region.sum])
  let { submissions } = state
  for (const signed of region.submissions) {
    const facility = turn.context.directory.get(signed.submission.facility)
    if (facility.parent === null || !equalBytes(facility.parent, fog.id))
      throw new ConsiliumError(
        "cohort/wrong-member",
        `${fog.name} sent an update of ${facility.name}, which is not in its region.`,
      )
    if (state.attempt.out.get(toHex(facility.id)) === "keys/left-out")
      throw new ConsiliumError(
        "cohort/wrong-member",
        `${fog.name} added an update of ${facility.name}, whose key is not of this epoch: the sum cannot be opened.`,
      )
    submissions = withSubmission(turn, { ...state, submissions }, facility, signed)
  }
  return { ...state, submissions, regions: new Map(state.regions).set(toHex(fog.id), region.sum) }
}

/** Whether a facility talks to the leader with no fog between. */
export const isDirect = (context: LeaderContext, { role, parent }: Participant): boolean =>
  role === "facility" && parent !== null && equalBytes(parent, context.me.id)

/** The state with one more update of a direct facility, kept as a fog keeps those of its region; the same if it was here. */
export const withDirectUpdate = (
  turn: Turn,
  state: Collecting,
  from: Participant,
  message: MessageOf<"update">,
): Collecting => {
  const direct = withUpdate(settingOf(turn, state.attempt), state.direct, from, message)
  if (direct === state.direct) return state
  const submissions = new Map(state.submissions).set(toHex(from.id), message.submission)
  return { ...state, submissions, direct }
}

/** A facility that contradicted itself sits the attempt out, with both of its submissions. */
export const withoutFacility = (turn: Turn, state: Collecting, facility: Participant): LeaderState => {
  const submissions = new Map(state.submissions)
  submissions.delete(toHex(facility.id))
  const out = new Map(state.attempt.out).set(toHex(facility.id), "round/equivocation")
  const direct = withoutUpdateOf(state.direct, facility)
  return collected(turn, { ...state, submissions, direct, attempt: { ...state.attempt, out } })
}

export const collected = (turn: Turn, state: Collecting): LeaderState => {
  const { directory, study } = turn.context
  const complete =
    schemeOf(study, state.attempt.spec).added === null
      ? answered(turn, state.attempt, state.submissions)
      : directory.fogs.every((fog) => state.regions.has(toHex(fog.id))) &&
        allSent(directory.childrenOf(directory.leader.id), state.direct, state.attempt.out)
  return complete ? lockList(turn, state) : state
}

/** The regional sums, with the leader's own sum of the updates that came to it directly. */
const withOwnRegion = (turn: Turn, { attempt, regions, direct }: Collecting): Collecting["regions"] => {
  const own = direct.size === 0 ? null : sumOfHeld(settingOf(turn, attempt), direct)
  return own === null ? regions : new Map(regions).set(toHex(turn.context.me.id), own.sum)
}

/** Fixes the list of submissions: to be checked where shares were dealt, else proposed at once. */
export const lockList = (turn: Turn, state: Collecting): LeaderState => {
  const { study } = turn.context
  const { attempt, submissions } = state
  if (submissions.size < study.cohort.minCohort)
    return (
      endOnBudgets(turn, attempt) ??
      voidAttempt(
        turn,
        attempt,
        `${submissions.size} facilities sent ${attempt.spec.purpose === "keys" ? "shares of a key" : "an update"}; ${study.cohort.minCohort} are needed`,
      )
    )
  const list = sortedValues(submissions)
  const regions = withOwnRegion(turn, state)
  if (schemeOf(study, attempt.spec).checked === null) return proposeList(turn, attempt, list, regions, list)
  turn.say({ type: "lock", spec: attempt.digest, submissions: list })
  turn.timer(attempt.spec, "locked", study.deadlines.answer)
  const challenge = challengeFor(attempt.digest, submissions)
  return { phase: "locked", progress: turn.progress, attempt, submissions, challenge, openings: new Map() }
}
