import { equalBytes } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { type Digest, hash } from "@consilium/base/hash"
import type { Evaluations } from "@consilium/lattice/ring/ring"
import { type Seed, seedOf } from "@consilium/lattice/ring/seeds"
import type { GaloisKey, RelinearisationKey } from "@consilium/lattice/rlwe/switching-key"
import { DIGEST_BYTES, HEAD_BYTES, KIND, malformed, Parts, readHead, writeHead } from "./head.js"
import type { PreparedPlan } from "./prepared-plan.js"

/**
 * The public half of an asker's key, with which a server makes fresh encryptions of zero. Its uniform part comes from the server's nonce, so
 * that an asker cannot choose it.
 *
 * Math: b = -a s + e, a = uniform(seed of plan and nonce)
 */
export interface MaskingKey {
  /** The hash of the bytes that were uploaded. */
  readonly id: Digest
  readonly a: Evaluations
  readonly b: Evaluations
}

/** What one stage of a network needs to rotate and to multiply; its ring is the stage's. */
export interface StageKeys {
  /** Null where nothing is multiplied. */
  readonly relinearisation: RelinearisationKey | null
  /** In the order of the stage's exponents. */
  readonly galois: readonly GaloisKey[]
}

/** The keys with which a server evaluates a network whose features lie in slots. */
export interface EvaluationKey {
  /** The hash of the bytes that were uploaded. */
  readonly id: Digest
  readonly stages: readonly StageKeys[]
}

/** What an asker uploads once, as its plan needs it. */
export type AskingKey = MaskingKey | EvaluationKey

/** The seed of the uniform part. */
export const askingKeySeed = (prepared: PreparedPlan, nonce: Uint8Array): Seed => {
  if (nonce.length !== DIGEST_BYTES) malformed(`A nonce has ${nonce.length} bytes, not ${DIGEST_BYTES}.`)
  return seedOf("inference-key", prepared.hash, nonce)
}

/**
 * The nonce that the bytes of a key say they were made for; nothing else of them is looked at.
 * @throws {ConsiliumError} "inference/malformed" if they are too few
 */
export const askingKeyNonce = (bytes: Uint8Array): Uint8Array => {
  const nonce = bytes.slice(HEAD_BYTES, HEAD_BYTES + DIGEST_BYTES)
  return nonce.length === DIGEST_BYTES
    ? nonce
    : malformed(`A key has ${bytes.length} bytes, too few for one.`)
}

/** The name of an uploaded key. */
export const askingKeyId = (bytes: Uint8Array): Digest => hash("inference-key", bytes)

/** The bytes of a key with nothing behind its nonce yet, and where that is to be written. */
export const newAskingKeyBytes = (
  prepared: PreparedPlan,
  nonce: Uint8Array,
): { bytes: Uint8Array; parts: Parts } => {
  const bytes = new Uint8Array(prepared.keyBytes)
  writeHead(bytes, KIND.key, 1, prepared.hash)
  const parts = new Parts(bytes)
  parts.take(DIGEST_BYTES).set(nonce)
  return { bytes, parts }
}

export const maskingKeyToBytes = (prepared: PreparedPlan, nonce: Uint8Array, b: Evaluations): Uint8Array => {
  const { ring } = prepared.parameters
  const { bytes, parts } = newAskingKeyBytes(prepared, nonce)
  ring.pack(b, parts.take(ring.packedLength))
  return bytes
}

/**
 * What follows the nonce in the bytes of a key.
 * @throws {ConsiliumError} "inference/malformed", "inference/other-plan"; "inference/key-replayed" if it was made for another nonce
 */
export const askingKeyParts = (prepared: PreparedPlan, nonce: Uint8Array, bytes: Uint8Array): Parts => {
  if (!prepared.takesKey) malformed("A key was given where the plan takes none.")
  const count = readHead(bytes, KIND.key, prepared.keyBytes, prepared.hash)
  if (count !== 1) malformed(`There are ${count} keys in one message.`)
  const parts = new Parts(bytes)
  if (!equalBytes(parts.take(DIGEST_BYTES), nonce))
    throw new ConsiliumError(
      "inference/key-replayed",
      "A key was made for another nonce than the one given out.",
    )
  return parts
}

/**
 * The key of its bytes, for plans that keep their weights.
 * @throws {ConsiliumError} as `askingKeyParts`, and "lattice/malformed" if a number is no residue
 */
export const maskingKeyFromBytes = (
  prepared: PreparedPlan,
  nonce: Uint8Array,
  bytes: Uint8Array,
): MaskingKey => {
  const parts = askingKeyParts(prepared, nonce, bytes)
  const { ring } = prepared.parameters
  const b = ring.unpackEvaluations(parts.take(ring.packedLength))
  return { id: askingKeyId(bytes), a: ring.uniform(askingKeySeed(prepared, nonce)), b }
}
