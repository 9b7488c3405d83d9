import { concatBytes } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"

/** A body that is read piece by piece, up to a limit: what a server says about its length is not believed. */
export class BoundedBody {
  readonly #most: number
  readonly #pieces: Uint8Array[] = []
  #length = 0

  constructor(most: number) {
    this.#most = most
  }

  /** @throws {ConsiliumError} "network/answer-too-large" */
  add(piece: Uint8Array): void {
    this.#length += piece.length
    if (this.#length > this.#most) {
      this.#pieces.length = 0
      throw new ConsiliumError(
        "network/answer-too-large",
        `The server's answer is longer than the ${this.#most} bytes it can have; it was cut off.`,
      )
    }
    this.#pieces.push(piece)
  }

  bytes(): Uint8Array {
    const [only, ...more] = this.#pieces
    return only !== undefined && more.length === 0 ? new Uint8Array(only) : concatBytes(...this.#pieces)
  }
}
