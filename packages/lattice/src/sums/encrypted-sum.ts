import type { OpeningRequest } from "./seed-ledger.js"
import type { Point, SumContext } from "./sum-context.js"

/** One facility's answer to an opening. */
export interface Answer {
  readonly point: Point
  readonly opening: Uint8Array
}

/** What every scheme of this package is to those who add and open: updates and sums of updates have one form. */
export interface EncryptedSum {
  /** Bytes of an update and of a sum. */
  readonly payloadLength: number
  /** @throws {ConsiliumError} "lattice/malformed", "lattice/other-sum"; nothing is changed then */
  add(context: SumContext, updates: readonly Uint8Array[]): Uint8Array
  /** The exact sum of the cohort's values. @throws {ConsiliumError} "lattice/bad-opening", "lattice/out-of-range" and as `add` */
  open(request: OpeningRequest, sum: Uint8Array, answers: readonly Answer[]): Int32Array
}
