import { readFile } from "node:fs/promises"
import { request as http } from "node:http"
import { request as https } from "node:https"
import { ERROR_TABLE, type ErrorCode } from "@consilium/base/error-codes"
import { ConsiliumError } from "@consilium/base/errors"
import { problemSchema } from "@consilium/node/api/schemas"
import { readPrivateFile } from "@consilium/node/store/files"

/** How to reach a leader's API. */
export interface Leader {
  readonly leader: string
  readonly tokenFile?: string
  readonly ca?: string
}

/** What a schema of the API does for its client. */
interface Checks<T> {
  safeParse(value: unknown): { readonly success: true; readonly data: T } | { readonly success: false }
}

export interface Call {
  readonly method: "GET" | "POST"
  readonly path: string
  readonly body?: { readonly type: string; readonly bytes: Uint8Array }
}

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/i
const ANSWER_BYTES = 64 << 20
const TIMEOUT_MS = 60_000

const baseOf = (leader: string): URL => {
  const url = URL.canParse(leader) ? new URL(leader) : null
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "")
    throw new ConsiliumError(
      "cli/usage",
      `${JSON.stringify(leader.slice(0, 200))} is no address of a leader.`,
      {
        remedy: "Give http://127.0.0.1:8001, or https://HOST:PORT.",
      },
    )
  return url
}

const tokenOf = async ({ tokenFile }: Leader, url: URL): Promise<string | null> => {
  if (tokenFile === undefined) return null
  if (url.protocol !== "https:" && !LOOPBACK.test(url.hostname))
    throw new ConsiliumError("cli/usage", "A token is not sent over plain http to another machine.", {
      remedy: "Use the leader's https address, with --ca if its certificate is not from a public authority.",
    })
  const text = (await readPrivateFile(tokenFile))?.toString("utf8").trim()
  if (text === undefined || !/^[A-Za-z0-9._~+/-]{1,512}=*$/.test(text))
    throw new ConsiliumError("cli/usage", `The token file ${tokenFile} holds no token.`, {
      remedy: "Write the token into the file, one line, and run chmod 600 on it.",
    })
  return text
}

const readCa = (path: string): Promise<Buffer> =>
  readFile(path).catch((cause) => {
    throw new ConsiliumError("config/unreadable", `The file ${path} cannot be read.`, { cause })
  })

/** How to reach a path of a leader's API: where, with what to show, and whom to trust. */
export const approachOf = async (
  leader: Leader,
  path: string,
): Promise<{
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly ca: Buffer | undefined
}> => {
  const url = new URL(path, baseOf(leader.leader))
  const token = await tokenOf(leader, url)
  return {
    url,
    headers: token === null ? {} : { authorization: `Bearer ${token}` },
    ca: leader.ca === undefined ? undefined : await readCa(leader.ca),
  }
}

/**
 * One request to a leader's API, and its checked answer.
 * @throws {ConsiliumError} what the leader refuses with; "network/unreachable", "api/failed"
 */
export const callLeader = async <T>(leader: Leader, call: Call, schema: Checks<T>): Promise<T> => {
  const { url, headers, ca } = await approachOf(leader, call.path)
  const { status, text } = await new Promise<{ readonly status: number; readonly text: string }>(
    (resolve, reject) => {
      const failed = (cause: unknown): void => {
        const { code, message } = cause as { readonly code?: string; readonly message: string }
        reject(
          cause instanceof ConsiliumError
            ? cause
            : new ConsiliumError(
                "network/unreachable",
                `${url.origin} gives no answer (${code ?? message}).`,
                {
                  remedy: "Check that the leader runs; it says its address when it starts.",
                  cause,
                },
              ),
        )
      }
      const request = (url.protocol === "https:" ? https : http)(
        url,
        {
          method: call.method,
          agent: false,
          timeout: TIMEOUT_MS,
          ...(ca === undefined ? {} : { ca }),
          headers: {
            accept: "application/json, application/problem+json",
            ...headers,
            ...(call.body === undefined
              ? {}
              : { "content-type": call.body.type, "content-length": call.body.bytes.length }),
          },
        },
        (response) => {
          const parts: Buffer[] = []
          let length = 0
          response.on("data", (part: Buffer) => {
            parts.push(part)
            length += part.length
            if (length > ANSWER_BYTES) request.destroy(new Error("the answer is too long"))
          })
          response.on("error", failed)
          response.on("end", () =>
            resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString("utf8") }),
          )
        },
      )
      request.on("timeout", () => request.destroy(new Error(`nothing in ${TIMEOUT_MS} ms`)))
      request.on("error", failed)
      request.end(call.body?.bytes)
    },
  )
  return answerOf(url, status, text, schema)
}

const jsonOrNull = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    // what is no JSON fits no schema
    return null
  }
}

const answerOf = <T>(url: URL, status: number, text: string, schema: Checks<T>): T => {
  if (status === 200 || status === 202) {
    const answer = schema.safeParse(jsonOrNull(text))
    if (answer.success) return answer.data
  }
  throw refusalOf(url.origin, status, text)
}

/** A refusal of a leader's, as the error that it is; or that whatever answered is no leader. */
export const refusalOf = (origin: string, status: number, text: string): ConsiliumError => {
  const problem = problemSchema.safeParse(jsonOrNull(text))
  if (problem.success && Object.hasOwn(ERROR_TABLE, problem.data.title)) {
    const { title, detail, remedy } = problem.data
    return new ConsiliumError(title as ErrorCode, detail, { remedy })
  }
  return new ConsiliumError(
    "api/failed",
    `${origin} answered with status ${status}, not as a leader would.`,
    {
      remedy: "Check the address and that leader and command line have the same version.",
    },
  )
}
