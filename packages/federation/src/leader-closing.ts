import { equalBytes, toHex } from "@consilium/base/bytes"
import { encode, f64Array } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { endReason } from "./budget-end.js"
import { evaluatedRounds } from "./figures/opened-figures.js"
import { keepFigures } from "./leader-figures.js"
import type { Finishing, LeaderState, Opening, Progress, Validating } from "./leader-state.js"
import { answered, goOn, settingOf, sortedValues, type Turn, voidAttempt } from "./leader-turn.js"
import type { LogHead } from "./log.js"
import { addTraffic, type CosignedHead, finalHeadDigest, type MessageOf, noTraffic } from "./messages.js"
import { modelFile, modelHashOf, moveModel } from "./model.js"
import { meanUpdate } from "./opened-sum.js"
import { isFigures } from "./purpose.js"
import type { Participant } from "./roster.js"
import { moveControl } from "./round-base.js"
import { MAX_VALUES, quorum, studyDigest, valueBound } from "./study.js"
import { openBetween } from "./suite.js"
import { protectionOf } from "./sums/protections.js"

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
  const { purpose } = attempt.spec
  let candidate: Pick<Progress, "parameters" | "server" | "control"> | null = null
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
    if (!isFigures(purpose)) {
      const { server, parameters, control } = state.progress
      const cohort = proposal.cohort.length
      const mean = meanUpdate(study, sum, cohort)
      const moved = moveModel(study, server, parameters, mean)
      candidate = {
        parameters: moved.parameters,
        server: moved.state,
        control: moveControl(study, control, mean, cohort, directory.facilities.length),
      }
    }
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
  if (isFigures(purpose)) return keepFigures(turn, state, purpose, sum)
  if (candidate === null) throw new Error("An update was opened and no model came of it.")
  turn.progress = { ...turn.progress, ...candidate }
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
    accepted: modelHashOf(study, candidate.parameters),
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
  settleRound(turn, state)
  return goOn(turn, state.attempt.spec)
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
  const { closed, figures } = turn.progress
  const { study } = turn.context
  const reason = endReason(study, closed.length, evaluatedRounds(study, figures))
  turn.say({ type: "ended", reason, head: finalHead(turn, state) })
  turn.effects.push({ type: "ended" })
  return { phase: "closed", progress: turn.progress, finals: state.finals }
}
