import {
  bool,
  bytes,
  type Encoded,
  encode,
  f64,
  fixedBytes,
  record,
  u16,
  u32,
} from "@consilium/base/encoding"
import { dpEventCodec } from "@consilium/privacy/event-codec"
import { type LedgerEntry, type LedgerPlace, ledgerPlaceCodec } from "./ledger-chain.js"
import type { RoundSpec } from "./messages.js"
import { epsilonAfter, type PrivateStudy, stepEvent } from "./privacy-plan.js"

/**
 * What one noisy update costs a facility's patients: an event of its own log, saved in the step that sends the update and
 * so before anybody hears of it. Protecting the same integers again is not charged again; new noise is.
 */
export const chargeCodec = record({
  /** Where the charge stands in the ledger of all the facility's studies. */
  place: ledgerPlaceCodec,
  round: u32,
  attempt: u16,
  /** Parameter hash of the model that the update starts from. */
  model: fixedBytes(32),
  /** Local steps, each of which is one `event`. */
  steps: u32,
  event: bytes(1 << 10),
  /** Spent in this study up to and with this update, in nats at `delta`. */
  epsilon: f64,
  delta: f64,
  /** The noise follows from a public number: it protects nobody, and what is written here is what it would cost. */
  insecureSeed: bool,
})
export type Charge = Encoded<typeof chargeCodec>

/** The charge for the update that is a facility's `updates`-th in a study. */
export const chargeFor = (
  study: PrivateStudy,
  { round, attempt, model }: RoundSpec,
  updates: number,
  place: LedgerPlace,
): Charge => ({
  place,
  round,
  attempt,
  model,
  steps: study.training.steps,
  event: encode(dpEventCodec, stepEvent(study)),
  epsilon: epsilonAfter(study, updates),
  delta: study.privacy.delta,
  insecureSeed: study.insecureSeed !== null,
})

/** A charge as an entry of the ledger of all the facility's studies. */
export const ledgerEntryOf = (
  study: Uint8Array,
  { place, round, attempt, steps, event }: Charge,
): LedgerEntry => ({ place, what: { type: "charge", study, round, attempt, steps, event } })
