import { setTimeout as sleep } from "node:timers/promises"

const FIRST_WAIT = 100
const LONGEST_WAIT = 2_000
const TOLD_AFTER = 2

/** Work with a parent that is repeated until it is done, or until nobody wants it any more. */
export class Repeating {
  readonly #stop = new AbortController()
  readonly #onConnection: (up: boolean, detail: string) => void
  #failures = 0

  /** Calls back once when the parent stops answering, and once when it answers again. */
  constructor(onConnection: (up: boolean, detail: string) => void) {
    this.#onConnection = onConnection
  }

  get signal(): AbortSignal {
    return this.#stop.signal
  }

  stop(): void {
    this.#stop.abort()
  }

  /** Repeats something, ever more slowly, until it is done; null once this is stopped. */
  async run<T>(attempt: () => Promise<T>, describe: (error: unknown) => string): Promise<T | null> {
    for (let wait = FIRST_WAIT; !this.signal.aborted; wait = Math.min(LONGEST_WAIT, 2 * wait)) {
      try {
        const result = await attempt()
        this.#connection(true, "")
        return result
      } catch (error) {
        if (this.signal.aborted) return null
        this.#connection(false, describe(error))
        await sleep(wait, undefined, { signal: this.signal }).catch(() => undefined)
      }
    }
    return null
  }

  /** One failure may be a parent that restarts or ends; two in a row are told. */
  #connection(up: boolean, detail: string): void {
    const before = this.#failures
    this.#failures = up ? 0 : before + 1
    if (up ? before < TOLD_AFTER : before + 1 !== TOLD_AFTER) return
    this.#onConnection(up, detail)
  }
}
