/** How often one source may do something: so many at once, and so many a second from then on. */
export interface Rate {
  readonly burst: number
  readonly perSecond: number
}

const SOURCES = 4096

/** A bucket of permits per source, refilled as time passes. */
export class TokenBuckets {
  readonly #rate: Rate
  readonly #now: () => number
  readonly #buckets = new Map<string, { readonly left: number; readonly at: number }>()

  constructor(rate: Rate, now: () => number) {
    this.#rate = rate
    this.#now = now
  }

  /** Takes a permit; returns 0, or the milliseconds until there is one. */
  take(source: string): number {
    const { burst, perSecond } = this.#rate
    const now = this.#now()
    const before = this.#buckets.get(source) ?? { left: burst, at: now }
    const passed = Math.max(0, now - before.at)
    const left = Math.min(burst, before.left + (passed * perSecond) / 1000)
    const taken = left >= 1
    // set anew, so that the map is in the order of use and the longest quiet source is forgotten first
    this.#buckets.delete(source)
    const [quietest] = this.#buckets.keys()
    if (this.#buckets.size >= SOURCES && quietest !== undefined) this.#buckets.delete(quietest)
    this.#buckets.set(source, { left: taken ? left - 1 : left, at: now })
    return taken ? 0 : Math.max(1, Math.ceil(((1 - left) * 1000) / perSecond))
  }
}
