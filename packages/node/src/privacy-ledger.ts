import { fromHex, toHex } from "@consilium/base/bytes"
import { bool, decode, encode, fixedBytes, list, record, u53 } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { systemRandom } from "@consilium/base/random"
import { type Charge, chargeCodec, ledgerEntryOf } from "@consilium/federation/charge"
import type { ShownLedgerHead } from "@consilium/federation/facility-state"
import {
  type LedgerEntry,
  type LedgerHead,
  type LedgerPlace,
  ledgerEntryCodec,
  ledgerEntryHash,
} from "@consilium/federation/ledger-chain"
import type { Budget, Refusal } from "@consilium/federation/policy"
import type { DpEvent } from "@consilium/privacy/events"
import type { LifetimeReading } from "./ledger-lifetime.js"
import { LedgerLinks } from "./ledger-links.js"
import { LedgerMonths, type MonthReading, monthAt, type NotedCharge, type Updates } from "./ledger-months.js"
import { LedgerTurns } from "./ledger-turns.js"
import type { StudyStore } from "./store/study-store.js"

/** Types of the events of a facility's own logs that the ledger is made of. */
export const CHARGED = "privacy-charged"
export const LEDGER_RESET = "privacy-ledger-reset"
/** Heads of the ledger that others were seen to hold. */
export const LEDGER_SHOWN = "privacy-ledger-shown"

export const encodeCharge = (charge: Charge): Uint8Array => encode(chargeCodec, charge)

export const shownHeadsCodec = list(record({ seq: u53, hash: fixedBytes(32), certified: bool }), 64)

export interface LedgerOptions {
  readonly facility: Uint8Array
  /** Of a calendar month. */
  readonly cap: Budget
  /** Of all months together; null for none. */
  readonly lifetime?: Budget | null
  readonly now?: () => number
}

/** A new beginning of the ledger, as a facility's log holds it. */
export interface NotedBeginning {
  readonly entry: LedgerEntry
  /** When it was logged, in milliseconds since 1970; null where that is not known. */
  readonly at: number | null
}

/**
 * A facility's privacy ledger over all its studies. What was spent stands in the facility's own logs, one event per noisy
 * update, saved in the step that sends the update; this adds the events up. They form one chain, whose head others certify
 * with every round: a ledger that lacks what they hold spends no more.
 */
export class PrivacyLedger {
  readonly #now: () => number
  readonly #months: LedgerMonths
  readonly #links: LedgerLinks
  readonly #turns = new LedgerTurns()
  #certified: LedgerHead | null = null
  /** Heads that others were seen to hold, and that this ledger lacked when it was looked for them last. */
  readonly #others = new Map<string, LedgerHead>()
  readonly #beginnings = new Map<string, NotedBeginning>()
  /** Warnings that were told in this process. */
  readonly #told = new Set<string>()
  readonly #open: Promise<void>
  #opened: () => void = () => undefined

  constructor({ facility, cap, lifetime = null, now = Date.now }: LedgerOptions) {
    this.#months = new LedgerMonths({ month: cap, lifetime })
    this.#now = now
    this.#links = new LedgerLinks(facility)
    this.#open = new Promise((resolve) => {
      this.#opened = resolve
    })
  }

  // --- what the logs hold

  /** Notes a charge of a study; one that is known already is passed over. */
  note(study: string, charge: Charge, at: number | null = null): void {
    this.#months.note(study, charge, at)
    this.#links.add(ledgerEntryOf(fromHex(study), charge))
  }

  /** Notes a new beginning. */
  noteBeginning(entry: LedgerEntry, at: number | null = null): void {
    if (entry.what.type !== "reset") return
    this.#links.add(entry)
    const known = this.#beginnings.get(toHex(ledgerEntryHash(entry)))
    this.#beginnings.set(toHex(ledgerEntryHash(entry)), { entry, at: at ?? known?.at ?? null })
    const { by, reason } = entry.what
    this.#months.begin(entry.place.month, { by, reason })
  }

  /** Notes heads that others hold; as the answer to what a study asked, if they come with its nonce. */
  noteShown(study: string, nonce: Uint8Array | null, heads: readonly ShownLedgerHead[]): void {
    for (const { seq, hash, certified } of heads) {
      if (certified && seq > (this.#certified?.seq ?? 0)) this.#certified = { seq, hash }
      this.#others.set(`${seq}/${toHex(hash)}`, { seq, hash })
    }
    if (nonce !== null) this.#turns.answer(study, nonce)
  }

  /** Notes what the log of a study holds. */
  async read(study: string, store: StudyStore): Promise<void> {
    for await (const { header, body } of store.entries()) {
      if (header.type === CHARGED) this.note(study, decode(chargeCodec, body), header.at)
      if (header.type === LEDGER_RESET) this.noteBeginning(decode(ledgerEntryCodec, body), header.at)
      if (header.type === LEDGER_SHOWN) this.noteShown(study, null, decode(shownHeadsCodec, body))
    }
  }

  /** Everything charged before is noted: from here on rounds can be admitted. */
  opened(): void {
    // what came back from journals was told by another process
    this.#told.clear()
    this.#opened()
  }

  // --- whether it is whole

  get head(): LedgerHead {
    return this.#links.head
  }

  /** The newest head that a quorum is known to have certified. */
  get certified(): LedgerHead | null {
    return this.#certified
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
        : `The others hold another entry ${missing.seq} of this facility's privacy ledger than the one here`
    return {
      code,
      reason: `${held}: its data folder is not the newest, and spending is forgotten. It spends no more until the newest is back or the ledger is started anew.`,
    }
  }

  /** Whether it holds a head, or begins anew after it. */
  holds(head: LedgerHead): boolean {
    return this.#links.holds(head)
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
   * Sets aside what an update would cost, until it is charged or given up; or says why there is no room for it.
   * Waits until everything charged before is noted.
   */
  async reserve(study: string, event: DpEvent, steps: number): Promise<Refusal | null> {
    await this.#open
    return this.#months.reserve(monthAt(this.#now()), study, event, steps)
  }

  /** Gives up what was set aside for a study: its update was not made, or will not be sent. */
  release(study: string): void {
    this.#months.release(study)
  }

  /** The ledger's next place, for this study alone until `settled`: call that once the step that uses it is saved. */
  async place(study: string): Promise<LedgerPlace> {
    await this.#open
    await this.#turns.take(study)
    const { seq, hash } = this.#links.head
    return { seq: seq + 1, previous: hash, month: monthAt(this.#now()) }
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
    return this.#months.reading(monthAt(at))
  }

  /** Every month that has spent anything, in their order. */
  months(): readonly MonthReading[] {
    return this.#months.readings()
  }

  /** All months together, by an odometer. */
  lifetime(): LifetimeReading {
    return this.#months.lifetime()
  }

  /** What is spent of the cap over all months; null without one. */
  get lifetimeCap(): LifetimeReading["cap"] {
    return this.#months.lifetimeCap()
  }

  /** Every charge that is known, in the order of the ledger. */
  charges(): readonly NotedCharge[] {
    return this.#months.charges()
  }

  /** Every new beginning, in the order of the ledger. */
  beginnings(): readonly NotedBeginning[] {
    return [...this.#beginnings.values()].sort((a, b) => a.entry.place.seq - b.entry.place.seq)
  }

  /** Whether more updates, of several studies, fit into this month, or into all months. */
  fits(cap: "month" | "lifetime", more: readonly Updates[]): boolean {
    return cap === "month" ? this.#months.fits(monthAt(this.#now()), more) : this.#months.fitsLifetime(more)
  }

  /** The time that it goes by, in milliseconds since 1970. */
  get time(): number {
    return this.#now()
  }

  /** Whether something is said for the first time since everything was noted. */
  isNews(what: string): boolean {
    return this.#told.size < this.#told.add(what).size
  }
}
