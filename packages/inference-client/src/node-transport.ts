import http from "node:http"
import https from "node:https"
import { ConsiliumError } from "@consilium/base/errors"
import { BoundedBody } from "./transport/bounded-body.js"
import {
  limitOf,
  type Transport,
  type TransportAnswer,
  type TransportRequest,
} from "./transport/transport.js"

export interface NodeTransportOptions {
  /** Certificates, as PEM, of the authority that the server's certificate is from; left out, those that Node trusts. */
  readonly ca?: string
  /** Connections open at the same time. */
  readonly connections?: number
}

/** How long a connection that nobody uses stays open. */
const IDLE_MS = 30_000
const CONNECTIONS = 16

/** Over Node's own `https` with connections that stay open, and an authority of one's own. */
export class NodeTransport implements Transport {
  readonly #http: http.Agent
  readonly #https: https.Agent

  constructor({ ca, connections = CONNECTIONS }: NodeTransportOptions = {}) {
    const kept = { keepAlive: true, maxSockets: connections, timeout: IDLE_MS, scheduling: "lifo" } as const
    this.#http = new http.Agent(kept)
    this.#https = new https.Agent({ ...kept, minVersion: "TLSv1.2", ...(ca === undefined ? {} : { ca }) })
  }

  exchange(request: TransportRequest): Promise<TransportAnswer> {
    return this.#once(request).catch((error: unknown) => {
      if (error instanceof ClosedMeanwhile && request.repeatable) return this.#once(request)
      throw error
    })
  }

  #once(request: TransportRequest): Promise<TransportAnswer> {
    const { method, url, headers, body, signal } = request
    const secure = url.protocol === "https:"
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const fail = (cause: Error & { readonly code?: string }): void => {
        if (signal.aborted) reject(signal.reason)
        else if (cause instanceof ConsiliumError) reject(cause)
        else if (sent.reusedSocket && cause.code === "ECONNRESET") reject(new ClosedMeanwhile(url, cause))
        else reject(unreachable(url, cause))
      }
      const sent = (secure ? https : http).request(
        url,
        {
          method,
          agent: secure ? this.#https : this.#http,
          signal,
          headers: { ...headers, ...(body === null ? {} : { "content-length": body.length }) },
        },
        (response) => {
          const status = response.statusCode as number
          const read = new BoundedBody(limitOf(request, status))
          response.on("data", (piece: Uint8Array) => {
            try {
              read.add(piece)
            } catch (error) {
              response.destroy(error as Error)
            }
          })
          response.on("error", fail)
          response.on("end", () => {
            const header = (name: string) => response.headers[name.toLowerCase()]?.toString() ?? null
            resolve({ status, header, body: read.bytes() })
          })
        },
      )
      sent.on("error", fail)
      sent.end(body ?? undefined)
    })
  }

  close(): void {
    this.#http.destroy()
    this.#https.destroy()
  }
}

const unreachable = (url: URL, cause: Error & { readonly code?: string }): ConsiliumError =>
  new ConsiliumError(
    "network/unreachable",
    `The server at ${url.origin} gave no answer${cause.code === undefined ? "" : ` (${cause.code})`}.`,
    { cause, remedy: remedyOf(cause) },
  )
const remedyOf = ({ code = "" }: { readonly code?: string }): string =>
  /CERT|SIGNATURE|TLS|SSL|ISSUER/.test(code)
    ? "Give the certificate of the authority that the server's certificate is from, and the name that it is for."
    : "Check the address, that the server runs, and that firewalls let connections to it through."

/** The server closed a connection that stood idle, just when it was to be used again. */
class ClosedMeanwhile extends ConsiliumError {
  constructor(url: URL, cause: Error) {
    super("network/unreachable", `The server at ${url.origin} closed the connection.`, { cause })
  }
}
