import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { newSecretKey, type RandomSource, SecretKey, systemRandom } from "@consilium/base/random"
import { type Sealed, type SealedBox, sealedBox } from "./sealed.js"

/**
 * Seals the records of one study's journal under a key that lives from one checkpoint to the next. A checkpoint is:
 *
 *     const fresh = await box.next()           // its key is on disk
 *     await store.checkpoint(records.map((record) => fresh.seal(record)))
 *     await fresh.retire(box)                  // the old key is not
 *
 * A crash between these steps leaves two keys. A record says under which of them it is sealed, so the journal opens
 * whichever of the two it holds. The key's file is erased and the key is nowhere else, so records of the past cannot be
 * read, even by one who has the storage key and finds them on the disk.
 */
export interface JournalBox {
  /** The number of its key; records say which one they need. */
  readonly generation: number
  seal(record: Uint8Array): Uint8Array
  /** @throws {ConsiliumError} "store/unsealable" if the bytes were changed, belong elsewhere, or their key is erased */
  open(sealed: Uint8Array): Uint8Array
  /** A box with a fresh key that is on disk; this one can be used on if the checkpoint fails. */
  next(): Promise<JournalBox>
  /** Erases the key of a box, and all keys before it: call it on the new box once the checkpoint is durable. */
  retire(old: JournalBox): Promise<void>
  /** Erases the keys that a crash left behind: call it once every record of the journal has been opened. */
  settle(): Promise<void>
}

/**
 * Opens the box of a study; where there is none, makes its first key.
 * @param sealed one box at a time for a study; its folder holds the keys
 */
export const openJournalBox = async (
  sealed: Sealed,
  study: Uint8Array,
  random: RandomSource = systemRandom,
): Promise<JournalBox> => {
  const keys = new JournalKeys(sealed, toHex(study), random)
  return new GenerationBox(keys, (await keys.load()) ?? (await keys.add()))
}

const VERSION = 1
const HEADER_BYTES = 5

/** The keys of a study's journal that are on disk. */
class JournalKeys {
  readonly #sealed: Sealed
  readonly #study: string
  readonly #random: RandomSource
  readonly #keys = new Map<number, { readonly key: SecretKey; readonly box: SealedBox }>()
  #latest = 0
  /** The oldest key that a record was opened with. */
  #oldestUsed = Number.POSITIVE_INFINITY

  constructor(sealed: Sealed, study: string, random: RandomSource) {
    this.#sealed = sealed
    this.#study = study
    this.#random = random
  }

  #prefix(): string {
    return `journal-key-${this.#study}-`
  }
  #file(generation: number): string {
    return `${this.#prefix()}${String(generation).padStart(10, "0")}`
  }
  #hold(generation: number, key: SecretKey): void {
    this.#keys.set(generation, { key, box: sealedBox(key, this.#random) })
    this.#latest = Math.max(this.#latest, generation)
  }

  /** Reads all keys; the number of the latest, or null. */
  async load(): Promise<number | null> {
    for (const name of await this.#sealed.names()) {
      if (!name.startsWith(this.#prefix())) continue
      const bytes = (await this.#sealed.get(name)) as Uint8Array
      this.#hold(Number(name.slice(this.#prefix().length)), new SecretKey(bytes))
      bytes.fill(0)
    }
    return this.#latest === 0 ? null : this.#latest
  }

  /** Makes a key and saves it; its number. */
  async add(): Promise<number> {
    const generation = this.#latest + 1
    const key = newSecretKey(this.#random)
    const bytes = key.expose()
    await this.#sealed.put(this.#file(generation), bytes)
    bytes.fill(0)
    this.#hold(generation, key)
    return generation
  }

  /** Erases all keys up to a number. */
  async erase(upTo: number): Promise<void> {
    for (const [generation, { key }] of [...this.#keys].sort(([a], [b]) => a - b)) {
      if (generation > upTo) break
      await this.#sealed.erase(this.#file(generation))
      key.erase()
      this.#keys.delete(generation)
    }
  }

  /** The last key that nothing needs when all records have been opened and the latest key is kept. */
  get lastUnused(): number {
    return Math.min(this.#oldestUsed, this.#latest) - 1
  }

  #name(generation: number): string {
    return `journal/${this.#study}/${generation}`
  }

  seal(generation: number, record: Uint8Array): Uint8Array {
    const held = this.#keys.get(generation)
    if (held === undefined)
      throw new ConsiliumError("store/failed", `The journal key ${generation} is retired.`, {
        remedy: "Seal with the box that followed it.",
      })
    const header = new Uint8Array(HEADER_BYTES)
    header[0] = VERSION
    new DataView(header.buffer).setUint32(1, generation)
    return held.box.seal(this.#name(generation), record, header)
  }

  open(sealed: Uint8Array): Uint8Array {
    if (sealed.length < HEADER_BYTES || sealed[0] !== VERSION)
      throw new ConsiliumError("store/unsealable", `${sealed.length} bytes are no sealed journal record.`)
    const generation = new DataView(sealed.buffer, sealed.byteOffset).getUint32(1)
    const held = this.#keys.get(generation)
    if (held === undefined)
      throw new ConsiliumError(
        "store/unsealable",
        `A journal record is sealed under key ${generation}, which is not there.`,
        { remedy: "If the data folder was restored from a backup, restore all of it from the same one." },
      )
    const record = held.box.open(this.#name(generation), sealed.subarray(HEADER_BYTES))
    this.#oldestUsed = Math.min(this.#oldestUsed, generation)
    return record
  }

  /** What was opened so far is of the past. */
  startOver(): void {
    this.#oldestUsed = Number.POSITIVE_INFINITY
  }
}

class GenerationBox implements JournalBox {
  readonly generation: number
  readonly #keys: JournalKeys

  constructor(keys: JournalKeys, generation: number) {
    this.#keys = keys
    this.generation = generation
  }

  seal(record: Uint8Array): Uint8Array {
    return this.#keys.seal(this.generation, record)
  }
  open(sealed: Uint8Array): Uint8Array {
    return this.#keys.open(sealed)
  }
  async next(): Promise<JournalBox> {
    return new GenerationBox(this.#keys, await this.#keys.add())
  }
  async retire(old: JournalBox): Promise<void> {
    if (old.generation >= this.generation)
      throw new ConsiliumError(
        "store/failed",
        `Journal key ${this.generation} cannot retire key ${old.generation}, which is not older.`,
        { remedy: "Call retire on the box that next() gave." },
      )
    // Everything older than this box goes, also what checkpoints that failed have left.
    await this.#keys.erase(this.generation - 1)
    this.#keys.startOver()
  }
  async settle(): Promise<void> {
    await this.#keys.erase(this.#keys.lastUnused)
  }
}
