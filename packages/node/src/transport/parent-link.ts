import https from "node:https"
import { setTimeout as sleep } from "node:timers/promises"
import { decode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import type { Participant } from "@consilium/federation/roster"
import { parseAddress } from "../identity/names.js"
import { type TlsIdentity, tlsAgent } from "../identity/tls.js"
import { MAX_PARCEL_BYTES, offersCodec, PARCEL_TYPE, POLL_TIME } from "./wire.js"

export interface ParentLinkOptions {
  readonly identity: TlsIdentity
  readonly parent: Participant
  /** Told once when the parent stops answering, and once when it answers again. */
  readonly onConnection?: (up: boolean, detail: string) => void
}

const FIRST_WAIT = 100
const LONGEST_WAIT = 2_000
const TOLD_AFTER = 2

/** A participant's connections to its parent: outbound only, over mutual TLS, repeated until they are answered. */
export class ParentLink {
  readonly #options: ParentLinkOptions
  readonly #agent: https.Agent
  readonly #stop = new AbortController()
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
    const answer = await this.request("GET", `/v1/studies?known=${known}`, null)
    return decode(offersCodec, answer).map(({ signed }) => signed)
  }

  /** Repeats a request, ever more slowly, until it is answered; null once this link is closed. */
  async persistently(
    method: "GET" | "POST",
    path: string,
    body: Uint8Array | null,
  ): Promise<Uint8Array | null> {
    for (let wait = FIRST_WAIT; !this.closed; wait = Math.min(LONGEST_WAIT, 2 * wait)) {
      try {
        const answer = await this.request(method, path, body)
        this.#connection(true, "")
        return answer
      } catch (error) {
        if (this.closed) return null
        this.#connection(false, describe(error))
        await sleep(wait, undefined, { signal: this.#stop.signal }).catch(() => undefined)
      }
    }
    return null
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
  request(method: string, path: string, body: Uint8Array | null): Promise<Uint8Array> {
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
          timeout: POLL_TIME + 10_000,
          headers: body === null ? {} : { "content-type": PARCEL_TYPE, "content-length": body.length },
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
            if (response.statusCode === 200 || response.statusCode === 204)
              resolve(new Uint8Array(Buffer.concat(chunks)))
            else
              reject(
                new ConsiliumError(
                  "network/refused",
                  `${this.#options.parent.name} answered ${response.statusCode}: ${problemTitle(chunks)}`,
                ),
              )
          })
        },
      )
      request.on("timeout", () => request.destroy(new Error("timed out")))
      request.on("error", reject)
      request.end(body === null ? undefined : Buffer.from(body))
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
