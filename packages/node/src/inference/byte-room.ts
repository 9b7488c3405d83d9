import { Refusal } from "../api/problems.js"

/** How much of the memory requests, batches and their answers may take together. */
export class ByteRoom {
  readonly #most: number
  #taken = 0

  constructor(most: number) {
    this.#most = most
  }

  get taken(): number {
    return this.#taken
  }

  /**
   * Takes room, before anything is read into it. What comes back gives it free, once.
   * @throws {ConsiliumError} "inference/overloaded" if there is none
   */
  take(bytes: number): () => void {
    if (this.#taken + bytes > this.#most)
      throw new Refusal(
        "inference/overloaded",
        `${bytes} bytes are asked to be held; ${this.#most - this.#taken} of ${this.#most} are free.`,
        { "retry-after": "2" },
      )
    this.#taken += bytes
    let held = true
    return () => {
      if (held) this.#taken -= bytes
      held = false
    }
  }
}
