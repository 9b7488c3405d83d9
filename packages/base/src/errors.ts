import { ERROR_TABLE, type ErrorCode } from "./error-codes.js"

/** Exit codes of the command line, by the class of the error (the part of its code before the slash). */
const EXIT_CODES: Readonly<Record<string, number>> = {
  cli: 2,
  config: 2,
  schema: 3,
  csv: 3,
  parquet: 3,
  records: 3,
  model: 3,
  learning: 3,
  policy: 4,
  cohort: 4,
  privacy: 4,
  network: 5,
  api: 5,
  identity: 5,
  admin: 5,
  encoding: 6,
  sharing: 6,
  lattice: 6,
  level: 6,
  scale: 6,
  inference: 6,
  round: 6,
  keys: 6,
  log: 6,
  audit: 6,
  store: 7,
}

export interface ConsiliumErrorOptions {
  /** What to do about it, where the thrower knows better than the table. */
  readonly remedy?: string
  readonly cause?: unknown
}

/**
 * The one error type. `message` says what happened, with the numbers; `remedy` what to do. Neither ever holds a
 * patient's value, a key, a share or a token.
 */
export class ConsiliumError extends Error {
  readonly code: ErrorCode
  readonly remedy: string
  readonly docs: string

  constructor(code: ErrorCode, message: string, options: ConsiliumErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = "ConsiliumError"
    this.code = code
    this.remedy = options.remedy ?? ERROR_TABLE[code].remedy
    this.docs = `docs/reference/errors.md#${code.replace("/", "")}`
  }

  /** Process exit code for this class of error. */
  get exitCode(): number {
    return EXIT_CODES[this.code.slice(0, this.code.indexOf("/"))] ?? 1
  }

  /** Three lines for a terminal: what, remedy, reference. */
  override toString(): string {
    return `${this.code}: ${this.message}\n  remedy: ${this.remedy}\n  see: ${this.docs}`
  }
}

/** True for a `ConsiliumError`, with the given code if one is named. */
export const isConsiliumError = (error: unknown, code?: ErrorCode): error is ConsiliumError =>
  error instanceof ConsiliumError && (code === undefined || error.code === code)
