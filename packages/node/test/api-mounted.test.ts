import { mkdtemp, rm } from "node:fs/promises"
import https from "node:https"
import { tmpdir } from "node:os"
import { join } from "node:path"
import Fastify from "fastify"
import { afterEach, describe, expect, it } from "vitest"
import type { Caller } from "../src/api/access.js"
import { api } from "../src/api/http-api.js"
import { startApi } from "../src/api/start-api.js"
import { StudyViews } from "../src/api/study-views.js"
import { askFrom, bearer, tokenRule } from "./api-server.js"
import { freshStudy, LoggedStudy, ran, TestLeader } from "./api-study.js"
import { testStudy } from "./identity-study.js"

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

const leaderWithStudy = (): TestLeader => {
  const service = new TestLeader()
  service.all.push(new LoggedStudy(ran()))
  return service
}

describe("the API in another server", () => {
  it("leaves that server's routes, parsers and errors alone, and knows callers as that server does", async () => {
    const app = Fastify()
    closing.push(() => app.close())
    app.setErrorHandler((_error, _request, reply) => reply.code(418).send("outer"))
    app.post("/v1/messages", async (request) => ({ got: request.body }))
    app.get("/v1/messages", async () => {
      throw new Error("outer")
    })
    const auditor: Caller = { name: "auditor.example", rights: ["read", "log"] }
    await app.register(
      api({
        service: leaderWithStudy(),
        views: new StudyViews(),
        presets: () => freshStudy(9),
        tokens: [tokenRule("reader", "reader", null)],
        loopback: false,
        identify: ({ headers }) => (headers["x-test-certificate"] === "auditor" ? auditor : null),
        page: null,
      }),
    )
    await app.ready()
    const shown = { "x-test-certificate": "auditor" }
    const posted = await askFrom(app, "127.0.0.1", {
      method: "POST",
      path: "/v1/messages",
      headers: { "content-type": "application/json" },
      body: '{"a":1}',
    })
    expect([posted.status, posted.text]).toEqual([200, '{"got":{"a":1}}'])
    expect((await askFrom(app, "127.0.0.1", { path: "/v1/messages" })).status).toBe(418)
    const status = async (headers: Readonly<Record<string, string>>, path = "/v1/studies", method = "GET") =>
      (await askFrom(app, "127.0.0.1", { method, path, headers, ...(method === "POST" && { body: "{}" }) }))
        .status
    // without its own loopback rule nobody comes in for being near
    expect(await status({})).toBe(401)
    expect(await status(bearer("reader"))).toBe(200)
    expect(await status(shown)).toBe(200)
    expect(await status(shown, "/api/training/start", "POST")).toBe(403)
  })
})

describe("the API under TLS", () => {
  it("serves whoever trusts its certificate, by the origin of its own pages", async () => {
    const folder = await mkdtemp(join(tmpdir(), "api-tls-"))
    closing.push(() => rm(folder, { recursive: true }))
    const { identity } = await (await testStudy(folder)).member("leader", "leader", { host: "127.0.0.1" })
    const running = await startApi({
      service: leaderWithStudy(),
      presets: () => freshStudy(9),
      tokens: [tokenRule("reader", "reader", null)],
      page: null,
      listen: {
        hosts: ["127.0.0.1"],
        ports: [0],
        tls: { key: identity.key, cert: identity.certificate },
      },
    })
    closing.push(() => running.close())
    expect(running.url).toMatch(/^https:/)
    const ask = (headers: Readonly<Record<string, string>>): Promise<number> =>
      new Promise((resolve, reject) => {
        const request = https.get(
          `${running.url}/v1/studies`,
          { ca: identity.caCertificate, agent: false, headers: { ...bearer("reader"), ...headers } },
          (response) => {
            response.resume()
            response.on("end", () => resolve(response.statusCode ?? 0))
          },
        )
        request.on("error", reject)
      })
    expect(await ask({})).toBe(200)
    expect(await ask({ origin: running.url })).toBe(200)
    expect(await ask({ origin: running.url.replace("https", "http") })).toBe(403)
  })
})
