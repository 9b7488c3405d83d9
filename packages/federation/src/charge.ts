import {
  bool,
  bytes,
  type Encoded,
  encode,
  f64,
  fixedBytes,
  oneOf,
  record,
  u16,
  u32,
} from "@consilium/base/encoding"
import { dpEventCodec } from "@consilium/privacy/event-codec"
import type { DpEvent } from "@consilium/privacy/events"
import { type LedgerEntry, type LedgerPlace, ledgerPlaceCodec } from "./ledger-chain.js"
import type { RoundSpec } from "./messages.js"
import {
  epsilonAfter,
  type FiguresGiven,
  figuresReleased,
  type PrivateStudy,
  stepEvent,
} from "./privacy-plan.js"
import { isFigures } from "./purpose.js"
import { releasesPerRound } from "./sum-noise.js"

/**
 * What one noisy update costs a facility's patients: an event of its own log, saved in the step that sends the update and
 * so before anybody hears of it. Protecting the same integers again is not charged again; new noise is.
 */
export const chargeCodec = record({
  /** Where the charge stands in the ledger of all the facility's studies. */
  place: ledgerPlaceCodec,
  /** What was paid for: a round's update, or a part in figures of all facilities together. */
  purpose: oneOf("update", "statistics", "evaluation"),
  round: u32,
  attempt: u16,
  /** Parameter hash of the model that the update starts from. */
  model: fixedBytes(32),
  /** How often `event` was released: once for each local step, once for figures. */
  steps: u32,
  event: bytes(1 << 10),
  /** Spent in this study up to and with this update, in nats at `delta`. */
  epsilon: f64,
  delta: f64,
  /** The noise follows from a public number: it protects nobody, and what is written here is what it would cost. */
  insecureSeed: bool,
})
export type Charge = Encoded<typeof chargeCodec>

/** What an attempt releases of a facility's patients, and how often. */
export const releaseOf = (
  study: PrivateStudy,
  { purpose }: Pick<RoundSpec, "purpose">,
): { readonly event: DpEvent; readonly times: number } =>
  isFigures(purpose)
    ? { event: figuresReleased(study, purpose), times: 1 }
    : { event: stepEvent(study), times: releasesPerRound(study) }

/** The charge for what a facility sends in an attempt, which makes `updates` updates and `figures` in the study. */
export const chargeFor = (
  study: PrivateStudy,
  { purpose, round, attempt, model }: RoundSpec,
  updates: number,
  figures: FiguresGiven,
  place: LedgerPlace,
): Charge => ({
  place,
  purpose: isFigures(purpose) ? purpose : "update",
  round,
  attempt,
  model,
  steps: releaseOf(study, { purpose }).times,
  event: encode(dpEventCodec, releaseOf(study, { purpose }).event),
  epsilon: epsilonAfter(study, updates, figures),
  delta: study.privacy.delta,
  insecureSeed: study.insecureSeed !== null,
})

/**
 * What a charge paid for: the kind of numbers about patients that left. Whoever shows what was spent groups by it, so another
 * kind of release appears everywhere once it is told apart here.
 */
export const purposeOf = ({ purpose }: Pick<Charge, "purpose">): string =>
  purpose === "update" ? "training" : purpose

/** A charge as an entry of the ledger of all the facility's studies. */
export const ledgerEntryOf = (
  study: Uint8Array,
  { place, round, attempt, steps, event }: Charge,
): LedgerEntry => ({ place, what: { type: "charge", study, round, attempt, steps, event } })
