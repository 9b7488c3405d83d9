import { gzipSync } from "node:zlib"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { apiRoles } from "../src/api/access.js"
import { BODY_BYTES } from "../src/api/http-api.js"
import { ROUTES, type RouteName, routeNames } from "../src/api/routes.js"
import { type Answer, type Ask, ask, askFrom, bearer, serveTest, type TestApi } from "./api-server.js"
import { LoggedStudy, ran } from "./api-study.js"

let server: TestApi
beforeAll(async () => {
  server = await serveTest()
})
afterAll(() => server.close())

const HASH = "0".repeat(64)
const ID = new LoggedStudy(ran({ study: { protection: "shamir" } })).id
const SPEC = {
  name: "by hand",
  model: { kind: "logistic-regression", features: ["a", "b", "c"] },
  training: {},
  server: {},
  rounds: 1,
}
const JSON_TYPE = { "content-type": "application/json" }
const YAML_TYPE = { "content-type": "application/yaml" }

/** What is wrong with a request, how it is sent, and how it is refused. */
type Case = readonly [what: string, ask: Partial<Ask>, status: number, code: string]

/** An honest request to each route, and the ways in which it is spoiled that no other route has. */
interface Target {
  readonly honest: Ask
  readonly cases: readonly Case[]
}

const badIds = (rest: string): readonly Case[] => [
  ["an id of another length", { path: `/v1/studies/${ID.slice(1)}${rest}` }, 400, "api/malformed"],
  ["an id in capitals", { path: `/v1/studies/${"AB".repeat(32)}${rest}` }, 400, "api/malformed"],
  ["an id that climbs", { path: `/v1/studies/..%2f..%2fetc%2fpasswd${rest}` }, 400, "api/malformed"],
  ["an id with a zero byte", { path: `/v1/studies/${ID.slice(0, 62)}%00${rest}` }, 400, "api/malformed"],
  ["an id as long as a novel", { path: `/v1/studies/${"a".repeat(9000)}${rest}` }, 404, "api/not-found"],
  ["an unknown study", { path: `/v1/studies/${HASH}${rest}` }, 404, "api/not-found"],
  ["an escape that is none", { path: `/v1/studies/%zz${rest}` }, 400, "api/malformed"],
]
const unasked = (path: string): readonly Case[] => [
  ["an unknown query", { path: `${path}?debug=1` }, 400, "api/malformed"],
]

const BAD_BODIES: readonly Case[] = [
  ["no body", { body: "" }, 400, "api/malformed"],
  ["bytes that are no text", { body: Uint8Array.of(0xff, 0xfe, 0x00) }, 400, "api/malformed"],
  ["half of a value", { body: '{"privacy": "diff' }, 400, "api/malformed"],
  ["a list", { body: "[]" }, 400, "api/malformed"],
  ["null", { body: "null" }, 400, "api/malformed"],
  ["nothing of what it should hold", { body: "{}" }, 400, "api/malformed"],
  ["values nested deep", { body: `${"[".repeat(100_000)}${"]".repeat(100_000)}` }, 400, "api/malformed"],
  [
    "a compressed body",
    { body: gzipSync("{}"), headers: { "content-encoding": "gzip" } },
    415,
    "api/unsupported-type",
  ],
  ["a body too large", { body: `"${"x".repeat(BODY_BYTES)}"` }, 413, "api/too-large"],
]
const BAD_KEYS: readonly Case[] = [
  ["an idempotency key too long", { headers: { "idempotency-key": "k".repeat(129) } }, 400, "api/malformed"],
  ["an empty idempotency key", { headers: { "idempotency-key": "" } }, 400, "api/malformed"],
]

const spec = (changes: object): Partial<Ask> => ({
  body: JSON.stringify({ ...SPEC, ...changes }),
  headers: JSON_TYPE,
})

const TARGETS: Readonly<Record<RouteName, Target>> = {
  studies: { honest: { path: "/v1/studies" }, cases: unasked("/v1/studies") },
  study: {
    honest: { path: `/v1/studies/${ID}` },
    cases: [...badIds(""), ...unasked(`/v1/studies/${ID}`)],
  },
  events: {
    honest: { path: `/v1/studies/${ID}/events` },
    cases: [
      ...badIds("/events"),
      ...[
        "after=-1",
        "after=1.5",
        "after=1e3",
        "after=",
        "after=99999999999999999999",
        "limit=0",
        "limit=1001",
      ].map((query): Case => [query, { path: `/v1/studies/${ID}/events?${query}` }, 400, "api/malformed"]),
      ["a query given twice", { path: `/v1/studies/${ID}/events?after=1&after=2` }, 400, "api/malformed"],
      ...unasked(`/v1/studies/${ID}/events`),
    ],
  },
  log: {
    honest: { path: `/v1/studies/${ID}/log`, headers: bearer("auditor") },
    cases: [
      ...badIds("/log"),
      ...unasked(`/v1/studies/${ID}/log`),
      ["no token, even from this machine", { headers: {} }, 401, "api/unauthenticated"],
    ],
  },
  models: {
    honest: { path: `/v1/studies/${ID}/models` },
    cases: [...badIds("/models"), ...unasked(`/v1/studies/${ID}/models`)],
  },
  model: {
    honest: { path: `/v1/studies/${ID}/models/${HASH}`, headers: bearer("auditor") },
    cases: [
      ...badIds(`/models/${HASH}`),
      ...["..%2f..%2fkeys", "..%5c..%5ckeys", "%2e%2e", `${"a".repeat(63)}%00`, "A".repeat(64)].map(
        (hash): Case => [
          `the hash ${hash.slice(0, 20)}`,
          { path: `/v1/studies/${ID}/models/${hash}` },
          400,
          "api/malformed",
        ],
      ),
      [
        "a hash that climbs in the open",
        { path: `/v1/studies/${ID}/models/../../../keys` },
        404,
        "api/not-found",
      ],
      ["a model that does not exist", {}, 404, "store/missing"],
      ["no token, even from this machine", { headers: {} }, 401, "api/unauthenticated"],
    ],
  },
  start: {
    honest: { method: "POST", path: "/v1/studies", headers: JSON_TYPE, body: JSON.stringify(SPEC) },
    cases: [
      ...BAD_BODIES,
      ...BAD_KEYS,
      ["no content type", { headers: {} }, 415, "api/unsupported-type"],
      [
        "a form",
        { headers: { "content-type": "application/x-www-form-urlencoded" } },
        415,
        "api/unsupported-type",
      ],
      ["a content type that is none", { headers: { "content-type": "?" } }, 415, "api/unsupported-type"],
      ["an unknown key", spec({ round: 3 }), 400, "api/malformed"],
      [
        "a prototype as a key",
        { body: `{"__proto__": {"rounds": 1}}`, headers: JSON_TYPE },
        400,
        "api/malformed",
      ],
      ["a number as text", spec({ rounds: "3" }), 400, "api/malformed"],
      [
        "a number that is none",
        { body: JSON.stringify(SPEC).replace("1}", "1e999}"), headers: JSON_TYPE },
        400,
        "api/malformed",
      ],
      [
        "too many features",
        spec({
          model: { kind: "logistic-regression", features: Array.from({ length: 4097 }, (_, i) => `f${i}`) },
        }),
        400,
        "api/malformed",
      ],
      [
        "a feature twice",
        spec({ model: { kind: "logistic-regression", features: ["a", "a"] } }),
        422,
        "round/bad-study",
      ],
      [
        "a cohort that one facility could read",
        spec({ cohort: { smallest: 2, threshold: 3, colluders: 0 } }),
        422,
        "round/bad-study",
      ],
      [
        "participants that are not here",
        spec({ participants: [{ name: "mallory", role: "leader" }] }),
        409,
        "api/other-participants",
      ],
      [
        "YAML that doubles itself",
        { headers: YAML_TYPE, body: "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n" },
        400,
        "api/malformed",
      ],
      ["YAML with a key twice", { headers: YAML_TYPE, body: "name: a\nname: b\n" }, 400, "api/malformed"],
      [
        "YAML with a tag of some language",
        { headers: YAML_TYPE, body: "name: !!js/function 'x'\n" },
        400,
        "api/malformed",
      ],
      ["YAML nested deep", { headers: YAML_TYPE, body: "[".repeat(20_000) }, 400, "api/malformed"],
    ],
  },
  stop: {
    honest: {
      method: "POST",
      path: `/v1/studies/${ID}/stop`,
      headers: JSON_TYPE,
      body: '{"reason": "it is over"}',
    },
    cases: [
      // without the page's own route behind it, an address that is too long has no place at all
      ...badIds("/stop").filter(([, , status, code]) => status !== 404 || code !== "api/not-found"),
      ["an unknown study", { path: `/v1/studies/${HASH}/stop` }, 404, "api/not-found"],
      ["an id as long as a novel", { path: `/v1/studies/${"a".repeat(9000)}/stop` }, 400, "api/malformed"],
      ...BAD_BODIES,
      ["a study that is over", {}, 409, "round/over"],
      ["an unknown key", { body: '{"reason": "why", "force": true}' }, 400, "api/malformed"],
      ["a reason of two lines", { body: '{"reason": "a\\nb"}' }, 400, "api/malformed"],
    ],
  },
  preset: {
    honest: { path: "/v1/presets/differential" },
    cases: [
      ["a kind of privacy that is none", { path: "/v1/presets/none" }, 400, "api/malformed"],
      ["a kind that every object has", { path: "/v1/presets/constructor" }, 400, "api/malformed"],
      ["a preset without its part", { path: "/v1/presets/mpc" }, 501, "api/not-available"],
      ...unasked("/v1/presets/differential"),
    ],
  },
  rotateKeys: {
    honest: {
      method: "POST",
      path: `/v1/studies/${ID}/keys/rotate`,
      headers: JSON_TYPE,
      body: '{"reason": "a laptop was lost"}',
    },
    cases: [
      ...badIds("/keys/rotate").filter(([, , status, code]) => status !== 404 || code !== "api/not-found"),
      ["an unknown study", { path: `/v1/studies/${HASH}/keys/rotate` }, 404, "api/not-found"],
      ...BAD_BODIES,
      ...BAD_KEYS,
      ["a study without keys", {}, 409, "keys/none"],
      ["an unknown key", { body: '{"reason": "why", "epoch": 3}' }, 400, "api/malformed"],
      ["a reason of two lines", { body: '{"reason": "a\nb"}' }, 400, "api/malformed"],
      [
        "a reason longer than the log takes",
        { body: `{"reason": "${"a".repeat(1025)}"}` },
        400,
        "api/malformed",
      ],
    ],
  },
  startTraining: {
    honest: { method: "POST", path: "/api/training/start", body: '{"privacy": "differential"}' },
    cases: [
      ...BAD_BODIES,
      ...BAD_KEYS,
      ["a kind of privacy that is none", { body: '{"privacy": "none"}' }, 400, "api/malformed"],
      ["a list of kinds", { body: '{"privacy": ["differential"]}' }, 400, "api/malformed"],
      ["an unknown key", { body: '{"privacy": "differential", "epsilon": 100}' }, 400, "api/malformed"],
      ["a form", { body: "privacy=differential" }, 400, "api/malformed"],
      ["a preset without its part", { body: '{"privacy": "mpc"}' }, 501, "api/not-available"],
    ],
  },
  stream: {
    honest: { path: "/v1/events" },
    cases: [
      ["an unknown study", { path: `/v1/events?study=${HASH}` }, 404, "api/not-found"],
      ["a study that is no id", { path: "/v1/events?study=*" }, 400, "api/malformed"],
      ...[
        "x",
        "0123456789abcdef:x",
        "0123456789abcdef",
        "0123456789abcdef:1,",
        ",",
        "0123456789abcdef:1,0123456789abcdef:2",
        "0123456789abcdef:9007199254740993",
      ].map((id): Case => [`the position ${id}`, { headers: { "last-event-id": id } }, 400, "api/malformed"]),
      [
        "a position beyond the log",
        { path: `/v1/events?after=${ID.slice(0, 16)}:100000` },
        409,
        "api/bad-position",
      ],
      ...unasked("/v1/events"),
    ],
  },
  openapi: { honest: { path: "/openapi.json" }, cases: unasked("/openapi.json") },
  page: {
    honest: { path: "/" },
    cases: [
      ...[
        "/../secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/assets/../../secret.txt",
        "/assets/..%5c..%5csecret.txt",
        "//secret.txt",
        "/assets",
        "/assets/",
        "/assets/notes.secret",
        "/assets/a1.js%00.html",
        "/index.html/",
        "/.env",
      ].map((path): Case => [`the path ${path}`, { path }, 404, "api/not-found"]),
      ["an escape that is none", { path: "/%" }, 400, "api/malformed"],
    ],
  },
}

/** Ways of being refused that every route has. */
const everywhere = (name: RouteName, { honest }: Target): readonly Case[] => {
  const route = ROUTES[name]
  const wrong = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "PROPFIND"].filter(
    (method) => Object.values(ROUTES).every((other) => other.method !== method || other.path !== route.path),
  )
  const withHeaders = (headers: Readonly<Record<string, string>>): Partial<Ask> => ({
    headers: { ...honest.headers, ...headers },
  })
  const weak = apiRoles.filter(
    (role) =>
      !(
        {
          reader: ["read"],
          operator: ["read", "model", "start"],
          auditor: ["read", "model", "log"],
          owner: ["read", "model", "log", "start"],
        } as Record<string, string[]>
      )[role]?.includes(route.right),
  )
  const noToken = (headers: Readonly<Record<string, string>>): Partial<Ask> => ({
    headers: { ...(honest.body === undefined ? {} : JSON_TYPE), ...headers },
  })
  return [
    ...wrong.map((method): Case => [`the method ${method}`, { method }, 405, "api/wrong-method"]),
    ...[
      "evil.example",
      "127.0.0.1.evil.example",
      "localhost.evil.example:8001",
      "127.0.0.1@evil.example",
      "10.0.0.1",
    ].map((host): Case => [`the host "${host}"`, noToken({ host }), 403, "api/foreign-host"]),
    ...["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1", "http://localhost"].map(
      (origin): Case => [`the origin ${origin}`, withHeaders({ origin }), 403, "api/foreign-origin"],
    ),
    ...["cross-site", "same-site"].map(
      (site): Case => [
        `a request that is ${site}`,
        withHeaders({ "sec-fetch-site": site }),
        403,
        "api/foreign-origin",
      ],
    ),
    ["an unknown token", withHeaders({ authorization: "Bearer nobody" }), 401, "api/unauthenticated"],
    ["an expired token", withHeaders(bearer("gone")), 401, "api/unauthenticated"],
    ["a password", withHeaders({ authorization: "Basic b3duZXI6b3duZXI=" }), 401, "api/unauthenticated"],
    ["an empty token", withHeaders({ authorization: "Bearer " }), 401, "api/unauthenticated"],
    [
      "a token as long as a novel",
      withHeaders({ authorization: `Bearer ${"a".repeat(4000)}` }),
      401,
      "api/unauthenticated",
    ],
    ...weak.map((role): Case => [`the role ${role}`, withHeaders(bearer(role)), 403, "api/forbidden"]),
    ["a proxy between", noToken({ "x-forwarded-for": "203.0.113.9" }), 401, "api/unauthenticated"],
    ["headers too large", withHeaders({ "x-large": "x".repeat(20_000) }), 413, "api/too-large"],
  ]
}

const PROBLEM_KEYS = ["detail", "remedy", "status", "title", "type"]

/** A refusal as it must be: typed, with a remedy, and without a word of what is inside. */
const expectRefusal = (answer: Answer, status: number, code: string, withBody: boolean): void => {
  expect([answer.status, answer.headers["content-type"]]).toEqual([
    status,
    expect.stringContaining("application/problem+json"),
  ])
  expect(answer.headers["x-content-type-options"]).toBe("nosniff")
  if (status === 401) expect(answer.headers["www-authenticate"]).toMatch(/^Bearer realm="consilium"/)
  if (status === 405) expect(answer.headers.allow).toMatch(/^(GET|POST)(, (GET|POST))?$/)
  if (!withBody) return
  const problem = JSON.parse(answer.text)
  expect(Object.keys(problem).sort()).toEqual(PROBLEM_KEYS)
  expect(problem).toMatchObject({ title: code, status })
  expect(problem.remedy.length).toBeGreaterThan(10)
  expect(problem.detail.length).toBeGreaterThan(10)
  expect(answer.text).not.toMatch(
    /\bat \S+ \(|node_modules|\.ts:|\.js:|FST_|Zod|\/work|\/tmp|canary|token-of/,
  )
  expect(answer.text.length).toBeLessThan(3000)
}

/** What must not change, whatever is asked. */
const untouched = async () => ({
  starts: server.leader.starts,
  studies: server.leader.all.length,
  view: JSON.stringify(await server.views.of(server.study)),
  troubles: server.troubles.length,
})

describe("[S18] hostile requests", () => {
  it("are tried on every route", () => {
    expect(Object.keys(TARGETS).sort()).toEqual([...routeNames].sort())
  })

  it.each(routeNames)(
    "%s: every one is refused by its name, with a remedy, and changes nothing",
    async (name) => {
      const target = TARGETS[name]
      const before = await untouched()
      const wrong: string[] = []
      for (const [what, changes, status, code] of [...target.cases, ...everywhere(name, target)]) {
        const request = { ...target.honest, ...changes }
        const sent =
          request.method === "GET" || request.method === "HEAD" ? { ...request, body: undefined } : request
        const { body, ...rest } = sent
        const answer = await ask(server.url, body === undefined ? rest : { ...rest, body })
        try {
          expectRefusal(answer, status, code, request.method !== "HEAD")
        } catch (error) {
          wrong.push(
            `${what}: ${answer.status} ${answer.text.slice(0, 300)} ${(error as Error).message.slice(0, 200)}`,
          )
        }
      }
      expect(wrong).toEqual([])
      expect(await untouched()).toEqual(before)
    },
  )

  it.each(routeNames)("[S19] %s: from elsewhere a token is needed, and the refusal says so", async (name) => {
    const { honest } = TARGETS[name]
    const before = await untouched()
    const { authorization: _, ...headers } = { authorization: "", ...honest.headers }
    for (const peer of ["203.0.113.9", "::ffff:203.0.113.9", "2001:db8::1", "128.0.0.1"]) {
      const answer = await askFrom(server.app, peer, { ...honest, headers })
      expectRefusal(answer, 401, "api/unauthenticated", true)
      expect(JSON.parse(answer.text).remedy).toContain("Authorization: Bearer")
    }
    expect(await untouched()).toEqual(before)
    if (name === "stream") return
    const granted = await askFrom(server.app, "203.0.113.9", {
      ...honest,
      headers: { ...headers, ...bearer("owner") },
    })
    // what is asked for does not exist, or is over
    const otherwise: Partial<Record<RouteName, number>> = { model: 404, stop: 409, rotateKeys: 409 }
    expect(granted.status).toBe(otherwise[name] ?? ROUTES[name].answer.status)
  })

  it.each(routeNames.filter((name) => name !== "page" && name !== "openapi"))(
    "%s: a leader that is not ready says so and does nothing",
    async (name) => {
      const { starts } = server.leader
      server.leader.isReady = false
      const answer = await ask(server.url, TARGETS[name].honest)
      server.leader.isReady = true
      expectRefusal(answer, 503, "api/not-ready", true)
      expect([answer.headers["retry-after"], server.leader.starts]).toEqual(["2", starts])
    },
  )

  it("a token that expires stops working then", async () => {
    const log = () => ask(server.url, { path: `/v1/studies/${ID}/log`, headers: bearer("soon") })
    expect((await log()).status).toBe(200)
    server.clock.ms += 1000
    expect((await log()).status).toBe(401)
    server.clock.ms -= 1000
  })

  it("pages of this leader may ask, also as IPv6 and by name, and a link from elsewhere opens the page", async () => {
    const { host } = new URL(server.url)
    for (const headers of [
      { origin: `http://${host}`, "sec-fetch-site": "same-origin" },
      { host: `localhost:${server.port}`, origin: `http://localhost:${server.port}` },
      { host: "[::1]:8001" },
      { host: "LOCALHOST" },
      { "sec-fetch-site": "none" },
    ] as Readonly<Record<string, string>>[])
      expect((await ask(server.url, { path: "/v1/studies", headers })).status).toBe(200)
    const link = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" }
    expect((await ask(server.url, { path: "/", headers: link })).status).toBe(200)
    const { starts } = server.leader
    const posted = await ask(server.url, { ...TARGETS.startTraining.honest, headers: link })
    expect([posted.status, server.leader.starts]).toEqual([403, starts])
  })

  it("[S19] no answer lets another origin read it", async () => {
    for (const name of routeNames.filter((one) => one !== "stream" && ROUTES[one].method === "GET")) {
      const { headers } = await ask(server.url, TARGETS[name].honest)
      expect(headers["access-control-allow-origin"]).toBeUndefined()
      expect(headers["cross-origin-resource-policy"]).toBe("same-origin")
    }
  })
})

describe("starts in a row", () => {
  it("are slowed down per address, refused ones too, and others go on", async () => {
    const slow = await serveTest({ starts: { burst: 3, perSecond: 0.5 } })
    try {
      const start = (peer: string, body = '{"privacy": "differential"}') =>
        askFrom(slow.app, peer, {
          method: "POST",
          path: "/api/training/start",
          headers: bearer("owner"),
          body,
        })
      const statuses = [
        await start("203.0.113.9"),
        await start("203.0.113.9", "junk"),
        await start("203.0.113.9"),
      ]
      expect(statuses.map(({ status }) => status)).toEqual([202, 400, 202])
      const refused = await start("203.0.113.9")
      expectRefusal(refused, 429, "api/too-many-requests", true)
      expect(refused.headers["retry-after"]).toBe("2")
      expect((await start("203.0.113.10")).status).toBe(202)
      slow.clock.ms += 2000
      expect((await start("203.0.113.9")).status).toBe(202)
      expect((await start("203.0.113.9")).status).toBe(429)
      // looking on is not slowed down
      expect(
        (await askFrom(slow.app, "203.0.113.9", { path: "/v1/studies", headers: bearer("reader") })).status,
      ).toBe(200)
    } finally {
      await slow.close()
    }
  })
})
