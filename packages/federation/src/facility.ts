import { equalBytes, toHex } from "@consilium/base/bytes"
import { encode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { sha256 } from "@consilium/base/hash"
import type { SecretKey } from "@consilium/base/random"
import { chargeFor, ledgerEntryOf } from "./charge.js"
import { checkCertificate, checkCosigned } from "./cosigned.js"
import { checkCeremony, checkEpoch, onKeyTest, refuseKeys } from "./facility-keys.js"
import { onAskLedger, onLedgerKnown } from "./facility-ledger.js"
import { onCandidate, onCertificate, onFinish, onPropose } from "./facility-opening.js"
import {
  checkOneSpec,
  dealingStream,
  headOfProposal,
  isEarlier,
  isOpened,
  ownSideOf,
  settingOf,
  toLeader,
  withHead,
  withOpened,
  withoutKeys,
  withoutUpdate,
} from "./facility-rules.js"
import { onLock, onOpenings, onShare } from "./facility-shares.js"
import type {
  Attempt,
  Ended,
  FacilityContext,
  FacilityEffect,
  FacilityEvent,
  FacilityState,
  FacilityStep,
  Memory,
  Training,
} from "./facility-state.js"
import { type LedgerPlace, ledgerHeadAfter } from "./ledger-chain.js"
import { withSeenElsewhere } from "./ledger-witness.js"
import { emptyHead } from "./log.js"
import {
  type CosignedHead,
  cosignedHeadCodec,
  type Message,
  type MessageOf,
  messageCodec,
  type Submission,
  specDigest,
  submissionDigest,
  submissionMessage,
} from "./messages.js"
import { modelHashOf, modelParameters } from "./model.js"
import { type Refusal, refusePrivacy, refuseStudy, refuseTime } from "./policy.js"
import { isPrivate } from "./privacy-plan.js"
import { checkSuccession, openRoster } from "./roster.js"
import { isKeyed, studyDigest } from "./study.js"
import { readByLeader } from "./study-tree.js"
import { facilitySchemeOf } from "./sums/facility/schemes.js"

export const startFacility = (context: FacilityContext): FacilityState => ({
  phase: "idle",
  memory: {
    directory: context.directory,
    head: context.directory.roster.version === 1 ? emptyHead(studyDigest(context.study)) : null,
    opened: [],
    trained: null,
    charges: 0,
    asked: null,
    witness: new Map(),
    last: { round: 0, attempt: 0 },
    keys: null,
    lastEpoch: 0,
    approval: "none",
  },
})

/**
 * A facility's side of the protocol: what it says and does on an event, and what it remembers. Pure and total: bad
 * input becomes a refusal that names the rule, and changes nothing else.
 */
export const stepFacility = (
  given: FacilityContext,
  state: FacilityState,
  event: FacilityEvent,
): FacilityStep => {
  const context = { ...given, directory: state.memory.directory }
  try {
    return react(context, state, event)
  } catch (error) {
    if (!(error instanceof ConsiliumError)) throw error
    if (event.type === "message") return refuse(context, state, event, error)
    if (event.type !== "trained" && event.type !== "entered") throw error
    const { code, message: reason } = error
    return onTrainingFailed(context, state, { type: "training-failed", spec: event.spec, code, reason })
  }
}

const react = (context: FacilityContext, state: FacilityState, event: FacilityEvent): FacilityStep => {
  switch (event.type) {
    case "message":
      return onMessage(context, state, event)
    case "decision":
      return onDecision(context, state, event)
    case "trained":
      return onTrained(context, state, event)
    case "entered":
      return onEntered(context, state, event)
    case "ask-ledger":
      return onAskLedger(context, state, event.nonce)
    case "seen-elsewhere": {
      const witness = withSeenElsewhere(state.memory.witness, event.witness)
      return { state: { ...state, memory: { ...state.memory, witness } }, effects: [] }
    }
    case "drawn":
      return onDrawn(context, state, event)
    case "training-failed":
      return onTrainingFailed(context, state, event)
    case "refused":
      return { state, effects: [{ ...event, type: "security" }] }
    case "measured":
      return {
        state,
        effects: [toLeader(context, { type: "report", spec: event.spec, metrics: event.metrics })],
      }
    case "finished":
      return {
        state,
        effects: [
          toLeader(context, {
            type: "final-report",
            global: event.global,
            personal: event.personal,
            subgroups: event.subgroups,
            head: state.phase === "ended" ? state.signature : null,
          }),
          { type: "record", event: "study-finished", detail: "The final report was sent." },
        ],
      }
  }
}

const onMessage = (
  context: FacilityContext,
  state: FacilityState,
  { at, from, message }: Extract<FacilityEvent, { type: "message" }>,
): FacilityStep => {
  if (state.phase === "ended" && message.type !== "ended")
    throw new ConsiliumError("round/stale", "The study is over for this facility.")
  if (message.type === "share") return onShare(state, from, message)
  if (from.role !== "leader")
    throw new ConsiliumError(
      "round/unexpected",
      `A message of type ${message.type} came from the ${from.role} ${from.name}.`,
    )
  switch (message.type) {
    case "announce":
      return onAnnounce(context, state, message, at)
    case "lock":
      return onLock(context, state, message)
    case "openings":
      return onOpenings(context, state, message)
    case "propose":
      return onPropose(context, state, message)
    case "certificate":
      return onCertificate(context, state, message, at)
    case "key-test":
      return onKeyTest(context, state, message)
    case "candidate":
      return onCandidate(context, state, message)
    case "void":
      return onVoid(state, message)
    case "closed":
      return onClosed(state, message)
    case "finish":
      return onFinish(context, state, message)
    case "roster":
      return onRoster(context, state, message)
    case "ledger-known":
      return onLedgerKnown(context, state, message)
    case "ended":
      return onEnded(context, state, message)
    default:
      throw new ConsiliumError("round/unexpected", `A message of type ${message.type} is not for a facility.`)
  }
}

/** The authority's next roster holds from here on. One that leaves this facility out ends the study for it. */
const onRoster = (
  context: FacilityContext,
  state: FacilityState,
  message: MessageOf<"roster">,
): FacilityStep => {
  const { directory } = openRoster(context.suite, context.authorityKey, message.signed)
  if (equalBytes(directory.digest, context.directory.digest)) return { state, effects: [] }
  checkSuccession(context.directory, directory)
  // within an attempt, shares are dealt to places in the roster they were dealt under
  if (state.phase !== "idle" && state.phase !== "ended")
    throw new ConsiliumError("round/unexpected", "A new roster came in the middle of a round.")
  // keys were dealt to places in that roster as well: no round can be under them any more
  const rest = withoutKeys({ ...state.memory, directory })
  const record: FacilityEffect = {
    type: "record",
    event: "roster-changed",
    detail: `roster ${directory.roster.version}, ${directory.facilities.length} facilities`,
  }
  if (directory.find(context.me.id) === undefined)
    return {
      state: { phase: "ended", memory: withoutUpdate(rest.memory), signature: null },
      effects: [record, ...rest.effects, { type: "ended", reason: "This facility has left the study." }],
    }
  return { state: { ...state, memory: rest.memory }, effects: [record, ...rest.effects] }
}

const onEnded = (
  context: FacilityContext,
  state: FacilityState,
  { reason, head }: MessageOf<"ended">,
): FacilityStep => {
  const rest = withoutKeys(withoutUpdate(state.memory))
  const ended: readonly FacilityEffect[] = [...rest.effects, { type: "ended", reason }]
  const signature = state.phase === "ended" ? state.signature : null
  const next: Ended = { phase: "ended", memory: rest.memory, signature }
  if (head === null) return { state: next, effects: ended }
  const { id: about } = context.directory.leader
  const security = (code: string, detail: string): FacilityEffect => {
    const evidence = sha256(encode(cosignedHeadCodec, head))
    return { type: "security", code, about, evidence, detail }
  }
  try {
    checkCosigned(context.suite, context.study, context.directory, head)
  } catch (error) {
    if (!(error instanceof ConsiliumError)) throw error
    return { state: next, effects: [security(error.code, error.message), ...ended] }
  }
  const kept: FacilityEffect = { type: "cosigned", head }
  if (agreesWith(next, head)) return { state: next, effects: [kept, ...ended] }
  const other = `Others signed another log, up to event ${head.seq}, than the one this facility was shown.`
  return { state: next, effects: [security("log/not-extending", other), kept, ...ended] }
}

/** Whether a co-signed head may be of the log that this facility has seen; its own final head must be that very one. */
const agreesWith = ({ memory, signature }: Ended, head: CosignedHead): boolean => {
  const seen = memory.head
  return seen?.seq === head.seq ? equalBytes(head.hash, seen.hash) : signature === null
}

// --- announced: policy, then training

const onAnnounce = (
  context: FacilityContext,
  state: FacilityState,
  message: MessageOf<"announce">,
  at: number,
): FacilityStep => {
  const { spec } = message
  const { memory } = state
  if (!equalBytes(spec.study, studyDigest(context.study)))
    throw new ConsiliumError("round/unexpected", "The announced round belongs to another study.")
  checkOneSpec(state, spec)
  const ceremony = spec.purpose === "keys"
  if (ceremony) checkCeremony(context, spec, memory.lastEpoch)
  else if (!isEarlier(memory.last, spec))
    throw new ConsiliumError(
      "round/stale",
      `Round ${spec.round}, attempt ${spec.attempt} was announced after round ${memory.last.round}, attempt ${memory.last.attempt}.`,
    )
  const { rounds, attempts } = context.study
  const wrongEpoch = !isKeyed(context.study) && spec.epoch !== 0
  if (spec.round > rounds || spec.attempt < 1 || spec.attempt > attempts || wrongEpoch)
    throw new ConsiliumError(
      "round/unexpected",
      `Round ${spec.round}, attempt ${spec.attempt}, epoch ${spec.epoch} is none of the study's ${rounds} rounds of ${attempts} attempts.`,
    )
  if (!equalBytes(spec.roster, context.directory.digest))
    throw new ConsiliumError(
      "round/unexpected",
      `Round ${spec.round} was announced among another roster than number ${context.directory.roster.version}.`,
    )
  if (!ceremony) checkEpoch(spec, memory.lastEpoch)
  const { round, attempt: number } = spec
  // an attempt that is over is not taken up again, whether it was one at a round or at its ceremony
  const past: Memory = ceremony
    ? { ...memory, lastEpoch: spec.epoch }
    : { ...memory, last: { round, attempt: number } }
  const refusal =
    refuseStudy(context.policy, context.study) ??
    refuseTree(context) ??
    refuseTime(context.policy, at) ??
    (memory.approval === "denied" ? DENIED : null) ??
    (ceremony ? null : (refuseNoise(context, memory, spec.model) ?? refuseKeys(context, memory, spec, at)))
  if (refusal)
    return {
      state: { phase: "idle", memory: past },
      effects: [
        { type: "record", event: "round-refused", detail: `${refusal.code}: ${refusal.reason}` },
        toLeader(context, { type: "refusal", round, attempt: number, ...refusal }),
      ],
    }
  const attempt: Attempt = { spec, digest: specDigest(spec) }
  const training: Training = { phase: "training", memory: past, attempt, received: new Map(), asking: null }
  if (ceremony)
    return {
      state: training,
      effects: [{ type: "draw-secret", digest: attempt.digest, epoch: spec.epoch }],
    }
  const parameters = modelParameters(context.study, message.model)
  if (!equalBytes(modelHashOf(context.study, parameters), spec.model))
    throw new ConsiliumError(
      "round/wrong-model",
      `The model of round ${spec.round} is not the announced one.`,
    )
  const { trained } = memory
  if (trained !== null && equalBytes(trained.model, spec.model))
    return submitOrEnter(context, training, trained.values, trained.secret)
  if (isOpened(memory, spec.model, context.me))
    throw new ConsiliumError(
      "cohort/differencing",
      `Round ${spec.round} starts from a model whose sum with this facility counts as opened; other integers beside it would show their difference.`,
    )
  if (context.policy.approval === "ask" && memory.approval === "none") {
    const { name } = context.study
    const detail = `The study ${name} asks to train on this facility's records; its policy wants a person to allow it.`
    return {
      state: { ...training, asking: parameters },
      effects: [{ type: "record", event: "approval-wanted", detail }],
    }
  }
  return { state: training, effects: [{ type: "train", spec, digest: attempt.digest, parameters }] }
}

/** Why no update may be sent in a tree in which the leader would read it alone, or null. */
const refuseTree = ({ study, directory }: FacilityContext): Refusal | null => {
  const [first] = readByLeader(study, directory.roster.participants)
  if (first === undefined) return null
  return {
    code: "policy/direct-updates",
    reason: `Under ${study.protection} the leader would read the single updates of facilities that talk to it directly, such as ${first}.`,
  }
}

/** Why no update may be sent with the noise that it would cost, or null. Integers that were charged may be sent again. */
const refuseNoise = (context: FacilityContext, memory: Memory, model: Uint8Array): Refusal | null => {
  const { policy, study, preparation = "own-statistics" } = context
  const { trained, charges } = memory
  if (trained?.charged && equalBytes(trained.model, model)) return null
  return refusePrivacy(policy, study, { rounds: charges, preparation })
}

const DENIED: Refusal = {
  code: "policy/denied",
  reason: "A person at this facility decided that it takes no part in this study.",
}

/** A person's word holds for the whole study, and can be changed between rounds. */
const onDecision = (
  context: FacilityContext,
  state: FacilityState,
  { approved, by }: Extract<FacilityEvent, { type: "decision" }>,
): FacilityStep => {
  const memory: Memory = { ...state.memory, approval: approved ? "approved" : "denied" }
  const record: FacilityEffect = {
    type: "record",
    event: approved ? "study-approved" : "study-denied",
    detail: `by ${by}`,
  }
  if (state.phase !== "training" || state.asking === null)
    return { state: { ...state, memory }, effects: [record] }
  const { attempt, asking } = state
  if (!approved)
    return {
      state: { phase: "idle", memory },
      effects: [record, toLeader(context, { type: "refusal", ...memory.last, ...DENIED })],
    }
  const { spec, digest } = attempt
  return {
    state: { ...state, memory, asking: null },
    effects: [record, { type: "train", spec, digest, parameters: asking }],
  }
}

const onTrained = (
  context: FacilityContext,
  state: FacilityState,
  event: Extract<FacilityEvent, { type: "trained" }>,
): FacilityStep => {
  const { values, secret } = event
  if ("attempt" in state && equalBytes(state.attempt.digest, event.spec)) {
    const memory: Memory = {
      ...state.memory,
      trained: { model: state.attempt.spec.model, values, secret, charged: false, ledger: null },
    }
    if (state.phase === "training") return submitOrEnter(context, { ...state, memory }, values, secret)
    // too late for this attempt: kept for the next one at the same model
    return { state: { ...state, memory }, effects: [] }
  }
  return { state, effects: [] }
}

const onTrainingFailed = (
  context: FacilityContext,
  state: FacilityState,
  event: Extract<FacilityEvent, { type: "training-failed" }>,
): FacilityStep => {
  const detail = `${event.code}: ${event.reason}`
  const record: FacilityEffect = { type: "record", event: "training-failed", detail }
  if (state.phase !== "training" || !equalBytes(state.attempt.digest, event.spec))
    return { state, effects: [record] }
  const { round, attempt } = state.attempt.spec
  const reason = shortened(event.reason)
  return {
    state: { phase: "idle", memory: state.memory },
    effects: [record, toLeader(context, { type: "refusal", round, attempt, code: event.code, reason })],
  }
}

/** What costs privacy is sent once its charge has a place in the ledger; anything else at once. */
const submitOrEnter = (
  context: FacilityContext,
  state: Training,
  values: Int32Array,
  secret: SecretKey,
): FacilityStep =>
  isPrivate(context.study) && state.memory.trained?.charged !== true
    ? { state, effects: [{ type: "enter", digest: state.attempt.digest }] }
    : submit(context, state, values, secret, null)

const onEntered = (
  context: FacilityContext,
  state: FacilityState,
  { spec, place }: Extract<FacilityEvent, { type: "entered" }>,
): FacilityStep => {
  const { trained } = state.memory
  const due =
    state.phase === "training" &&
    equalBytes(state.attempt.digest, spec) &&
    trained !== null &&
    !trained.charged &&
    equalBytes(trained.model, state.attempt.spec.model)
  // a place that is not used stays free
  return due ? submit(context, state, trained.values, trained.secret, place) : { state, effects: [] }
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
  const charges = memory.charges + (place === null ? 0 : 1)
  const charge = place === null || !isPrivate(study) ? null : chargeFor(study, attempt.spec, charges, place)
  const ledger =
    charge === null
      ? (memory.trained?.ledger ?? null)
      : ledgerHeadAfter(ledgerEntryOf(attempt.spec.study, charge))
  const trained = { model: attempt.spec.model, values, secret, charged: isPrivate(study), ledger }
  const sent = send(context, { ...state, memory: { ...memory, trained, charges } }, values, secret, ledger)
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
  const { purpose, epoch, round, attempt: number } = attempt.spec
  const { payload, parts, own, epochKeys } = facilitySchemeOf(study, attempt.spec).protect(
    settingOf(context, attempt),
    ownSideOf(context, memory),
    values,
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
      mine: { values, secret, submission: signed, own },
    },
    effects: [
      purpose === "keys"
        ? { type: "record", event: "key-dealt", detail: `epoch ${epoch}, ${digest}` }
        : {
            type: "record",
            event: "update-submitted",
            detail: `round ${round}, attempt ${number}, ${study.protection}, ${digest}`,
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

/** Deals a key from the secret that was drawn for the ceremony under way. */
const onDrawn = (
  context: FacilityContext,
  state: FacilityState,
  { spec, secret }: Extract<FacilityEvent, { type: "drawn" }>,
): FacilityStep =>
  state.phase === "training" &&
  state.attempt.spec.purpose === "keys" &&
  equalBytes(state.attempt.digest, spec)
    ? send(context, state, new Int32Array(0), secret, null)
    : { state, effects: [] }

const onVoid = (state: FacilityState, message: MessageOf<"void">): FacilityStep => {
  if (!("attempt" in state) || !equalBytes(state.attempt.digest, message.spec)) return { state, effects: [] }
  const { round, attempt } = state.attempt.spec
  return {
    state: { phase: "idle", memory: state.memory },
    effects: [
      {
        type: "record",
        event: "attempt-void",
        detail: `round ${round}, attempt ${attempt}: ${message.reason}`,
      },
    ],
  }
}

const onClosed = (state: FacilityState, message: MessageOf<"closed">): FacilityStep => {
  if (!("attempt" in state) || !equalBytes(state.attempt.digest, message.spec)) return { state, effects: [] }
  const { round, model } = state.attempt.spec
  // a round that left the model as it was may be redone: its integers and its secret are still needed
  const redoable = equalBytes(message.accepted, model)
  return {
    state: { phase: "idle", memory: redoable ? state.memory : { ...state.memory, trained: null } },
    effects: [
      { type: "record", event: "round-closed", detail: `round ${round}, model ${toHex(message.accepted)}` },
      ...(redoable ? [] : [{ type: "forget-secret", round } as const]),
    ],
  }
}

const refuse = (
  context: FacilityContext,
  state: FacilityState,
  event: Extract<FacilityEvent, { type: "message" }>,
  error: ConsiliumError,
): FacilityStep => {
  const about = event.from.id
  const under = "attempt" in state ? state.attempt.spec : state.memory.last
  const { round, attempt } = event.message.type === "announce" ? event.message.spec : under
  const evidence = sha256(encode(messageCodec, event.message))
  const kept = event.from.role === "leader" ? stillSeen(context, state, event.message) : state
  const reason = shortened(error.message)
  if (error.code === "round/stale")
    return {
      state: kept,
      effects: [
        { type: "record", event: "message-dropped", detail: `${event.message.type}: ${error.message}` },
      ],
    }
  return {
    state: kept,
    effects: [
      { type: "security", code: error.code, about, evidence, detail: error.message },
      ...(event.from.role === "leader"
        ? [toLeader(context, { type: "refusal", round, attempt, code: error.code, reason })]
        : []),
    ],
  }
}

/** As much of a reason as a message carries. */
const shortened = (reason: string): string => [...reason].slice(0, 250).join("")

/** What was seen in a refused message of the leader and stays seen: a log that grew, a cohort that was certified. */
const stillSeen = (context: FacilityContext, state: FacilityState, message: Message): FacilityState => {
  try {
    if (message.type === "propose") return withHead(state, headOfProposal(message.proposal))
    if (message.type !== "certificate") return state
    const { proposal, signatures } = message
    checkCertificate(context.suite, context.study, context.directory, proposal, signatures)
    return withOpened(state, proposal)
  } catch (error) {
    if (error instanceof ConsiliumError) return state
    throw error
  }
}
