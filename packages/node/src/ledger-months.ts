import { toHex } from "@consilium/base/bytes"
import { encode } from "@consilium/base/encoding"
import type { Charge } from "@consilium/federation/charge"
import type { Budget, Refusal } from "@consilium/federation/policy"
import { dpEventCodec } from "@consilium/privacy/event-codec"
import type { DpEvent } from "@consilium/privacy/events"
import { filterEpsilon } from "@consilium/privacy/filter"
import { filterAfter, type Spent } from "./ledger-budget.js"
import {
  type LifetimeReading,
  lifetimeCapReading,
  lifetimeReading,
  refuseLifetime,
} from "./ledger-lifetime.js"

/** A charge as the facility's log of a study holds it. */
export interface NotedCharge {
  readonly study: string
  readonly charge: Charge
  /** When it was logged, in milliseconds since 1970; null where that is not known. */
  readonly at: number | null
}
interface Entry extends Spent, NotedCharge {
  readonly month: string
}

/** Several more updates of one kind. */
export interface Updates {
  readonly event: DpEvent
  /** Steps of one update. */
  readonly steps: number
  readonly updates: number
}

const spentBy = ({ event, steps, updates }: Updates): Spent => ({
  event: toHex(encode(dpEventCodec, event)),
  steps: steps * updates,
})

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

/** What all studies of a facility together may spend: in a calendar month, and in all months. */
export interface LedgerCaps {
  readonly month: Budget
  readonly lifetime: Budget | null
}

/**
 * What a facility's studies spend in each month and over all months, against the facility's caps. Studies may be chosen
 * because of what earlier ones have shown, so a cap is kept by a filter and not by an accountant.
 */
export class LedgerMonths {
  readonly #caps: LedgerCaps
  readonly #entries = new Map<string, Entry>()
  readonly #beginnings = new Map<string, NewBeginning>()
  /** Updates that are being trained or wait to be sent, by study: they count in every month until they are charged. */
  readonly #reserved = new Map<string, Spent>()

  constructor(caps: LedgerCaps) {
    this.#caps = caps
  }

  /** Notes a charge of a study; one that is known already is passed over. */
  note(study: string, charge: Charge, at: number | null): void {
    const { round, attempt, steps, place, event } = charge
    const name = `${study}/${place.seq}/${round}/${attempt}`
    const entry = { study, charge, at, month: place.month, event: toHex(event), steps }
    this.#entries.set(name, { ...entry, at: at ?? this.#entries.get(name)?.at ?? null })
    this.#reserved.delete(study)
  }

  /** From here on all of a month counts as spent. */
  begin(month: string, beginning: NewBeginning): void {
    this.#beginnings.set(month, beginning)
  }

  /** Sets aside what an update would cost, until it is noted or released; or says why there is no room for it. */
  reserve(month: string, study: string, event: DpEvent, steps: number): Refusal | null {
    const spent = { event: toHex(encode(dpEventCodec, event)), steps }
    const others = [...this.#reserved].flatMap(([id, reserved]) => (id === study ? [] : [reserved]))
    const { epsilon, delta } = this.#caps.month
    const code = "policy/privacy-month"
    if (this.#beginnings.has(month))
      return {
        code,
        reason: `This facility's privacy ledger was started anew in ${month}; what it had spent before is unknown, so its whole budget of epsilon ${epsilon.toFixed(2)} (delta ${delta}) for the month counts as spent.`,
      }
    const before = filterAfter(this.#caps.month, [...this.#of(month), ...others])
    if (before !== null && filterAfter(this.#caps.month, [...this.#of(month), ...others, spent]) !== null) {
      const all = [...this.#entries.values(), ...others]
      const refusal = refuseLifetime(this.#caps.lifetime, all, spent, this.#dated())
      if (refusal === null) this.#reserved.set(study, spent)
      return refusal
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
    const filter = filterAfter(this.#caps.month, entries)
    const beginning = this.#beginnings.get(month) ?? null
    const known = filter === null ? Number.POSITIVE_INFINITY : filterEpsilon(filter)
    return {
      month,
      epsilon: beginning === null ? known : Math.max(known, this.#caps.month.epsilon),
      cap: this.#caps.month,
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

  /** Every charge, in the order of the ledger. */
  charges(): readonly NotedCharge[] {
    return [...this.#entries.values()]
      .map(({ study, charge, at }) => ({ study, charge, at }))
      .sort((a, b) => a.charge.place.seq - b.charge.place.seq || (a.study < b.study ? -1 : 1))
  }

  /** What is spent of the cap over all months; null without one. */
  lifetimeCap(): LifetimeReading["cap"] {
    const { lifetime } = this.#caps
    return lifetime && lifetimeCapReading([...this.#entries.values()], this.#dated(), lifetime)
  }

  /** All months together. */
  lifetime(): LifetimeReading {
    const { month, lifetime } = this.#caps
    const delta = lifetime?.delta ?? month.delta
    return lifetimeReading([...this.#entries.values()], this.#dated(), lifetime, delta)
  }

  /** Whether more updates, of several studies, fit into a month. */
  fits(month: string, more: readonly Updates[]): boolean {
    if (this.#beginnings.has(month)) return more.every(({ updates }) => updates === 0)
    return filterAfter(this.#caps.month, [...this.#of(month), ...more.map(spentBy)]) !== null
  }

  /** Whether more updates, of several studies, fit into the lifetime. */
  fitsLifetime(more: readonly Updates[]): boolean {
    const { lifetime } = this.#caps
    if (lifetime === null) return true
    if (this.#beginnings.size > 0) return more.every(({ updates }) => updates === 0)
    return filterAfter(lifetime, [...this.#entries.values(), ...more.map(spentBy)]) !== null
  }

  #of(month: string): readonly Entry[] {
    return [...this.#entries.values()].filter((entry) => entry.month === month)
  }

  #dated() {
    return [...this.#beginnings].sort().map(([month, beginning]) => ({ month, ...beginning }))
  }
}
