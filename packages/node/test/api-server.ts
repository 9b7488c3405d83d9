import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import http from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { sha256 } from "@consilium/base/hash"
import { utf8 } from "@consilium/base/platform"
import type { FastifyInstance } from "fastify"
import { type ApiRole, apiRoles, type TokenRule } from "../src/api/access.js"
import type { ApiOptions } from "../src/api/handlers.js"
import { api } from "../src/api/http-api.js"
import { boundedServer, HTTP_LIMITS, type HttpLimits, type Listening, listen } from "../src/api/listener.js"
import { ApiMetrics } from "../src/api/metrics.js"
import { readPage } from "../src/api/page-files.js"
import { StudyViews } from "../src/api/study-views.js"
import { freshStudy, LoggedStudy, ran, TestLeader } from "./api-study.js"

/** What a test's clock shows. */
export class Clock {
  ms = 1_800_000_000_000
  readonly now = (): number => this.ms
}

const tokenOf = (name: string): string => `token-of-${name}-0123456789`
export const tokenRule = (name: string, role: ApiRole, expires: number | null): TokenRule => ({
  name,
  role,
  sha256: toHex(sha256(utf8(tokenOf(name)))),
  expires,
})
export const bearer = (name: string): { readonly authorization: string } => ({
  authorization: `Bearer ${tokenOf(name)}`,
})

/** A folder as the page's build leaves it, and beside it a file that is none of the page's. */
export const pageFolder = async (): Promise<{ readonly folder: string; remove(): Promise<void> }> => {
  const root = await mkdtemp(join(tmpdir(), "page-"))
  const folder = join(root, "page")
  await mkdir(join(folder, "assets"), { recursive: true })
  await writeFile(join(folder, "index.html"), '<!doctype html><script src="/assets/a1.js"></script>')
  await writeFile(join(folder, "assets", "a1.js"), "document.title = 'live'")
  await writeFile(join(folder, "assets", "notes.secret"), "canary")
  await writeFile(join(root, "secret.txt"), "canary")
  return { folder, remove: () => rm(root, { recursive: true }) }
}

export interface TestApi extends Listening {
  readonly leader: TestLeader
  readonly app: FastifyInstance
  readonly clock: Clock
  readonly metrics: ApiMetrics
  readonly views: StudyViews
  readonly troubles: unknown[]
  readonly study: LoggedStudy
  close(): Promise<void>
}

/** A leader with one finished study, and its API on a free port of this machine. */
export const serveTest = async (
  changes: Partial<ApiOptions> = {},
  limits: HttpLimits = HTTP_LIMITS,
): Promise<TestApi> => {
  const leader = new TestLeader()
  const study = new LoggedStudy(ran({ study: { protection: "shamir" } }))
  leader.all.push(study)
  const clock = new Clock()
  const views = new StudyViews()
  const metrics = new ApiMetrics(leader, views)
  const troubles: unknown[] = []
  const page = await pageFolder()
  let presets = 0
  const app = boundedServer(null, limits)
  await app.register(
    api({
      service: leader,
      views,
      metrics,
      presets: (kind) =>
        kind === "mpc" ? { missing: "this version cannot train on shares." } : freshStudy(100 + presets++),
      tokens: [
        ...apiRoles.map((role) => tokenRule(role, role, null)),
        tokenRule("gone", "owner", clock.ms - 1),
        tokenRule("soon", "owner", clock.ms + 1000),
      ],
      loopback: true,
      page: await readPage(page.folder),
      now: clock.now,
      starts: { burst: 1e6, perSecond: 1e6 },
      troubled: (error) => troubles.push(error),
      ...changes,
    }),
  )
  const at = await listen(app, "test", { hosts: ["127.0.0.1", "::1"], ports: [0], tls: null })
  await page.remove()
  return { ...at, leader, app, clock, metrics, views, troubles, study, close: () => app.close() }
}

export interface Ask {
  readonly method?: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

export interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly bytes: Uint8Array
  readonly text: string
}

/** One request over a connection of its own. */
export const ask = (url: string, { method = "GET", path, headers = {}, body }: Ask): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url)
    const request = http.request(
      {
        host: hostname.replace(/^\[|\]$/g, ""),
        port,
        method,
        path,
        agent: false,
        headers: {
          ...(body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) }),
          ...headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on("data", (chunk: Buffer) => chunks.push(chunk))
        response.on("error", reject)
        response.on("end", () => {
          const bytes = Buffer.concat(chunks)
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            bytes: new Uint8Array(bytes),
            text: bytes.toString("utf8"),
          })
        })
      },
    )
    request.on("error", reject)
    request.setTimeout(5000, () => request.destroy(new Error(`${method} ${path} was not answered in time.`)))
    request.end(body)
  })

/** One request as from a peer elsewhere in the world. */
export const askFrom = async (
  app: FastifyInstance,
  remoteAddress: string,
  { method = "GET", path, headers = {}, body }: Ask,
): Promise<Answer> => {
  const response = await app.inject({
    method: method as "GET",
    url: path,
    headers: { host: "127.0.0.1:8001", ...headers },
    remoteAddress,
    ...(body === undefined ? {} : { payload: Buffer.from(body) }),
  })
  return {
    status: response.statusCode,
    headers: response.headers as http.IncomingHttpHeaders,
    bytes: new Uint8Array(response.rawPayload),
    text: response.payload,
  }
}

/** An event as it came over a stream. */
export interface Arrived {
  readonly id: string
  readonly event: string
  readonly data: { readonly study: string; readonly seq: number }
}

/** A reader of server-sent events. */
export class Reader {
  readonly events: Arrived[] = []
  comments = 0
  ended = false
  status = 0
  #text = ""
  readonly #request: http.ClientRequest
  response: http.IncomingMessage | null = null

  constructor(
    url: string,
    path = "/v1/events",
    headers: Readonly<Record<string, string>> = {},
    paused = false,
  ) {
    const { hostname, port } = new URL(url)
    this.#request = http.request(
      { host: hostname.replace(/^\[|\]$/g, ""), port, path, headers, agent: false },
      (response) => {
        this.status = response.statusCode ?? 0
        this.response = response
        response.on("error", () => undefined)
        response.on("close", () => {
          this.ended = true
        })
        if (!paused)
          response.on("data", (chunk: Buffer) => {
            this.#read(chunk.toString("utf8"))
          })
      },
    )
    this.#request.on("error", () => {
      this.ended = true
    })
    this.#request.end()
  }

  #read(text: string): void {
    this.#text += text
    const blocks = this.#text.split("\n\n")
    this.#text = blocks.pop() ?? ""
    for (const block of blocks) {
      const fields = new Map(
        block
          .split("\n")
          .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]),
      )
      if (fields.has("")) this.comments += 1
      const data = fields.get("data")
      if (data !== undefined)
        this.events.push({
          id: fields.get("id") ?? "",
          event: fields.get("event") ?? "",
          data: JSON.parse(data),
        })
    }
  }

  leave(): void {
    this.#request.destroy()
  }
}

/** Waits until something holds. */
export const until = async (holds: () => boolean, ms = 5000): Promise<void> => {
  for (const end = Date.now() + ms; !holds(); ) {
    if (Date.now() > end) throw new Error(`It did not come to hold within ${ms} ms.`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
