import type { Socket } from "node:net"
import { ConsiliumError } from "@consilium/base/errors"
import { z } from "zod"
import { linesOf } from "./lines.js"
import { openSocket } from "./socket.js"

/** A command that a running role takes. */
export interface AdminCommand {
  /** What its arguments must be. */
  readonly schema: z.ZodType
  /** Its result has to be plain JSON. The signal aborts when nobody waits for the result any more. */
  run(args: never, signal: AbortSignal): unknown
}

/** A command whose arguments have the type of its schema. */
export const adminCommand = <S extends z.ZodType>(
  schema: S,
  run: (args: z.output<S>, signal: AbortSignal) => unknown,
): AdminCommand => ({ schema, run })

export type AdminCommands = Readonly<Record<string, AdminCommand>>

export interface AdminOptions {
  /** How long a client may take to send a line, and a command to give its result, milliseconds. */
  readonly idleMs?: number
  readonly runMs?: number
  /** Told of errors that clients are not told: those that no command means to give. */
  readonly onFailed?: (command: string, error: unknown) => void
}

export interface AdminSocket {
  /** Where it listens; null on systems without such sockets. */
  readonly path: string | null
  close(): Promise<void>
}

/** Longest request, in bytes. */
export const REQUEST_BYTES = 1 << 16

const LAST_WORDS_MS = 1000

const requestSchema = z.looseObject({ command: z.string().max(64) })

const answerOf = (error: ConsiliumError): object => ({
  ok: false,
  error: { code: error.code, message: error.message, remedy: error.remedy },
})

const badRequest = (message: string): ConsiliumError => new ConsiliumError("admin/bad-request", message)

/** What a line asks for: the command and its checked arguments. */
const parse = (
  commands: AdminCommands,
  line: string,
): { name: string; command: AdminCommand; args: never } => {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    throw badRequest("A request is not JSON.")
  }
  const request = requestSchema.safeParse(value)
  if (!request.success) throw badRequest("A request names no command.")
  const { command: name, ...args } = request.data
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined)
    throw new ConsiliumError(
      "admin/unknown-command",
      `${JSON.stringify(name)} is none of ${Object.keys(commands).sort().join(", ")}.`,
    )
  const checked = command.schema.safeParse(args)
  if (!checked.success) {
    const fields = checked.error.issues.map(
      ({ path, message }) => `${path.join(".") || "arguments"}: ${message}`,
    )
    throw badRequest(`${name}: ${fields.join("; ").slice(0, 500)}`)
  }
  return { name, command, args: checked.data as never }
}

/**
 * Opens the admin socket of a role, in its locked data folder, for this user only. Requests are lines of JSON, `{command,
 * ...arguments}`; answers are lines `{ok: true, result}` or `{ok: false, error: {code, message, remedy}}`. A connection's
 * requests are answered in order, those of several connections side by side.
 */
export const startAdmin = async (
  folder: string,
  commands: AdminCommands,
  options: AdminOptions = {},
): Promise<AdminSocket> => {
  const { idleMs = 30_000, runMs = 120_000 } = options
  const open = new Set<Socket>()

  const answer = async (line: string, gone: AbortSignal): Promise<object> => {
    let name = "?"
    try {
      const request = parse(commands, line)
      name = request.name
      const late = AbortSignal.timeout(runMs)
      const result = await Promise.race([
        request.command.run(request.args, AbortSignal.any([gone, late])),
        new Promise<never>((_resolve, reject) => {
          late.addEventListener("abort", () =>
            reject(new ConsiliumError("admin/no-answer", `${name} took longer than ${runMs} ms.`)),
          )
        }),
      ])
      return { ok: true, result: result ?? null }
    } catch (error) {
      if (error instanceof ConsiliumError) return answerOf(error)
      options.onFailed?.(name, error)
      return answerOf(new ConsiliumError("admin/failed", `${name} failed inside the role.`))
    }
  }

  const serve = async (socket: Socket): Promise<void> => {
    const gone = new AbortController()
    socket.once("close", () => gone.abort())
    socket.on("error", () => undefined)
    socket.setTimeout(idleMs, () => socket.destroy())
    const limits = {
      longest: REQUEST_BYTES,
      tooLong: () => badRequest(`A request is longer than ${REQUEST_BYTES} bytes.`),
    }
    try {
      for await (const line of linesOf(socket, limits)) {
        socket.setTimeout(0)
        socket.write(`${JSON.stringify(await answer(line, gone.signal))}\n`)
        socket.setTimeout(idleMs)
      }
      socket.end()
    } catch (error) {
      if (!(error instanceof ConsiliumError)) return void socket.destroy()
      // Read on for a moment: a connection that is closed with bytes unread may lose the answer.
      socket.end(`${JSON.stringify(answerOf(error))}\n`)
      socket.resume()
      setTimeout(() => socket.destroy(), LAST_WORDS_MS).unref()
    }
  }

  const listening = await openSocket(folder, (socket) => {
    open.add(socket)
    socket.once("close", () => open.delete(socket))
    void serve(socket)
  })
  return {
    path: listening.path,
    async close() {
      for (const socket of open) socket.destroy()
      await listening.close()
    },
  }
}
