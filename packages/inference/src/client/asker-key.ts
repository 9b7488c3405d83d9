import type { Digest } from "@consilium/base/hash"
import { type RandomSource, systemRandom } from "@consilium/base/random"
import { freshError, RlweSecret } from "@consilium/lattice/rlwe/keys"
import { askingKeyId, askingKeySeed, askingKeyToBytes } from "../wire/asking-key.js"
import type { PreparedPlan } from "../wire/prepared-plan.js"

/** A key that an asker uses for many requests, for plans that keep their weights. */
export class AskerKey {
  readonly secret: RlweSecret
  /** What is uploaded, once. */
  readonly upload: Uint8Array
  /** Its hash, by which requests name it. */
  readonly id: Digest

  private constructor(secret: RlweSecret, upload: Uint8Array) {
    this.secret = secret
    this.upload = upload
    this.id = askingKeyId(upload)
  }

  /**
   * A fresh key for a nonce of the server.
   * Math:   b = -a s + e, a = uniform(seed of plan and nonce)
   * Timing: depends on neither secret nor error
   */
  static generate(prepared: PreparedPlan, nonce: Uint8Array, random: RandomSource = systemRandom): AskerKey {
    const { parameters } = prepared
    const { ring } = parameters
    const a = ring.uniform(askingKeySeed(prepared, nonce))
    const secret = RlweSecret.generate(parameters, random)
    const b = freshError(ring, parameters.errorPairs, random)
    const mask = ring.multiply(a, secret.values())
    ring.subtract(b, mask, b)
    mask.fill(0)
    ring.erase()
    return new AskerKey(secret, askingKeyToBytes(prepared, nonce, b))
  }
}
