import { toHex } from "@consilium/base/bytes"
import { type Encoded, encode, fixedBytes, record, text, u32 } from "@consilium/base/encoding"
import { finalHead, settleRound } from "./leader-closing.js"
import type { LeaderEvent, LeaderState } from "./leader-state.js"
import type { Turn } from "./leader-turn.js"
import { modelHashOf } from "./model.js"

/** Type of the event by which a person ends a study before it ends by itself. */
export const STOPPED = "study-stopped"

export const stopCodec = record({
  /** Rounds that are closed, and the model they led to: what is left of the study. */
  rounds: u32,
  model: fixedBytes(32),
  /** Who decided it, in their own words, and what the leader knew them by. */
  by: text(64),
  via: text(320),
  reason: text(768),
})
export type Stop = Encoded<typeof stopCodec>

/** What everybody is told when a study is stopped. */
export const stopReason = ({ rounds, by, reason }: Pick<Stop, "rounds" | "by" | "reason">): string =>
  `Stopped by ${by} after ${rounds} closed ${rounds === 1 ? "round" : "rounds"}: ${reason}`

/**
 * Ends a study in good order. A sum that was opened is spent, whatever follows: its round is closed first, so that the model
 * is always that of a closed round. An attempt under way is void; nothing of it is ever opened.
 */
export const stop = (
  turn: Turn,
  state: LeaderState,
  { by, via, reason }: Extract<LeaderEvent, { type: "stop" }>,
): LeaderState => {
  if (state.phase === "closed" || state.phase === "aborted") {
    turn.tell(`${by} stopped a study that is over`)
    return state
  }
  const { study, me } = turn.context
  if (state.phase === "validating") settleRound(turn, state)
  const { closed, parameters } = turn.progress
  const model = modelHashOf(study, parameters)
  const stopped: Stop = { rounds: closed.length, model, by, via, reason }
  const why = stopReason(stopped)
  turn.record(STOPPED, me.id, encode(stopCodec, stopped))
  if ("attempt" in state && state.phase !== "validating")
    turn.say({ type: "void", spec: state.attempt.digest, reason: why })
  turn.record("aborted", me.id, new Uint8Array(0))
  turn.say({
    type: "ended",
    reason: why,
    head: state.phase === "finishing" ? finalHead(turn, state) : null,
  })
  turn.tell(`${by} stopped the study after ${closed.length} of ${study.rounds} rounds: ${reason}`)
  turn.tell(`the model is ${toHex(model).slice(0, 16)}`)
  turn.effects.push({ type: "ended" })
  return { phase: "aborted", progress: turn.progress, reason: why, stopped }
}
