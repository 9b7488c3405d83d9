import { connect, type Socket } from "node:net"
import { ERROR_TABLE, type ErrorCode } from "@consilium/base/error-codes"
import { ConsiliumError } from "@consilium/base/errors"
import { z } from "zod"
import { errno } from "../store/files.js"
import { linesOf } from "./lines.js"
import { REQUEST_BYTES } from "./server.js"
import { socketOf } from "./socket.js"

const ANSWER_BYTES = 16 << 20

const answerSchema = z.discriminatedUnion("ok", [
  z.object({ ok: z.literal(true), result: z.unknown() }),
  z.object({
    ok: z.literal(false),
    error: z.object({ code: z.string(), message: z.string(), remedy: z.string() }),
  }),
])

const notRunning = (folder: string, cause?: unknown): ConsiliumError =>
  new ConsiliumError("admin/not-running", `Nobody runs in the folder ${folder}.`, { cause })

const connected = (path: string, folder: string): Promise<Socket> =>
  new Promise((resolve, reject) => {
    // Only the other side's end closes it: half a connection would lose the answer.
    const socket = connect({ path, allowHalfOpen: true })
    socket.once("connect", () => resolve(socket))
    socket.once("error", (error) => {
      const code = errno(error)
      if (code === "ECONNREFUSED" || code === "ENOENT") reject(notRunning(folder, error))
      else if (code === "EACCES" || code === "EPERM")
        reject(
          new ConsiliumError("admin/not-allowed", `The role in ${folder} belongs to another user.`, {
            cause: error,
          }),
        )
      else
        reject(
          new ConsiliumError("admin/no-answer", `The role in ${folder} takes no connection (${code}).`, {
            cause: error,
          }),
        )
    })
  })

export interface CallOptions<T> {
  /** What the result must be. */
  readonly result: z.ZodType<T>
  /** How long to wait for it, milliseconds. */
  readonly timeoutMs?: number
}

/** Asks the role that runs in a data folder, and gives the checked result. */
export async function callAdmin<T>(
  folder: string,
  command: string,
  args: object,
  options: CallOptions<T>,
): Promise<T>
/**
 * Asks the role that runs in a data folder.
 * @throws {ConsiliumError} "admin/not-running" if nobody does: then the folder may be locked and read instead;
 *   "admin/no-answer", "admin/not-allowed", and what the command itself fails with
 */
export async function callAdmin(
  folder: string,
  command: string,
  args?: object,
  options?: Partial<CallOptions<unknown>>,
): Promise<unknown>
export async function callAdmin(
  folder: string,
  command: string,
  args: object = {},
  options: Partial<CallOptions<unknown>> = {},
): Promise<unknown> {
  const { result = z.unknown(), timeoutMs = 150_000 } = options
  const request = `${JSON.stringify({ ...args, command })}\n`
  if (Buffer.byteLength(request) > REQUEST_BYTES)
    throw new ConsiliumError(
      "admin/bad-request",
      `The arguments of ${command} have ${Buffer.byteLength(request)} bytes, more than ${REQUEST_BYTES}.`,
    )
  const path = await socketOf(folder)
  if (path === null) throw notRunning(folder)
  const socket = await connected(path, folder)
  const broken = (why: string, cause?: unknown): ConsiliumError =>
    new ConsiliumError("admin/no-answer", `The role in ${folder} ${why}.`, { cause })
  socket.setTimeout(timeoutMs, () => socket.destroy(broken(`did not answer ${command} in ${timeoutMs} ms`)))
  let line: string | undefined
  try {
    socket.write(request)
    const limits = { longest: ANSWER_BYTES, tooLong: () => broken("gave an answer that is too long") }
    for await (const first of linesOf(socket, limits)) {
      line = first
      break
    }
  } catch (error) {
    throw error instanceof ConsiliumError
      ? error
      : broken(`broke off (${errno(error) ?? "unknown error"})`, error)
  } finally {
    socket.destroy()
  }
  if (line === undefined) throw broken(`broke off before it answered ${command}`)
  return resultOf(line, result, broken)
}

const resultOf = (
  line: string,
  schema: z.ZodType,
  broken: (why: string, cause?: unknown) => ConsiliumError,
): unknown => {
  let answer: z.output<typeof answerSchema>
  try {
    answer = answerSchema.parse(JSON.parse(line))
    if (answer.ok) return schema.parse(answer.result)
  } catch (cause) {
    throw broken("gave an answer that this version does not understand", cause)
  }
  const { code, message, remedy } = answer.error
  throw new ConsiliumError(Object.hasOwn(ERROR_TABLE, code) ? (code as ErrorCode) : "admin/failed", message, {
    remedy,
  })
}
