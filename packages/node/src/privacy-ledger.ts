import { fromHex, toHex } from "@consilium/base/bytes"
import { bool, decode, type Encoded, encode, fixedBytes, list, record, u53 } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { systemRandom } from "@consilium/base/random"
import { type Charge, chargeCodec, ledgerEntryOf } from "@consilium/federation/charge"
import type { ShownLedgerHead } from "@consilium/federation/facility-state"
import {
  type LedgerEntry,
  type LedgerHead,
  type LedgerPlace,
  ledgerEntryCodec,
} from "@consilium/federation/ledger-chain"
import type { Budget, Refusal } from "@consilium/federation/policy"
import { dpEventCodec } from "@consilium/privacy/event-codec"
import type { DpEvent } from "@consilium/privacy/events"
import { filterEpsilon, newPrivacyFilter, type PrivacyFilter, requestEvent } from "@consilium/privacy/filter"
import { LedgerLinks } from "./ledger-links.js"
import { LedgerTurns } from "./ledger-turns.js"
import type { StudyStore } from "./store/study-store.js"

/** Types of the events of a facility's own logs that the ledger is made of. */
export const CHARGED = "privacy-charged"
export const LEDGER_RESET = "privacy-ledger-reset"
/** Heads of the ledger that others were seen to hold. */
export const LEDGER_SHOWN = "privacy-ledger-shown"

export const encodeCharge = (charge: Charge): Uint8Array => encode(chargeCodec, charge)

export const shownHeadsCodec = list(record({ seq: u53, hash: fixedBytes(32), certified: bool }), 64)
export type ShownHeads = Encoded<typeof shownHeadsCodec>

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
export interface NewBeginning {
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

export interface LedgerOptions {
  readonly facility: Uint8Array
  readonly cap: Budget
  readonly now?: () => number
}

const monthOf = (at: number): string => new Date(at).toISOString().slice(0, 7)

/**
 * A facility's privacy ledger over all its studies. What was spent stands in the facility's own logs, one event per noisy
 * update, saved in the step that sends the update; this adds the events up. They form one chain, whose head others certify
 * with every round: a ledger that lacks what they hold spends no more. Studies may be chosen because of what earlier ones
 * have shown, so the month is kept by a filter and not by an accountant.
 */
export class PrivacyLedger {
  readonly #cap: Budget
  readonly #now: () => number
  readonly #entries = new Map<string, Entry>()
  readonly #beginnings = new Map<string, NewBeginning>()
  readonly #links: LedgerLinks
  readonly #turns = new LedgerTurns()
  /** The newest heads that others were seen to hold, by whether they are certified. */
  readonly #shown = new Map<boolean, LedgerHead>()
  /** One that this ledger lacked when it was looked for last. */
  readonly #others = new Map<string, LedgerHead>()
  /** Updates that are being trained or wait to be sent, by study: they count in every month until they are charged. */
  readonly #reserved = new Map<string, Spent>()
  readonly #open: Promise<void>
  #opened: () => void = () => undefined

  constructor({ facility, cap, now = Date.now }: LedgerOptions) {
    this.#cap = cap
    this.#now = now
    this.#links = new LedgerLinks(facility)
    this.#open = new Promise((resolve) => {
      this.#opened = resolve
    })
  }

  // --- what the logs hold

  /** Notes a charge of a study; one that is known already is passed over. */
  note(study: string, charge: Charge): void {
    const { round, attempt, steps, place } = charge
    const event = toHex(charge.event)
    this.#entries.set(`${study}/${round}/${attempt}`, { study, month: place.month, event, steps })
    this.#links.add(ledgerEntryOf(fromHex(study), charge))
    this.#reserved.delete(study)
  }

  /** Notes a new beginning. */
  noteBeginning(entry: LedgerEntry): void {
    if (entry.what.type !== "reset") return
    this.#links.add(entry)
    const { by, reason } = entry.what
    this.#beginnings.set(entry.place.month, { by, reason })
  }

  /** Notes heads that others hold; as the answer to what a study asked, if they come with its nonce. */
  noteShown(study: string, nonce: Uint8Array | null, heads: readonly ShownLedgerHead[]): void {
    for (const { seq, hash, certified } of heads) {
      if (seq > (this.#shown.get(certified)?.seq ?? 0)) this.#shown.set(certified, { seq, hash })
      this.#others.set(`${seq}/${toHex(hash)}`, { seq, hash })
    }
    if (nonce !== null) this.#turns.answer(study, nonce)
  }

  /** Notes what the log of a study holds. */
  async read(study: string, store: StudyStore): Promise<void> {
    for await (const { header, body } of store.entries()) {
      if (header.type === CHARGED) this.note(study, decode(chargeCodec, body))
      if (header.type === LEDGER_RESET) this.noteBeginning(decode(ledgerEntryCodec, body))
      if (header.type === LEDGER_SHOWN) this.noteShown(study, null, decode(shownHeadsCodec, body))
    }
  }

  /** Everything charged before is noted: from here on rounds can be admitted. */
  opened(): void {
    this.#opened()
  }

  // --- whether it is whole

  get head(): LedgerHead {
    return this.#links.head
  }

  /** The newest head that a quorum is known to have certified. */
  get certified(): LedgerHead | null {
    return this.#shown.get(true) ?? null
  }

  /** Why nothing may be spent: entries are missing that this ledger held once. Null if none is known to be. */
  get problem(): Refusal | null {
    const code = "privacy/ledger-rolled-back"
    const { gap, head } = this.#links
    if (gap !== null)
      return {
        code,
        reason: `Entry ${gap} of this facility's privacy ledger is missing or altered, so what it spent is forgotten. It spends no more until the newest data folder is back or the ledger is started anew.`,
      }
    for (const [name, other] of this.#others) if (this.#links.holds(other)) this.#others.delete(name)
    const [missing] = [...this.#others.values()].sort((a, b) => b.seq - a.seq)
    if (missing === undefined) return null
    const held =
      missing.seq > head.seq
        ? `The others hold entry ${missing.seq} of this facility's privacy ledger, which ends here at entry ${head.seq}`
        : `The others hold another entry ${missing.seq} of this facility's privacy ledger than this facility`
    return {
      code,
      reason: `${held}: its data folder is not the newest, and spending is forgotten. It spends no more until the newest is back or the ledger is started anew.`,
    }
  }

  /** What a study asks the leader with; nothing is spent in it before the answer. */
  question(study: string): Uint8Array {
    const nonce = systemRandom.bytes(32)
    this.#turns.ask(study, nonce)
    return nonce
  }

  /** Whether the leader has told this process what it knows of the ledger, in this study. */
  isCompared(study: string): boolean {
    return this.#turns.isAnswered(study)
  }

  /** Waits for the leader's answer, and says why nothing may be spent, or null. */
  async admission(study: string): Promise<Refusal | null> {
    await this.#open
    await this.#turns.answered(study)
    return this.problem
  }

  // --- what is spent

  /**
   * Sets aside what an update would cost, until it is charged or given up; or says why the month has no room for it.
   * Waits until everything charged before is noted.
   */
  async reserve(study: string, event: DpEvent, steps: number): Promise<Refusal | null> {
    await this.#open
    const spent = { event: toHex(encode(dpEventCodec, event)), steps }
    const others = [...this.#reserved].flatMap(([id, reserved]) => (id === study ? [] : [reserved]))
    const month = monthOf(this.#now())
    const { epsilon, delta } = this.#cap
    const code = "policy/privacy-month"
    const beginning = this.#beginnings.get(month)
    if (beginning !== undefined)
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

  /** The ledger's next place, for this study alone until `settled`: call that once the step that uses it is saved. */
  async place(study: string): Promise<LedgerPlace> {
    await this.#open
    await this.#turns.take(study)
    const { seq, hash } = this.#links.head
    return { seq: seq + 1, previous: hash, month: monthOf(this.#now()) }
  }

  /**
   * The place of a new beginning: after all that this facility or others know of. To be `settled` as well.
   * @throws {ConsiliumError} "privacy/ledger-whole"
   */
  async placeOfBeginning(study: string): Promise<LedgerPlace> {
    const { month, ...place } = await this.place(study)
    if (this.problem === null) {
      this.settled(study)
      throw new ConsiliumError(
        "privacy/ledger-whole",
        "Nothing is known to be missing from this facility's privacy ledger.",
      )
    }
    const known = [...this.#others.values()]
    const newest = known.reduce((a, b) => (b.seq >= a.seq ? b : a), {
      seq: place.seq - 1,
      hash: place.previous,
    })
    return { seq: newest.seq + 1, previous: newest.hash, month }
  }

  settled(study: string): void {
    this.#turns.give(study)
  }

  /** A study that is over spends no more; its place, if it has one, is still to be `settled`. */
  leave(study: string): void {
    this.release(study)
    this.#turns.leave(study)
  }

  // --- readings

  month(at: number = this.#now()): MonthReading {
    return this.#reading(monthOf(at))
  }

  /** Every month that has spent anything, in their order. */
  months(): readonly MonthReading[] {
    const months = new Set([...this.#entries.values()].map(({ month }) => month))
    for (const month of this.#beginnings.keys()) months.add(month)
    return [...months].sort().map((month) => this.#reading(month))
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

  /** How many more updates of a kind fit into this month, up to `most`. */
  room(event: DpEvent, steps: number, most: number): number {
    const month = monthOf(this.#now())
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

  #reading(month: string): MonthReading {
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
