import { encode } from "@consilium/base/encoding"
import type { LeaderEvent, LeaderState } from "./leader-state.js"
import type { Turn } from "./leader-turn.js"
import { type Message, messageCodec } from "./messages.js"

/** Whether a study still answers facilities that ask about their ledgers. */
export const answersLedgers = ({ phase }: LeaderState): boolean => phase !== "closed" && phase !== "aborted"

/** Tells a facility what is known of its privacy ledger; in the log, so that what was kept from it can be shown later. */
export const tellLedger = (
  turn: Turn,
  state: LeaderState,
  { facility, nonce, evidence }: Extract<LeaderEvent, { type: "ledger-found" }>,
): LeaderState => {
  if (!answersLedgers(state) || turn.context.directory.find(facility) === undefined) return state
  const message: Message = { type: "ledger-known", nonce, evidence }
  turn.record(message.type, turn.context.me.id, encode(messageCodec, message))
  turn.effects.push({ type: "send", to: facility, message })
  return state
}
