import { spendAnswers } from "@consilium/inference/server/answer-budget"
import type { AskingFolder } from "./asking-folder.js"
import type { Spending } from "./asking-state.js"

interface Account {
  readonly asker: string
  readonly model: string
  /** What is on disk. */
  spent: number
  /** Answers of it that were set aside and not given yet. */
  unused: number
}

/** Answers that are set aside at once: the larger the budget the more, so that few of many answers wait for the disk. */
const blockOf = (allowed: number): number => Math.max(1, Math.min(1000, Math.floor(allowed / 100)))

const nameOf = (asker: string, model: string): string => `${asker}\n${model}`

/**
 * How many answers each asker has had of each model. Answers are set aside in blocks, on disk, before the first of a block is given: after a
 * crash what was left of a block counts as given, never the other way round.
 */
export class AnswerLedger {
  readonly #folder: AskingFolder
  readonly #accounts: Map<string, Account>
  /** The last writing: nothing that it set aside is given before it is done. */
  #written: Promise<void> = Promise.resolve()
  #failed = false

  constructor(folder: AskingFolder) {
    this.#folder = folder
    this.#accounts = new Map(
      folder.state.spendings.map(({ asker, model, spent }) => [
        nameOf(asker, model),
        { asker, model, spent, unused: 0 },
      ]),
    )
  }

  /** Answers that an asker has had of a model. */
  given(asker: string, model: string): number {
    const account = this.#accounts.get(nameOf(asker, model))
    return account === undefined ? 0 : account.spent - account.unused
  }

  /**
   * Takes answers from an asker's budget; resolves when they are on disk.
   * @param allowed answers of this model that one asker may have; null for any number, which is not counted
   * @throws {ConsiliumError} "inference/budget-spent"; "store/full" or "store/failed", and then nothing was given
   */
  async take(asker: string, model: string, allowed: number | null, answers: number): Promise<void> {
    if (allowed === null) return
    const name = nameOf(asker, model)
    const account = this.#accounts.get(name) ?? { asker, model, spent: 0, unused: 0 }
    // what is set aside is this asker's own: only answers beyond it are new
    const given = account.spent - account.unused
    spendAnswers({ allowed, spent: given }, answers)
    this.#accounts.set(name, account)
    if (answers > account.unused) {
      // a failed write leaves the answers counted: the asker may lose a block, the model nothing
      account.spent = Math.min(allowed, given + Math.max(answers, blockOf(allowed)))
      account.unused = account.spent - given - answers
      await this.#write()
      return
    }
    account.unused -= answers
    await (this.#failed ? this.#write() : this.#written)
  }

  /** Gives back on disk what was set aside and not used. */
  async close(): Promise<void> {
    let changed = false
    for (const account of this.#accounts.values())
      if (account.unused > 0) {
        account.spent -= account.unused
        account.unused = 0
        changed = true
      }
    if (changed) await this.#write()
  }

  #write(): Promise<void> {
    const spendings: readonly Spending[] = [...this.#accounts.values()].map(({ asker, model, spent }) => ({
      asker,
      model,
      spent,
    }))
    const written = this.#folder.change((state) => ({ ...state, spendings: [...spendings] }))
    this.#written = written
    written.then(
      () => {
        this.#failed = false
      },
      () => {
        this.#failed = true
      },
    )
    return written
  }
}
