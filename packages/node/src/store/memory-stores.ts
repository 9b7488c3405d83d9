import { decode } from "@consilium/base/encoding"
import type { Digest } from "@consilium/base/hash"
import { emptyHead, type LogEntry, type LogHead, logEntryCodec } from "@consilium/federation/log"
import { headAfter, takeRecords, takeStep } from "./step-check.js"
import { type ClosableStudy, replaced, StudyMap } from "./study-map.js"
import type { StoreStep, Stores } from "./study-store.js"
import { Turns } from "./turns.js"

/** Stores that keep nothing beyond this process: for studies that are simulated in one. */
export const memoryStores = (): Stores =>
  new StudyMap((digest) => Promise.resolve(new MemoryStudy(digest as Digest)))

class MemoryStudy implements ClosableStudy {
  readonly #log: Uint8Array[] = []
  readonly #turns = new Turns()
  #journal: Uint8Array[] = []
  #head: LogHead

  constructor(study: Digest) {
    this.#head = emptyHead(study)
  }

  get length(): number {
    return this.#head.seq
  }

  async commit(step: StoreStep): Promise<void> {
    const taken = takeStep(step)
    await this.#turns.run(async () => {
      this.#head = headAfter(this.#head, taken)
      this.#journal.push(...taken.journal)
      this.#log.push(...taken.encoded)
    })
  }

  async checkpoint(journal: readonly Uint8Array[]): Promise<void> {
    const records = takeRecords(journal)
    await this.#turns.run(async () => {
      this.#journal = records
    })
  }

  journal(): AsyncIterable<Uint8Array> {
    const journal = this.#journal
    const count = journal.length
    const isCurrent = () => this.#journal === journal
    const read = async function* (): AsyncGenerator<Uint8Array, void, void> {
      for (let at = 0; at < count; at++) {
        if (!isCurrent()) throw replaced()
        yield (journal[at] as Uint8Array).slice()
      }
    }
    return read()
  }

  entries(after = 0): AsyncIterable<LogEntry> {
    const upTo = this.#head.seq
    const log = this.#log
    const read = async function* (): AsyncGenerator<LogEntry, void, void> {
      for (let at = after; at < upTo; at++) yield decode(logEntryCodec, log[at] as Uint8Array)
    }
    return read()
  }

  close(): Promise<void> {
    return this.#turns.close()
  }
}
