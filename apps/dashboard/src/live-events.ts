import type { EventView } from "@consilium/node/api/study-view"
import { reconnectDelay } from "./backoff.js"
import { eventsPath } from "./leader-api.js"

/** Whether news come in, and since when that is so. */
export interface LiveState {
  readonly state: "connecting" | "live" | "broken"
  readonly since: number
}

interface Hearer {
  /** Asks the leader which studies it has, and returns the position in their logs from which events are wanted. */
  readonly position: () => Promise<string>
  readonly onEvent: (event: EventView) => void
  /** The stream is open: what came before its position must be asked for. */
  readonly onOpen: () => void
}

/**
 * The leader's stream of events, opened again and again until it is stopped. The browser's own reconnecting is not used: it
 * gives up for good when the leader answers with an error, as it does while it starts, it never waits longer, and it would
 * resume at a position of before, which a leader with other studies may not have.
 */
export class LiveEvents {
  #source: EventSource | null = null
  #timer: ReturnType<typeof setTimeout> | undefined
  /** Attempts since the stream was last open, and when it broke. */
  #failures = 0
  #brokenAt = 0
  /** Counts attempts, so that the answer to an earlier one is not taken for that to a later one. */
  #attempt = 0
  #state: LiveState = { state: "connecting", since: Date.now() }
  readonly #watchers = new Set<() => void>()
  readonly #hearer: Hearer

  constructor(hearer: Hearer) {
    this.#hearer = hearer
  }

  readonly subscribe = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  readonly state = (): LiveState => this.#state

  readonly start = (): void => {
    this.stop()
    const attempt = this.#attempt
    this.#hearer.position().then(
      (position) => attempt === this.#attempt && this.#open(position),
      () => attempt === this.#attempt && this.#fail(),
    )
  }

  /** Tries at once instead of waiting. */
  readonly retry = (): void => {
    if (this.#state.state !== "live") this.start()
  }

  readonly stop = (): void => {
    this.#attempt += 1
    clearTimeout(this.#timer)
    this.#source?.close()
    this.#source = null
  }

  #open(position: string): void {
    const source = new EventSource(eventsPath(position))
    this.#source = source
    source.onopen = () => {
      this.#failures = 0
      this.#become("live", Date.now())
      this.#hearer.onOpen()
    }
    source.addEventListener("log", ({ data }) => {
      let event: EventView
      try {
        event = JSON.parse(data)
      } catch {
        // what cannot be read is asked for after the next opening
        this.#fail()
        return
      }
      this.#hearer.onEvent(event)
    })
    source.onerror = () => this.#fail()
  }

  #fail(): void {
    this.stop()
    if (this.#failures === 0) this.#brokenAt = Date.now()
    // a stream that ends and opens again at once, as the leader's do now and then, is not worth a word
    else this.#become("broken", this.#brokenAt)
    this.#timer = setTimeout(this.start, reconnectDelay(this.#failures, Math.random()))
    this.#failures += 1
  }

  #become(state: LiveState["state"], since: number): void {
    if (this.#state.state === state) return
    this.#state = { state, since }
    for (const watcher of this.#watchers) watcher()
  }
}
