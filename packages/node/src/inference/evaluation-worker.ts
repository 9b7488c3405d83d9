import { parentPort } from "node:worker_threads"
import { toHex } from "@consilium/base/bytes"
import { isConsiliumError } from "@consilium/base/errors"
import { serverModelFromBytes } from "@consilium/inference/files/server-model"
import { planFromBytes } from "@consilium/inference/plan/plan"
import { ModelServer } from "@consilium/inference/server/model-server"
import type { AskingKey } from "@consilium/inference/wire/asking-key"
import type { FromWorker, ToWorker } from "./worker-messages.js"

const MOST_MODELS = 16
/** Bytes of keys as they were uploaded; in memory they take about twice as many. */
const KEY_BYTES = 128 << 20

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

/** What may be refused, as it is told. */
const unlessRefused = (job: number, work: () => FromWorker): FromWorker => {
  try {
    return work()
  } catch (error) {
    if (!isConsiliumError(error)) throw error
    return { kind: "refused", job, code: error.code, message: error.message, remedy: error.remedy }
  }
}

const keep = (id: string, key: AskingKey, bytes: number): void => {
  keys.set(id, { key, bytes })
  forgetOldKeys()
}

const checkedKey = ({ job, plan, nonce, bytes }: Extract<ToWorker, { kind: "check" }>): FromWorker => {
  const server = touch(models, plan)
  if (server === undefined) return { kind: "needs", job, what: "model" }
  return unlessRefused(job, () => {
    const key = server.readKey(nonce, bytes)
    const id = toHex(key.id)
    keep(id, key, bytes.length)
    return { kind: "checked", job, id }
  })
}

const answerTo = ({ job, plan, request, keyId }: Extract<ToWorker, { kind: "answer" }>): FromWorker => {
  const server = touch(models, plan)
  if (server === undefined) return { kind: "needs", job, what: "model" }
  const key = keyId === null ? undefined : touch(keys, keyId)?.key
  if (keyId !== null && key === undefined) return { kind: "needs", job, what: "key" }
  return unlessRefused(job, () => {
    const began = performance.now()
    const answer = key === undefined ? server.answer(request) : server.answer(request, { key })
    return { kind: "answer", job, answer, ms: performance.now() - began }
  })
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
    keep(message.id, server.readKey(message.nonce, message.bytes), message.bytes.length)
    return
  }
  const answer = message.kind === "check" ? checkedKey(message) : answerTo(message)
  parentPort?.postMessage(answer, answer.kind === "answer" ? [answer.answer.buffer as ArrayBuffer] : [])
})
