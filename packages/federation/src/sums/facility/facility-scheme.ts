import type { RandomSource } from "@consilium/base/random"
import type { OwnKeys } from "../../suite.js"
import type { SealedPart, SumRequest, SumSetting } from "../secure-sum.js"
import type { EpochKeys } from "./epoch-keys.js"

/** A facility's own place and secrets in a sum. */
export interface OwnSide {
  readonly me: Uint8Array
  readonly keys: OwnKeys
  /** Keys of the epoch under way, where the protection needs them. */
  readonly epochKeys: EpochKeys | null
}

/** What leaves a facility, and what of it stays. */
export interface ProtectedUpdate {
  /** To the parent. */
  readonly payload: Uint8Array | null
  /** To other facilities. */
  readonly parts: readonly SealedPart[]
  /** The part that this facility would have sent to itself. */
  readonly own: Uint8Array | null
  readonly epochKeys: EpochKeys | null
}

/** The secret side of a protection, or of a key ceremony: the same stream gives the same bytes. */
export interface FacilityScheme {
  /** @throws {ConsiliumError} "sharing/...", "lattice/..." */
  protect(setting: SumSetting, own: OwnSide, values: Int32Array, random: RandomSource): ProtectedUpdate
  /** The dealer's one answer to the challenge; `random` as in `protect`. Null where nothing is challenged. */
  readonly answer:
    | ((
        setting: SumSetting,
        own: OwnSide,
        values: Int32Array,
        random: RandomSource,
        challenge: Uint8Array,
      ) => Uint8Array)
    | null
  /** @throws {ConsiliumError} "identity/seal-broken" */
  readonly openPart:
    | ((setting: SumSetting, own: OwnSide, dealer: Uint8Array, sealed: Uint8Array) => Uint8Array)
    | null
  /**
   * This facility's answer for a cohort, from the parts it holds of each member, by dealer. Null where nobody answers.
   * One list per attempt is the rule of who calls this; under keys of an epoch their ledger insists on it as well.
   * @throws {ConsiliumError} "cohort/missing-part" if it holds too little, "lattice/already-used" for another request under
   *   the same keys
   */
  readonly partial:
    | ((
        setting: SumSetting,
        own: OwnSide,
        request: SumRequest,
        parts: ReadonlyMap<string, Uint8Array>,
      ) => { readonly opening: Uint8Array; readonly epochKeys: EpochKeys | null })
    | null
}
