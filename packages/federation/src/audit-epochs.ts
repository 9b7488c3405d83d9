import { equalBytes, toHex } from "@consilium/base/bytes"
import { failure } from "./audit-failure.js"
import type { Cohort, Proposal, RoundSpec } from "./messages.js"
import { isKeyed, type Study } from "./study.js"

/** Under whose keys a log's rounds are: of the epoch that the last ceremony began. */
export class AuditEpochs {
  readonly #study: Study
  /** The last epoch that a ceremony was announced for. */
  #last = 0
  /** The one that a certificate began, with its roster and dealers. */
  #current: {
    readonly epoch: number
    readonly roster: Uint8Array
    readonly dealers: ReadonlySet<string>
  } | null = null

  constructor(study: Study) {
    this.#study = study
  }

  /** A ceremony is for an epoch that none was held for before. */
  ceremony(seq: number, { epoch }: RoundSpec): void {
    if (epoch !== this.#last + 1)
      throw failure(seq, `a ceremony for epoch ${epoch} follows one for epoch ${this.#last}`)
    this.#last = epoch
  }

  begin({ spec, cohort }: Proposal): void {
    const { epoch, roster } = spec
    this.#current = { epoch, roster, dealers: new Set(cohort.map(({ facility }) => toHex(facility))) }
  }

  /** A round is under the keys of the epoch, dealt among its roster; without keys in epoch 0. */
  checkAnnounced(seq: number, { epoch, roster }: RoundSpec): void {
    const current = this.#current
    const due = isKeyed(this.#study) ? current?.epoch : 0
    if (epoch !== due || (current !== null && !equalBytes(roster, current.roster)))
      throw failure(seq, `a round is announced under the keys of epoch ${epoch}, which are not in use`)
  }

  /** Only keys of the epoch are in a sum. */
  checkDealers(seq: number, cohort: Cohort): void {
    const current = this.#current
    if (current !== null && cohort.some(({ facility }) => !current.dealers.has(toHex(facility))))
      throw failure(seq, "a list holds a facility whose key is not of the epoch")
  }
}
