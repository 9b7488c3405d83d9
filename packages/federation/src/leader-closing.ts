import { equalBytes, toHex } from "@consilium/base/bytes"
import { encode, f64Array } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { milliseconds } from "@consilium/base/units"
import { parameterHash } from "@consilium/learning/model-file"
import { applyUpdate } from "@consilium/learning/server-optimiser"
import {
  type Finishing,
  type LeaderState,
  type Opening,
  type Progress,
  serverOptimiserOf,
  type Validating,
} from "./leader-state.js"
import { announce, answered, settingOf, sortedValues, type Turn, voidAttempt } from "./leader-turn.js"
import type { LogHead } from "./log.js"
import { addTraffic, type CosignedHead, finalHeadDigest, type MessageOf, noTraffic } from "./messages.js"
import { modelFile } from "./model.js"
import { meanOfSum } from "./quantise.js"
import type { Participant } from "./roster.js"
import { MAX_VALUES, quorum, studyDigest, valueBound } from "./study.js"
import { openBetween } from "./suite.js"
import { protectionOf } from "./sums/protections.js"
import { architectureOf } from "./training.js"

/** Names the one timer that belongs to no attempt. */
export const FINISH_TIMER = "finishing"

// opening, applied

export const withPartial = (
  turn: Turn,
  state: Opening,
  from: Participant,
  message: MessageOf<"partial">,
): ReadonlyMap<string, Uint8Array> => {
  const partial = openBetween(turn.context.keys, from.sealingKey, message.digest, message.sealed)
  const before = state.partials.get(toHex(from.id))
  if (before && !equalBytes(before, partial))
    throw new ConsiliumError("round/equivocation", `${from.name} answered one certified list twice.`)
  return new Map(state.partials).set(toHex(from.id), partial)
}

export const openIfComplete = (turn: Turn, state: Opening): LeaderState => {
  const { openers, partials, attempt } = state
  const complete =
    openers.length === 0
      ? answered(turn, attempt, partials)
      : openers.map(toHex).every((id) => partials.has(id) || attempt.out.has(id))
  return complete ? openSum(turn, state) : state
}

export const openSum = (turn: Turn, state: Opening): LeaderState => {
  const { directory, study, me } = turn.context
  const { attempt, proposal } = state
  const partials = directory.facilities.flatMap(({ id }) => {
    const opening = state.partials.get(toHex(id))
    return opening === undefined ? [] : [{ facility: id, opening }]
  })
  let candidate: { readonly parameters: Float64Array; readonly state: Progress["server"] }
  let sum: Float64Array
  try {
    const request = { cohort: proposal.cohort.map(({ facility }) => facility), openers: state.openers }
    sum = protectionOf(study).combine(
      settingOf(turn, attempt),
      request,
      sortedValues(state.regions),
      partials,
    )
    checkRange(turn, sum, proposal.cohort.length)
    const { weights, largestWeight, fractionBits } = study.quantisation
    const mean = meanOfSum(sum, weights, proposal.cohort.length, largestWeight, fractionBits)
    candidate = applyUpdate(serverOptimiserOf(study), state.progress.server, state.progress.parameters, mean)
  } catch (error) {
    if (!(error instanceof ConsiliumError)) throw error
    return voidAttempt(turn, attempt, `${error.code}: ${error.message}`)
  }
  turn.record(
    "sum-opened",
    me.id,
    encode(
      f64Array(MAX_VALUES),
      sum.map((v) => v + 0),
    ),
  )
  turn.progress = { ...turn.progress, parameters: candidate.parameters, server: candidate.state }
  turn.say({
    type: "candidate",
    spec: attempt.digest,
    model: modelFile(study, candidate.parameters, attempt.spec.round),
  })
  turn.timer(attempt.spec, "validating", study.deadlines.answer)
  return {
    phase: "validating",
    progress: turn.progress,
    attempt,
    proposal,
    accepted: parameterHash(architectureOf(study), candidate.parameters),
    reports: new Map(),
    fogs: new Map(),
  }
}

const checkRange = (turn: Turn, sum: Float64Array, cohort: number): void => {
  const bound = cohort * valueBound(turn.context.study)
  for (const value of sum)
    if (Math.abs(value) > bound)
      throw new ConsiliumError(
        "round/out-of-bound",
        `An opened sum exceeds ${bound}, the most that ${cohort} honest facilities reach.`,
      )
}

// validated, closed

export const closeIfComplete = (turn: Turn, state: Validating): LeaderState => {
  const { directory, study } = turn.context
  const reported = study.validation === "off" || answered(turn, state.attempt, state.reports)
  const counted = directory.fogs.every((fog) => state.fogs.has(toHex(fog.id)))
  return reported && counted ? closeRound(turn, state) : state
}

/** Ends a round with its new model, and keeps what came of it. */
export const settleRound = (turn: Turn, state: Validating): void => {
  const { study } = turn.context
  const { attempt, proposal, accepted, reports } = state
  const { round } = attempt.spec
  turn.say({ type: "closed", spec: attempt.digest, accepted })
  turn.progress = {
    ...turn.progressOf(state),
    received: noTraffic,
    direct: noTraffic,
    closed: [
      ...state.progress.closed,
      {
        round,
        attempt: attempt.spec.attempt,
        cohort: proposal.cohort.map((member) => member.facility),
        model: accepted,
        startedAt: attempt.startedAt,
        closedAt: turn.at,
        leaderIn: state.progress.received,
        directIn: state.progress.direct,
        fogIn: [...state.fogs.values()].reduce(addTraffic, noTraffic),
        reports,
      },
    ],
  }
  turn.tell(
    `round ${round} of ${study.rounds} closed: ${proposal.cohort.length} facilities, model ${toHex(accepted).slice(0, 16)}`,
  )
}

export const closeRound = (turn: Turn, state: Validating): LeaderState => {
  const { study } = turn.context
  const { round } = state.attempt.spec
  settleRound(turn, state)
  if (round < study.rounds) return announce(turn, round + 1, 1)
  const { log: head, unshown, parameters } = turn.progress
  turn.progress = { ...turn.progress, unshown: [] }
  turn.say({
    type: "finish",
    rounds: round,
    model: modelFile(study, parameters, round),
    head: { ...head, headers: unshown },
  })
  turn.effects.push({
    type: "timer",
    name: FINISH_TIMER,
    milliseconds: milliseconds(study.deadlines.collect),
  })
  return { phase: "finishing", progress: turn.progress, head, finals: new Map() }
}

export const finishIfComplete = (turn: Turn, state: Finishing): LeaderState => {
  const complete = turn.context.directory.facilities.every((f) => state.finals.has(toHex(f.id)))
  return complete ? finish(turn, state) : state
}

export const signsFinalHead = (
  turn: Turn,
  head: LogHead,
  from: Participant,
  signature: Uint8Array,
): boolean =>
  turn.context.suite.verify(
    from.signingKey,
    finalHeadDigest(studyDigest(turn.context.study), head.seq, head.hash),
    signature,
  )

/** The final head with its signatures, if enough facilities have signed it. */
export const finalHead = (turn: Turn, { head, finals }: Finishing): CosignedHead | null => {
  const { directory, study } = turn.context
  const signatures = directory.facilities.flatMap(({ id }) => {
    const signature = finals.get(toHex(id))?.head ?? null
    return signature === null ? [] : [{ facility: id, signature }]
  })
  if (signatures.length < quorum(study, directory.facilities.length)) return null
  return { ...head, signed: { type: "final" }, roster: directory.digest, signatures }
}

export const finish = (turn: Turn, state: Finishing): LeaderState => {
  turn.say({ type: "ended", reason: "The study is complete.", head: finalHead(turn, state) })
  turn.effects.push({ type: "ended" })
  return { phase: "closed", progress: turn.progress, finals: state.finals }
}
