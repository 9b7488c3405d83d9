import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { sha256 } from "@consilium/base/hash"

const MOST_KEYS = 1024
const KEY = /^[\x21-\x7e]{1,128}$/

interface Kept<T> {
  readonly body: string
  readonly at: number
  readonly answer: Promise<T>
}

/** Answers to requests that were sent with a key, kept in memory for a day: a repetition gets the first one's answer. */
export class Idempotency<T> {
  readonly #kept = new Map<string, Kept<T>>()
  readonly #now: () => number
  readonly #lifetimeMs = 24 * 3600 * 1000

  constructor(now: () => number) {
    this.#now = now
  }

  /**
   * Does something once per caller and key; without a key, at once.
   * @throws {ConsiliumError} "api/malformed", "api/key-reused", or what doing it throws; then the key is free again
   */
  async once(
    caller: string,
    key: string | readonly string[] | undefined,
    body: Uint8Array,
    act: () => Promise<T>,
  ): Promise<T> {
    if (key === undefined) return act()
    if (typeof key !== "string" || !KEY.test(key))
      throw new ConsiliumError(
        "api/malformed",
        "The idempotency key is not 1 to 128 printable ASCII characters.",
      )
    const name = `${caller}\n${key}`
    const digest = toHex(sha256(body))
    const before = this.#kept.get(name)
    if (before !== undefined && this.#now() - before.at < this.#lifetimeMs) {
      if (before.body !== digest)
        throw new ConsiliumError("api/key-reused", "The idempotency key came before with another request.")
      return before.answer
    }
    const answer = act()
    this.#kept.delete(name)
    const [oldest] = this.#kept.keys()
    if (this.#kept.size >= MOST_KEYS && oldest !== undefined) this.#kept.delete(oldest)
    const kept = { body: digest, at: this.#now(), answer }
    this.#kept.set(name, kept)
    try {
      return await answer
    } catch (error) {
      if (this.#kept.get(name) === kept) this.#kept.delete(name)
      throw error
    }
  }
}
