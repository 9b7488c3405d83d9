import http, { type IncomingMessage, type RequestOptions } from "node:http"
import https from "node:https"
import { connect, type Socket } from "node:net"
import { type ConnectionOptions, connect as tlsConnect } from "node:tls"

/** What came back: an answer, or nothing but the end of the connection. */
export type Answer = { readonly status: number; readonly type: string; readonly text: string } | "closed"

const PATIENCE = 15_000
const MOST_BYTES = 4 << 20

/** Where a program would say too much: the lines of a stack. */
export const STACK = /\n\s+at |node:internal|\.[jt]s:\d+/

/** One request on a connection of its own, over TLS where options for it are given. */
export const ask = (
  options: RequestOptions,
  body: string | Uint8Array = "",
  tls: ConnectionOptions | null = null,
): Promise<Answer> =>
  new Promise((resolve) => {
    const answered = (response: IncomingMessage): void => {
      const pieces: Buffer[] = []
      let bytes = 0
      response.on("data", (piece: Buffer) => {
        bytes += piece.length
        if (bytes <= MOST_BYTES) pieces.push(piece)
      })
      const done = (): void =>
        resolve({
          status: response.statusCode ?? 0,
          type: response.headers["content-type"] ?? "",
          text: Buffer.concat(pieces).toString("utf8"),
        })
      response.once("end", done)
      response.once("error", () => resolve("closed"))
    }
    const all = { host: "127.0.0.1", agent: false, timeout: PATIENCE, ...options }
    const request = tls
      ? https.request({ ...all, ...tls } as RequestOptions, answered)
      : http.request(all, answered)
    request.once("timeout", () => request.destroy())
    request.once("error", () => resolve("closed"))
    request.end(body)
  })

/** Sends bytes as they are, piece by piece, and reads until the connection ends. */
export const sendRaw = (
  port: number | string,
  pieces: readonly (string | Uint8Array)[],
  options: { readonly tls?: ConnectionOptions; readonly pauseMs?: number } = {},
): Promise<Answer> =>
  new Promise((resolve) => {
    const { tls, pauseMs = 0 } = options
    const to = typeof port === "string" ? { path: port } : { host: "127.0.0.1", port }
    const socket: Socket = tls ? tlsConnect({ ...to, ...tls }) : connect(to)
    const received: Buffer[] = []
    const late = setTimeout(() => socket.destroy(), PATIENCE)
    socket.on("data", (piece: Buffer) => received.push(piece))
    socket.on("error", () => undefined)
    socket.once("close", () => {
      clearTimeout(late)
      resolve(answerIn(Buffer.concat(received).toString("utf8")))
    })
    socket.once(tls ? "secureConnect" : "connect", async () => {
      for (const piece of pieces) {
        if (socket.destroyed || !socket.writable) return
        socket.write(piece)
        if (pauseMs > 0) await new Promise((next) => setTimeout(next, pauseMs))
      }
    })
  })

const answerIn = (text: string): Answer => {
  if (text === "") return "closed"
  const [head = "", body = ""] = text.split("\r\n\r\n", 2)
  return {
    status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0),
    type: /^content-type: *(.*)$/im.exec(head)?.[1] ?? "",
    text: body,
  }
}

/** What is wrong with an answer, or null: a refusal has to be a problem that says what to do, and nothing tells of the inside. */
export const faultOf = (answer: Answer): string | null => {
  if (answer === "closed") return null
  const { status, type, text } = answer
  if (STACK.test(text)) return `an answer ${status} shows a stack: ${text.slice(0, 300)}`
  if (status >= 200 && status < 400) return null
  if (!type.startsWith("application/problem+json"))
    return `a refusal ${status} is of the type ${JSON.stringify(type)}: ${text.slice(0, 200)}`
  try {
    const problem = JSON.parse(text) as Record<string, unknown>
    const whole =
      problem.status === status &&
      ["type", "title", "detail", "remedy"].every(
        (key) => typeof problem[key] === "string" && problem[key] !== "",
      )
    return whole ? null : `a refusal ${status} lacks something: ${text.slice(0, 300)}`
  } catch {
    return `a refusal ${status} is no JSON: ${text.slice(0, 300)}`
  }
}
