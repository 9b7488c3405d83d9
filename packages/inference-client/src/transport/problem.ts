import { ERROR_TABLE, type ErrorCode } from "@consilium/base/error-codes"
import { ConsiliumError } from "@consilium/base/errors"
import { fromUtf8 } from "@consilium/base/platform"
import { oneLine } from "./one-line.js"
import type { TransportAnswer } from "./transport.js"

/** What a server refused, under the server's own code where that is a known one. Its words are text, never markup. */
export class ServerRefusal extends ConsiliumError {
  /** HTTP status. */
  readonly status: number

  constructor(code: ErrorCode, message: string, status: number, remedy: string | null) {
    super(code, message, remedy === null ? {} : { remedy })
    this.status = status
  }
}

/** The codes that a refusal can be known by to those who decide what to do next. */
export const isRefusal = (error: unknown, code: ErrorCode): error is ServerRefusal =>
  error instanceof ServerRefusal && error.code === code

const isKnownCode = (code: string | null): code is ErrorCode =>
  code !== null && Object.hasOwn(ERROR_TABLE, code)

const objectOf = (body: Uint8Array): Readonly<Record<string, unknown>> => {
  try {
    const value: unknown = JSON.parse(fromUtf8(body))
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

/**
 * The refusal that a problem's fields tell of (RFC 9457); nothing of them is believed but that they are text.
 * A code that is not known here is told in the message.
 */
export const refusalOfProblem = (
  status: number,
  problem: Readonly<Record<string, unknown>>,
): ServerRefusal => {
  const code = oneLine(problem.title)
  const detail = oneLine(problem.detail)
  const remedy = oneLine(problem.remedy)
  const silent = `The server answered with status ${status}`
  if (isKnownCode(code)) return new ServerRefusal(code, detail ?? `${silent}.`, status, remedy)
  const told = detail ?? code
  return new ServerRefusal(
    "network/refused",
    told === null ? `${silent}.` : `${silent}: ${told}`,
    status,
    remedy,
  )
}

/** The refusal that an answer is. */
export const refusalOf = ({ status, body }: Pick<TransportAnswer, "status" | "body">): ServerRefusal =>
  refusalOfProblem(status, objectOf(body))
