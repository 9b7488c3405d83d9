import { equalBytes, toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import { failure } from "./audit-failure.js"
import type { AuditModel } from "./audit-model.js"
import { budgetsEndIt, endReason } from "./budget-end.js"
import { checkCosigned } from "./cosigned.js"
import { type Stop, stopCodec, stopReason } from "./leader-stop.js"
import type { LogHead } from "./log.js"
import { type CosignedHead, finalHeadDigest, type MessageOf } from "./messages.js"
import type { Directory, Participant } from "./roster.js"
import { quorum, type Study, studyDigest } from "./study.js"
import type { CryptoSuite } from "./suite.js"

/** How a log's study ends: budgets that are used up, a person's decision, the last head and who signed it. */
export class AuditEnd {
  readonly #suite: CryptoSuite
  readonly #study: Study
  readonly #model: AuditModel
  /** Facilities whose own word in the last announced attempt is that their budget holds no further round. */
  readonly #usedUp = new Set<string>()
  /** The head that facilities were asked to sign at the end, and who did. */
  #final: { readonly head: LogHead; readonly signers: Set<string> } | null = null
  #stopped: Stop | null = null
  #ended = false

  constructor(suite: CryptoSuite, study: Study, model: AuditModel) {
    this.#suite = suite
    this.#study = study
    this.#model = model
  }

  /** A person's decision that ended the study before its rounds were closed and reported; null if nobody took one. */
  get stopped(): Stop | null {
    return this.#stopped
  }

  get ended(): boolean {
    return this.#ended
  }

  /** An attempt is announced: whoever refused the one before may take part in this one. */
  announced(): void {
    this.#usedUp.clear()
  }

  refusedForBudget(facility: Uint8Array): void {
    this.#usedUp.add(toHex(facility))
  }

  /** Whether the study may be finished between two rounds: the facilities' own refusals leave too few for a further sum. */
  isDueEarly(directory: Directory, { rounds }: MessageOf<"finish">): boolean {
    const between = this.#final === null && rounds > 0 && rounds === this.#model.closedRounds
    return between && budgetsEndIt(this.#study, directory, this.#usedUp)
  }

  /** Takes the decision that ends the study: what it says is left must be what is left. */
  stop(seq: number, body: Uint8Array): void {
    const stopped = decode(stopCodec, body)
    if (stopped.rounds !== this.#model.closedRounds || !equalBytes(stopped.model, this.#model.hash))
      throw failure(seq, "the study is stopped with another model than its closed rounds led to")
    this.#stopped = stopped
  }

  /** The last model is shown with the head before it, which facilities sign. */
  show(head: LogHead): void {
    this.#final = { head, signers: new Set() }
  }

  /** Takes a facility's last report, with its signature over the last head if it gave one. */
  report(seq: number, from: Participant, { head: signature }: MessageOf<"final-report">): void {
    if (signature === null) return
    const head = this.#final?.head
    if (
      head === undefined ||
      from.role !== "facility" ||
      !this.#suite.verify(
        from.signingKey,
        finalHeadDigest(studyDigest(this.#study), head.seq, head.hash),
        signature,
      )
    )
      throw failure(seq, `the signature of ${from.name} over the final head is not valid`)
    this.#final?.signers.add(toHex(from.id))
  }

  /** Takes the end, with the last head as a quorum signed it, if one did. */
  end(seq: number, directory: Directory, { head, reason }: MessageOf<"ended">): void {
    const { closedRounds, evaluated } = this.#model
    if (this.#stopped !== null && reason !== stopReason(this.#stopped))
      throw failure(seq, "the study ends for another reason than the one it was stopped for")
    if (
      this.#stopped === null &&
      this.#final !== null &&
      reason !== endReason(this.#study, closedRounds, evaluated)
    )
      throw failure(seq, `the study ends after ${closedRounds} rounds for another reason than theirs`)
    const signers = this.#final?.signers.size ?? 0
    if (head !== null) this.#checkHead(seq, directory, head)
    else if (signers >= quorum(this.#study, directory.facilities.length))
      throw failure(seq, `the final head that ${signers} facilities signed is left out`)
    this.#ended = true
  }

  #checkHead(seq: number, directory: Directory, head: CosignedHead): void {
    const shown = this.#final?.head
    if (
      shown === undefined ||
      head.signed.type !== "final" ||
      head.seq !== shown.seq ||
      !equalBytes(head.hash, shown.hash)
    )
      throw failure(seq, "the study ends with another head than the facilities were shown")
    checkCosigned(this.#suite, this.#study, directory, head)
  }
}
