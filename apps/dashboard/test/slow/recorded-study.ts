import { toHex } from "@consilium/base/bytes"
import type { LogEntry } from "@consilium/federation/log"
import type { Directory } from "@consilium/federation/roster"
import { type Study, studyDigest } from "@consilium/federation/study"
import type { LeaderService, StudyHandle } from "@consilium/node/api/leader-service"
import { type Options, runStudy } from "../../../../packages/federation/test/harness.js"

/** A study that was really run, in memory, and whose log can be shown bit by bit. */
export class RecordedStudy implements StudyHandle {
  readonly id: string
  readonly study: Study
  readonly log: readonly LogEntry[]
  readonly #directory: Directory
  /** Awaited before the log is read. */
  before: () => Promise<void> = () => Promise.resolve()
  #shown = 0
  #waiting: (() => void)[] = []

  constructor(options: Options, shown?: number) {
    const { study, directory, log } = runStudy(options)
    this.id = toHex(studyDigest(study))
    this.study = study
    this.log = log
    this.#directory = directory
    this.#shown = shown ?? log.length
  }

  get length(): number {
    return this.#shown
  }

  rosters(): readonly Directory[] {
    return [this.#directory]
  }

  async *entries(after = 0): AsyncGenerator<LogEntry> {
    await this.before()
    yield* this.log.slice(after, this.#shown)
  }

  grown(after: number, signal: AbortSignal): Promise<void> {
    if (this.#shown > after || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener("abort", wake)
        resolve()
      }
      this.#waiting.push(wake)
      signal.addEventListener("abort", wake)
    })
  }

  model(): Promise<Uint8Array> {
    return Promise.reject(new Error("no model is asked for"))
  }

  stop(): Promise<never> {
    return Promise.reject(new Error("nobody stops it"))
  }

  rotateKeys(): Promise<never> {
    return Promise.reject(new Error("nobody asks for new keys"))
  }

  /** Shows the log up to an entry. */
  show(length: number): void {
    this.#shown = Math.min(length, this.log.length)
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }

  /** The number of the first entry of a kind after another entry. */
  find(type: string, after = 0): number {
    const found = this.log.findIndex(({ header }) => header.seq > after && header.type === type)
    if (found < 0) throw new Error(`no ${type} after ${after}`)
    return found + 1
  }
}

/** A leader with these studies, which starts none. */
export const leaderOf = (studies: readonly StudyHandle[], ready = () => true): LeaderService => ({
  name: "leader",
  studies: () => studies,
  startStudy: () => Promise.reject(new Error("no study is started")),
  ready,
})
