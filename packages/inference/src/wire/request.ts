import { ConsiliumError } from "@consilium/base/errors"
import type { Evaluations } from "@consilium/lattice/ring/ring"
import { isSeed, type Seed } from "@consilium/lattice/ring/seeds"
import { DIGEST_BYTES, KIND, malformed, Parts, readHead, SEED_BYTES, writeHead } from "./head.js"
import type { PreparedPlan } from "./prepared-plan.js"

/** A fresh ciphertext under a secret key: its second half is made from the seed. */
export interface SeededCiphertext {
  readonly c0: Evaluations
  readonly seed: Seed
}

export interface InferenceRequest {
  readonly patients: number
  /** The hash of the key that was uploaded, where weights are kept. */
  readonly keyId: Uint8Array | null
  readonly ciphertexts: readonly SeededCiphertext[]
}

export const requestToBytes = (prepared: PreparedPlan, request: InferenceRequest): Uint8Array => {
  const { ring } = prepared.parameters
  const out = new Uint8Array(prepared.requestBytes)
  writeHead(out, KIND.request, request.patients, prepared.hash)
  const parts = new Parts(out)
  if (request.keyId !== null) parts.take(DIGEST_BYTES).set(request.keyId)
  for (const { c0, seed } of request.ciphertexts) {
    ring.pack(c0, parts.take(ring.packedLength))
    parts.take(SEED_BYTES).set(seed)
  }
  return out
}

/** What a server may look at before it computes: whose key, and how many answers are asked for. */
export interface RequestHead {
  readonly patients: number
  readonly keyId: Uint8Array | null
}

/**
 * @throws {ConsiliumError} "inference/malformed", "inference/other-plan", or "inference/too-many" if there are more patients than the
 *   plan takes, or none
 */
export const readRequestHead = (prepared: PreparedPlan, bytes: Uint8Array): RequestHead => {
  const patients = readHead(bytes, KIND.request, prepared.requestBytes, prepared.hash)
  if (patients < 1 || patients > prepared.plan.patients)
    throw new ConsiliumError(
      "inference/too-many",
      `A request holds ${patients} patients; this plan takes 1 to ${prepared.plan.patients}.`,
    )
  return { patients, keyId: prepared.takesKey ? new Parts(bytes).copy(DIGEST_BYTES) : null }
}

/**
 * The request of its bytes. What is set aside is the size of the plan's request, whatever is sent.
 * @throws {ConsiliumError} as `readRequestHead`, and "lattice/malformed" if a number is no residue
 */
export const requestFromBytes = (prepared: PreparedPlan, bytes: Uint8Array): InferenceRequest => {
  const { patients, keyId } = readRequestHead(prepared, bytes)
  const { ring } = prepared.parameters
  const parts = new Parts(bytes)
  if (keyId !== null) parts.take(DIGEST_BYTES)
  const ciphertexts = Array.from({ length: prepared.ciphertexts }, () => {
    const c0 = ring.unpackEvaluations(parts.take(ring.packedLength))
    const seed = parts.copy(SEED_BYTES)
    return { c0, seed: isSeed(seed) ? seed : malformed("A seed is cut short.") }
  })
  return { patients, keyId, ciphertexts }
}
