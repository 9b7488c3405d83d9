import { Refusal } from "../api/problems.js"

/** What of the room one asker may take: the rest is for the others, whoever leaves what. */
const SHARE_OF_ONE = 3 / 4

const RETRY_AFTER = { "retry-after": "2" }

/** How much of the memory requests, batches and their answers may take together, and one asker's. */
export class ByteRoom {
  readonly #most: number
  readonly #own = new Map<string, number>()
  #taken = 0

  constructor(most: number) {
    this.#most = most
  }

  get taken(): number {
    return this.#taken
  }

  /**
   * Takes room for an asker, before anything is read into it. What comes back gives it free, once.
   * @throws {ConsiliumError} "inference/overloaded" if there is none
   */
  take(asker: string, bytes: number): () => void {
    const own = this.#own.get(asker) ?? 0
    const free = Math.min(this.#most - this.#taken, Math.floor(this.#most * SHARE_OF_ONE) - own)
    if (bytes > free)
      throw new Refusal(
        "inference/overloaded",
        `${bytes} bytes are asked to be held; ${Math.max(0, free)} of ${this.#most} are free for this asker.`,
        RETRY_AFTER,
        { remedy: "Fetch and delete batches that are done, or wait as long as retry-after says." },
      )
    this.#add(asker, bytes)
    let held = true
    return () => {
      if (held) this.#add(asker, -bytes)
      held = false
    }
  }

  #add(asker: string, bytes: number): void {
    const own = (this.#own.get(asker) ?? 0) + bytes
    this.#taken += bytes
    if (own === 0) this.#own.delete(asker)
    else this.#own.set(asker, own)
  }
}
