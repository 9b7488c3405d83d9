import { equalBytes, toHex } from "@consilium/base/bytes"
import { sha256 } from "@consilium/base/hash"
import type { SecretKey } from "@consilium/base/random"
import { chargeFor, ledgerEntryOf } from "./charge.js"
import { madeFor, withCharge, withMade } from "./facility-made.js"
import { dealingStream, ownSideOf, settingOf, shortened, toLeader } from "./facility-rules.js"
import type {
  FacilityContext,
  FacilityEffect,
  FacilityEvent,
  FacilityState,
  FacilityStep,
  Training,
} from "./facility-state.js"
import { figuresLength } from "./figures/figures-vector.js"
import { type LedgerPlace, ledgerHeadAfter } from "./ledger-chain.js"
import { type Submission, submissionDigest, submissionMessage } from "./messages.js"
import { isPrivate } from "./privacy-plan.js"
import { attemptName, isFigures, type Purpose } from "./purpose.js"
import { type Study, updateLength, valueCount } from "./study.js"
import { facilitySchemeOf } from "./sums/facility/schemes.js"

// What was made for an attempt is charged, protected and sent.

export const onTrained = (
  context: FacilityContext,
  state: FacilityState,
  event: Extract<FacilityEvent, { type: "trained" }>,
): FacilityStep => {
  const { values, secret } = event
  if ("attempt" in state && equalBytes(state.attempt.digest, event.spec)) {
    const memory = withMade(context, state.memory, state.attempt.spec, {
      values,
      secret,
      charged: false,
      ledger: null,
    })
    if (state.phase === "training") return submitOrEnter(context, { ...state, memory }, values, secret)
    // too late for this attempt: kept for the next one at the same model
    return { state: { ...state, memory }, effects: [] }
  }
  return { state, effects: [] }
}

export const onTrainingFailed = (
  context: FacilityContext,
  state: FacilityState,
  event: Extract<FacilityEvent, { type: "training-failed" }>,
): FacilityStep => {
  const detail = `${event.code}: ${event.reason}`
  const record: FacilityEffect = { type: "record", event: "training-failed", detail }
  if (state.phase !== "training" || !equalBytes(state.attempt.digest, event.spec))
    return { state, effects: [record] }
  const { purpose, round, attempt } = state.attempt.spec
  const reason = shortened(event.reason)
  return {
    state: { phase: "idle", memory: state.memory },
    effects: [
      record,
      toLeader(context, { type: "refusal", purpose, round, attempt, code: event.code, reason }),
    ],
  }
}

/** What costs privacy is sent once its charge has a place in the ledger; anything else at once. */
export const submitOrEnter = (
  context: FacilityContext,
  state: Training,
  values: Int32Array,
  secret: SecretKey,
): FacilityStep =>
  isPrivate(context.study) && madeFor(state.memory, state.attempt.spec)?.charged !== true
    ? {
        state,
        effects: [{ type: "enter", digest: state.attempt.digest, purpose: state.attempt.spec.purpose }],
      }
    : submit(context, state, values, secret, null)

export const onEntered = (
  context: FacilityContext,
  state: FacilityState,
  { spec, place }: Extract<FacilityEvent, { type: "entered" }>,
): FacilityStep => {
  const waits = state.phase === "training" && equalBytes(state.attempt.digest, spec)
  const made = waits ? madeFor(state.memory, state.attempt.spec) : null
  // a place that is not used stays free
  return waits && made !== null && !made.charged
    ? submit(context, state, made.values, made.secret, place)
    : { state, effects: [] }
}

/** Protects the integers and sends them: to the parent, to the recipients, or both, and says what was sent. */
const submit = (
  context: FacilityContext,
  state: Training,
  values: Int32Array,
  secret: SecretKey,
  place: LedgerPlace | null,
): FacilityStep => {
  const { study } = context
  const { attempt, memory } = state
  const { charges, figures } = place === null ? memory : withCharge(memory, attempt.spec.purpose)
  const charge =
    place === null || !isPrivate(study) ? null : chargeFor(study, attempt.spec, charges, figures, place)
  const ledger =
    charge === null
      ? (madeFor(memory, attempt.spec)?.ledger ?? null)
      : ledgerHeadAfter(ledgerEntryOf(attempt.spec.study, charge))
  const made = { values, secret, charged: isPrivate(study), ledger }
  const kept = { ...withMade(context, memory, attempt.spec, made), charges, figures }
  const sent = send(context, { ...state, memory: kept }, values, secret, ledger)
  return {
    ...sent,
    effects: [...(charge === null ? [] : [{ type: "charge", charge } as const]), ...sent.effects],
  }
}

/** Protects the integers, or deals a key, and sends what comes of it: to the parent, to the recipients, or both. */
const send = (
  context: FacilityContext,
  state: Training,
  values: Int32Array,
  secret: SecretKey,
  ledger: Submission["ledger"],
): FacilityStep => {
  const { study, me, directory } = context
  const { attempt, memory } = state
  const { purpose, epoch } = attempt.spec
  const whole = purpose === "keys" ? values : wholeVector(study, purpose, values)
  const { payload, parts, own, epochKeys } = facilitySchemeOf(study, attempt.spec).protect(
    settingOf(context, attempt),
    ownSideOf(context, memory),
    whole,
    dealingStream(context, attempt, secret),
  )
  const submission: Submission = {
    spec: attempt.digest,
    facility: me.id,
    direct: payload === null ? null : sha256(payload),
    parts: parts.map(({ recipient, sealed }) => ({ recipient, digest: sha256(sealed) })),
    ledger,
  }
  const signed = { submission, signature: context.keys.sign(submissionMessage(submission)) }
  const parent = me.parent ?? directory.leader.id
  const digest = toHex(submissionDigest(submission))
  return {
    state: {
      phase: "submitted",
      memory: { ...memory, keys: epochKeys },
      attempt,
      received: state.received,
      mine: { values: whole, secret, submission: signed, own },
    },
    effects: [
      purpose === "keys"
        ? { type: "record", event: "key-dealt", detail: `epoch ${epoch}, ${digest}` }
        : {
            type: "record",
            event: isFigures(purpose) ? "figures-submitted" : "update-submitted",
            detail: `${attemptName(attempt.spec)}, ${study.protection}, ${digest}`,
          },
      ...parts.map(
        ({ recipient, sealed }): FacilityEffect => ({
          type: "send",
          to: recipient,
          message: { type: "share", spec: attempt.digest, sealed },
        }),
      ),
      payload === null
        ? toLeader(context, { type: "submit", ...signed })
        : { type: "send", to: parent, message: { type: "update", submission: signed, payload } },
    ],
  }
}

/** The vector of an update or of figures in the length of all sums of the study; one that is neither is left to be refused. */
const wholeVector = (study: Study, purpose: Exclude<Purpose, "keys">, values: Int32Array): Int32Array => {
  const expected = isFigures(purpose) ? figuresLength(study, purpose) : updateLength(study)
  if (values.length !== expected) return values
  const out = new Int32Array(valueCount(study))
  out.set(values)
  return out
}

/** Deals a key from the secret that was drawn for the ceremony under way. */
export const onDrawn = (
  context: FacilityContext,
  state: FacilityState,
  { spec, secret }: Extract<FacilityEvent, { type: "drawn" }>,
): FacilityStep =>
  state.phase === "training" &&
  state.attempt.spec.purpose === "keys" &&
  equalBytes(state.attempt.digest, spec)
    ? send(context, state, new Int32Array(0), secret, null)
    : { state, effects: [] }
