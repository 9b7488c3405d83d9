import { createServer } from "node:http"
import net from "node:net"
import { afterEach, describe, expect, it } from "vitest"
import { startHealth } from "../src/api/health.js"
import { HTTP_LIMITS } from "../src/api/listener.js"
import { API_PORT, apiFileSchema, HEALTH_PORT, tokenRules } from "../src/api/ports.js"
import { type RunningApi, startApi } from "../src/api/start-api.js"
import { ask, bearer, pageFolder, serveTest, type TestApi } from "./api-server.js"
import { freshStudy, LoggedStudy, ran, TestLeader } from "./api-study.js"

const closing: (() => Promise<void>)[] = []
const closed = <T extends { close(): Promise<void> }>(running: T): T => {
  closing.push(() => running.close())
  return running
}
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

const listenAt = (...ports: readonly number[]) => ({ hosts: ["127.0.0.1"], ports, tls: null })
const start = async (ports: readonly number[], page: string | null = null): Promise<RunningApi> => {
  const service = new TestLeader()
  service.all.push(new LoggedStudy(ran()))
  return closed(
    await startApi({ service, presets: () => freshStudy(9), tokens: [], page, listen: listenAt(...ports) }),
  )
}
const taken = async (): Promise<number> => {
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve))
  closing.push(() => new Promise((resolve) => other.close(() => resolve())))
  return (other.address() as net.AddressInfo).port
}

/** What a server answers to raw bytes, until it closes the connection. */
const raw = (port: number, text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1", () => socket.write(text))
    let answer = ""
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1")
    })
    socket.on("close", () => resolve(answer))
    socket.on("error", reject)
    socket.setTimeout(4000, () => socket.destroy(new Error("The server did not close the connection.")))
  })

describe("where the API listens", () => {
  it("at the wanted port, or at a free one, and it says which", async () => {
    const wanted = await taken()
    const moved = await start([wanted, 0])
    expect(moved.port).not.toBe(wanted)
    expect(moved.says).toBe(`API and page: http://127.0.0.1:${moved.port}, because port ${wanted} is taken`)
    expect((await ask(moved.url, { path: "/v1/studies" })).status).toBe(200)
    const free = await start([0])
    expect(free.says).toBe(`API and page: ${free.url}`)
  })

  it("nowhere, if nothing is free", async () => {
    const wanted = await taken()
    await expect(start([wanted])).rejects.toMatchObject({ code: "network/port-taken" })
  })

  it("[S19] never in the clear beyond this machine", async () => {
    const service = new TestLeader()
    for (const host of ["0.0.0.0", "::", "192.0.2.1", "leader.example"])
      await expect(
        startApi({
          service,
          presets: () => freshStudy(9),
          tokens: [],
          page: null,
          listen: { hosts: ["127.0.0.1", host], ports: [0], tls: null },
        }),
      ).rejects.toMatchObject({ code: "config/invalid" })
  })

  it("with a page from its folder, or without one", async () => {
    const { folder, remove } = await pageFolder()
    const api = await start([0], folder)
    await remove()
    expect((await ask(api.url, { path: "/assets/a1.js" })).status).toBe(200)
    expect((await ask(api.url, { path: "/assets/notes.secret" })).status).toBe(404)
    expect((await ask((await start([0])).url, { path: "/" })).status).toBe(404)
    await expect(start([0], folder)).rejects.toMatchObject({ code: "config/unreadable" })
  })
})

describe("the configuration", () => {
  it("has a default for everything", () => {
    expect(apiFileSchema.parse(undefined)).toEqual({
      listen: { hosts: ["127.0.0.1", "::1"], ports: [API_PORT, 0] },
      health: { hosts: ["127.0.0.1", "::1"], ports: [HEALTH_PORT, 0] },
      tls: null,
      tokens: [],
    })
    expect(API_PORT).toBe(8001)
    expect(apiFileSchema.parse({ health: null }).health).toBeNull()
  })

  it("names tokens by their hash, and refuses a token itself, unknown roles and one name for two", () => {
    const token = { name: "ward", role: "reader", sha256: "a".repeat(64), expires: "2027-01-31T00:00:00Z" }
    expect(
      tokenRules(apiFileSchema.parse({ tokens: [token, { ...token, name: "b", expires: null }] }).tokens),
    ).toEqual([
      { name: "ward", role: "reader", sha256: "a".repeat(64), expires: Date.UTC(2027, 0, 31) },
      { name: "b", role: "reader", sha256: "a".repeat(64), expires: null },
    ])
    for (const tokens of [
      [token, token],
      [{ ...token, role: "root" }],
      [{ ...token, sha256: "secret" }],
      [{ ...token, expires: "soon" }],
    ])
      expect(apiFileSchema.safeParse({ tokens }).success).toBe(false)
  })
})

describe("[S18] bytes that never become a request", () => {
  it.each([
    ["no HTTP", "\x16\x03\x01\x02\x00\x01\r\n\r\n", 400, "api/malformed"],
    ["an unknown method", "BREW / HTTP/1.1\r\nhost: localhost\r\n\r\n", 400, "api/malformed"],
    [
      "two lengths",
      "POST /v1/studies HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
      400,
      "api/malformed",
    ],
    [
      "a length and chunks",
      "POST /v1/studies HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
      400,
      "api/malformed",
    ],
    [
      "an address too long",
      `GET /${"a".repeat(20_000)} HTTP/1.1\r\nhost: localhost\r\n\r\n`,
      413,
      "api/too-large",
    ],
    ["headers that do not come", "GET / HTTP/1.1\r\nhost: localhost\r\n", 408, "api/too-slow"],
    [
      "a body that does not come",
      "POST /api/training/start HTTP/1.1\r\nhost: localhost\r\ncontent-length: 20\r\n\r\n{",
      408,
      "api/too-slow",
    ],
  ])("%s: refused with a problem, and the connection is closed", async (_, text, status, code) => {
    const api = closed(await serveTest({}, { ...HTTP_LIMITS, headersMs: 100, requestMs: 200 }))
    const answer = await raw(api.port, text)
    const [head = "", body = ""] = answer.split("\r\n\r\n")
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(head.toLowerCase()).toContain("content-type: application/problem+json")
    expect(JSON.parse(body)).toMatchObject({ title: code, status, remedy: expect.any(String) })
    expect(api.leader.starts).toBe(0)
  })

  it("connections beyond the limit are not taken, and there is room again afterwards", async () => {
    const api = closed(await serveTest({}, { ...HTTP_LIMITS, connections: 2 }))
    const held = [net.connect(api.port, "127.0.0.1"), net.connect(api.port, "127.0.0.1")]
    await Promise.all(held.map((socket) => new Promise((resolve) => socket.once("connect", resolve))))
    await expect(ask(api.url, { path: "/v1/studies" })).rejects.toThrow()
    for (const socket of held) socket.destroy()
    for (let tries = 0; ; tries++) {
      const status = await ask(api.url, { path: "/v1/studies" }).then(
        (answer) => answer.status,
        () => 0,
      )
      if (status === 200) break
      expect(tries).toBeLessThan(50)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  })
})

describe("health and metrics on their own port", () => {
  const serveHealth = async () => {
    const api: TestApi = closed(await serveTest())
    const { leader: service, metrics } = api
    const health = closed(await startHealth({ service, metrics, listen: listenAt(0) }))
    return { api, health }
  }

  it("tell that the process runs and whether the leader takes requests", async () => {
    const { api, health } = await serveHealth()
    const get = async (path: string) => (await ask(health.url, { path })).status
    expect([await get("/healthz"), await get("/readyz")]).toEqual([200, 200])
    api.leader.isReady = false
    expect([await get("/healthz"), await get("/readyz")]).toEqual([200, 503])
  })

  it("count studies, events and answers, and tell no name, figure or secret", async () => {
    const { api, health } = await serveHealth()
    await ask(api.url, { path: "/v1/studies", headers: bearer("reader") })
    await ask(api.url, { path: "/nowhere" })
    const { text, headers } = await ask(health.url, { path: "/metrics" })
    expect(headers["content-type"]).toMatch(/^text\/plain; version=0\.0\.4/)
    const study = api.study.id.slice(0, 16)
    for (const line of [
      'consilium_studies{state="complete"} 1',
      'consilium_studies{state="running"} 0',
      `consilium_log_events{study="${study}"} ${api.study.length}`,
      `consilium_rounds_closed{study="${study}"} 2`,
      `consilium_security_events{study="${study}"} 0`,
      'consilium_http_requests_total{route="studies",status="200"} 1',
      'consilium_http_requests_total{route="page",status="404"} 1',
    ])
      expect(text).toContain(line)
    const { facilities, fogs } = api.study.outcome.directory
    for (const { name } of [...facilities, ...fogs]) expect(text).not.toMatch(new RegExp(`\\b${name}\\b`))
    expect(text).not.toMatch(/token-of|auc|accuracy|rows/)
    expect([...new Set(text.match(/^consilium_\w+/gm))].sort()).toEqual([
      "consilium_attempts_void",
      "consilium_event_streams",
      "consilium_http_requests_total",
      "consilium_log_events",
      "consilium_rounds_closed",
      "consilium_security_events",
      "consilium_studies",
    ])
  })

  it.each([
    ["GET", "/v1/studies", 404, "api/not-found"],
    ["GET", "/", 404, "api/not-found"],
    ["GET", "/metrics/../healthz", 404, "api/not-found"],
    ["POST", "/metrics", 405, "api/wrong-method"],
    ["DELETE", "/healthz", 405, "api/wrong-method"],
    ["PUT", "/readyz", 405, "api/wrong-method"],
    ["GET", "/%", 400, "api/malformed"],
  ])("%s %s is refused", async (method, path, status, code) => {
    const { health } = await serveHealth()
    const answer = await ask(health.url, { method, path })
    expect([answer.status, JSON.parse(answer.text).title]).toEqual([status, code])
    expect(answer.headers["content-type"]).toContain("application/problem+json")
  })
})
