import { equalBytes, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { sha256 } from "@consilium/base/hash"
import { proposeList } from "./leader-certifying.js"
import { testKeys } from "./leader-keys.js"
import type { Challenged, LeaderState, Locked } from "./leader-state.js"
import { answered, settingOf, sortedValues, type Turn, voidAttempt } from "./leader-turn.js"
import {
  type Complaint,
  type MessageOf,
  openingMessage,
  type SignedOpening,
  type SignedSubmission,
} from "./messages.js"
import type { Participant } from "./roster.js"
import { openingThreshold } from "./study.js"
import { schemeOf } from "./sums/protections.js"

export const withOpening = (
  turn: Turn,
  state: Locked,
  from: Participant,
  message: MessageOf<"opening">,
): ReadonlyMap<string, SignedOpening> => {
  const { opening, challenge } = message
  const signed =
    equalBytes(opening.dealer, from.id) &&
    equalBytes(challenge, state.challenge) &&
    state.submissions.has(toHex(from.id)) &&
    turn.context.suite.verify(
      from.signingKey,
      openingMessage(state.attempt.digest, challenge, opening.opening),
      opening.signature,
    )
  if (!signed)
    throw new ConsiliumError(
      "identity/bad-signature",
      `The masked opening of ${from.name} is not signed by it for this list.`,
    )
  const before = state.openings.get(toHex(from.id))
  if (before && !equalBytes(before.opening, opening.opening))
    throw new ConsiliumError("round/equivocation", `${from.name} answered one challenge twice.`)
  return new Map(state.openings).set(toHex(from.id), opening)
}

export const challengedIfComplete = (turn: Turn, state: Locked): LeaderState => {
  const waiting = [...state.submissions.keys()].filter(
    (id) => !state.openings.has(id) && !state.attempt.out.has(id),
  )
  return waiting.length === 0 ? publishOpenings(turn, state) : state
}

export const publishOpenings = (turn: Turn, state: Locked): LeaderState => {
  const { attempt, submissions, challenge, openings } = state
  turn.say({ type: "openings", spec: attempt.digest, openings: sortedValues(openings) })
  turn.timer(attempt.spec, "challenged", turn.context.study.deadlines.answer)
  return {
    phase: "challenged",
    progress: turn.progress,
    attempt,
    submissions,
    challenge,
    openings,
    verdicts: new Map(),
  }
}

export const proposeIfComplete = (turn: Turn, state: Challenged): LeaderState =>
  answered(turn, state.attempt, state.verdicts) ? proposeChecked(turn, state) : state

/** Proposes the dealers who answered, dealt nothing proven wrong, and whose shares at least t recipients hold. */
export const proposeChecked = (turn: Turn, state: Challenged): LeaderState => {
  const { directory, study } = turn.context
  const { attempt, openings, verdicts } = state
  const proven = provenComplaints(turn, state)
  const { minCohort } = study.cohort
  const threshold = openingThreshold(study, directory.facilities.length)
  const holders = (dealer: Uint8Array): number =>
    [...verdicts.values()].filter((verdict) => verdict.good.some((id) => equalBytes(id, dealer))).length
  const dealers = directory.facilities.filter(
    ({ id }) => openings.has(toHex(id)) && !proven.has(toHex(id)) && holders(id) >= threshold,
  )
  const ceremony = attempt.spec.purpose === "keys"
  const able = directory.facilities.filter(({ id }) => {
    const good = verdicts.get(toHex(id))?.good
    // who has dealt no key has no secret to hide answers with
    if (good === undefined || (ceremony && !state.submissions.has(toHex(id)))) return false
    return dealers.every((dealer) => good.some((held) => equalBytes(held, dealer.id)))
  })
  if (dealers.length < minCohort)
    return voidAttempt(
      turn,
      attempt,
      `${dealers.length} facilities dealt shares that can be used; ${minCohort} are needed`,
    )
  if (able.length < threshold)
    return voidAttempt(
      turn,
      attempt,
      `${able.length} facilities hold all shares; ${threshold} are needed to open`,
    )
  if (ceremony)
    return testKeys(turn, attempt, {
      submissions: state.submissions,
      challenge: state.challenge,
      dealers: dealers.map(({ id }) => id),
      holders: able.map(({ id }) => id),
      excluded: directory.facilities.flatMap(({ id }) => (proven.has(toHex(id)) ? [id] : [])),
    })
  const members = dealers.map(({ id }) => state.submissions.get(toHex(id)) as SignedSubmission)
  return proposeList(turn, attempt, members, new Map(), [])
}

const provenComplaints = (turn: Turn, state: Challenged): ReadonlySet<string> => {
  const proven = new Set<string>()
  for (const [recipient, verdict] of state.verdicts)
    for (const complaint of verdict.complaints)
      if (isProven(turn, state, recipient, complaint)) {
        proven.add(toHex(complaint.dealer))
        turn.record("dealer-excluded", complaint.dealer, sha256(complaint.sealed))
        turn.tell(
          `${nameOf(turn, toHex(complaint.dealer))} dealt a false share and is excluded from this attempt`,
        )
      }
  return proven
}

/** A complaint counts if the disputed message is the one submitted, opens, and fails the check. */
const isProven = (turn: Turn, state: Challenged, recipientHex: string, complaint: Complaint): boolean => {
  const { directory, study } = turn.context
  const { checked } = schemeOf(study, state.attempt.spec)
  const dealer = toHex(complaint.dealer)
  const submission = state.submissions.get(dealer)?.submission
  const opening = state.openings.get(dealer)?.opening
  const recipient = directory.facilities.find((f) => toHex(f.id) === recipientHex)
  if (checked === null || !submission || !opening || !recipient) return false
  const promised = submission.parts.find((part) => equalBytes(part.recipient, recipient.id))
  if (!promised || !equalBytes(promised.digest, sha256(complaint.sealed))) return false
  try {
    const setting = settingOf(turn, state.attempt)
    const part = checked.openPartWithKey(
      setting,
      complaint.key,
      complaint.dealer,
      recipient.id,
      complaint.sealed,
    )
    return !checked.check(setting, complaint.dealer, recipient.id, part, state.challenge, opening)
  } catch (error) {
    if (error instanceof ConsiliumError) return false
    throw error
  }
}

const nameOf = (turn: Turn, hexId: string): string =>
  turn.context.directory.facilities.find((f) => toHex(f.id) === hexId)?.name ?? hexId
