import { X509Certificate } from "node:crypto"
import { request as httpsRequest, type RequestOptions } from "node:https"
import { setTimeout as sleep } from "node:timers/promises"
import { equalBytes, toHex } from "@consilium/base/bytes"
import { ERROR_TABLE, type ErrorCode } from "@consilium/base/error-codes"
import { ConsiliumError } from "@consilium/base/errors"
import { z } from "zod"
import { spkiHash } from "./keys.js"
import type { Kit } from "./kit.js"
import { dnsNameOf } from "./names.js"

/** How long somebody keeps asking the authority. */
export interface Times {
  readonly now: () => number
  /** How long to keep trying while the authority does not answer, milliseconds. */
  readonly patienceMs?: number
  /** Ends the trying. */
  readonly stop?: AbortSignal
}

export interface Answer {
  readonly status: number
  readonly retryAfter: number
  readonly body: Buffer
}

export interface Body {
  readonly type: "application/json" | "application/octet-stream"
  readonly bytes: Uint8Array
}

const ANSWER_BYTES = 16 << 20
const ANSWER_MS = 30_000

/** One request on a connection of its own. */
export const ask = (kit: Kit, path: string, options: RequestOptions, body?: Body): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const url = new URL(path, kit.authorityUrl)
    const request = httpsRequest(
      {
        host: url.hostname.replace(/^\[|\]$/g, ""),
        port: url.port === "" ? 443 : Number(url.port),
        path: `${url.pathname}${url.search}`,
        minVersion: "TLSv1.3",
        servername: dnsNameOf(kit.authorityName),
        agent: false,
        timeout: ANSWER_MS,
        ...options,
        headers: body === undefined ? {} : { "content-type": body.type, "content-length": body.bytes.length },
      },
      (response) => {
        const parts: Buffer[] = []
        let length = 0
        response.on("data", (part: Buffer) => {
          parts.push(part)
          length += part.length
          if (length > ANSWER_BYTES)
            request.destroy(
              new ConsiliumError("identity/enrolment-failed", "The authority's answer is too long."),
            )
        })
        response.on("error", reject)
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            retryAfter: Number(response.headers["retry-after"] ?? 0) || 0,
            body: Buffer.concat(parts),
          }),
        )
      },
    )
    request.on("timeout", () =>
      request.destroy(Object.assign(new Error("no answer in time"), { code: "ETIMEDOUT" })),
    )
    request.on("error", reject)
    request.end(body?.bytes)
  })

// The authority is not up yet, or the way to it is not: worth another try. Everything else is not.
const PASSING: ReadonlySet<unknown> = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENETDOWN",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EPIPE",
])

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000

/** An answer that may be another one in a while. */
export class NotYet extends Error {
  readonly pauseMs: number
  constructor(what: string, pauseMs: number) {
    super(what)
    this.pauseMs = pauseMs
  }
}

/** What a failed connection means; an error of the project stays as it is. Null if it is worth another try. */
const meaningOf = (error: unknown, kit: Kit): ConsiliumError | null => {
  if (error instanceof ConsiliumError) return error
  const code = (error as { code?: unknown }).code
  if (code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID")
    return new ConsiliumError(
      code === "CERT_HAS_EXPIRED" ? "identity/certificate-expired" : "identity/certificate-refused",
      `The certificate of ${kit.authorityName} is not valid at this machine's time (${code}).`,
      {
        remedy:
          "Compare the clocks of both machines. If they are right, the authority has to be started again: it makes itself a new certificate.",
        cause: error,
      },
    )
  if (error instanceof NotYet || PASSING.has(code)) return null
  return new ConsiliumError(
    "identity/wrong-authority",
    `The connection to ${kit.authorityUrl} is not one to ${kit.authorityName} (${typeof code === "string" ? code : "unknown error"}).`,
    { cause: error },
  )
}

const stopped = (kit: Kit, cause: unknown): ConsiliumError =>
  new ConsiliumError("identity/authority-unreachable", `The wait for ${kit.authorityUrl} was stopped.`, {
    remedy: "Start again when the study is to begin.",
    cause,
  })

/** Repeats work while the authority does not answer, with growing pauses, until patience runs out. */
export const patiently = async <T>(
  kit: Kit,
  options: Times,
  work: (signal: { readonly signal?: AbortSignal }) => Promise<T>,
): Promise<T> => {
  const signal = options.stop === undefined ? {} : { signal: options.stop }
  const until = options.now() + (options.patienceMs ?? 60_000)
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    try {
      return await work(signal)
    } catch (error) {
      if (options.stop?.aborted) throw stopped(kit, error)
      const meaning = meaningOf(error, kit)
      if (meaning !== null) throw meaning
      const wait = error instanceof NotYet ? Math.max(error.pauseMs, pause) : pause
      if (options.now() + wait > until)
        throw new ConsiliumError(
          "identity/authority-unreachable",
          `${kit.authorityUrl} did not answer (${error instanceof NotYet ? error.message : String((error as { code?: unknown }).code)}).`,
          { cause: error },
        )
      await sleep(wait, undefined, signal).catch((cause) => {
        throw stopped(kit, cause)
      })
    }
  }
}

const problemSchema = z.object({ code: z.string(), detail: z.string(), remedy: z.string() })
const AREAS = /^(identity|round|cohort|encoding)\//

/** The authority's refusal as the error it is there. */
export const refusal = (answer: Answer): Error => {
  if (answer.status === 408 || answer.status === 429 || answer.status >= 500)
    return new NotYet(`status ${answer.status}`, Math.min(answer.retryAfter, 60) * 1000)
  try {
    const problem = problemSchema.parse(JSON.parse(answer.body.toString("utf8")))
    if (Object.hasOwn(ERROR_TABLE, problem.code) && AREAS.test(problem.code))
      return new ConsiliumError(problem.code as ErrorCode, problem.detail.slice(0, 500), {
        remedy: problem.remedy.slice(0, 500),
      })
  } catch {
    // not a problem of this protocol: said below
  }
  return new ConsiliumError(
    "identity/enrolment-failed",
    `The authority answered with status ${answer.status}.`,
  )
}

/** An answer of JSON, checked. */
export const readAnswer = <S extends z.ZodType>(schema: S, answer: Answer): z.output<S> => {
  if (answer.status !== 200) throw refusal(answer)
  try {
    return schema.parse(JSON.parse(answer.body.toString("utf8")))
  } catch (cause) {
    throw new ConsiliumError("identity/enrolment-failed", "The authority's answer cannot be read.", { cause })
  }
}

export const json = (value: object): Body => ({
  type: "application/json",
  bytes: Buffer.from(JSON.stringify(value)),
})

/**
 * The root certificate (PEM) of the kit's authority. The connection is not verified yet, so nothing secret goes over it;
 * what comes back counts only if its key has the fingerprint of the kit and it is signed by that key.
 * @throws {ConsiliumError} "identity/wrong-authority"
 */
export const fetchRoot = async (kit: Kit, options: RequestOptions = {}): Promise<string> => {
  const answer = await ask(kit, "/v1/ca", { ...options, rejectUnauthorized: false })
  if (answer.status !== 200) throw refusal(answer)
  const wrong = (what: string, cause?: unknown): never => {
    throw new ConsiliumError("identity/wrong-authority", `${kit.authorityUrl} ${what}; no token was sent.`, {
      cause,
    })
  }
  let root: X509Certificate
  try {
    root = new X509Certificate(answer.body)
  } catch (cause) {
    return wrong("does not answer with a certificate", cause)
  }
  if (!equalBytes(spkiHash(root.publicKey), kit.caFingerprint))
    return wrong(`shows an authority whose fingerprint is not ${toHex(kit.caFingerprint)}`)
  if (!root.ca || !root.verify(root.publicKey)) return wrong("shows a certificate that is no root")
  return root.toString()
}
