import { equalBytes, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { sha256 } from "@consilium/base/hash"
import { startServer } from "@consilium/learning/server-optimiser"
import { firstDue } from "./agenda.js"
import { certify, certifyIfComplete } from "./leader-certifying.js"
import {
  closeIfComplete,
  closeRound,
  finish,
  finishIfComplete,
  openIfComplete,
  openSum,
  signsFinalHead,
  withPartial,
} from "./leader-closing.js"
import {
  collected,
  isDirect,
  lockList,
  withDirectUpdate,
  withoutFacility,
  withRegion,
  withSubmission,
} from "./leader-collecting.js"
import { FINISH_TIMER } from "./leader-finishing.js"
import { finishTest, noteLeftOut, rotate, testedIfComplete, withTest } from "./leader-keys.js"
import { answersLedgers, tellLedger } from "./leader-ledgers.js"
import { release } from "./leader-release.js"
import {
  challengedIfComplete,
  proposeChecked,
  proposeIfComplete,
  publishOpenings,
  withOpening,
} from "./leader-shares.js"
import {
  type Attempt,
  type Collecting,
  type LeaderContext,
  type LeaderEffect,
  type LeaderEvent,
  type LeaderState,
  serverOptimiserOf,
} from "./leader-state.js"
import { stop } from "./leader-stop.js"
import { announce, Turn, timerName } from "./leader-turn.js"
import { emptyHead } from "./log.js"
import { addTraffic, certificateDigest, type MessageOf, noTraffic } from "./messages.js"
import { initialModel } from "./model.js"
import { fitsSubgroups } from "./reporting.js"
import { checkSuccession, openRoster, type Participant } from "./roster.js"
import { startControl } from "./round-base.js"
import { parameterCount, studyDigest } from "./study.js"
import { checkStudyAmong } from "./study-tree.js"
import { schemeOf } from "./sums/protections.js"

interface Step {
  readonly state: LeaderState
  readonly effects: readonly LeaderEffect[]
}

export const startLeader = (context: LeaderContext): LeaderState => ({
  phase: "announced",
  progress: {
    directory: context.directory,
    nextRoster: null,
    log: emptyHead(studyDigest(context.study)),
    unshown: [],
    parameters: initialModel(context.study),
    server: startServer(serverOptimiserOf(context.study), parameterCount(context.study)),
    control: startControl(context.study),
    keys: { epoch: 0, current: null, pending: null },
    rotation: null,
    closed: [],
    figures: [],
    received: noTraffic,
    direct: noTraffic,
  },
})

/**
 * The leader's side of the protocol. Pure: every event it accepts and every decision it takes is appended to the log
 * before anything is sent.
 */
export const stepLeader = (given: LeaderContext, state: LeaderState, event: LeaderEvent): Step => {
  const context = { ...given, directory: state.progress.directory }
  if (event.type === "received") {
    const { received, direct } = state.progress
    const progress = {
      ...state.progress,
      received: addTraffic(received, event.traffic),
      direct: isDirect(context, event.from) ? addTraffic(direct, event.traffic) : direct,
    }
    return { state: { ...state, progress }, effects: [] }
  }
  const turn = new Turn(context, state.progress, event.at)
  let next: LeaderState
  switch (event.type) {
    case "start":
      next = state.phase === "announced" ? announce(turn, firstDue(context.study)) : state
      break
    case "timer":
      next =
        "attempt" in state && event.name === timerName(state.attempt.spec, state.phase)
          ? onDeadline(turn, state)
          : onFinalDeadline(turn, state, event.name)
      break
    case "roster":
      next = withNextRoster(turn, state, event.signed)
      break
    case "rotate":
      next = rotate(turn, state, event)
      break
    case "release":
      next = release(turn, state, event)
      break
    case "stop":
      next = stop(turn, state, event)
      break
    case "ledger-found":
      next = tellLedger(turn, state, event)
      break
    case "refused":
      turn.record(`security:${event.code}`, event.about, event.evidence)
      next = state
      break
    case "message":
      try {
        next = context.directory.find(event.from.id)
          ? onMessage(turn, state, event)
          : dropped(turn, state, event)
      } catch (error) {
        if (!(error instanceof ConsiliumError)) throw error
        turn.record(`security:${error.code}`, event.from.id, event.envelope)
        next =
          error.code === "round/equivocation" && state.phase === "collecting"
            ? withoutFacility(turn, state, event.from)
            : state
      }
  }
  return { state: { ...next, progress: turn.progressOf(next) }, effects: turn.effects }
}

/** Keeps the authority's next roster for the next round, if the study can go on with it. */
const withNextRoster = (turn: Turn, state: LeaderState, signed: Uint8Array): LeaderState => {
  const { suite, authorityKey, study, directory } = turn.context
  try {
    const next = openRoster(suite, authorityKey, signed).directory
    const waiting =
      turn.progress.nextRoster && openRoster(suite, authorityKey, turn.progress.nextRoster).directory
    if (equalBytes(next.digest, (waiting ?? directory).digest)) return state
    checkSuccession(directory, next)
    if (waiting !== null && next.roster.version <= waiting.roster.version)
      throw new ConsiliumError(
        "identity/bad-roster",
        `Roster ${next.roster.version} does not come after roster ${waiting.roster.version}, which waits for the next round.`,
      )
    checkStudyAmong(study, next.roster.participants)
  } catch (error) {
    if (!(error instanceof ConsiliumError)) throw error
    turn.record(`security:${error.code}`, turn.context.me.id, sha256(signed))
    turn.tell(`a new roster cannot be used: ${error.message}`)
    return state
  }
  turn.progress = { ...turn.progress, nextRoster: signed }
  return { ...state, progress: turn.progress }
}

type OnMessage = Extract<LeaderEvent, { type: "message" }>
type InAttempt = Extract<LeaderState, { attempt: Attempt }>

const onRefusal = (
  turn: Turn,
  state: InAttempt,
  from: Participant,
  refusal: MessageOf<"refusal">,
): LeaderState => {
  const out = new Map(state.attempt.out).set(toHex(from.id), refusal.code)
  const next = { ...state, attempt: { ...state.attempt, out } }
  turn.tell(`${from.name} refused in ${state.phase}: ${refusal.code}: ${refusal.reason}`)
  noteLeftOut(turn, from, refusal)
  switch (next.phase) {
    case "collecting":
      return collected(turn, next)
    case "locked":
      return challengedIfComplete(turn, next)
    case "challenged":
      return proposeIfComplete(turn, next)
    case "testing":
      return testedIfComplete(turn, next)
    case "certifying":
      return certifyIfComplete(turn, next)
    case "opening":
      return openIfComplete(turn, next)
    case "validating":
      return closeIfComplete(turn, next)
  }
}

/** An update that a facility sent again is not taken, nor logged, a second time. */
const onDirectUpdate = (
  turn: Turn,
  state: Collecting,
  event: OnMessage,
  message: MessageOf<"update">,
): LeaderState => {
  const next = withDirectUpdate(turn, state, event.from, message)
  if (next === state) return dropped(turn, state, event)
  turn.record(message.type, event.from.id, event.envelope)
  return collected(turn, next)
}

/** Leaves a message without effect: it came at the wrong time, or from somebody who has left the study. */
const dropped = (turn: Turn, state: LeaderState, { from, message, envelope }: OnMessage): LeaderState => {
  turn.record(`dropped:${message.type}`, from.id, sha256(envelope))
  return state
}

const onMessage = (turn: Turn, state: LeaderState, event: OnMessage): LeaderState => {
  const { from, message } = event
  const wrongPhase = (): LeaderState => dropped(turn, state, event)
  const accept = <S>(next: S): S => {
    turn.record(message.type, from.id, event.envelope)
    return next
  }
  const about =
    message.type === "submit"
      ? message.submission.spec
      : message.type === "update"
        ? message.submission.submission.spec
        : "spec" in message && message.spec instanceof Uint8Array
          ? message.spec
          : null
  if (about !== null && (!("attempt" in state) || !equalBytes(about, state.attempt.digest)))
    return wrongPhase()
  switch (message.type) {
    case "submit":
      if (
        state.phase !== "collecting" ||
        from.role !== "facility" ||
        state.attempt.out.has(toHex(from.id)) ||
        schemeOf(turn.context.study, state.attempt.spec).added !== null
      )
        return wrongPhase()
      return collected(turn, accept({ ...state, submissions: withSubmission(turn, state, from, message) }))
    case "update":
      if (
        state.phase !== "collecting" ||
        !isDirect(turn.context, from) ||
        state.attempt.out.has(toHex(from.id)) ||
        schemeOf(turn.context.study, state.attempt.spec).added === null
      )
        return wrongPhase()
      return onDirectUpdate(turn, state, event, message)
    case "region":
      if (
        state.phase !== "collecting" ||
        from.role !== "fog" ||
        state.regions.has(toHex(from.id)) ||
        schemeOf(turn.context.study, state.attempt.spec).added === null
      )
        return wrongPhase()
      return collected(turn, accept(withRegion(turn, state, from, message)))
    case "refusal":
      return "attempt" in state &&
        from.role === "facility" &&
        message.purpose === state.attempt.spec.purpose &&
        message.round === state.attempt.spec.round &&
        message.attempt === state.attempt.spec.attempt
        ? onRefusal(turn, accept(state), from, message)
        : wrongPhase()
    case "opening":
      if (state.phase !== "locked" || from.role !== "facility") return wrongPhase()
      return challengedIfComplete(
        turn,
        accept({ ...state, openings: withOpening(turn, state, from, message) }),
      )
    case "verdict":
      if (
        state.phase !== "challenged" ||
        from.role !== "facility" ||
        !equalBytes(message.challenge, state.challenge)
      )
        return wrongPhase()
      return proposeIfComplete(
        turn,
        accept({ ...state, verdicts: new Map(state.verdicts).set(toHex(from.id), message) }),
      )
    case "key-tested":
      if (state.phase !== "testing" || from.role !== "facility") return wrongPhase()
      return testedIfComplete(turn, accept({ ...state, tested: withTest(state, from, message) }))
    case "signature":
      if (
        state.phase !== "certifying" ||
        from.role !== "facility" ||
        !equalBytes(message.digest, certificateDigest(state.proposal))
      )
        return wrongPhase()
      if (!turn.context.suite.verify(from.signingKey, message.digest, message.signature))
        throw new ConsiliumError(
          "identity/bad-signature",
          `The certificate signature of ${from.name} is not valid.`,
        )
      return certifyIfComplete(
        turn,
        accept({ ...state, signatures: new Map(state.signatures).set(toHex(from.id), message.signature) }),
      )
    case "partial":
      if (
        state.phase !== "opening" ||
        from.role !== "facility" ||
        !equalBytes(message.digest, certificateDigest(state.proposal))
      )
        return wrongPhase()
      return openIfComplete(turn, accept({ ...state, partials: withPartial(turn, state, from, message) }))
    case "report":
      if (state.phase !== "validating" || from.role !== "facility" || state.reports.has(toHex(from.id)))
        return wrongPhase()
      return closeIfComplete(
        turn,
        accept({ ...state, reports: new Map(state.reports).set(toHex(from.id), message.metrics) }),
      )
    case "traffic":
      if (
        state.phase !== "validating" ||
        from.role !== "fog" ||
        message.round !== state.attempt.spec.round ||
        state.fogs.has(toHex(from.id))
      )
        return wrongPhase()
      return closeIfComplete(
        turn,
        accept({ ...state, fogs: new Map(state.fogs).set(toHex(from.id), message.received) }),
      )
    case "final-report": {
      if (state.phase !== "finishing" || from.role !== "facility") return wrongPhase()
      if (message.head !== null && !signsFinalHead(turn, state.head, from, message.head))
        throw new ConsiliumError(
          "identity/bad-signature",
          `The signature of ${from.name} over the final head is not valid.`,
        )
      if (message.subgroups !== null && !fitsSubgroups(turn.context.study, message.subgroups))
        throw new ConsiliumError(
          "round/unexpected",
          `${from.name} reports other groups of patients than the study has.`,
        )
      const finals = new Map(state.finals).set(toHex(from.id), message)
      accept(state)
      return finishIfComplete(turn, { ...state, finals })
    }
    case "security":
      return accept(state)
    case "ledger-asked":
      if (!answersLedgers(state) || from.role !== "facility") return wrongPhase()
      turn.effects.push({ type: "find-ledger", facility: from.id, nonce: message.nonce })
      return accept(state)
    default:
      throw new ConsiliumError("round/unexpected", `A message of type ${message.type} is not for the leader.`)
  }
}

/** Goes on with what there is. */
const onDeadline = (turn: Turn, state: InAttempt): LeaderState => {
  switch (state.phase) {
    case "collecting":
      return lockList(turn, state)
    case "locked":
      return publishOpenings(turn, state)
    case "challenged":
      return proposeChecked(turn, state)
    case "testing":
      return finishTest(turn, state)
    case "certifying":
      return certify(turn, state)
    case "opening":
      return openSum(turn, state)
    case "validating":
      return closeRound(turn, state)
  }
}

const onFinalDeadline = (turn: Turn, state: LeaderState, name: string): LeaderState =>
  state.phase === "finishing" && name === FINISH_TIMER ? finish(turn, state) : state
