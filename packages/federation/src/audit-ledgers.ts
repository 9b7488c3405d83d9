import { toHex } from "@consilium/base/bytes"
import { contradiction, type Witness, withHeadSeen } from "./ledger-witness.js"
import { type Cohort, type Message, type Submission, submissionDigest } from "./messages.js"
import { isPrivate } from "./privacy-plan.js"
import type { Directory } from "./roster.js"
import type { Study } from "./study.js"

/** What a log shows of facilities' privacy ledgers: in a private study every certified update names one, and each only grows. */
export class AuditLedgers {
  readonly #study: Study
  #witness: Witness = new Map()
  /** What was submitted in the attempt under way, by the digest that a list names it by. */
  #submitted = new Map<string, Submission>()

  constructor(study: Study) {
    this.#study = study
  }

  /** Takes a message that a facility or fog sent to the leader. */
  heard(message: Message): void {
    if (!isPrivate(this.#study)) return
    if (message.type === "submit") this.#take(message.submission)
    else if (message.type === "update") this.#take(message.submission.submission)
    else if (message.type === "region")
      for (const { submission } of message.submissions) this.#take(submission)
  }

  #take(submission: Submission): void {
    this.#submitted.set(toHex(submissionDigest(submission)), submission)
  }

  announced(): void {
    this.#submitted = new Map()
  }

  /** Takes a list of updates that was certified; says what is wrong with it, or null. */
  certified(directory: Directory, cohort: Cohort): string | null {
    if (!isPrivate(this.#study)) return null
    for (const { facility, digest } of cohort) {
      const { name } = directory.get(facility)
      const ledger = this.#submitted.get(toHex(digest))?.ledger ?? null
      if (ledger === null) return `a certified update of ${name} names no privacy ledger`
      const wrong = contradiction(this.#witness, facility, ledger)
      if (wrong !== null) return `the privacy ledger of ${name} was set back: ${wrong}`
      this.#witness = withHeadSeen(this.#witness, facility, ledger)
    }
    return null
  }
}
