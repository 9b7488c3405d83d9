import { ConsiliumError } from "@consilium/base/errors"
import { type RandomSource, systemRandom } from "@consilium/base/random"
import type { Evaluations } from "@consilium/lattice/ring/ring"
import type { Seed } from "@consilium/lattice/ring/seeds"
import { encryptWithSecret } from "@consilium/lattice/rlwe/encryption"
import type { RlweSecret } from "@consilium/lattice/rlwe/keys"
import type { PreparedPlan } from "../wire/prepared-plan.js"
import { requestToBytes, type SeededCiphertext } from "../wire/request.js"

/** What a blank is made of, to be handed to another thread. Whoever sees it and the request sees the patients. */
export interface BlankParts {
  readonly ciphertexts: readonly SeededCiphertext[]
  /** The hash of the key that was uploaded, where the plan needs one. */
  readonly keyId: Uint8Array | null
}

export interface BlankOptions {
  readonly keyId?: Uint8Array | null
  readonly random?: RandomSource
}

/**
 * A request about nobody, made before the patients are known: fresh encryptions of zero. It holds no key, is filled once and is then
 * gone: two requests of one blank would show the differences of their patients.
 *
 * Math: (c_0, c_1) = (-a s + e, a); filled (c_0 + m, a), which is a fresh encryption of m
 */
export class Blank {
  /** The first seed, by which an answer names its request. */
  readonly requestId: Seed
  readonly #prepared: PreparedPlan
  /** Null once it is used up. */
  #parts: BlankParts | null

  /** @throws {ConsiliumError} "inference/malformed" if the parts are not of this plan */
  constructor(prepared: PreparedPlan, parts: BlankParts) {
    const { size } = prepared.parameters.ring
    const { ciphertexts, keyId } = parts
    if (
      ciphertexts.length !== prepared.ciphertexts ||
      ciphertexts.some(({ c0 }) => c0.length !== size) ||
      (keyId !== null) !== prepared.takesKey
    )
      throw new ConsiliumError("inference/malformed", "A blank was made for another plan.")
    this.requestId = (parts.ciphertexts[0] as SeededCiphertext).seed
    this.#prepared = prepared
    this.#parts = parts
  }

  /**
   * A fresh blank under a secret key.
   * Timing: depends on neither secret nor error
   */
  static make(
    prepared: PreparedPlan,
    secret: RlweSecret,
    { keyId = null, random = systemRandom }: BlankOptions = {},
  ): Blank {
    const zero = prepared.parameters.ring.zeroEvaluations()
    const ciphertexts = Array.from({ length: prepared.ciphertexts }, () => {
      const { parts, seed } = encryptWithSecret(secret, zero, random)
      return { c0: parts[0] as Evaluations, seed: seed as Seed }
    })
    return new Blank(prepared, { ciphertexts, keyId })
  }

  /**
   * Its parts, for another thread; here it is used up.
   * @throws {ConsiliumError} "inference/blank-used"
   */
  release(): BlankParts {
    const parts = this.#parts
    if (parts === null)
      throw new ConsiliumError("inference/blank-used", "A blank is used up; nothing was encrypted with it.")
    this.#parts = null
    return parts
  }

  /**
   * The bytes of a request about some patients, one polynomial for each ciphertext; the messages are overwritten.
   * @throws {ConsiliumError} "inference/blank-used"
   */
  fill(messages: readonly Evaluations[], patients: number): Uint8Array {
    const { ring } = this.#prepared.parameters
    try {
      const parts = this.release()
      messages.forEach((message, i) => {
        const { c0 } = parts.ciphertexts[i] as SeededCiphertext
        ring.add(c0, message, c0)
      })
      return requestToBytes(this.#prepared, { patients, ...parts })
    } finally {
      for (const message of messages) message.fill(0)
      ring.erase()
    }
  }

  /** Uses it up. */
  erase(): void {
    for (const { c0 } of this.#parts?.ciphertexts ?? []) c0.fill(0)
    this.#parts = null
  }
  toJSON(): string {
    return "[blank]"
  }
  toString(): string {
    return "[blank]"
  }
}
