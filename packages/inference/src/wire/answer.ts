import type { Evaluations } from "@consilium/lattice/ring/ring"
import { KIND, Parts, readHead, SEED_BYTES, writeHead } from "./head.js"
import type { PreparedPlan } from "./prepared-plan.js"

/** Encrypted logits; `requestId` is the first seed of the request, which is never used twice. */
export interface InferenceAnswer {
  readonly patients: number
  readonly requestId: Uint8Array
  readonly parts: readonly Evaluations[]
}

export const answerToBytes = (prepared: PreparedPlan, answer: InferenceAnswer): Uint8Array => {
  const out = new Uint8Array(prepared.answerBytes)
  writeHead(out, KIND.answer, answer.patients, prepared.hash)
  const parts = new Parts(out)
  parts.take(SEED_BYTES).set(answer.requestId)
  const ring = prepared.answerRing
  for (const part of answer.parts) ring.pack(part, parts.take(ring.packedLength))
  return out
}

/** @throws {ConsiliumError} "inference/malformed", "inference/other-plan", or "lattice/malformed" if a number is no residue */
export const answerFromBytes = (prepared: PreparedPlan, bytes: Uint8Array): InferenceAnswer => {
  const patients = readHead(bytes, KIND.answer, prepared.answerBytes, prepared.hash)
  const cursor = new Parts(bytes)
  const requestId = cursor.copy(SEED_BYTES)
  const ring = prepared.answerRing
  const parts = Array.from({ length: prepared.answerParts }, () =>
    ring.unpackEvaluations(cursor.take(ring.packedLength)),
  )
  return { patients, requestId, parts }
}
