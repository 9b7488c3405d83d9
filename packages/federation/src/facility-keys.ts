import { equalBytes, toHex } from "@consilium/base/bytes"
import { encode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { headOfCertificate } from "./cosigned.js"
import { checkCohortSize, ownSideOf, settingOf, toLeader, withoutKeys } from "./facility-rules.js"
import type {
  Attempt,
  Checked,
  FacilityContext,
  FacilityState,
  FacilityStep,
  Signed,
} from "./facility-state.js"
import { type MessageOf, messageCodec, type RoundSpec } from "./messages.js"
import type { Refusal } from "./policy.js"
import { isKeyed, openingThreshold } from "./study.js"
import { acceptedKeys, answerZeroTest } from "./sums/facility/key-dealing.js"

// The key ceremony: dealt and checked like shares of updates, then tested, then certified.

const DAY_MS = 24 * 60 * 60 * 1000
/** Clocks may be apart by this much. */
const CLOCK_MARGIN_MS = 60 * 60 * 1000

/** Refuses a ceremony that is none of this study's, or comes out of turn. */
export const checkCeremony = ({ study }: FacilityContext, spec: RoundSpec, lastEpoch: number): void => {
  if (!isKeyed(study))
    throw new ConsiliumError(
      "round/unexpected",
      `A key ceremony was announced; ${study.protection} has no keys.`,
    )
  if (spec.epoch <= lastEpoch)
    throw new ConsiliumError(
      "round/stale",
      `A ceremony for epoch ${spec.epoch} was announced after one for epoch ${lastEpoch}.`,
    )
  if (spec.model.some((byte) => byte !== 0))
    throw new ConsiliumError(
      "round/unexpected",
      "A key ceremony names a model, which it has nothing to do with.",
    )
}

/** Refuses a round under the keys of an epoch that another has followed, or was to follow: no leader goes back to them. */
export const checkEpoch = ({ epoch, round }: RoundSpec, lastEpoch: number): void => {
  if (epoch < lastEpoch)
    throw new ConsiliumError(
      "keys/other-epoch",
      `Round ${round} was announced under the keys of epoch ${epoch} after a ceremony for epoch ${lastEpoch}.`,
    )
}

/** Why this facility's keys do not serve for an attempt, or null. */
export const refuseKeys = (
  { study, directory, me }: FacilityContext,
  { keys, lastEpoch }: FacilityState["memory"],
  spec: RoundSpec,
  at: number,
): Refusal | null => {
  if (!isKeyed(study) || study.keys === null) return null
  if (keys === null && spec.epoch === lastEpoch)
    return {
      code: "keys/left-out",
      reason: `This facility took no part in the key ceremony of epoch ${spec.epoch}; it comes back with the next one.`,
    }
  if (keys?.epoch !== spec.epoch || !equalBytes(keys.roster, directory.digest))
    return {
      code: "keys/other-epoch",
      reason: `The round is under the keys of epoch ${spec.epoch}; this facility holds those of ${keys === null ? "none" : `epoch ${keys.epoch}`}.`,
    }
  if (!keys.dealers.some((id) => equalBytes(id, me.id)))
    return {
      code: "keys/left-out",
      reason: `This facility's key is not among those of epoch ${spec.epoch}; it comes back with the next ceremony.`,
    }
  if (at > keys.since + study.keys.days * DAY_MS + CLOCK_MARGIN_MS)
    return {
      code: "keys/too-old",
      reason: `The keys of epoch ${spec.epoch} have been used for more than ${study.keys.days} days.`,
    }
  return null
}

/** Takes part in the test of all keys, once. */
export const onKeyTest = (
  context: FacilityContext,
  state: FacilityState,
  message: MessageOf<"key-test">,
): FacilityStep => {
  if (
    state.phase !== "checked" ||
    state.attempt.spec.purpose !== "keys" ||
    !equalBytes(state.attempt.digest, message.spec)
  )
    throw new ConsiliumError("round/stale", "A test of keys is not of the ceremony under way.")
  if (state.tested !== null) {
    const same = equalBytes(encode(messageCodec, state.tested.request), encode(messageCodec, message))
    if (same) return { state, effects: [toLeader(context, state.tested.answer)] }
    // a second opening of one polynomial would show the error of a key's encryption
    throw new ConsiliumError("cohort/second-list", "A second test of keys was asked for in one ceremony.")
  }
  const { dealers, openers } = message
  const { directory, study } = context
  const unknown = [...dealers, ...openers].find((id) => !state.listed.has(toHex(id)))
  if (unknown !== undefined)
    throw new ConsiliumError("cohort/wrong-member", "A test of keys names somebody who dealt none.")
  checkCohortSize(context, dealers.length)
  const threshold = openingThreshold(study, directory.facilities.length)
  if (openers.length !== threshold)
    throw new ConsiliumError(
      "cohort/wrong-member",
      `A test of keys names ${openers.length} facilities to open; it takes ${threshold}.`,
    )
  const { test, answers } = answerZeroTest(
    settingOf(context, state.attempt),
    ownSideOf(context, state.memory),
    { secret: state.mine?.secret ?? null, parts: state.parts, challenge: state.challenge },
    message,
  )
  const answer: MessageOf<"key-tested"> = { type: "key-tested", spec: message.spec, test, answers }
  const next: Checked = { ...state, tested: { request: message, answer } }
  return { state: next, effects: [toLeader(context, answer)] }
}

/** Refuses a list of dealers that were not all tested. */
export const checkTested = (
  { tested }: Checked,
  cohort: readonly { readonly facility: Uint8Array }[],
): void => {
  const among = new Set(tested?.request.dealers.map(toHex))
  if (cohort.some(({ facility }) => !among.has(toHex(facility))))
    throw new ConsiliumError("cohort/uncertified", "A list names keys that were not tested.")
}

/** The new epoch begins: its keys are kept, those of the last one are destroyed. `signed` is null for a latecomer. */
export const onKeyCertificate = (
  context: FacilityContext,
  state: FacilityState & { readonly attempt: Attempt },
  signed: Signed | null,
  { proposal, signatures }: MessageOf<"certificate">,
  at: number,
): FacilityStep => {
  const { spec, digest: specDigest } = state.attempt
  const before = withoutKeys((signed ?? state).memory)
  const dealt = signed?.mine ?? null
  const keys =
    signed === null || dealt === null || signed.challenge === null
      ? null
      : acceptedKeys(
          settingOf(context, { spec, digest: specDigest }),
          ownSideOf(context, signed.memory),
          { secret: dealt.secret, parts: signed.parts, challenge: signed.challenge },
          { cohort: proposal.cohort.map(({ facility }) => facility) },
          at,
        )
  const detail =
    keys === null
      ? `epoch ${spec.epoch} begins without this facility`
      : `epoch ${spec.epoch}: ${keys.dealers.length} keys, of which this facility holds ${keys.shares.length} shares`
  return {
    state: { phase: "idle", memory: { ...before.memory, keys } },
    effects: [
      { type: "cosigned", head: headOfCertificate(proposal, signatures) },
      ...before.effects,
      { type: "record", event: "epoch-begun", detail },
      { type: "forget-keys", epoch: spec.epoch - 1 },
    ],
  }
}
