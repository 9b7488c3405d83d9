import { ConsiliumError } from "@consilium/base/errors"
import type { FastifyReply, FastifyRequest } from "fastify"
import type { Approach } from "./access.js"
import { SECURITY_HEADERS } from "./page-files.js"
import { problemOf } from "./problems.js"

/** Where a request comes from, before a byte of its body is read. */
export const approachOf = (request: FastifyRequest): Approach => ({
  peer: request.raw.socket.remoteAddress ?? "",
  headers: request.headers,
  encrypted: (request.raw.socket as { encrypted?: boolean }).encrypted === true,
})

/** @throws {ConsiliumError} "api/unsupported-type" */
export const refuseCompressed = (request: FastifyRequest): void => {
  const encoding = request.headers["content-encoding"]
  if (encoding !== undefined && encoding !== "identity")
    throw new ConsiliumError("api/unsupported-type", "Compressed bodies are not read.")
}

/** Errors of the HTTP library, as refusals of ours. */
const refusalOf = (error: unknown): unknown => {
  const { code, statusCode } = error as { code?: string; statusCode?: number }
  if (error instanceof ConsiliumError) return error
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE")
    return new ConsiliumError("api/too-large", "The body exceeds what this route takes.")
  if (statusCode === 415)
    return new ConsiliumError("api/unsupported-type", "The request's content type cannot be read.")
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new ConsiliumError("api/malformed", "The request is not valid HTTP.")
  return error
}

/** Answers with a refusal; what is the server's own fault is told to its operator alone. */
export const sendRefusal = (
  reply: FastifyReply,
  error: unknown,
  troubled: (error: unknown) => void,
): FastifyReply => {
  const { status, headers, body, hidden } = problemOf(refusalOf(error))
  if (hidden) troubled(error)
  return reply
    .code(status)
    .headers({ ...SECURITY_HEADERS, ...headers })
    .send(JSON.stringify(body))
}
