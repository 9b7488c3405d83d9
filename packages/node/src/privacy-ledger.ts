import { fromHex, toHex } from "@consilium/base/bytes"
import { decode, encode } from "@consilium/base/encoding"
import { type Charge, chargeCodec } from "@consilium/federation/charge"
import type { Budget, Refusal } from "@consilium/federation/policy"
import { dpEventCodec } from "@consilium/privacy/event-codec"
import type { DpEvent } from "@consilium/privacy/events"
import { filterEpsilon, newPrivacyFilter, type PrivacyFilter, requestEvent } from "@consilium/privacy/filter"
import type { StudyStore } from "./store/study-store.js"

/** Type of the events of a facility's own logs that the ledger is made of. */
export const CHARGED = "privacy-charged"

export const encodeCharge = (charge: Charge): Uint8Array => encode(chargeCodec, charge)

interface Spent {
  /** The event's canonical bytes in hexadecimal. */
  readonly event: string
  readonly steps: number
}
interface Entry extends Spent {
  readonly study: string
  readonly month: string
}

/** What a month has spent. */
export interface MonthReading {
  /** Year and month, UTC: 2026-11. */
  readonly month: string
  /** In nats at the cap's delta; it holds however studies were chosen because of earlier ones. */
  readonly epsilon: number
  readonly cap: Budget
}

const monthOf = (at: number): string => new Date(at).toISOString().slice(0, 7)

/**
 * A facility's privacy ledger over all its studies. What was spent stands in the facility's own logs, one event per noisy
 * update, saved in the step that sends the update; this adds the events up. Studies may be chosen because of what earlier
 * ones have shown, so the month is kept by a filter and not by an accountant.
 */
export class PrivacyLedger {
  readonly #cap: Budget
  readonly #entries = new Map<string, Entry>()
  /** Updates that are being trained or wait to be sent, by study: they count in every month until they are charged. */
  readonly #reserved = new Map<string, Spent>()
  readonly #open: Promise<void>
  #opened: () => void = () => undefined

  constructor(cap: Budget) {
    this.#cap = cap
    this.#open = new Promise((resolve) => {
      this.#opened = resolve
    })
  }

  /** Notes a charge of a study; one that is known already is passed over. */
  note(study: string, at: number, charge: Charge): void {
    const { round, attempt, steps } = charge
    const event = toHex(charge.event)
    this.#entries.set(`${study}/${round}/${attempt}`, { study, month: monthOf(at), event, steps })
    this.#reserved.delete(study)
  }

  /** Notes what the log of a study holds. */
  async read(study: string, store: StudyStore): Promise<void> {
    for await (const { header, body } of store.entries())
      if (header.type === CHARGED) this.note(study, header.at, decode(chargeCodec, body))
  }

  /** Everything charged before is noted: from here on rounds can be admitted. */
  opened(): void {
    this.#opened()
  }

  /**
   * Sets aside what an update would cost, until it is charged or given up; or says why the month has no room for it.
   * Waits until everything charged before is noted.
   */
  async reserve(study: string, at: number, event: DpEvent, steps: number): Promise<Refusal | null> {
    await this.#open
    const spent = { event: toHex(encode(dpEventCodec, event)), steps }
    const others = [...this.#reserved].flatMap(([id, reserved]) => (id === study ? [] : [reserved]))
    const month = monthOf(at)
    const before = this.#filter([...this.#of(month), ...others])
    if (before !== null && this.#filter([...this.#of(month), ...others, spent]) !== null) {
      this.#reserved.set(study, spent)
      return null
    }
    const { epsilon, delta } = this.#cap
    const used = before === null ? "more than that" : filterEpsilon(before).toFixed(2)
    return {
      code: "policy/privacy-month",
      reason: `This facility's privacy budget for ${month} is used up: all its studies together may spend epsilon ${epsilon.toFixed(2)} (delta ${delta}), ${used} is spent or set aside, and another round would go beyond it.`,
    }
  }

  /** Gives up what was set aside for a study: its update was not made, or will not be sent. */
  release(study: string): void {
    this.#reserved.delete(study)
  }

  month(at: number): MonthReading {
    const filter = this.#filter(this.#of(monthOf(at)))
    return {
      month: monthOf(at),
      epsilon: filter === null ? Number.POSITIVE_INFINITY : filterEpsilon(filter),
      cap: this.#cap,
    }
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
