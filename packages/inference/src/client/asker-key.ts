import { equalBytes, toHex } from "@consilium/base/bytes"
import { bytes, decode, encode, fixedBytes, record, u8 } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import type { Digest } from "@consilium/base/hash"
import { type RandomSource, systemRandom } from "@consilium/base/random"
import type { Coefficients } from "@consilium/lattice/ring/ring"
import { freshError, RlweSecret } from "@consilium/lattice/rlwe/keys"
import {
  askingKeyId,
  askingKeyNonce,
  askingKeySeed,
  maskingKeyFromBytes,
  maskingKeyToBytes,
} from "../wire/asking-key.js"
import { DIGEST_BYTES, MOST_KEY_BYTES, malformed } from "../wire/head.js"
import type { PreparedPlan } from "../wire/prepared-plan.js"
import { evaluationKeys, madeWith } from "./evaluation-keys.js"

const FORMAT = 1
const MOST_DEGREE = 2 ** 16
/** The coefficients of the secret, each plus one in a byte; what is uploaded is kept with them. */
const stored = record({
  format: u8,
  plan: fixedBytes(DIGEST_BYTES),
  secret: bytes(MOST_DEGREE),
  upload: bytes(MOST_KEY_BYTES),
})

const read = (file: Uint8Array) => {
  try {
    return decode(stored, file)
  } catch {
    // the cause is left out: what tells of a secret's bytes is for nobody
    return malformed("An asker's key is not in the one form that it can have.")
  }
}

/**
 * The public half of a key for plans that keep their weights.
 * Math:   b = -a s + e, a = uniform(seed of plan and nonce)
 * Timing: depends on neither secret nor error
 */
const maskingKey = (
  prepared: PreparedPlan,
  nonce: Uint8Array,
  secret: RlweSecret,
  random: RandomSource,
): Uint8Array => {
  const { ring, errorPairs } = prepared.parameters
  const a = ring.uniform(askingKeySeed(prepared, nonce))
  const b = freshError(ring, errorPairs, random)
  const mask = ring.multiply(a, secret.values())
  ring.subtract(b, mask, b)
  mask.fill(0)
  ring.erase()
  return maskingKeyToBytes(prepared, nonce, b)
}

/** Whether the public half is that of a secret. */
const belongsTo = (
  prepared: PreparedPlan,
  nonce: Uint8Array,
  upload: Uint8Array,
  secret: RlweSecret,
): boolean => {
  if (prepared.program !== null) return madeWith(prepared, nonce, upload, secret)
  const { ring, errorPairs } = prepared.parameters
  const { a, b } = maskingKeyFromBytes(prepared, nonce, upload)
  const error: Coefficients = ring.inverse(ring.multiplyAdd(a, secret.values(), b))
  const belongs = ring.toBigInts(error).every((e) => -errorPairs <= e && e <= errorPairs)
  error.fill(0)
  ring.erase()
  return belongs
}

/** A key that an asker uses for many requests, for plans that need an upload. */
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
   * Timing: depends on neither secret nor error
   */
  static generate(prepared: PreparedPlan, nonce: Uint8Array, random: RandomSource = systemRandom): AskerKey {
    if (!prepared.takesKey) malformed("This plan takes no uploaded key.")
    const secret = RlweSecret.generate(prepared.parameters, random)
    const make = prepared.program === null ? maskingKey : evaluationKeys
    return new AskerKey(secret, make(prepared, nonce, secret, random))
  }

  /**
   * The key of the bytes that `toBytes` gave.
   * @throws {ConsiliumError} "inference/other-plan" with both hashes if it was made for another plan; "inference/malformed" if the bytes are
   *   no key, or hold a secret that is not the upload's
   */
  static restore(prepared: PreparedPlan, file: Uint8Array): AskerKey {
    const { format, plan, secret: ternary, upload } = read(file)
    if (format !== FORMAT) malformed(`An asker's key has format ${format}; this program reads ${FORMAT}.`)
    if (!equalBytes(plan, prepared.hash))
      throw new ConsiliumError(
        "inference/other-plan",
        `An asker's key is for plan ${toHex(plan)}; the plan here is ${toHex(prepared.hash)}.`,
        { remedy: "Make a key for this plan, or ask the model that the key was made for." },
      )
    const { parameters } = prepared
    const nonce = askingKeyNonce(upload)
    if (ternary.length !== parameters.degree || ternary.some((digit) => digit > 2))
      malformed(`An asker's key does not hold ${parameters.degree} coefficients of a secret.`)
    const small = Int32Array.from(ternary, (digit) => digit - 1)
    const secret = RlweSecret.from(parameters, small)
    ternary.fill(0)
    small.fill(0)
    let belongs = false
    try {
      belongs = belongsTo(prepared, nonce, upload, secret)
    } finally {
      if (!belongs) secret.erase()
    }
    if (!belongs) malformed("An asker's key holds a secret and an upload that do not belong together.")
    return new AskerKey(secret, upload)
  }

  /** The key as bytes, secret included: for a file that its owner alone can read, and to be overwritten once it is written. */
  toBytes(prepared: PreparedPlan): Uint8Array {
    const small = this.secret.expose()
    const digits = Uint8Array.from(small, (value) => value + 1)
    small.fill(0)
    const out = encode(stored, { format: FORMAT, plan: prepared.hash, secret: digits, upload: this.upload })
    digits.fill(0)
    return out
  }
}
