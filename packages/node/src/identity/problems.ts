import type { ErrorCode } from "@consilium/base/error-codes"
import { ConsiliumError } from "@consilium/base/errors"
import type { FastifyReply } from "fastify"
import type { z } from "zod"

const STATUS: Partial<Record<ErrorCode, number>> = {
  "encoding/malformed": 400,
  "encoding/bad-value": 400,
  "encoding/too-large": 400,
  "identity/bad-request": 400,
  "identity/bad-address": 400,
  "identity/bad-key": 400,
  "identity/bad-name": 400,
  "identity/stale-request": 400,
  "identity/token-refused": 401,
  "identity/certificate-required": 401,
  "identity/certificate-refused": 401,
  "identity/certificate-expired": 401,
  "identity/unknown-participant": 403,
  "identity/wrong-role": 403,
  "identity/has-left": 403,
  "identity/unknown-study": 404,
  "identity/token-used": 409,
  "identity/key-in-use": 409,
  "identity/roster-closed": 409,
  "identity/roster-pending": 409,
  "identity/too-many-studies": 409,
  "identity/bad-roster": 409,
  "round/bad-study": 409,
  "cohort/too-small": 409,
  "identity/token-expired": 410,
  "identity/too-many-attempts": 429,
}

/** An error as the content of a problem+json answer (RFC 9457). */
export const problemOf = (status: number, error: ConsiliumError): object => ({
  type: "about:blank",
  status,
  title: error.code,
  code: error.code,
  detail: error.message,
  remedy: error.remedy,
})

/** Answers with a problem and gives its code; null for what went wrong inside the authority, which stays there. */
export const sendProblem = (reply: FastifyReply, error: unknown): ErrorCode | null => {
  const listed = error instanceof ConsiliumError ? STATUS[error.code] : undefined
  const thrown = (error as { statusCode?: unknown }).statusCode
  const status = listed ?? (typeof thrown === "number" ? thrown : 500)
  reply.code(status).type("application/problem+json")
  if (listed === undefined && status >= 500) {
    reply.send(JSON.stringify({ type: "about:blank", status, title: "The authority could not answer." }))
    return null
  }
  const known =
    listed === undefined
      ? new ConsiliumError("identity/bad-request", `The request was refused with status ${status}.`)
      : (error as ConsiliumError)
  reply.send(JSON.stringify(problemOf(status, known)))
  return known.code
}

/** The checked content of a request. The refusal names the fields that are wrong and quotes nothing. */
export const parseBody = <S extends z.ZodType>(schema: S, body: unknown): z.output<S> => {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  const fields = parsed.error.issues.map((issue) => issue.path.join(".") || "the whole").join(", ")
  throw new ConsiliumError(
    "identity/bad-request",
    `The request is not as it should be: ${fields.slice(0, 200)}.`,
  )
}
