import { equalBytes } from "@consilium/base/bytes"

interface Question {
  readonly answered: Promise<void>
  readonly answer: () => void
  /** What was asked in this process; null until it has been. */
  nonce: Uint8Array | null
  isAnswered: boolean
}

/**
 * What the studies of one facility wait for before they spend: the leader's answer, each study for its own, and a place in
 * the ledger, one study at a time. A place is taken until the step that uses it is saved, so a crash leaves no gap.
 */
export class LedgerTurns {
  readonly #questions = new Map<string, Question>()
  readonly #left = new Set<string>()
  readonly #waiting: (() => void)[] = []
  #holder: string | null = null

  #question(study: string): Question {
    const known = this.#questions.get(study)
    if (known !== undefined) return known
    let answer: () => void = () => undefined
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    const question = { answered, answer, nonce: null, isAnswered: false }
    this.#questions.set(study, question)
    return question
  }

  /** Notes with what a study asks the leader. */
  ask(study: string, nonce: Uint8Array): void {
    this.#question(study).nonce = nonce
  }

  /** Notes an answer; only one to what this process has asked counts. */
  answer(study: string, nonce: Uint8Array): void {
    const question = this.#question(study)
    if (question.nonce === null || !equalBytes(question.nonce, nonce)) return
    question.isAnswered = true
    question.answer()
  }

  /** Whether a study has its answer. */
  isAnswered(study: string): boolean {
    return this.#questions.get(study)?.isAnswered ?? false
  }

  answered(study: string): Promise<void> {
    return this.#question(study).answered
  }

  /** Waits until no other study has a place, and takes it. */
  async take(study: string): Promise<void> {
    while (this.#holder !== null && !this.#left.has(study))
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    // nothing follows from what a study that is over does: it must not keep the place
    if (this.#left.has(study)) this.#waiting.shift()?.()
    else this.#holder = study
  }

  /** Gives the place free, if this study has it. */
  give(study: string): void {
    if (this.#holder !== study) return
    this.#holder = null
    this.#waiting.shift()?.()
  }

  /** A study that is over takes no more places; one that it has is given free by `give`. */
  leave(study: string): void {
    this.#left.add(study)
  }
}
