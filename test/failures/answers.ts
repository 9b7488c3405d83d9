import http, { type IncomingMessage, type RequestOptions } from "node:http"
import https from "node:https"
import { connect, type Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
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

/** A line to an admin socket; what it answers is put as a problem would be. */
export const sendLine = (path: string, line: string): Promise<Answer> =>
  new Promise((resolve) => {
    const socket = connect({ path })
    const pieces: Buffer[] = []
    socket.setTimeout(5000, () => socket.destroy())
    socket.on("error", () => undefined)
    socket.on("data", (piece: Buffer) => {
      pieces.push(piece)
      socket.end()
    })
    socket.once("close", () => {
      const text = Buffer.concat(pieces).toString("utf8")
      if (text === "") return resolve("closed")
      const { ok, error } = JSON.parse(text) as {
        readonly ok: boolean
        readonly error?: { readonly code: string; readonly message: string; readonly remedy: string }
      }
      if (ok || error === undefined) return resolve({ status: 200, type: "", text })
      const problem = {
        type: "admin",
        title: error.code,
        status: 400,
        detail: error.message,
        remedy: error.remedy,
      }
      resolve({ status: 400, type: "application/problem+json", text: JSON.stringify(problem) })
    })
    socket.once("connect", () => socket.write(line))
  })

const STREAMS = 90

/** Opens more event streams than there may be, reads nothing of them, and leaves; gives the last refusal. */
export const floodStreams = async (port: number): Promise<Answer> => {
  const agent = new http.Agent({ maxSockets: STREAMS })
  const refused: Answer[] = []
  const requests = Array.from({ length: STREAMS }, () => {
    const request = http.get({ host: "127.0.0.1", port, path: "/v1/events", agent }, (response) => {
      if (response.statusCode === 200) return void response.pause()
      const pieces: Buffer[] = []
      response.on("data", (piece: Buffer) => pieces.push(piece))
      response.once("end", () =>
        refused.push({
          status: response.statusCode ?? 0,
          type: response.headers["content-type"] ?? "",
          text: Buffer.concat(pieces).toString("utf8"),
        }),
      )
      response.on("error", () => undefined)
    })
    return request.on("error", () => undefined)
  })
  await sleep(1500)
  for (const request of requests) request.destroy()
  agent.destroy()
  return refused.find((answer) => faultOf(answer) !== null) ?? refused.at(-1) ?? "closed"
}
