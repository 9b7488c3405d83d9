import { toHex } from "@consilium/base/bytes"
import { decode, list } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { sha256 } from "@consilium/base/hash"
import { emptyHead, logEntryCodec, verifyLog } from "@consilium/federation/log"
import { studyDigest } from "@consilium/federation/study"
import { Ajv2020 } from "ajv/dist/2020.js"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { stringify } from "yaml"
import { suite } from "../../federation/test/members.js"
import { openApi, openApiPath } from "../src/api/openapi.js"
import { ROUTES, type RouteName, type RouteSpec, routeNames } from "../src/api/routes.js"
import { type Answer, type Ask, ask, bearer, serveTest, type TestApi } from "./api-server.js"
import { RunningLeader } from "./running-leader.js"

let server: TestApi
let running: RunningLeader
let keyed: RunningLeader
beforeAll(async () => {
  server = await serveTest()
  running = await RunningLeader.begin({ name: "under way" })
  keyed = await RunningLeader.begin({ name: "with keys", protection: "ckks" })
  server.leader.all.push(running.handle, keyed.handle)
})
afterAll(async () => {
  await server.close()
  await running.close()
  await keyed.close()
})

const json = (answer: Answer) => JSON.parse(answer.text)
const start = (
  headers: Readonly<Record<string, string>> = {},
  body = '{"privacy": "differential"}',
): Promise<Answer> =>
  ask(server.url, {
    method: "POST",
    path: "/api/training/start",
    headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
    body,
  })
const SPEC = {
  name: "by hand",
  model: { kind: "logistic-regression", features: ["a", "b", "c"] },
  training: { steps: 3, batch_size: 3 },
  server: {},
  rounds: 1,
}
const post = (body: string, type = "application/json", headers: Readonly<Record<string, string>> = {}) =>
  ask(server.url, {
    method: "POST",
    path: "/v1/studies",
    headers: { "content-type": type, ...headers },
    body,
  })

describe("the description at /openapi.json", () => {
  interface Operation {
    readonly operationId: string
    readonly responses: Readonly<
      Record<string, { readonly content: Readonly<Record<string, { readonly schema?: object }>> }>
    >
  }
  const document = openApi() as {
    readonly openapi: string
    readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
    readonly components: { readonly schemas: Readonly<Record<string, object>> }
  }
  const ajv = new Ajv2020({ strict: false })
  ajv.addSchema({ $id: "openapi", ...document })

  it("describes every route that is served, and no other", () => {
    const described = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(
        ([method, { operationId }]) => `${operationId}: ${method.toUpperCase()} ${path}`,
      ),
    )
    expect(described.sort()).toEqual(
      routeNames.map((name) => `${name}: ${ROUTES[name].method} ${openApiPath(ROUTES[name].path)}`).sort(),
    )
    const served = server.app
      .printRoutes({ commonPrefix: false })
      .split("\n")
      .filter((line) => line.includes("("))
    expect(served.flatMap((line) => line.match(/\((.*)\)/)?.[1]?.split(", ") ?? [])).toHaveLength(
      routeNames.length,
    )
  })

  it("is what the server serves, and refers to nothing that is missing", async () => {
    const answer = await ask(server.url, { path: "/openapi.json" })
    expect(json(answer)).toEqual(JSON.parse(JSON.stringify(document)))
    for (const [, name] of answer.text.matchAll(/"#\/components\/schemas\/(\w+)"/g))
      expect(document.components.schemas).toHaveProperty(name as string)
    expect(document.openapi).toBe("3.1.0")
  })

  /** A request that each route grants. */
  const granted: Readonly<Record<RouteName, () => Ask>> = {
    studies: () => ({ path: "/v1/studies" }),
    study: () => ({ path: `/v1/studies/${server.study.id}` }),
    events: () => ({ path: `/v1/studies/${server.study.id.slice(0, 16)}/events?after=3&limit=5` }),
    log: () => ({ path: `/v1/studies/${server.study.id}/log`, headers: bearer("auditor") }),
    models: () => ({ path: `/v1/studies/${server.study.id}/models` }),
    model: () => ({
      path: `/v1/studies/${server.study.id}/models/${lastModel()}`,
      headers: bearer("operator"),
    }),
    start: () => ({
      method: "POST",
      path: "/v1/studies",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(SPEC),
    }),
    stop: () => ({
      method: "POST",
      path: `/v1/studies/${running.handle.id}/stop`,
      headers: { "content-type": "application/json" },
      body: '{"reason": "it is not needed"}',
    }),
    preset: () => ({ path: "/v1/presets/differential" }),
    rotateKeys: () => ({
      method: "POST",
      path: `/v1/studies/${keyed.handle.id}/keys/rotate`,
      headers: { "content-type": "application/json" },
      body: '{"reason": "a laptop was lost"}',
    }),
    startTraining: () => ({ method: "POST", path: "/api/training/start", body: '{"privacy": "combined"}' }),
    stream: () => ({ path: "/v1/events" }),
    openapi: () => ({ path: "/openapi.json" }),
    page: () => ({ path: "/" }),
  }

  it.each(routeNames.filter((name) => name !== "stream"))(
    "%s: a real answer is what is described",
    async (name) => {
      const { method, path, answer: wanted }: RouteSpec = ROUTES[name]
      const answer = await ask(server.url, granted[name]())
      expect([answer.status, answer.text.slice(0, 200)]).toEqual([wanted.status, expect.anything()])
      expect(answer.headers["content-type"]).toContain(wanted.type)
      expect(answer.headers["x-content-type-options"]).toBe("nosniff")
      const operation = document.paths[openApiPath(path)]?.[method.toLowerCase()] as Operation
      const schema = operation.responses[wanted.status]?.content[wanted.type]?.schema as
        | { $ref?: string }
        | undefined
      if (schema?.$ref === undefined) return
      const validate = ajv.compile({ $ref: `openapi${schema.$ref}` })
      expect([validate(json(answer)), validate.errors]).toEqual([true, null])
      // the schema is no rubber stamp
      expect(validate({ ...json(answer), surplus: 1 })).toBe(false)
    },
  )

  it("a real refusal is what is described", async () => {
    const answer = await ask(server.url, { path: "/v1/studies/zz" })
    const validate = ajv.compile({ $ref: "openapi#/components/schemas/Problem" })
    expect([answer.status, validate(json(answer))]).toEqual([400, true])
  })

  it("takes what the server takes", () => {
    const validate = ajv.compile({ $ref: "openapi#/components/schemas/StudyRequest" })
    expect([validate(SPEC), validate({ ...SPEC, rounds: 0 }), validate({ ...SPEC, round: 1 })]).toEqual([
      true,
      false,
      false,
    ])
  })
})

const lastModel = (): string => toHex(server.study.outcome.leader.progress.closed.at(-1)?.model as Uint8Array)

describe("a study that is looked at", () => {
  it("events come in pages, numbered", async () => {
    const page = async (query: string) =>
      json(await ask(server.url, { path: `/v1/studies/${server.study.id}/events${query}` }))
    const { length } = server.study
    expect((await page("?limit=1000")).events).toHaveLength(length)
    const second = await page("?after=2&limit=3")
    expect(second.events.map(({ seq }: { seq: number }) => seq)).toEqual([3, 4, 5])
    expect(second.length).toBe(length)
    expect((await page(`?after=${length}`)).events).toEqual([])
    expect((await page("?after=9007199254740991")).events).toEqual([])
  })

  it("the log is the one the leader wrote: a stranger can check its chain", async () => {
    const answer = await ask(server.url, {
      path: `/v1/studies/${server.study.id}/log`,
      headers: bearer("auditor"),
    })
    const entries = decode(list(logEntryCodec, 2 ** 20), answer.bytes)
    const { study, directory, log } = server.study.outcome
    const head = verifyLog(emptyHead(studyDigest(study)), entries, (message, signature) =>
      suite.verify(directory.leader.signingKey, message, signature),
    )
    expect(head).toEqual(server.study.outcome.leader.progress.log)
    expect(entries).toEqual(log)
  })

  it("a model file is the one its round led to", async () => {
    const { models } = json(await ask(server.url, { path: `/v1/studies/${server.study.id}/models` }))
    expect(models.map(({ round }: { round: number }) => round)).toEqual([1, 2])
    for (const { hash } of models) {
      const answer = await ask(server.url, {
        path: `/v1/studies/${server.study.id}/models/${hash}`,
        headers: bearer("auditor"),
      })
      expect(toHex(sha256(answer.bytes))).toBe(toHex(sha256(await server.study.model(hash))))
    }
  })
})

describe("the page", () => {
  it("is served with headers that let no foreign script in", async () => {
    const { status, headers, text } = await ask(server.url, { path: "/?study=abc" })
    expect([status, text]).toEqual([200, expect.stringContaining("doctype")])
    expect(headers["content-security-policy"]).toMatch(/^default-src 'none'; script-src 'self';/)
    expect(headers["content-security-policy"]).not.toMatch(/unsafe|\*/)
    expect([headers["x-frame-options"], headers["referrer-policy"], headers["cache-control"]]).toEqual([
      "DENY",
      "no-referrer",
      "no-cache",
    ])
  })

  it("is not sent again to whoever has it; files named by their hash may be kept", async () => {
    const { headers } = await ask(server.url, { path: "/assets/a1.js" })
    expect(headers["cache-control"]).toContain("immutable")
    expect(headers["content-type"]).toMatch(/^text\/javascript/)
    const again = await ask(server.url, {
      path: "/assets/a1.js",
      headers: { "if-none-match": headers.etag as string },
    })
    expect([again.status, again.text]).toEqual([304, ""])
  })
})

describe("a study that is started", () => {
  it("the documented curl starts one, whatever type curl says its data is of", async () => {
    const { starts } = server.leader
    const answer = await start()
    expect(answer.status).toBe(202)
    expect(server.leader.starts).toBe(starts + 1)
    const { id } = json(answer)
    expect(id).toBe(server.leader.all.at(-1)?.id)
    expect(answer.headers.location).toBe(`/v1/studies/${id}`)
    expect(json(await ask(server.url, { path: `/v1/studies/${id}` }))).toMatchObject({
      id,
      state: "complete",
    })
  })

  it.each(["application/json", "text/plain", "application/json; charset=utf-8"])(
    "as %s too",
    async (type) => {
      expect((await start({ "content-type": type })).status).toBe(202)
    },
  )

  it("a preset whose part is missing is told of", async () => {
    const answer = await start({}, '{"privacy": "mpc"}')
    expect([answer.status, json(answer)]).toMatchObject([
      501,
      { title: "api/not-available", detail: expect.stringContaining("cannot train on shares") },
    ])
  })

  it("from a study file as JSON or YAML, with a nonce of its own each time", async () => {
    const ids = [
      json(await post(JSON.stringify(SPEC))).id,
      json(await post(stringify(SPEC), "application/yaml")).id,
      json(await post(stringify(SPEC), "text/yaml; charset=utf-8", bearer("operator"))).id,
    ]
    expect(new Set(ids).size).toBe(3)
    expect(ids.every((id) => /^[0-9a-f]{64}$/.test(id))).toBe(true)
    expect(server.leader.all.at(-1)?.study).toMatchObject({
      name: "by hand",
      rounds: 1,
      cohort: { minCohort: 3, threshold: 3, colluders: 1 },
    })
  })

  it("with the participants present named, in any order; others are refused", async () => {
    const present = server.study.outcome.directory.roster.participants.map(({ name, role, parent }) => ({
      name,
      role,
      ...(parent && { parent: server.study.outcome.directory.get(parent).name }),
    }))
    expect((await post(JSON.stringify({ ...SPEC, participants: present.toReversed() }))).status).toBe(202)
    const others = await post(JSON.stringify({ ...SPEC, participants: present.slice(1) }))
    expect([others.status, json(others).title]).toEqual([409, "api/other-participants"])
  })

  it("once per idempotency key, also when both requests come at the same time", async () => {
    const { starts } = server.leader
    const key = { "idempotency-key": "monday-1" }
    const answers = await Promise.all([start(key), start(key), start(key)])
    answers.push(await start(key))
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202, 202])
    expect(server.leader.starts).toBe(starts + 1)
    const other = await start(key, '{"privacy": "combined"}')
    expect([other.status, json(other).title]).toEqual([422, "api/key-reused"])
    // another caller's key is another key, and so is the same key the day after
    expect(json(await start({ ...key, ...bearer("owner") })).id).not.toBe(json(answers[0] as Answer).id)
    server.clock.ms += 25 * 3600 * 1000
    expect(json(await start(key)).id).not.toBe(json(answers[0] as Answer).id)
  })

  it("a failed start frees its key", async () => {
    const key = { "idempotency-key": "tuesday" }
    server.leader.refuse = () => {
      throw new Error("disk on fire at /srv/leader")
    }
    const failed = await start(key)
    server.leader.refuse = null
    expect([failed.status, json(failed)]).toMatchObject([500, { title: "api/failed" }])
    expect(failed.text).not.toMatch(/fire|srv|Error/)
    expect(server.troubles.splice(0)).toMatchObject([{ message: "disk on fire at /srv/leader" }])
    expect((await start(key)).status).toBe(202)
  })

  it("what the leader's own store says is kept to the leader", async () => {
    for (const [code, status, title] of [
      ["store/full", 507, "store/full"],
      ["store/failed", 500, "api/failed"],
      ["store/corrupt", 500, "api/failed"],
    ] as const) {
      server.leader.refuse = () => {
        throw new ConsiliumError(code, "No write to /srv/leader/log.", { remedy: "Look at /srv/leader." })
      }
      const failed = await start()
      expect([failed.status, json(failed).title]).toEqual([status, title])
      expect(failed.text).not.toContain("/srv")
      expect(server.troubles.splice(0)).toMatchObject([{ code }])
    }
    server.leader.refuse = () => {
      throw new ConsiliumError("identity/bad-request", "The authority will not sign this.")
    }
    const refused = await start()
    server.leader.refuse = null
    expect([refused.status, json(refused)]).toMatchObject([
      403,
      { title: "identity/bad-request", detail: "The authority will not sign this." },
    ])
    expect(server.troubles).toEqual([])
  })

  it("the same study, nonce and all, is not started twice", async () => {
    const spec = JSON.stringify({ ...SPEC, nonce: "ab".repeat(32) })
    expect((await post(spec)).status).toBe(202)
    const again = await post(spec)
    expect([again.status, json(again).title]).toEqual([409, "api/already-started"])
    const { starts } = server.leader
    const both = await Promise.all(
      [1, 2].map(() => post(JSON.stringify({ ...SPEC, nonce: "cd".repeat(32) }))),
    )
    expect(both.map(({ status }) => status).sort()).toEqual([202, 409])
    expect(server.leader.starts).toBe(starts + 1)
  })
})
