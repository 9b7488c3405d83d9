import { equalBytes, toHex } from "@consilium/base/bytes"
import { encode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { sha256 } from "@consilium/base/hash"
import { checkCertificate, checkCosigned } from "./cosigned.js"
import { isCounted } from "./counted.js"
import { checkFiguresDue, refuseFigures } from "./facility-figures.js"
import { checkCeremony, checkEpoch, onKeyTest, refuseKeys } from "./facility-keys.js"
import { onAskLedger, onLedgerKnown } from "./facility-ledger.js"
import { madeFor, withoutMade, withoutShares } from "./facility-made.js"
import { onCandidate, onCertificate, onFinish, onPropose } from "./facility-opening.js"
import {
  checkOneSpec,
  headOfProposal,
  isOpened,
  shortened,
  toLeader,
  withHead,
  withOpened,
  withoutKeys,
  withoutUpdate,
} from "./facility-rules.js"
import { onDrawn, onEntered, onTrained, onTrainingFailed, submitOrEnter } from "./facility-sending.js"
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
import { withSeenElsewhere } from "./ledger-witness.js"
import { isCorrected } from "./local-strategy.js"
import { emptyHead } from "./log.js"
import {
  type CosignedHead,
  cosignedHeadCodec,
  type Message,
  type MessageOf,
  messageCodec,
  type RoundSpec,
  specDigest,
} from "./messages.js"
import { modelHashOf } from "./model.js"
import { type Refusal, refusePrivacy, refuseStudy, refuseTime } from "./policy.js"
import { NO_FIGURES } from "./privacy-plan.js"
import { attemptName, isEarlier, isFigures, NOTHING_YET, subjectOf } from "./purpose.js"
import { checkSuccession, openRoster } from "./roster.js"
import { baseHash, decodeBase, type RoundBase } from "./round-base.js"
import { isKeyed, studyDigest } from "./study.js"
import { readByLeader } from "./study-tree.js"

export const startFacility = (context: FacilityContext): FacilityState => ({
  phase: "idle",
  memory: {
    directory: context.directory,
    head: context.directory.roster.version === 1 ? emptyHead(studyDigest(context.study)) : null,
    opened: [],
    trained: null,
    counted: null,
    charges: 0,
    figures: NO_FIGURES,
    asked: null,
    witness: new Map(),
    last: NOTHING_YET,
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
      return onClosed(context, state, message)
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
  // and others sign for its lists, who cannot know what cohort was signed for before: a share of noise ends with it too
  const rest = withoutKeys({ ...withoutShares(context.study, state.memory), directory })
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
      `The leader announced ${attemptName(spec)} after ${attemptName(memory.last)}.`,
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
  checkFiguresDue(context, spec)
  const { purpose, round, attempt: number } = spec
  // an attempt that is over is not taken up again, whether it was one at a round or at its ceremony
  const past: Memory = ceremony
    ? { ...memory, lastEpoch: spec.epoch }
    : { ...withoutFigures(context, memory, spec), last: { purpose, round, attempt: number } }
  const refusal =
    refuseStudy(context.policy, context.study) ??
    refuseTree(context) ??
    refuseTime(context.policy, at) ??
    (memory.approval === "denied" ? DENIED : null) ??
    refuseFigures(context, spec) ??
    (ceremony ? null : (refuseNoise(context, memory, spec) ?? refuseKeys(context, memory, spec, at)))
  if (refusal)
    return {
      state: { phase: "idle", memory: past },
      effects: [
        { type: "record", event: "round-refused", detail: `${refusal.code}: ${refusal.reason}` },
        toLeader(context, { type: "refusal", purpose, round, attempt: number, ...refusal }),
      ],
    }
  const base = ceremony ? null : announcedBase(context, message)
  const attempt: Attempt = {
    spec,
    digest: specDigest(spec),
    ...(base === null || base.control === null
      ? {}
      : { parameters: modelHashOf(context.study, base.parameters) }),
  }
  const training: Training = { phase: "training", memory: past, attempt, received: new Map(), asking: null }
  if (base === null)
    return {
      state: training,
      effects: [{ type: "draw-secret", digest: attempt.digest, epoch: spec.epoch }],
    }
  const made = madeFor(memory, spec)
  if (made !== null) return submitOrEnter(context, training, made.values, made.secret)
  if (isOpened(memory, subjectOf(spec), context.me))
    throw new ConsiliumError(
      "cohort/differencing",
      `A sum with this facility counts as opened for the model of ${attemptName(spec)}; other integers beside it would show their difference.`,
    )
  if (context.policy.approval === "ask" && memory.approval === "none") {
    const { name } = context.study
    const detail = `The study ${name} asks to train on this facility's records; its policy wants a person to allow it.`
    return {
      state: { ...training, asking: base },
      effects: [{ type: "record", event: "approval-wanted", detail }],
    }
  }
  return { state: training, effects: [workFor(attempt, base)] }
}

/** What an announcement says that its attempt starts from; it must be what its spec names. */
const announcedBase = ({ study }: FacilityContext, { spec, model }: MessageOf<"announce">): RoundBase => {
  const base = decodeBase(study, spec.purpose, model)
  if (equalBytes(baseHash(study, base), spec.model)) return base
  throw new ConsiliumError("round/wrong-model", `The model of round ${spec.round} is not the announced one.`)
}

/** The numbers that an attempt wants are to be made. */
const workFor = ({ spec, digest }: Attempt, { parameters, control }: RoundBase): FacilityEffect =>
  isFigures(spec.purpose)
    ? { type: "count", spec, digest, parameters }
    : { type: "train", spec, digest, parameters, control }

/** A memory that keeps no figures of a round that is past: they were given up. */
const withoutFigures = (context: FacilityContext, memory: Memory, { purpose }: RoundSpec): Memory =>
  purpose === "update" ? withoutMade(context, memory, "evaluation") : memory

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
const refuseNoise = (context: FacilityContext, memory: Memory, spec: RoundSpec): Refusal | null => {
  const { policy, study, preparation = "own-statistics" } = context
  const { charges: rounds, figures } = memory
  if (madeFor(memory, spec)?.charged) return null
  return refusePrivacy(policy, study, { rounds, figures, next: spec.purpose, preparation })
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
  return { state: { ...state, memory, asking: null }, effects: [record, workFor(attempt, asking)] }
}

const onVoid = (state: FacilityState, message: MessageOf<"void">): FacilityStep => {
  if (!("attempt" in state) || !equalBytes(state.attempt.digest, message.spec)) return { state, effects: [] }
  return {
    state: { phase: "idle", memory: state.memory },
    effects: [
      {
        type: "record",
        event: "attempt-void",
        detail: `${attemptName(state.attempt.spec)}: ${message.reason}`,
      },
    ],
  }
}

const onClosed = (
  context: FacilityContext,
  state: FacilityState,
  message: MessageOf<"closed">,
): FacilityStep => {
  if (!("attempt" in state) || !equalBytes(state.attempt.digest, message.spec)) return { state, effects: [] }
  const { purpose, round, model } = state.attempt.spec
  if (isFigures(purpose))
    return {
      state: { phase: "idle", memory: withoutMade(context, state.memory, purpose) },
      effects: [
        { type: "record", event: "figures-opened", detail: attemptName(state.attempt.spec) },
        { type: "forget-secret", round },
      ],
    }
  // a round that left the model as it was may be redone: its integers and its secret are still needed
  const redoable = equalBytes(message.accepted, state.attempt.parameters ?? model)
  const counted = isCorrected(context.study) && isCounted(state, context.me)
  return {
    state: { phase: "idle", memory: redoable ? state.memory : withoutMade(context, state.memory, purpose) },
    effects: [
      { type: "record", event: "round-closed", detail: `round ${round}, model ${toHex(message.accepted)}` },
      ...(counted ? [{ type: "counted", base: model } as const] : []),
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
  const { purpose, round, attempt } = event.message.type === "announce" ? event.message.spec : under
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
        ? [toLeader(context, { type: "refusal", purpose, round, attempt, code: error.code, reason })]
        : []),
    ],
  }
}

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
