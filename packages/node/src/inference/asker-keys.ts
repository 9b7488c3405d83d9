import { fromHex, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { type RandomSource, systemRandom } from "@consilium/base/random"
import { checkOwner, type KeyRegister, registerKey } from "@consilium/inference/server/key-register"
import { type AskingKey, askingKeyNonce } from "@consilium/inference/wire/asking-key"
import { Refusal } from "../api/problems.js"
import type { AskingFolder } from "./asking-folder.js"
import type { AskingState, KeptKey } from "./asking-state.js"
import type { Evaluator, HeldKey } from "./evaluator.js"
import type { ModelVersion } from "./model-shelf.js"

const NONCE_BYTES = 32
/** How long a nonce waits for its key. */
export const NONCE_MS = 10 * 60 * 1000
const MOST_NONCES = 4096
const MOST_NONCES_OF_ONE = 8
/** Keys that one asker may have for one model, over all its versions; the oldest gives way. */
const MOST_KEYS_OF_ONE = 8
/** Bytes of keys that are held ready; the longest unused are read from disk again. */
const READY_BYTES = 64 << 20

interface OpenNonce {
  readonly asker: string
  readonly model: string
  readonly expires: number
}

const registerOf = ({ keys }: AskingState): KeyRegister => ({
  owners: Object.fromEntries(keys.map(({ id, asker }) => [id, asker])),
  usedNonces: keys.map(({ nonce }) => nonce),
})

const byId = ({ keys }: AskingState): ReadonlyMap<string, KeptKey> =>
  new Map(keys.map((key) => [key.id, key]))

/** The public keys of askers: which nonces were given out, whose each key is, and the keys themselves, ready for use. */
export class AskerKeys {
  readonly #folder: AskingFolder
  readonly #evaluator: Pick<Evaluator, "check">
  readonly #now: () => number
  readonly #random: RandomSource
  readonly #nonces = new Map<string, OpenNonce>()
  readonly #ready = new Map<string, { readonly key: AskingKey; readonly bytes: number }>()
  #readyBytes = 0
  #kept: ReadonlyMap<string, KeptKey>

  /** @param evaluator what looks through a key of megabytes where that holds up nobody */
  constructor(
    folder: AskingFolder,
    evaluator: Pick<Evaluator, "check">,
    { now = Date.now, random = systemRandom }: { now?: () => number; random?: RandomSource } = {},
  ) {
    this.#folder = folder
    this.#evaluator = evaluator
    this.#now = now
    this.#random = random
    this.#kept = byId(folder.state)
  }

  /** A nonce for one key of an asker; a restart of the server makes it void. */
  nonce(asker: string, version: ModelVersion): { readonly nonce: string; readonly expires: number } {
    checkTakesKeys(version)
    const now = this.#now()
    for (const [nonce, { expires }] of this.#nonces) if (expires <= now) this.#nonces.delete(nonce)
    const own = [...this.#nonces].filter(([, open]) => open.asker === asker)
    if (own.length >= MOST_NONCES_OF_ONE) this.#nonces.delete((own[0] as (typeof own)[number])[0])
    if (this.#nonces.size >= MOST_NONCES)
      throw new Refusal("inference/overloaded", "Too many askers are making keys at the moment.", {
        "retry-after": "60",
      })
    const nonce = toHex(this.#random.bytes(NONCE_BYTES))
    const expires = now + NONCE_MS
    this.#nonces.set(nonce, { asker, model: version.id, expires })
    return { nonce, expires }
  }

  /**
   * Takes an asker's key for a nonce that it was given; resolves to the key's id when it is on disk.
   * @throws {ConsiliumError} "inference/key-replayed" if the nonce was not given to this asker, is used or too old; as `ModelServer.readKey`
   */
  async upload(asker: string, version: ModelVersion, bytes: Uint8Array): Promise<string> {
    checkTakesKeys(version)
    const nonce = toHex(askingKeyNonce(bytes))
    const open = this.#nonces.get(nonce)
    if (
      open === undefined ||
      open.asker !== asker ||
      open.model !== version.id ||
      open.expires <= this.#now()
    )
      throw new ConsiliumError(
        "inference/key-replayed",
        "A key was made for a nonce that its asker was not given, or that is used up or too old.",
      )
    // before anything is waited for: a nonce is for one key, also of two that come at once
    this.#nonces.delete(nonce)
    let id: string
    try {
      id = await this.#evaluator.check(version, { asker, nonce: fromHex(nonce), bytes })
    } catch (error) {
      this.#nonces.set(nonce, open)
      throw error
    }
    await this.#keep(asker, version, nonce, id, bytes)
    return id
  }

  /**
   * Takes a key that the operator brings, with the nonce it was made for. One that is kept already stays as it is.
   * @throws {ConsiliumError} "inference/key-replayed" if it is another asker's, or its nonce another key's; as `ModelServer.readKey`
   */
  async bring(asker: string, version: ModelVersion, bytes: Uint8Array): Promise<string> {
    checkTakesKeys(version)
    const nonce = toHex(askingKeyNonce(bytes))
    const id = await this.#evaluator.check(version, { asker, nonce: fromHex(nonce), bytes })
    if (this.#folder.state.keys.some((kept) => kept.id === id && kept.asker === asker)) return id
    await this.#keep(asker, version, nonce, id, bytes)
    return id
  }

  /**
   * An asker's key by the id that a request names.
   * @throws {ConsiliumError} "inference/unknown-key" if the asker has not uploaded it for this plan
   */
  of(asker: string, version: ModelVersion, keyId: Uint8Array): HeldKey {
    const id = toHex(keyId)
    const kept = this.#kept.get(id)
    checkOwner({ owners: kept === undefined ? {} : { [id]: kept.asker }, usedNonces: [] }, asker, keyId)
    if (kept === undefined || kept.plan !== version.plan)
      throw new ConsiliumError(
        "inference/unknown-key",
        "A request names a key that was made for another plan.",
      )
    const nonce = fromHex(kept.nonce)
    const bytes = (): Promise<Uint8Array> => this.#folder.readKey(id)
    return { id, nonce, bytes, ready: () => this.#readyKey(id, version, nonce, bytes) }
  }

  async #readyKey(
    id: string,
    version: ModelVersion,
    nonce: Uint8Array,
    read: () => Promise<Uint8Array>,
  ): Promise<AskingKey> {
    const ready = this.#ready.get(id)
    if (ready !== undefined) {
      this.#ready.delete(id)
      this.#ready.set(id, ready)
      return ready.key
    }
    const bytes = await read()
    const key = version.server.readKey(nonce, bytes)
    this.#hold(id, key, bytes.length)
    return key
  }

  async #keep(
    asker: string,
    version: ModelVersion,
    nonce: string,
    id: string,
    bytes: Uint8Array,
  ): Promise<void> {
    registerKey(registerOf(this.#folder.state), asker, fromHex(nonce), { id: fromHex(id) })
    await this.#folder.writeKey(id, bytes)
    const own = this.#folder.state.keys.filter((one) => one.asker === asker && one.model === version.id)
    const gone = new Set(own.slice(0, Math.max(0, own.length + 1 - MOST_KEYS_OF_ONE)).map((one) => one.id))
    const added: KeptKey = { id, nonce, asker, model: version.id, plan: version.plan }
    await this.#folder.change((state) => ({
      ...state,
      keys: [...state.keys.filter((one) => !gone.has(one.id)), added],
    }))
    this.#kept = byId(this.#folder.state)
    for (const old of gone) {
      this.#drop(old)
      await this.#folder.deleteKey(old)
    }
  }

  #hold(id: string, key: AskingKey, bytes: number): void {
    this.#drop(id)
    this.#ready.set(id, { key, bytes })
    this.#readyBytes += bytes
    for (const oldest of this.#ready.keys()) {
      if (this.#readyBytes <= READY_BYTES || oldest === id) break
      this.#drop(oldest)
    }
  }

  #drop(id: string): void {
    const held = this.#ready.get(id)
    if (held === undefined) return
    this.#ready.delete(id)
    this.#readyBytes -= held.bytes
  }
}

const checkTakesKeys = ({ id, server }: ModelVersion): void => {
  if (!server.prepared.takesKey)
    throw new ConsiliumError(
      "inference/malformed",
      `The model "${id}" takes no keys: each request has its own.`,
      {
        remedy: "Send the request without a key.",
      },
    )
}
