import type { Asker, Prediction } from "@consilium/inference/client/asker"
import type { Blank } from "@consilium/inference/client/blank"

/** A blank here, whose key may be elsewhere. */
export interface HeldBlank {
  readonly blank: Blank
  /** One prediction for each patient of the request that the blank became, in order. */
  open(answer: Uint8Array, patients: number): Promise<readonly Prediction[]>
  /** Erases the blank, and the key that was made for it; after opening there is nothing left to erase. */
  discard(): void
}

/** The public half of a key, for the server. */
export interface KeyUpload {
  readonly bytes: Uint8Array
  /** Its hash, by which requests name it. */
  readonly id: Uint8Array
}

/** The secret keys for one plan. Nothing that is given to it, or that it gives but predictions, holds a patient's value. */
export interface PlanKeys {
  /** Whether there is a key that the server has. */
  readonly hasKey: boolean
  /** A fresh key for a nonce of the server; blanks made from now on are under it. */
  newKey(nonce: Uint8Array): Promise<KeyUpload>
  blank(): Promise<HeldBlank>
  /** Erases every key. */
  close(): void
}

/** Where secret keys are kept: in this thread or in a worker. */
export interface KeyPlace {
  /** A place for the keys of one plan; the asker is this thread's. */
  keysFor(asker: Asker): Promise<PlanKeys>
  close(): void
}
