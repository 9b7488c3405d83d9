import type { IncomingHttpHeaders } from "node:http"
import https from "node:https"
import { setTimeout as sleep } from "node:timers/promises"
import { decode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import type { Participant } from "@consilium/federation/roster"
import { parseAddress } from "../identity/names.js"
import { type TlsIdentity, tlsAgent } from "../identity/tls.js"
import { Turns } from "../store/turns.js"
import { MAX_PARCEL_BYTES, offersCodec, PARCEL_TYPE, POLL_TIME } from "./wire.js"

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
const FIRST_WAIT = 100
const LONGEST_WAIT = 2_000
const TOLD_AFTER = 2

/** A participant's connections to its parent: outbound only, over mutual TLS, repeated until they are answered. */
export class ParentLink {
  readonly #options: ParentLinkOptions
  readonly #agent: https.Agent
  readonly #stop = new AbortController()
  readonly #uploads = new Turns()
  #failures = 0

  constructor(options: ParentLinkOptions) {
    this.#options = options
    this.#agent = tlsAgent(options.identity, options.parent.name, options.parent.tlsKeyHash)
  }

  get closed(): boolean {
    return this.#stop.signal.aborted
  }

  /** The studies that the parent has for this participant; waits for more than it knows of, if it knows any. */
  async studies(known: number): Promise<readonly Uint8Array[]> {
    const { body } = await this.exchange({ method: "GET", path: `/v1/studies?known=${known}` })
    return decode(offersCodec, body).map(({ signed }) => signed)
  }

  /** Repeats something, ever more slowly, until it is done; null once this link is closed. */
  async persistently<T>(attempt: () => Promise<T>): Promise<T | null> {
    for (let wait = FIRST_WAIT; !this.closed; wait = Math.min(LONGEST_WAIT, 2 * wait)) {
      try {
        const result = await attempt()
        this.#connection(true, "")
        return result
      } catch (error) {
        if (this.closed) return null
        this.#connection(false, describe(error))
        await sleep(wait, undefined, { signal: this.#stop.signal }).catch(() => undefined)
      }
    }
    return null
  }

  /** Lets one upload after the other go up, so that all get done within what the parent keeps for one child. */
  oneUpload<T>(work: () => Promise<T>): Promise<T> {
    return this.#uploads.run(work)
  }

  close(): void {
    this.#stop.abort()
    this.#agent.destroy()
  }

  /** One failure may be a parent that restarts or ends; two in a row are told. */
  #connection(up: boolean, detail: string): void {
    const before = this.#failures
    this.#failures = up ? 0 : before + 1
    if (up ? before < TOLD_AFTER : before + 1 !== TOLD_AFTER) return
    this.#options.onConnection?.(up, detail)
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
          signal: this.#stop.signal,
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
