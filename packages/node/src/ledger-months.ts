import { fromHex, toHex } from "@consilium/base/bytes"
import { decode, encode } from "@consilium/base/encoding"
import type { Charge } from "@consilium/federation/charge"
import type { Budget, Refusal } from "@consilium/federation/policy"
import { dpEventCodec } from "@consilium/privacy/event-codec"
import type { DpEvent } from "@consilium/privacy/events"
import { filterEpsilon, newPrivacyFilter, type PrivacyFilter, requestEvent } from "@consilium/privacy/filter"

interface Spent {
  /** The event's canonical bytes in hexadecimal. */
  readonly event: string
  readonly steps: number
}
interface Entry extends Spent {
  readonly study: string
  readonly month: string
}

/** A new beginning of the ledger, as a person decided it. */
interface NewBeginning {
  readonly by: string
  readonly reason: string
}

/** What a month has spent. */
export interface MonthReading {
  /** Year and month, UTC: 2026-11. */
  readonly month: string
  /** In nats at the cap's delta; it holds however studies were chosen because of earlier ones. */
  readonly epsilon: number
  readonly cap: Budget
  /** Noisy updates in this month. */
  readonly updates: number
  /** Why all of it counts as spent, whatever is known to be. */
  readonly beginning: NewBeginning | null
}

export const monthAt = (at: number): string => new Date(at).toISOString().slice(0, 7)

/**
 * What a facility's studies spend in each month, against the facility's cap. Studies may be chosen because of what earlier
 * ones have shown, so a month is kept by a filter and not by an accountant.
 */
export class LedgerMonths {
  readonly #cap: Budget
  readonly #entries = new Map<string, Entry>()
  readonly #beginnings = new Map<string, NewBeginning>()
  /** Updates that are being trained or wait to be sent, by study: they count in every month until they are charged. */
  readonly #reserved = new Map<string, Spent>()

  constructor(cap: Budget) {
    this.#cap = cap
  }

  /** Notes a charge of a study; one that is known already is passed over. */
  note(study: string, { round, attempt, steps, place, event }: Charge): void {
    const entry = { study, month: place.month, event: toHex(event), steps }
    this.#entries.set(`${study}/${round}/${attempt}`, entry)
    this.#reserved.delete(study)
  }

  /** From here on all of a month counts as spent. */
  begin(month: string, beginning: NewBeginning): void {
    this.#beginnings.set(month, beginning)
  }

  /** Sets aside what an update would cost, until it is noted or released; or says why the month has no room for it. */
  reserve(month: string, study: string, event: DpEvent, steps: number): Refusal | null {
    const spent = { event: toHex(encode(dpEventCodec, event)), steps }
    const others = [...this.#reserved].flatMap(([id, reserved]) => (id === study ? [] : [reserved]))
    const { epsilon, delta } = this.#cap
    const code = "policy/privacy-month"
    if (this.#beginnings.has(month))
      return {
        code,
        reason: `This facility's privacy ledger was started anew in ${month}; what it had spent before is unknown, so its whole budget of epsilon ${epsilon.toFixed(2)} (delta ${delta}) for the month counts as spent.`,
      }
    const before = this.#filter([...this.#of(month), ...others])
    if (before !== null && this.#filter([...this.#of(month), ...others, spent]) !== null) {
      this.#reserved.set(study, spent)
      return null
    }
    const used = before === null ? "more than that" : filterEpsilon(before).toFixed(2)
    return {
      code,
      reason: `This facility's privacy budget for ${month} is used up: all its studies together may spend epsilon ${epsilon.toFixed(2)} (delta ${delta}), ${used} is spent or set aside, and another round would go beyond it.`,
    }
  }

  /** Gives up what was set aside for a study: its update was not made, or will not be sent. */
  release(study: string): void {
    this.#reserved.delete(study)
  }

  reading(month: string): MonthReading {
    const entries = this.#of(month)
    const filter = this.#filter(entries)
    const beginning = this.#beginnings.get(month) ?? null
    const known = filter === null ? Number.POSITIVE_INFINITY : filterEpsilon(filter)
    return {
      month,
      epsilon: beginning === null ? known : Math.max(known, this.#cap.epsilon),
      cap: this.#cap,
      updates: entries.length,
      beginning,
    }
  }

  /** Every month that has spent anything, in their order. */
  readings(): readonly MonthReading[] {
    const months = new Set([...this.#entries.values()].map(({ month }) => month))
    for (const month of this.#beginnings.keys()) months.add(month)
    return [...months].sort().map((month) => this.reading(month))
  }

  /** Noisy updates of each study in each month. */
  updates(): readonly { readonly study: string; readonly month: string; readonly updates: number }[] {
    const counts = new Map<string, number>()
    for (const { study, month } of this.#entries.values())
      counts.set(`${study}/${month}`, (counts.get(`${study}/${month}`) ?? 0) + 1)
    return [...counts].sort().map(([name, updates]) => {
      const [study = "", month = ""] = name.split("/")
      return { study, month, updates }
    })
  }

  /** How many more updates of a kind fit into a month, up to `most`. */
  room(month: string, event: DpEvent, steps: number, most: number): number {
    const filter = this.#beginnings.has(month) ? null : this.#filter(this.#of(month))
    if (filter === null) return 0
    let fits = 0
    let above = most + 1
    while (above - fits > 1) {
      const middle = (fits + above) >>> 1
      if (requestEvent(filter, event, middle * steps) === null) above = middle
      else fits = middle
    }
    return fits
  }

  #of(month: string): readonly Spent[] {
    return [...this.#entries.values()].filter((entry) => entry.month === month)
  }

  /** The month's filter after some events, or null if they do not fit. */
  #filter(spent: readonly Spent[]): PrivacyFilter | null {
    const steps = new Map<string, number>()
    for (const one of spent) steps.set(one.event, (steps.get(one.event) ?? 0) + one.steps)
    let filter: PrivacyFilter | null = newPrivacyFilter(this.#cap)
    for (const [event, count] of steps)
      filter = filter && requestEvent(filter, decode(dpEventCodec, fromHex(event)), count)
    return filter
  }
}
