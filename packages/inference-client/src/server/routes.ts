import type { Connection } from "./connection.js"
import { aCount, aFlag, aHash, aLine, aList, anObject, oneOfTexts, orNull, readJson } from "./json-answer.js"
import { type ServedPlan, servedPlanOf } from "./served-plan.js"

/** Longest lists, plans and states that are read. */
const LIST_BYTES = 1 << 20
const PLAN_BYTES = 4 << 20
const STATE_BYTES = 65_536

const modelOf = anObject({
  id: aLine,
  offered: aFlag,
  why: orNull(aLine),
  version: orNull(aLine),
  plan: orNull(aHash),
  kind: orNull(oneOfTexts("linear", "network")),
  weights: orNull(oneOfTexts("shared", "kept")),
  packing: orNull(aLine),
  patients: orNull(aCount),
  requestBytes: orNull(aCount),
  answerBytes: orNull(aCount),
  keyBytes: orNull(aCount),
  answersLeft: orNull(aCount),
  source: anObject({ study: orNull(aHash), round: orNull(aCount) }),
  marks: aList(aLine),
  since: aLine,
})
/** A model of a server: texts are the server's, to be shown as text. */
export type ModelView = ReturnType<typeof modelOf>

const problemOf = anObject({ title: aLine, status: aCount, detail: aLine, remedy: aLine })
const batchOf = anObject({
  id: aLine,
  state: oneOfTexts("waiting", "running", "done", "failed"),
  requests: aCount,
  answered: aCount,
  problem: orNull(problemOf),
})
/** How far a batch is. */
export type BatchView = ReturnType<typeof batchOf>

/** An answer's bytes, and how long the server computed, if it tells. */
export interface TimedAnswer {
  readonly bytes: Uint8Array
  readonly serverMs: number | null
}

const EVALUATE = /(?:^|,)\s*evaluate\s*;[^,]*?\bdur=(\d+(?:\.\d+)?)/
/** Milliseconds of a `server-timing` header. */
export const evaluationTime = (header: string | null): number | null => {
  const found = EVALUATE.exec(header ?? "")
  return found === null ? null : Number(found[1])
}

export const getModels = async (
  connection: Connection,
  signal: AbortSignal,
): Promise<readonly ModelView[]> => {
  const call = { method: "GET", path: ["v1", "models"], mostBytes: LIST_BYTES, repeatable: true } as const
  const { body } = await connection.call(call, signal)
  return readJson(body, anObject({ models: aList(modelOf) })).models
}

/** The routes of one model. */
export class ModelRoutes {
  readonly #connection: Connection
  readonly #model: string

  constructor(connection: Connection, model: string) {
    this.#connection = connection
    this.#model = model
  }

  /** Given when the connection is closed. */
  get lifetime(): AbortSignal {
    return this.#connection.lifetime
  }

  #path(...rest: readonly string[]): readonly string[] {
    return ["v1", "models", this.#model, ...rest]
  }

  async plan(wanted: string | null, signal: AbortSignal): Promise<ServedPlan> {
    const call = { method: "GET", path: this.#path("plan"), mostBytes: PLAN_BYTES, repeatable: true } as const
    return servedPlanOf((await this.#connection.call(call, signal)).body, wanted)
  }

  async predict(request: Uint8Array, answerBytes: number, signal: AbortSignal): Promise<TimedAnswer> {
    const path = this.#path("predict")
    const call = { method: "POST", path, body: request, mostBytes: answerBytes, repeatable: true } as const
    const { body, header } = await this.#connection.call(call, signal)
    return { bytes: body, serverMs: evaluationTime(header("server-timing")) }
  }

  /** 64 hexadecimal digits, for one key. */
  async nonce(signal: AbortSignal): Promise<string> {
    const path = this.#path("keys", "nonce")
    const call = { method: "POST", path, mostBytes: STATE_BYTES, repeatable: true } as const
    return readJson((await this.#connection.call(call, signal)).body, anObject({ nonce: aHash })).nonce
  }

  /** Resolves to the id under which the server has the key. */
  async uploadKey(key: Uint8Array, signal: AbortSignal): Promise<string> {
    const path = this.#path("keys")
    const call = { method: "POST", path, body: key, mostBytes: STATE_BYTES, repeatable: false } as const
    return readJson((await this.#connection.call(call, signal)).body, anObject({ key: aHash })).key
  }

  async startBatch(requests: Uint8Array, signal: AbortSignal): Promise<BatchView> {
    const path = this.#path("batches")
    const call = { method: "POST", path, body: requests, mostBytes: STATE_BYTES, repeatable: false } as const
    return readJson((await this.#connection.call(call, signal)).body, batchOf)
  }

  async batch(id: string, signal: AbortSignal): Promise<BatchView> {
    const path = this.#path("batches", id)
    const call = { method: "GET", path, mostBytes: STATE_BYTES, repeatable: true } as const
    return readJson((await this.#connection.call(call, signal)).body, batchOf)
  }

  async answers(id: string, mostBytes: number, signal: AbortSignal): Promise<Uint8Array> {
    const path = this.#path("batches", id, "answers")
    return (await this.#connection.call({ method: "GET", path, mostBytes, repeatable: true }, signal)).body
  }

  async deleteBatch(id: string, signal: AbortSignal): Promise<void> {
    const path = this.#path("batches", id)
    await this.#connection.call({ method: "DELETE", path, mostBytes: STATE_BYTES, repeatable: true }, signal)
  }
}
