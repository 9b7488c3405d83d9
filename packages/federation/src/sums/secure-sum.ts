import type { Directory } from "../roster.js"
import type { Protection, Study } from "../study.js"
import type { CryptoSuite } from "../suite.js"

/** What every party to one sum agrees on. */
export interface SumSetting {
  readonly study: Study
  readonly directory: Directory
  /** Digest of the attempt's specification. */
  readonly spec: Uint8Array
  /** The attempt's key epoch and number. */
  readonly epoch: number
  readonly attempt: number
  readonly suite: CryptoSuite
}

/** A part of a protected update, or of a key, sealed to one recipient. */
export interface SealedPart {
  readonly recipient: Uint8Array
  readonly sealed: Uint8Array
}

/** How parents add protected updates on the way up. */
export interface AddedOnTheWay {
  /** @throws {ConsiliumError} "sharing/...", "lattice/..." on a payload that is not one of this scheme and length */
  add(setting: SumSetting, payloads: readonly Uint8Array[]): Uint8Array
}

/** How everybody checks a share that was dealt before anything is certified over it. */
export interface CheckedShares {
  /** Opens a part with its message key alone: how everybody else checks a complaint. */
  openPartWithKey(
    setting: SumSetting,
    key: Uint8Array,
    dealer: Uint8Array,
    recipient: Uint8Array,
    sealed: Uint8Array,
  ): Uint8Array
  /** Whether a part agrees with the dealer's answer to the challenge. False on anything malformed. */
  check(
    setting: SumSetting,
    dealer: Uint8Array,
    recipient: Uint8Array,
    part: Uint8Array,
    challenge: Uint8Array,
    answer: Uint8Array,
  ): boolean
}

export interface PartialOpening {
  readonly facility: Uint8Array
  readonly opening: Uint8Array
}

/** Whose sum is opened, by whom: what the answers of the facilities are bound to. */
export interface SumRequest {
  readonly cohort: readonly Uint8Array[]
  /** The facilities named to open; empty where any may. */
  readonly openers: readonly Uint8Array[]
}

/** The public side of dealing and opening: all that leader, fogs and strangers need, without any secret. */
export interface PublicScheme {
  /** What travels to the parent and is added on the way; null if nothing does. */
  readonly added: AddedOnTheWay | null
  /** The check of shares before they are relied on; null if nothing is dealt, or shares show themselves at the opening. */
  readonly checked: CheckedShares | null
  /** Who opens a sum: nobody needs to, any t facilities, or t that are named beforehand. */
  readonly opened: "any" | "named" | null
}

/**
 * A protection: what is added on the way and what opens the sum. Every protection computes the same exact integers, so
 * the choice never changes the model. What a facility does with its secrets is in `facility/`.
 */
export interface SecureSum extends PublicScheme {
  readonly kind: Protection
  /** Whether facilities need keys of an epoch, from a ceremony. */
  readonly keyed: boolean
  /**
   * The exact sum of the cohort's integers.
   *
   * Shape: sums: regional sums, as `added.add` gives them; partials: answers of distinct facilities
   * @throws {ConsiliumError} "sharing/...", "lattice/..." if too few or contradicting answers are given
   */
  combine(
    setting: SumSetting,
    request: SumRequest,
    sums: readonly Uint8Array[],
    partials: readonly PartialOpening[],
  ): Float64Array
}
