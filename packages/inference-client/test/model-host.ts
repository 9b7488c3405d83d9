import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import https from "node:https"
import type { AddressInfo } from "node:net"
import { toHex } from "@consilium/base/bytes"
import type { ErrorCode } from "@consilium/base/error-codes"
import { ConsiliumError, isConsiliumError } from "@consilium/base/errors"
import { systemRandom } from "@consilium/base/random"
import type { CompiledModel } from "@consilium/inference/compile/compile"
import { planToBytes } from "@consilium/inference/plan/plan"
import { ModelServer } from "@consilium/inference/server/model-server"
import { type AskingKey, askingKeyNonce } from "@consilium/inference/wire/asking-key"

interface Batch {
  readonly answers: Uint8Array[]
  readonly requests: number
  polls: number
}

/** What a test may bend of a request's answer: it has the last word. */
export type Bend = (path: string, response: ServerResponse) => boolean

const STATUS: Partial<Record<ErrorCode, number>> = {
  "inference/other-plan": 409,
  "inference/unknown-key": 404,
  "inference/no-model": 404,
  "api/not-found": 404,
}

const bodyOf = async (request: IncomingMessage): Promise<Uint8Array> => {
  const pieces: Uint8Array[] = []
  for await (const piece of request) pieces.push(piece as Uint8Array)
  return new Uint8Array(Buffer.concat(pieces))
}

/**
 * The routes that a client asks, over real sockets, with the real evaluation of one model. It remembers what it was sent, and can be bent to
 * do wrong.
 */
export class ModelHost {
  readonly model: string
  /** Method and path of every request, in order. */
  readonly asked: string[] = []
  /** Every body. */
  readonly bodies: Uint8Array[] = []
  readonly headers: IncomingMessage["headers"][] = []
  bend: Bend = () => false
  #compiled: CompiledModel
  #server: ModelServer
  readonly #nonces = new Set<string>()
  readonly #keys = new Map<string, AskingKey>()
  readonly #batches = new Map<string, Batch>()
  readonly #http: Server

  private constructor(model: string, compiled: CompiledModel, tls: https.ServerOptions | null) {
    this.model = model
    this.#compiled = compiled
    this.#server = new ModelServer(compiled)
    const handle = (request: IncomingMessage, response: ServerResponse) => {
      this.#handle(request, response).catch((error: unknown) => problem(response, error))
    }
    this.#http = tls === null ? createServer(handle) : https.createServer(tls, handle)
  }

  static async start(
    model: string,
    compiled: CompiledModel,
    tls: https.ServerOptions | null = null,
  ): Promise<ModelHost> {
    const host = new ModelHost(model, compiled, tls)
    await new Promise<void>((resolve) => host.#http.listen(0, "127.0.0.1", resolve))
    return host
  }

  get address(): string {
    const secure = this.#http instanceof https.Server
    return `${secure ? "https" : "http"}://localhost:${(this.#http.address() as AddressInfo).port}`
  }

  /** Another version takes its place. */
  swap(compiled: CompiledModel): void {
    this.#compiled = compiled
    this.#server = new ModelServer(compiled)
    this.#keys.clear()
  }
  /** Takes a key that its operator brings. */
  bring(nonce: Uint8Array, upload: Uint8Array): void {
    const key = this.#server.readKey(nonce, upload)
    this.#keys.set(toHex(key.id), key)
  }
  forgetKeys(): void {
    this.#keys.clear()
  }

  async close(): Promise<void> {
    this.#http.closeAllConnections()
    await new Promise((resolve) => this.#http.close(resolve))
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? "", "http://x").pathname
    const body = await bodyOf(request)
    this.asked.push(`${request.method} ${path}`)
    this.bodies.push(body)
    this.headers.push(request.headers)
    if (this.bend(path, response)) return
    const below = `/v1/models/${this.model}`
    if (path === "/v1/models") return json(response, 200, { models: [this.#view()] })
    if (!path.startsWith(below)) throw new ConsiliumError("inference/no-model", "There is no such model.")
    const [, kind = "", id = "", what] = path.slice(below.length).split("/")
    if (kind === "plan") return json(response, 200, this.planView())
    if (kind === "predict") return this.#predict(body, response)
    if (kind === "keys") return id === "nonce" ? this.#nonce(response) : this.#key(body, response)
    if (kind === "batches") return this.#batch(request.method ?? "", id, what ?? "", body, response)
    throw new ConsiliumError("api/not-found", "Nothing is here.")
  }

  #view() {
    const { plan } = this.#compiled
    const { prepared } = this.#server
    return {
      id: this.model,
      offered: true,
      why: null,
      version: plan.version,
      plan: toHex(prepared.hash),
      kind: plan.packing === "lr-coefficients" ? "linear" : "network",
      weights: plan.weights,
      packing: plan.packing,
      patients: plan.patients,
      requestBytes: prepared.requestBytes,
      answerBytes: prepared.answerBytes,
      keyBytes: prepared.takesKey ? prepared.keyBytes : null,
      source: { study: null, round: null },
      marks: [],
      since: "2026-01-01T00:00:00.000Z",
    }
  }

  planView() {
    const { plan } = this.#compiled
    return {
      model: plan.model,
      version: plan.version,
      hash: toHex(this.#server.prepared.hash),
      bytes: Buffer.from(planToBytes(plan)).toString("base64"),
      schema: plan.schema,
      reveals: "All weights, from one answer.",
    }
  }

  #answer(request: Uint8Array): Uint8Array {
    const { keyId } = this.#server.head(request)
    if (keyId === null) return this.#server.answer(request)
    const key = this.#keys.get(toHex(keyId))
    if (key === undefined) throw new ConsiliumError("inference/unknown-key", "No such key was uploaded.")
    return this.#server.answer(request, { key })
  }

  #predict(body: Uint8Array, response: ServerResponse): void {
    const began = performance.now()
    const answer = this.#answer(body)
    octets(response, answer, { "server-timing": `evaluate;dur=${(performance.now() - began).toFixed(3)}` })
  }

  #nonce(response: ServerResponse): void {
    const nonce = toHex(systemRandom.bytes(32))
    this.#nonces.add(nonce)
    json(response, 200, { nonce, expires: "2026-01-01T00:10:00.000Z" })
  }

  #key(body: Uint8Array, response: ServerResponse): void {
    const nonce = askingKeyNonce(body)
    if (!this.#nonces.delete(toHex(nonce)))
      throw new ConsiliumError("inference/key-replayed", "This nonce was not given out.")
    const key = this.#server.readKey(nonce, body)
    this.#keys.set(toHex(key.id), key)
    json(response, 201, { key: toHex(key.id) })
  }

  #batch(method: string, id: string, what: string, body: Uint8Array, response: ServerResponse): void {
    if (method === "POST") {
      json(response, 202, this.#batchView(this.#start(body)))
      return
    }
    const batch = this.#batches.get(id)
    if (batch === undefined) throw new ConsiliumError("inference/no-batch", "There is no such batch.")
    if (method === "DELETE") response.writeHead(204).end()
    else if (what === "answers") octets(response, new Uint8Array(Buffer.concat(batch.answers)), {})
    else {
      batch.polls++
      json(response, 200, this.#batchView(id))
    }
  }

  #start(body: Uint8Array): string {
    const { requestBytes } = this.#server.prepared
    const requests = Array.from({ length: body.length / requestBytes }, (_, i) =>
      body.slice(i * requestBytes, (i + 1) * requestBytes),
    )
    const name = `b${this.#batches.size}`
    const answers = requests.map((request) => this.#answer(request))
    this.#batches.set(name, { requests: requests.length, answers, polls: 0 })
    return name
  }

  #batchView(id: string) {
    const { requests, polls } = this.#batches.get(id) as Batch
    const done = polls > 1
    return {
      id,
      model: this.model,
      plan: toHex(this.#server.prepared.hash),
      state: done ? "done" : "running",
      requests,
      answered: done ? requests : 0,
      expires: "2026-01-01T00:10:00.000Z",
      problem: null,
    }
  }
}

export const json = (response: ServerResponse, status: number, value: unknown): void => {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value))
}
export const octets = (
  response: ServerResponse,
  body: Uint8Array,
  headers: Readonly<Record<string, string>>,
): void => {
  response.writeHead(200, { "content-type": "application/octet-stream", ...headers }).end(body)
}
export const problem = (response: ServerResponse, error: unknown): void => {
  const told = isConsiliumError(error) ? error : new ConsiliumError("api/failed", "The server failed.")
  const status = STATUS[told.code] ?? 400
  response.writeHead(status, { "content-type": "application/problem+json" }).end(
    JSON.stringify({
      type: told.docs,
      title: told.code,
      status,
      detail: told.message,
      remedy: told.remedy,
    }),
  )
}
