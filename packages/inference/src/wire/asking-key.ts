import { equalBytes } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { type Digest, hash } from "@consilium/base/hash"
import type { Evaluations } from "@consilium/lattice/ring/ring"
import { type Seed, seedOf } from "@consilium/lattice/ring/seeds"
import { DIGEST_BYTES, HEAD_BYTES, KIND, malformed, Parts, readHead, writeHead } from "./head.js"
import type { PreparedPlan } from "./prepared-plan.js"

/**
 * The public half of an asker's key, with which a server makes fresh encryptions of zero. Its uniform part comes from the server's nonce, so
 * that an asker cannot choose it.
 *
 * Math: b = -a s + e, a = uniform(seed of plan and nonce)
 */
export interface AskingKey {
  /** The hash of the bytes that were uploaded. */
  readonly id: Digest
  readonly a: Evaluations
  readonly b: Evaluations
}

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

export const askingKeyToBytes = (prepared: PreparedPlan, nonce: Uint8Array, b: Evaluations): Uint8Array => {
  const { ring } = prepared.parameters
  const out = new Uint8Array(prepared.keyBytes)
  writeHead(out, KIND.key, 1, prepared.hash)
  const parts = new Parts(out)
  parts.take(DIGEST_BYTES).set(nonce)
  ring.pack(b, parts.take(ring.packedLength))
  return out
}

/**
 * The key of its bytes.
 * @throws {ConsiliumError} "inference/malformed", "inference/other-plan", "lattice/malformed"; "inference/key-replayed" if it was made for
 *   another nonce
 */
export const askingKeyFromBytes = (
  prepared: PreparedPlan,
  nonce: Uint8Array,
  bytes: Uint8Array,
): AskingKey => {
  const count = readHead(bytes, KIND.key, prepared.keyBytes, prepared.hash)
  if (prepared.plan.weights !== "kept" || count !== 1) malformed("A key was given where the plan takes none.")
  const { ring } = prepared.parameters
  const parts = new Parts(bytes)
  if (!equalBytes(parts.take(DIGEST_BYTES), nonce))
    throw new ConsiliumError(
      "inference/key-replayed",
      "A key was made for another nonce than the one given out.",
    )
  const b = ring.unpackEvaluations(parts.take(ring.packedLength))
  return { id: askingKeyId(bytes), a: ring.uniform(askingKeySeed(prepared, nonce)), b }
}
