import { equalBytes, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { sha256 } from "@consilium/base/hash"
import {
  checkCohortSize,
  checkedSubmissions,
  checkOwnDigest,
  dealingStream,
  ownSideOf,
  settingOf,
  toLeader,
} from "./facility-rules.js"
import type {
  FacilityContext,
  FacilityEffect,
  FacilityState,
  FacilityStep,
  Locked,
} from "./facility-state.js"
import { type Complaint, MAX_COMPLAINTS, type MessageOf, openingMessage } from "./messages.js"
import type { Participant } from "./roster.js"
import { challengeFor } from "./submissions.js"
import { messageKey } from "./suite.js"
import { facilitySchemeOf } from "./sums/facility/schemes.js"
import { schemeOf } from "./sums/protections.js"

// Shares of other facilities, and the check that they are what the cohort will be certified over.

export const onShare = (
  state: FacilityState,
  from: Participant,
  message: MessageOf<"share">,
): FacilityStep => {
  if (from.role !== "facility")
    throw new ConsiliumError("round/unexpected", `A share came from the ${from.role} ${from.name}.`)
  if (!("received" in state) || !equalBytes(state.attempt.digest, message.spec))
    throw new ConsiliumError("round/stale", `A share of ${from.name} is not for the attempt under way.`)
  const dealer = toHex(from.id)
  const before = state.received.get(dealer)
  if (before !== undefined && !equalBytes(before, message.sealed))
    throw new ConsiliumError("round/equivocation", `${from.name} sent two different shares in one attempt.`)
  return { state: { ...state, received: new Map(state.received).set(dealer, message.sealed) }, effects: [] }
}

export const onLock = (
  context: FacilityContext,
  state: FacilityState,
  message: MessageOf<"lock">,
): FacilityStep => {
  if (
    !("attempt" in state) ||
    !equalBytes(state.attempt.digest, message.spec) ||
    schemeOf(context.study, state.attempt.spec).checked === null
  )
    throw new ConsiliumError("round/stale", "A list to be checked is not of the attempt under way.")
  const listed = checkedSubmissions(context, state.attempt, message.submissions)
  const challenge = challengeFor(state.attempt.digest, listed)
  if (state.phase !== "training" && state.phase !== "submitted") {
    if (equalBytes(challengeFor(state.attempt.digest, state.listed), challenge))
      return { state, effects: state.phase === "locked" ? answerChallenge(context, state) : [] }
    // a second challenge would show a linear combination of this facility's values
    throw new ConsiliumError("cohort/second-list", "A second list was to be challenged in one attempt.")
  }
  checkCohortSize(context, listed.size)
  const mine = state.phase === "submitted" ? state.mine : null
  checkOwnDigest(context, mine, listed)
  const locked: Locked = {
    phase: "locked",
    memory: state.memory,
    attempt: state.attempt,
    received: state.received,
    mine,
    challenge,
    listed,
  }
  return { state: locked, effects: answerChallenge(context, locked) }
}

const answerChallenge = (context: FacilityContext, state: Locked): readonly FacilityEffect[] => {
  const { me, keys, study } = context
  const { attempt, mine, challenge } = state
  const { answer } = facilitySchemeOf(study, attempt.spec)
  if (answer === null || mine === null || !state.listed.has(toHex(me.id))) return []
  const opening = answer(
    settingOf(context, attempt),
    ownSideOf(context, state.memory),
    mine.values,
    dealingStream(context, attempt, mine.secret),
    challenge,
  )
  const signature = keys.sign(openingMessage(attempt.digest, challenge, opening))
  return [
    toLeader(context, {
      type: "opening",
      spec: attempt.digest,
      challenge,
      opening: { dealer: me.id, opening, signature },
    }),
  ]
}

export const onOpenings = (
  context: FacilityContext,
  state: FacilityState,
  message: MessageOf<"openings">,
): FacilityStep => {
  const stale = (): never => {
    throw new ConsiliumError("round/stale", "Openings arrived that are not of the list under way.")
  }
  if (state.phase !== "locked" || !equalBytes(state.attempt.digest, message.spec)) return stale()
  const { checked } = schemeOf(context.study, state.attempt.spec)
  const { openPart } = facilitySchemeOf(context.study, state.attempt.spec)
  if (checked === null || openPart === null) return stale()
  const { me, keys, suite, directory } = context
  const { attempt, challenge, listed, received, mine } = state
  const setting = settingOf(context, attempt)
  const own = ownSideOf(context, state.memory)
  if (new Set(message.openings.map((o) => toHex(o.dealer))).size !== message.openings.length)
    throw new ConsiliumError("cohort/wrong-member", "A list of openings names a facility twice.")
  const parts = new Map<string, Uint8Array>()
  const wrong: { readonly dealer: Uint8Array; readonly sealed: Uint8Array }[] = []
  const complaints: Complaint[] = []
  for (const { dealer, opening, signature } of message.openings) {
    const name = toHex(dealer)
    const entry = listed.get(name)
    if (entry === undefined) continue
    if (
      !suite.verify(
        directory.get(dealer).signingKey,
        openingMessage(attempt.digest, challenge, opening),
        signature,
      )
    )
      throw new ConsiliumError(
        "identity/bad-signature",
        `An opening in the name of ${directory.get(dealer).name} is not signed by it.`,
      )
    if (equalBytes(dealer, me.id)) {
      if (mine?.own) parts.set(name, mine.own)
      continue
    }
    const sealed = received.get(name)
    const promised = entry.submission.parts.find((part) => equalBytes(part.recipient, me.id))
    if (sealed === undefined || promised === undefined || !equalBytes(sha256(sealed), promised.digest))
      continue
    const part = openedOrNull(() => openPart(setting, own, dealer, sealed))
    if (part !== null && checked.check(setting, dealer, me.id, part, challenge, opening)) {
      parts.set(name, part)
      continue
    }
    wrong.push({ dealer, sealed })
    // what is no sealed message has no key, so nothing about it can be proven: it counts as not received
    const key = openedOrNull(() => messageKey(keys, sealed))
    if (key !== null && complaints.length < MAX_COMPLAINTS) complaints.push({ dealer, sealed, key })
  }
  return {
    state: {
      phase: "checked",
      memory: state.memory,
      attempt,
      mine,
      challenge,
      listed,
      parts,
      tested: null,
    },
    effects: [
      ...wrong.map(
        ({ dealer, sealed }): FacilityEffect => ({
          type: "security",
          code: "sharing/bad-share",
          about: dealer,
          evidence: sha256(sealed),
          detail: `The share of ${directory.get(dealer).name} does not agree with its masked opening.`,
        }),
      ),
      toLeader(context, {
        type: "verdict",
        spec: attempt.digest,
        challenge,
        good: message.openings.map((o) => o.dealer).filter((id) => parts.has(toHex(id))),
        complaints,
      }),
    ],
  }
}

const openedOrNull = (open: () => Uint8Array): Uint8Array | null => {
  try {
    return open()
  } catch (error) {
    if (error instanceof ConsiliumError) return null
    throw error
  }
}
