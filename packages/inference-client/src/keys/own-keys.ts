import { type RandomSource, systemRandom } from "@consilium/base/random"
import type { Asker } from "@consilium/inference/client/asker"
import { AskerKey } from "@consilium/inference/client/asker-key"
import type { HeldBlank, KeyPlace, KeyUpload, PlanKeys } from "./plan-keys.js"

/** A key and how many blanks still need it. */
class SharedKey {
  readonly key: AskerKey
  #blanks = 0
  #replaced = false

  constructor(key: AskerKey) {
    this.key = key
  }
  take(): void {
    this.#blanks++
  }
  give(): void {
    this.#blanks--
    this.#settle()
  }
  replace(): void {
    this.#replaced = true
    this.#settle()
  }
  #settle(): void {
    if (this.#replaced && this.#blanks === 0) this.key.secret.erase()
  }
}

/** The keys of one plan in the thread that uses them. */
export class OwnPlanKeys implements PlanKeys {
  readonly #asker: Asker
  readonly #random: RandomSource
  readonly #open = new Set<HeldBlank>()
  #shared: SharedKey | null

  /** `key` is one that the server has already. */
  constructor(asker: Asker, random: RandomSource, key: AskerKey | null = null) {
    this.#asker = asker
    this.#random = random
    this.#shared = key === null ? null : new SharedKey(key)
  }

  get hasKey(): boolean {
    return this.#shared !== null
  }

  async newKey(nonce: Uint8Array): Promise<KeyUpload> {
    const key = this.#asker.newKey(nonce, this.#random)
    this.#shared?.replace()
    this.#shared = new SharedKey(key)
    return { bytes: key.upload, id: key.id }
  }

  /** @throws {ConsiliumError} "inference/unknown-key" if the plan needs a key and none was made */
  async blank(): Promise<HeldBlank> {
    const shared = this.#shared
    const { blank, open, erase } = this.#asker.blank({
      random: this.#random,
      ...(shared === null ? {} : { key: shared.key }),
    })
    shared?.take()
    const held: HeldBlank = {
      blank,
      open: async (answer, patients) => {
        const predictions = open(answer, patients)
        held.discard()
        return predictions
      },
      discard: () => {
        if (!this.#open.delete(held)) return
        blank.erase()
        erase()
        shared?.give()
      },
    }
    this.#open.add(held)
    return held
  }

  close(): void {
    for (const held of this.#open) held.discard()
    this.#shared?.replace()
    this.#shared = null
  }
}

export interface OwnKeysOptions {
  readonly random?: RandomSource
  /** A key that the server has already, as `AskerKey.toBytes` wrote it: then only its plan is asked. The caller overwrites the bytes. */
  readonly keyFile?: Uint8Array
}

/** Secret keys in the thread that asks. */
export class OwnKeys implements KeyPlace {
  readonly #random: RandomSource
  readonly #keyFile: Uint8Array | null

  constructor({ random = systemRandom, keyFile }: OwnKeysOptions = {}) {
    this.#random = random
    this.#keyFile = keyFile ?? null
  }
  /** @throws {ConsiliumError} "inference/other-plan" if a key was given that is for another plan; "inference/malformed" if it is none */
  async keysFor(asker: Asker): Promise<PlanKeys> {
    const key = this.#keyFile === null ? null : AskerKey.restore(asker.prepared, this.#keyFile)
    return new OwnPlanKeys(asker, this.#random, key)
  }
  close(): void {}
}
