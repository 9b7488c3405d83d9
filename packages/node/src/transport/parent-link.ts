import type { IncomingHttpHeaders } from "node:http"
import https from "node:https"
import { decode, encode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import type { Participant } from "@consilium/federation/roster"
import { parseAddress } from "../identity/names.js"
import { type TlsIdentity, tlsAgent } from "../identity/tls.js"
import { Turns } from "../store/turns.js"
import type { EdgeLink } from "./edge-link.js"
import { Repeating } from "./repeating.js"
import { upload } from "./uploading.js"
import {
  CHUNK_BYTES,
  MAX_PARCEL_BYTES,
  offersCodec,
  PARCEL_TYPE,
  POLL_TIME,
  parcelCodec,
  receiptCodec,
} from "./wire.js"

export interface ParentLinkOptions {
  readonly identity: TlsIdentity
  readonly parent: Participant
  /** Told once when the parent stops answering, and once when it answers again. */
  readonly onConnection?: (up: boolean, detail: string) => void
}

/** A request to the parent. */
export interface Call {
  readonly method: "GET" | "HEAD" | "POST" | "PUT"
  readonly path: string
  readonly body?: Uint8Array
  /** Media type of the body; a parcel unless told. */
  readonly type?: string
}

export interface Answer {
  readonly body: Uint8Array
  readonly headers: IncomingHttpHeaders
}

/** A connection that dies without a word must not cost a round: this and a poll stay well under the time for an answer. */
const GRACE = 4_000

/** A participant's connections to its parent: outbound only, over mutual TLS, repeated until they are answered. */
export class ParentLink implements EdgeLink {
  readonly #options: ParentLinkOptions
  readonly #agent: https.Agent
  readonly #repeating: Repeating
  readonly #uploads = new Turns()

  constructor(options: ParentLinkOptions) {
    this.#options = options
    this.#repeating = new Repeating(options.onConnection ?? (() => undefined))
    this.#agent = tlsAgent(options.identity, options.parent.name, options.parent.tlsKeyHash)
  }

  get closed(): boolean {
    return this.#repeating.signal.aborted
  }

  /** The studies that the parent has for this participant; waits for more than it knows of, if it knows any. */
  async studies(known: number): Promise<readonly Uint8Array[]> {
    const { body } = await this.exchange({ method: "GET", path: `/v1/studies?known=${known}` })
    return decode(offersCodec, body).map(({ signed }) => signed)
  }

  persistently<T>(attempt: () => Promise<T>): Promise<T | null> {
    return this.#repeating.run(attempt, describe)
  }

  /** A parcel that fits no one request goes up in chunks, after asking whether the parent has it: its answer may be lost. */
  async post(study: string, first: number, parcel: Uint8Array): Promise<Uint8Array> {
    if (parcel.length <= CHUNK_BYTES) return this.#send(study, parcel)
    const receipt = await this.#send(study, encode(parcelCodec, { first, envelopes: [] }))
    if (decode(receiptCodec, receipt).taken >= first) return receipt
    // one upload after the other, so that all get done within what the parent keeps for one child
    return this.#uploads.run(async () => {
      const digest = await upload(this, parcel)
      const path = `${messagesOf(study)}?upload=${digest}`
      return (await this.exchange({ method: "POST", path })).body
    })
  }

  async poll(study: string, after: number, wait: boolean): Promise<Uint8Array> {
    const path = `${messagesOf(study)}?after=${after}${wait ? "" : "&wait=0"}`
    return (await this.exchange({ method: "GET", path })).body
  }

  async #send(study: string, parcel: Uint8Array): Promise<Uint8Array> {
    const path = messagesOf(study)
    return (await this.exchange({ method: "POST", path, body: parcel, type: PARCEL_TYPE })).body
  }

  close(): void {
    this.#repeating.stop()
    this.#agent.destroy()
  }

  /** @throws {ConsiliumError} "network/refused" with what the parent says; or what went wrong on the way */
  exchange({ method, path, body, type = PARCEL_TYPE }: Call): Promise<Answer> {
    const { host, port } = parseAddress(this.#options.parent.address)
    return new Promise((resolve, reject) => {
      const request = https.request(
        {
          method,
          host,
          port,
          path,
          agent: this.#agent,
          signal: this.#repeating.signal,
          timeout: POLL_TIME + GRACE,
          headers: body === undefined ? {} : { "content-type": type, "content-length": body.length },
        },
        (response) => {
          const chunks: Buffer[] = []
          let bytes = 0
          response.on("data", (chunk: Buffer) => {
            bytes += chunk.length
            if (bytes > MAX_PARCEL_BYTES) request.destroy(new Error("answer too large"))
            else chunks.push(chunk)
          })
          response.on("error", reject)
          response.on("end", () => {
            const { statusCode, headers } = response
            if (statusCode === 200 || statusCode === 204)
              resolve({ body: new Uint8Array(Buffer.concat(chunks)), headers })
            else
              reject(
                new ConsiliumError(
                  "network/refused",
                  `${this.#options.parent.name} answered ${statusCode}: ${problemTitle(chunks)}`,
                ),
              )
          })
        },
      )
      request.on("timeout", () => request.destroy(new Error("timed out")))
      request.on("error", reject)
      request.end(body === undefined ? undefined : Buffer.from(body.buffer, body.byteOffset, body.length))
    })
  }
}

const messagesOf = (study: string): string => `/v1/studies/${study}/messages`

const describe = (error: unknown): string =>
  error instanceof ConsiliumError ? error.message : String((error as { code?: string }).code ?? error)

const problemTitle = (chunks: readonly Buffer[]): string => {
  try {
    const problem = JSON.parse(Buffer.concat(chunks).toString("utf8")) as {
      title?: unknown
      detail?: unknown
    }
    return `${String(problem.title)}: ${String(problem.detail)}`
  } catch {
    return "no reason given"
  }
}
