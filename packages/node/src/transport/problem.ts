import { STATUS_CODES } from "node:http"
import type { Socket } from "node:net"
import type { ErrorCode } from "@consilium/base/error-codes"
import { ConsiliumError } from "@consilium/base/errors"
import type { FastifyReply } from "fastify"

const STATUS: Partial<Record<ErrorCode, number>> = {
  "network/overloaded": 503,
  "network/stopping": 503,
  "network/unknown-study": 404,
  "network/unknown-upload": 404,
  "network/gap": 409,
  "network/wrong-offset": 409,
  "network/wrong-digest": 422,
  "network/too-large": 413,
  "network/too-slow": 408,
  "network/too-many-requests": 429,
  "network/too-many-uploads": 429,
  "network/failed": 500,
  "encoding/too-large": 413,
  "store/full": 507,
}

const RETRY_AFTER: ReadonlySet<number> = new Set([429, 503, 507])

/** What a child may know of an error: its own mistakes in full, faults of this side by their name alone. */
const told = (error: unknown): ConsiliumError => {
  if (error instanceof ConsiliumError) {
    if (error.code === "store/full")
      return new ConsiliumError("store/full", "The parent's disk has no room; nothing was taken.")
    if (/^(network|identity|encoding|round)\//.test(error.code)) return error
  }
  return new ConsiliumError("network/failed", "The parent failed at this request.")
}

/** What a refusal looks like on the wire: RFC 9457. */
interface Problem {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const problemOf = (error: unknown, given?: number): Problem => {
  const refusal = told(error)
  const { code, docs, message, remedy } = refusal
  const status = given ?? STATUS[code] ?? (code.startsWith("identity/") ? 403 : 400)
  return {
    status,
    headers: {
      "content-type": "application/problem+json",
      ...(RETRY_AFTER.has(status) ? { "retry-after": "1" } : {}),
    },
    body: JSON.stringify({ type: docs, title: code, status, detail: message, remedy }),
  }
}

/** Refuses a request, with a status of its own where the error's does not say enough. */
export const sendProblem = (reply: FastifyReply, error: unknown, status?: number): FastifyReply => {
  const problem = problemOf(error, status)
  return reply.code(problem.status).headers(problem.headers).send(Buffer.from(problem.body))
}

/** What is wrong with bytes that never became a request. */
const unreadable = (code: string | undefined): readonly [error: ConsiliumError, status?: number] => {
  if (code === "HPE_HEADER_OVERFLOW")
    return [new ConsiliumError("network/too-large", "The headers are too large."), 431]
  if (code === "ERR_HTTP_REQUEST_TIMEOUT")
    return [new ConsiliumError("network/too-slow", "The request did not arrive in time.")]
  return [new ConsiliumError("network/bad-request", "The request is not valid HTTP.")]
}

/** Refuses bytes that are no request, and closes the connection. */
export const refuseRaw = (error: { readonly code?: string }, socket: Socket): void => {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy()
    return
  }
  const { status, headers, body } = problemOf(...unreadable(error.code))
  const lines = Object.entries({
    ...headers,
    "content-length": String(Buffer.byteLength(body)),
    connection: "close",
  }).map(([name, value]) => `${name}: ${value}`)
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("\r\n")}\r\n\r\n${body}`)
}
