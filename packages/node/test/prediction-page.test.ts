import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { startApi } from "../src/api/start-api.js"
import { originSchema } from "../src/inference/inference-file.js"
import { type Answer, ask, tokenRule } from "./api-server.js"
import { freshStudy, TestLeader } from "./api-study.js"
import { heartModel, serveModelsInTest } from "./inference-server.js"

const listen = { hosts: ["127.0.0.1"], ports: [0], tls: null }
/** How a request looks that came through another machine. */
const FAR = { via: "1.1 gateway", host: "leader.example" }

let folder = ""
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pages-"))
  for (const below of [".", "predict"]) {
    await mkdir(join(folder, below, "assets"), { recursive: true })
    await writeFile(join(folder, below, "index.html"), `<!doctype html><title>${below}</title>`)
    await writeFile(join(folder, below, "assets", "a1.js"), "document.title += '!'")
  }
})
afterAll(() => rm(folder, { recursive: true }))

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

/** The addresses of a leader and of a server of models, each with the built pages. */
const SERVERS = {
  "a leader": async (): Promise<string> => {
    const api = await startApi({
      service: new TestLeader(),
      presets: () => freshStudy(1),
      tokens: [tokenRule("ward", "clinician", null)],
      page: folder,
      listen,
    })
    closing.push(() => api.close())
    return api.url
  },
  "a server of models": async (): Promise<string> => {
    const server = await serveModelsInTest({ heart: heartModel() }, { page: folder })
    closing.push(() => server.close())
    return server.url
  },
} as const

const policy = ({ headers }: Answer): string => String(headers["content-security-policy"])

describe.each(Object.entries(SERVERS))("%s", (_name, start) => {
  it("gives the prediction page to browsers elsewhere, which send no token by themselves", async () => {
    const url = await start()
    const page = await ask(url, { path: "/predict/?model=heart", headers: FAR })
    expect([page.status, page.headers["content-type"], page.headers["cache-control"]]).toEqual([
      200,
      "text/html; charset=utf-8",
      "no-cache",
    ])
    const script = await ask(url, { path: "/predict/assets/a1.js", headers: FAR })
    expect([script.status, script.headers["cache-control"]]).toEqual([
      200,
      "public, max-age=31536000, immutable",
    ])
    const door = await ask(url, { path: "/predict", headers: FAR })
    expect([door.status, door.headers.location]).toEqual([302, "/predict/"])
    const again = { ...FAR, "if-none-match": script.headers.etag as string }
    expect((await ask(url, { path: "/predict/assets/a1.js", headers: again })).status).toBe(304)
  })

  it("gives nothing else of the built pages without a token", async () => {
    const url = await start()
    for (const path of [
      "/index.html",
      "/assets/a1.js",
      "/predict/../index.html",
      "/predict/%2e%2e/index.html",
    ])
      expect([401, 404]).toContain((await ask(url, { path, headers: FAR })).status)
    expect((await ask(url, { path: "/predict/assets/none.js", headers: FAR })).status).toBe(404)
    expect([404, 405]).toContain((await ask(url, { method: "POST", path: "/predict/", headers: FAR })).status)
  })

  it("refuses a page of another origin, and at home a name that is not this machine's", async () => {
    const url = await start()
    const foreign = await ask(url, { path: "/predict/", headers: { origin: "https://else.example" } })
    expect(foreign.status).toBe(403)
    const rebound = await ask(url, { path: "/predict/", headers: { host: "rebound.example" } })
    expect([rebound.status, rebound.text]).toEqual([403, expect.stringContaining("api/foreign-host")])
  })

  it("lets the page compile WebAssembly and start its own worker, and no other script", async () => {
    const page = await ask(await start(), { path: "/predict/" })
    expect(policy(page)).toContain("script-src 'self' 'wasm-unsafe-eval';")
    expect(policy(page)).toContain("worker-src 'self'")
    expect(policy(page)).toContain("connect-src 'self';")
    expect(policy(page)).not.toMatch(/unsafe-inline|'unsafe-eval'|\*|https?:/)
  })
})

it("names other servers only as their operator did, to the page and in its policy", async () => {
  const other = "https://models.example:8443"
  const server = await serveModelsInTest({ heart: heartModel() }, { page: folder, pageServers: [other] })
  closing.push(() => server.close())
  const named = await ask(server.url, { path: "/predict/servers.json", headers: FAR })
  expect([named.status, JSON.parse(named.text)]).toEqual([200, { servers: [other] }])
  expect(policy(await ask(server.url, { path: "/predict/" }))).toContain(`connect-src 'self' ${other};`)
  // what would end a directive, or open it to everybody, is no origin
  for (const text of [
    "https://a;script-src",
    "https://*",
    "https://a.example/",
    "https://A.example",
    "data:",
    "https://a b",
  ])
    expect([text, originSchema.safeParse(text).success]).toEqual([text, false])
  for (const text of [other, "http://127.0.0.1:8001", "http://[::1]:8001"])
    expect(originSchema.safeParse(text).success).toBe(true)
})

it("the live page may do none of that", async () => {
  const page = await ask(await SERVERS["a leader"](), { path: "/" })
  expect([page.status, policy(page)]).toEqual([200, expect.not.stringMatching(/unsafe|worker-src/)])
})

it("a server of models leads from its address to the prediction page, and has no live page", async () => {
  const url = await SERVERS["a server of models"]()
  const root = await ask(url, { path: "/" })
  expect([root.status, root.headers.location]).toEqual([302, "/predict/"])
  expect((await ask(url, { path: "/index.html" })).status).toBe(404)
})

it("both describe it as open to everybody", async () => {
  for (const start of Object.values(SERVERS)) {
    const { text } = await ask(await start(), { path: "/openapi.json" })
    expect(JSON.parse(text).paths["/predict/{file}"].get.description).toBe("Needs no token.")
    expect(JSON.parse(text).paths["/predict/servers.json"].get.description).toBe("Needs no token.")
  }
})
