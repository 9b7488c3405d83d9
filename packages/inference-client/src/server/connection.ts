import { ConsiliumError } from "@consilium/base/errors"
import { refusalOf } from "../transport/problem.js"
import type { Transport, TransportAnswer, TransportRequest } from "../transport/transport.js"
import { withinTime } from "../transport/within-time.js"

export interface ConnectionOptions {
  /** What the server's operator issued; it is sent over TLS, or to this machine, only. */
  readonly token?: string
  /** How long one exchange may take, in milliseconds. */
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 30_000
const TOKEN = /^[A-Za-z0-9._~+/-]{1,512}=*$/
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/
const OCTETS = "application/octet-stream"

/** A call of one route. */
export interface Call extends Pick<TransportRequest, "mostBytes" | "repeatable"> {
  readonly method: TransportRequest["method"]
  /** Parts of the address below the server's, each one segment. */
  readonly path: readonly string[]
  readonly body?: Uint8Array
}

const baseOf = (address: string): URL => {
  let url: URL
  try {
    url = new URL(address)
  } catch (cause) {
    throw new ConsiliumError("network/bad-request", "The server's address is no address.", {
      cause,
      remedy: "Give it whole, such as https://leader.example:8443",
    })
  }
  if ((url.protocol !== "https:" && url.protocol !== "http:") || url.username !== "" || url.password !== "")
    throw new ConsiliumError(
      "network/bad-request",
      "The server's address does not begin with https:// or http://, or holds a name and a password.",
      { remedy: "Give the plain address, and a token as `token`." },
    )
  url.search = ""
  url.hash = ""
  if (!url.pathname.endsWith("/")) url.pathname += "/"
  return url
}

/** A part of an address that stays one, whatever a server named itself or a batch. */
const segment = (part: string): string => {
  if (/^\.{0,2}$/.test(part))
    throw new ConsiliumError("network/bad-request", "A model or a batch has a name that no address can hold.")
  return encodeURIComponent(part)
}

/** A server at an address, asked with a token. */
export class Connection {
  readonly address: URL
  readonly #transport: Transport
  readonly #headers: Readonly<Record<string, string>>
  readonly #timeoutMs: number
  readonly #closing = new AbortController()

  /** @throws {ConsiliumError} "network/bad-request" if the address or the token is none, "network/readable-token" */
  constructor(address: string, transport: Transport, { token, timeoutMs = TIMEOUT_MS }: ConnectionOptions) {
    this.address = baseOf(address)
    if (token !== undefined && !TOKEN.test(token))
      throw new ConsiliumError("network/bad-request", "The token holds characters that no token has.", {
        remedy: "Give it as the operator issued it, without spaces or line ends.",
      })
    if (token !== undefined && this.address.protocol === "http:" && !LOOPBACK.test(this.address.hostname))
      throw new ConsiliumError(
        "network/readable-token",
        `The token would travel to ${this.address.host} without TLS.`,
      )
    this.#transport = transport
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    this.#timeoutMs = timeoutMs
  }

  /** Given when the connection is closed: the signal of what is asked for everybody. */
  get lifetime(): AbortSignal {
    return this.#closing.signal
  }

  /** @throws {ConsiliumError} `ServerRefusal` if the status is no success; "network/..." */
  async call(
    { method, path, body, mostBytes, repeatable }: Call,
    signal: AbortSignal,
  ): Promise<TransportAnswer> {
    const url = new URL(path.map(segment).join("/"), this.address)
    const type = body === undefined ? {} : { "content-type": OCTETS }
    const headers = { accept: `${OCTETS}, application/json`, ...this.#headers, ...type }
    const answer = await withinTime(this.#timeoutMs, [this.lifetime, signal], (within) =>
      this.#transport.exchange({
        method,
        url,
        headers,
        body: body ?? null,
        mostBytes,
        repeatable,
        signal: within,
      }),
    )
    if (answer.status < 200 || answer.status >= 300) throw refusalOf(answer)
    return answer
  }

  /** Ends what is under way. */
  close(): void {
    const message = "The client was closed; its keys are erased."
    this.#closing.abort(new ConsiliumError("inference/client-closed", message))
    this.#transport.close()
  }
}
