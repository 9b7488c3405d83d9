import type { ConsiliumError } from "@consilium/base/errors"
import { storeClosed } from "./study-map.js"

/** Work on one store, one piece after the other, in the order of the calls. */
export class Turns {
  #queue: Promise<unknown> = Promise.resolve()
  #stopped: ConsiliumError | null = null
  #closed = false

  /** Does a piece of work in its turn; after a stop every piece fails with what stopped it. */
  run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(storeClosed())
    const done = this.#queue.then(() => {
      if (this.#stopped !== null) throw this.#stopped
      return work()
    })
    this.#queue = done.catch(() => undefined)
    return done
  }

  /** Lets nothing more happen, for a reason that is given back. */
  stop(reason: ConsiliumError): ConsiliumError {
    this.#stopped ??= reason
    return reason
  }

  /** Waits for the work that was asked for; refuses all that comes after. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#queue
  }
}
