import { toHex } from "@consilium/base/bytes"
import { encode, fixedBytes, record, text, u32 } from "@consilium/base/encoding"
import type { LeaderEvent, LeaderState } from "./leader-state.js"
import type { Turn } from "./leader-turn.js"

/** Type of the event by which a person makes the model of a closed round the one in use. */
export const RELEASED = "model-released"

export const releaseCodec = record({
  round: u32,
  /** Parameter hash of the round's model. */
  model: fixedBytes(32),
  /** Who decided it, and why, in their own words. */
  by: text(64),
  reason: text(1024),
})
/** Who decides where a study stops by its own rule. */
export const EARLY_STOP = "the study's own rule"

/** Logs which closed round's model is in use. */
export const recordRelease = (turn: Turn, round: number, by: string, reason: string): void => {
  const record = turn.progress.closed.find((closed) => closed.round === round)
  if (record === undefined) return
  const { model } = record
  turn.record(RELEASED, turn.context.me.id, encode(releaseCodec, { round, model, by, reason }))
  turn.tell(`${by} released the model of round ${round}, ${toHex(model).slice(0, 16)}`)
}

/** Logs a decision about a round that is closed, at any time, also after the end; the course of the study stays the same. */
export const release = (
  turn: Turn,
  state: LeaderState,
  { round, by, reason }: Extract<LeaderEvent, { type: "release" }>,
): LeaderState => {
  if (state.progress.closed.some((closed) => closed.round === round)) recordRelease(turn, round, by, reason)
  else turn.tell(`no model is released: round ${round} is not closed`)
  return state
}
