import { parentPort } from "node:worker_threads"
import { isConsiliumError } from "@consilium/base/errors"
import { serverModelFromBytes } from "@consilium/inference/files/server-model"
import { planFromBytes } from "@consilium/inference/plan/plan"
import { ModelServer } from "@consilium/inference/server/model-server"
import type { AskingKey } from "@consilium/inference/wire/asking-key"
import type { FromWorker, ToWorker } from "./worker-messages.js"

const MOST_MODELS = 16
const KEY_BYTES = 256 << 20

/** Models and keys by name, the longest unused first. */
const models = new Map<string, ModelServer>()
const keys = new Map<string, { readonly key: AskingKey; readonly bytes: number }>()

const touch = <T>(map: Map<string, T>, name: string): T | undefined => {
  const found = map.get(name)
  if (found === undefined) return undefined
  map.delete(name)
  map.set(name, found)
  return found
}

const forgetOldKeys = (): void => {
  let total = [...keys.values()].reduce((sum, { bytes }) => sum + bytes, 0)
  for (const [name, { bytes }] of keys) {
    if (total <= KEY_BYTES || keys.size === 1) return
    keys.delete(name)
    total -= bytes
  }
}

const answerTo = ({ job, plan, request, keyId }: Extract<ToWorker, { kind: "answer" }>): FromWorker => {
  const server = touch(models, plan)
  if (server === undefined) return { kind: "needs", job, what: "model" }
  const key = keyId === null ? undefined : touch(keys, keyId)?.key
  if (keyId !== null && key === undefined) return { kind: "needs", job, what: "key" }
  try {
    const began = performance.now()
    const answer = key === undefined ? server.answer(request) : server.answer(request, { key })
    return { kind: "answer", job, answer, ms: performance.now() - began }
  } catch (error) {
    if (!isConsiliumError(error)) throw error
    return { kind: "refused", job, code: error.code, message: error.message, remedy: error.remedy }
  }
}

parentPort?.on("message", (message: ToWorker) => {
  if (message.kind === "model") {
    const plan = planFromBytes(message.planBytes)
    models.set(message.plan, new ModelServer({ plan, integers: serverModelFromBytes(message.model, plan) }))
    for (const oldest of models.keys()) if (models.size > MOST_MODELS) models.delete(oldest)
    return
  }
  if (message.kind === "key") {
    const server = models.get(message.plan)
    if (server === undefined) return
    keys.set(message.id, {
      key: server.readKey(message.nonce, message.bytes),
      bytes: message.bytes.length,
    })
    forgetOldKeys()
    return
  }
  const answer = answerTo(message)
  parentPort?.postMessage(answer, answer.kind === "answer" ? [answer.answer.buffer as ArrayBuffer] : [])
})
