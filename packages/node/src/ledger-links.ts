import { toHex } from "@consilium/base/bytes"
import {
  emptyLedger,
  type LedgerEntry,
  type LedgerHead,
  ledgerEntryHash,
} from "@consilium/federation/ledger-chain"

interface Link {
  readonly previous: string
  readonly hash: Uint8Array
}

/**
 * The entries of a facility's ledger, gathered from the logs of all its studies in any order, as the chain that they are
 * to form. After a new beginning the chain starts there: what came before it is unknown and counts as spent.
 */
export class LedgerLinks {
  readonly #empty: LedgerHead
  readonly #links = new Map<number, Link>()
  /** A number that two different entries have: the folder is put together from two times. */
  #doubled: number | null = null
  #newest = 0
  #beginning = 0

  constructor(facility: Uint8Array) {
    this.#empty = emptyLedger(facility)
  }

  /** Adds an entry; one that is known already is passed over. */
  add(entry: LedgerEntry): void {
    const { seq, previous } = entry.place
    const link = { previous: toHex(previous), hash: ledgerEntryHash(entry) }
    const known = this.#links.get(seq)
    if (known !== undefined && toHex(known.hash) !== toHex(link.hash))
      this.#doubled = Math.max(this.#doubled ?? 0, seq)
    this.#links.set(seq, link)
    this.#newest = Math.max(this.#newest, seq)
    if (entry.what.type === "reset") this.#beginning = Math.max(this.#beginning, seq)
  }

  get head(): LedgerHead {
    return this.#links.size === 0 ? this.#empty : { seq: this.#newest, hash: this.#hashOf(this.#newest) }
  }

  #hashOf(seq: number): Uint8Array {
    return (this.#links.get(seq) as Link).hash
  }

  /** The first number at which the entries are no chain, or null. */
  get gap(): number | null {
    if (this.#doubled !== null && this.#doubled > this.#beginning) return this.#doubled
    const first = Math.max(1, this.#beginning)
    let before = first === 1 && this.#beginning === 0 ? toHex(this.#empty.hash) : null
    for (let seq = first; seq <= this.#newest; seq++) {
      const link = this.#links.get(seq)
      if (link === undefined || (before !== null && link.previous !== before)) return seq
      before = toHex(link.hash)
    }
    return null
  }

  /** Whether the chain holds a head, or begins anew after it. */
  holds({ seq, hash }: LedgerHead): boolean {
    if (seq < this.#beginning) return true
    const link = this.#links.get(seq)
    return link !== undefined && toHex(link.hash) === toHex(hash)
  }
}
