import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import type { Stores, StudyStore } from "./study-store.js"

/** A store that can be closed by the one that opened it. */
export interface ClosableStudy extends StudyStore {
  /** Waits for what is under way; everything after it fails. */
  close(): Promise<void>
}

/** What a closed store answers. */
export const storeClosed = (): ConsiliumError => new ConsiliumError("store/failed", "The store is closed.")

/** What reading a journal answers when a checkpoint replaced it meanwhile. */
export const replaced = (): ConsiliumError =>
  new ConsiliumError("store/failed", "The journal was replaced while it was read.", {
    remedy: "Read the journal before the next checkpoint.",
  })

/** Opens each study once and keeps it. */
export class StudyMap implements Stores {
  readonly #open: (digest: Uint8Array) => Promise<ClosableStudy>
  readonly #release: () => Promise<void>
  readonly #studies = new Map<string, Promise<ClosableStudy>>()
  #closed: Promise<void> | null = null

  constructor(open: (digest: Uint8Array) => Promise<ClosableStudy>, release = async (): Promise<void> => {}) {
    this.#open = open
    this.#release = release
  }

  async study(digest: Uint8Array): Promise<StudyStore> {
    if (this.#closed !== null) throw storeClosed()
    if (digest.length !== 32)
      throw new ConsiliumError(
        "store/bad-name",
        `The digest of a study has 32 bytes, not ${digest.length}.`,
        {
          remedy: "Give the SHA-256 digest of the study.",
        },
      )
    const name = toHex(digest)
    let study = this.#studies.get(name)
    if (study === undefined) {
      study = this.#open(new Uint8Array(digest))
      this.#studies.set(name, study)
      study.catch(() => this.#studies.delete(name))
    }
    return study
  }

  /** Closes every study. Harmless when called again. */
  close(): Promise<void> {
    this.#closed ??= this.#closeAll()
    return this.#closed
  }

  async #closeAll(): Promise<void> {
    const opened = await Promise.allSettled(this.#studies.values())
    for (const result of opened) if (result.status === "fulfilled") await result.value.close()
    await this.#release()
  }
}
