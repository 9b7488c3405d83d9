import type { ErrorCode } from "@consilium/base/error-codes"
import { ConsiliumError } from "@consilium/base/errors"
import type { ProblemView } from "./study-view.js"

const STATUS: Partial<Record<ErrorCode, number>> = {
  "api/malformed": 400,
  "api/bad-position": 409,
  "api/too-large": 413,
  "api/too-slow": 408,
  "api/unsupported-type": 415,
  "api/not-found": 404,
  "api/wrong-method": 405,
  "api/unauthenticated": 401,
  "api/forbidden": 403,
  "api/foreign-host": 403,
  "api/foreign-origin": 403,
  "api/too-many-requests": 429,
  "api/overloaded": 503,
  "api/key-reused": 422,
  "api/already-started": 409,
  "api/other-participants": 409,
  "api/not-available": 501,
  "api/not-ready": 503,
  "api/failed": 500,
  "config/invalid": 422,
  "round/bad-study": 422,
  "round/over": 409,
  "keys/none": 409,
  "keys/no-round": 409,
  "store/missing": 404,
  "store/full": 507,
  "lattice/malformed": 400,
  "inference/malformed": 400,
  "inference/no-model": 404,
  "inference/no-batch": 404,
  "inference/not-offered": 409,
  "inference/other-plan": 409,
  "inference/unknown-key": 409,
  "inference/key-replayed": 409,
  "inference/batch-not-done": 409,
  "inference/too-many": 422,
  "inference/budget-spent": 403,
  "inference/overloaded": 503,
}

/** Classes of errors that a started study may meet, and whose fault they are. */
const CLASS: Readonly<Record<string, number>> = { identity: 403, policy: 409, cohort: 409, network: 502 }

const statusOf = (error: ConsiliumError): number =>
  STATUS[error.code] ?? CLASS[error.code.slice(0, error.code.indexOf("/"))] ?? 500

/** The HTTP headers and the body that tell of an error. */
export interface Problem {
  /** Whether the cause is kept from the outside, so that the leader's operator must be told of it. */
  readonly hidden: boolean
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: ProblemView
}

/** A refusal that says more in its headers than its code does. */
export class Refusal extends ConsiliumError {
  readonly headers: Readonly<Record<string, string>>

  constructor(
    code: ErrorCode,
    message: string,
    headers: Readonly<Record<string, string>>,
    options: { readonly remedy?: string; readonly cause?: unknown } = {},
  ) {
    super(code, message, options)
    this.headers = headers
  }
}

/** Faults of the leader's own that are told by their name alone: what they say may name its files. */
const own = (error: unknown): ConsiliumError => {
  if (error instanceof ConsiliumError && error.code === "store/full")
    return new ConsiliumError("store/full", "The leader's disk has no room; nothing was started.")
  return new ConsiliumError("api/failed", "The leader failed at this request.")
}

const isOwn = (error: unknown): boolean =>
  !(error instanceof ConsiliumError) || [500, 507].includes(statusOf(error))

/** How an error is told: what a request did wrong in full, what the leader did wrong by its name alone. */
export const problemOf = (error: unknown): Problem => {
  const told = error instanceof ConsiliumError && !isOwn(error) ? error : own(error)
  const status = statusOf(told)
  return {
    status,
    hidden: isOwn(error),
    headers: {
      "content-type": "application/problem+json",
      ...(told instanceof Refusal ? told.headers : {}),
    },
    body: { type: told.docs, title: told.code, status, detail: told.message, remedy: told.remedy },
  }
}
