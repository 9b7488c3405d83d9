import { equalBytes } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import type { Evaluations, Ring } from "../ring/ring.js"
import type { Point } from "../sums/sum-context.js"

/** A secret polynomial that no log, JSON or message shows by accident; `expose` gives the bytes to seal at rest. */
class SecretPolynomial {
  readonly #ring: Ring
  readonly #ceremony: Uint8Array
  readonly #values: Evaluations

  constructor(ring: Ring, ceremony: Uint8Array, values: Evaluations) {
    this.#ring = ring
    this.#ceremony = ceremony
    this.#values = values
  }
  /** For the steps of this package. */
  use(ceremony: Uint8Array): Evaluations {
    if (!equalBytes(ceremony, this.#ceremony))
      throw new ConsiliumError("lattice/other-sum", "A key or a share is that of another epoch.")
    return this.#values
  }
  /** The packed bytes, for sealing at rest. */
  expose(): Uint8Array {
    return this.#ring.pack(this.#values)
  }
  /** Overwrites the secret, when the epoch is over. */
  erase(): void {
    this.#values.fill(0)
  }
  toJSON(): string {
    return "[secret]"
  }
  toString(): string {
    return "[secret]"
  }
}

/** A facility's own key for one epoch. */
export class EpochKey extends SecretPolynomial {
  readonly dealer: Point
  constructor(ring: Ring, ceremony: Uint8Array, dealer: Point, values: Evaluations) {
    super(ring, ceremony, values)
    this.dealer = dealer
  }
}

/** One facility's share of another's (or its own) key. */
export class HeldShare extends SecretPolynomial {
  readonly dealer: Point
  readonly holder: Point
  constructor(ring: Ring, ceremony: Uint8Array, dealer: Point, holder: Point, values: Evaluations) {
    super(ring, ceremony, values)
    this.dealer = dealer
    this.holder = holder
  }
}

/** A key or a share from the bytes that `expose` gave. @throws {ConsiliumError} "lattice/malformed" */
export const restoreEpochKey = (
  ring: Ring,
  ceremony: Uint8Array,
  dealer: Point,
  bytes: Uint8Array,
): EpochKey => new EpochKey(ring, ceremony, dealer, ring.unpackEvaluations(bytes))
export const restoreHeldShare = (
  ring: Ring,
  ceremony: Uint8Array,
  dealer: Point,
  holder: Point,
  bytes: Uint8Array,
): HeldShare => new HeldShare(ring, ceremony, dealer, holder, ring.unpackEvaluations(bytes))
