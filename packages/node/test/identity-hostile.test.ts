import { readdir, readFile } from "node:fs/promises"
import { connect as connectPlain } from "node:net"
import { join } from "node:path"
import { connect } from "node:tls"
import { toHex } from "@consilium/base/bytes"
import { encodeStudy, studyDigest } from "@consilium/federation/study"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { makeCsr } from "../src/identity/csr.js"
import { leaveMessage } from "../src/identity/leaving.js"
import type { TlsIdentity } from "../src/identity/tls.js"
import {
  type Joined,
  type RawAnswer,
  raw,
  studyFile,
  studyNumber,
  TestAuthority,
} from "./identity-authority.js"
import { testStudy } from "./identity-study.js"
import { temporaryFolder } from "./store-children.js"

const now = Date.now
const DAY = 86_400_000
const HOUR = 3_600_000
const OCTETS = "application/octet-stream"
const FIRST = toHex(studyDigest(studyNumber(1)))
const UNKNOWN = "ab".repeat(32)
let root: string
let remove: () => Promise<void>
let authority: TestAuthority
let all: Record<string, Joined>
const callers = new Map<string, TlsIdentity | null>()
let leave: (change?: { name?: string; at?: number; by?: string; signature?: string }) => string
let csr: (name: string, of?: string) => Promise<string>
beforeAll(async () => {
  const made = await temporaryFolder("hostile")
  root = made.path
  remove = made.remove
  authority = await TestAuthority.start(join(root, "authority"))
  all = await authority.joinAll()
  const { study } = authority
  for (const [name, joined] of Object.entries(all)) callers.set(name, joined.identity)
  callers.set("nobody", null)
  callers.set("foreign", (await (await testStudy(join(root, "foreign"))).member("leader", "leader")).identity)
  callers.set("authority", authority.me.identity)
  callers.set("not-enrolled", (await study.member("elsewhere", "facility")).identity)
  // the right name and role, certified by the right authority, for other keys than were enrolled
  const twin = await testStudy(join(root, "twin"))
  const twinKeys = await twin.keysOf("leader")
  const { certificate } = await certificateFor("leader", "leader", twinKeys)
  callers.set("twin", { ...authority.me.identity, certificate, key: pemOf(twinKeys.tlsKey) })
  const past = await study.at(() => now() - 3 * DAY)
  callers.set(
    "expired",
    (await study.member("north", "facility", { authority: past, validityDays: 1 })).identity,
  )
  callers.set(
    "expired-leader",
    (await study.member("leader", "leader", { authority: past, validityDays: 1 })).identity,
  )
  leave = ({ name = "north", at = now(), by = name, signature } = {}) =>
    JSON.stringify({
      name,
      at,
      signature:
        signature ??
        toHex((all[by] as Joined).keys.sign(leaveMessage(study.authority.fingerprint, name, at))),
    })
  csr = async (name, of = name) => JSON.stringify({ csr: makeCsr(name, (await study.keysOf(of)).tlsKey) })
})
afterAll(async () => {
  await authority.stop()
  await remove()
})

const pemOf = (key: Joined["keys"]["tlsKey"]): string =>
  key.export({ format: "pem", type: "pkcs8" }) as string
const certificateFor = async (
  name: string,
  role: "leader" | "facility",
  keys: Joined["keys"],
): Promise<{ certificate: string }> => ({
  certificate: await authority.study.authority.issue({
    csr: makeCsr(name, keys.tlsKey),
    name,
    role,
    validityDays: 1,
  }),
})

/** Every byte that the authority keeps. */
const stateOf = async (): Promise<Record<string, string>> => {
  const out: Record<string, string> = {}
  for (const folder of ["authority", "log"])
    for (const name of (await readdir(join(authority.folder, folder))).sort())
      out[`${folder}/${name}`] = (await readFile(join(authority.folder, folder, name))).toString("base64")
  return out
}

interface Row {
  readonly what: string
  readonly as: string
  readonly method?: string
  readonly path: string
  readonly body?: () => string | Uint8Array | Promise<string | Uint8Array>
  readonly type?: string
  readonly answer: readonly [number, string]
}

const study2 = (): Uint8Array => encodeStudy(studyNumber(2))
const NEEDED = "identity/certificate-required"
const BAD = "identity/bad-request"

const routes = [
  { method: "GET", path: "/v1/roster" },
  { method: "GET", path: "/v1/studies" },
  { method: "POST", path: "/v1/studies", type: OCTETS, body: study2 },
  { method: "POST", path: `/v1/studies/${FIRST}/closed` },
  { method: "POST", path: "/v1/leave", body: () => leave() },
  { method: "POST", path: "/v1/renew", body: () => csr("north") },
] as const

/** What every route answers to those who may ask for nothing. */
const strangers: readonly Row[] = routes.flatMap((route) =>
  (
    [
      ["nobody", [401, NEEDED]],
      ["foreign", [401, NEEDED]],
      ["expired", [401, "identity/certificate-expired"]],
      ["expired-leader", [401, "identity/certificate-expired"]],
      ["not-enrolled", [403, "identity/unknown-participant"]],
      ["twin", [403, "identity/unknown-participant"]],
      ["authority", [403, "identity/unknown-participant"]],
    ] as const
  ).map(([as, answer]) => ({ ...route, what: as, as, answer })),
)

const closed = (id: string): string => `/v1/studies/${id}/closed`
const rows: readonly Row[] = [
  ...strangers,
  // GET /v1/roster
  ...[
    "study=1",
    `study=${FIRST.toUpperCase()}`,
    "after=-1",
    "after=x",
    "after=4294967296",
    "wait=21",
    "wait=1.5",
  ].map((query): Row => ({ what: query, as: "north", path: `/v1/roster?${query}`, answer: [400, BAD] })),
  { what: "study twice", as: "north", path: `/v1/roster?study=${FIRST}&study=${FIRST}`, answer: [400, BAD] },
  { what: "unknown query", as: "north", path: "/v1/roster?before=1", answer: [400, BAD] },
  {
    what: "unknown study",
    as: "north",
    path: `/v1/roster?study=${UNKNOWN}`,
    answer: [404, "identity/unknown-study"],
  },
  { what: "query", as: "north", path: "/v1/studies?all=1", answer: [400, BAD] },
  // POST /v1/studies
  ...["north", "fog-1"].map(
    (as): Row => ({
      what: `wrong role ${as}`,
      as,
      method: "POST",
      path: "/v1/studies",
      type: OCTETS,
      body: study2,
      answer: [403, "identity/wrong-role"],
    }),
  ),
  ...(
    [
      ["empty", () => new Uint8Array(0), [400, "encoding/malformed"]],
      ["noise", () => new Uint8Array(500).fill(0x5a), [400, "encoding/too-large"]],
      ["cut off", () => study2().slice(0, -1), [400, "encoding/malformed"]],
      ["with more behind", () => new Uint8Array([...study2(), 0]), [400, "encoding/malformed"]],
      ["longer than 1 MiB", () => new Uint8Array((1 << 20) + 1), [413, BAD]],
      [
        "of another protocol",
        () => encodeStudy({ ...studyNumber(2), protocol: 99 }),
        [409, "round/bad-study"],
      ],
      [
        "for more facilities",
        () => encodeStudy({ ...studyNumber(2), cohort: { minCohort: 9, threshold: 9, colluders: 1 } }),
        [409, "round/bad-study"],
      ],
      [
        "with a cohort of two",
        () => encodeStudy({ ...studyNumber(2), cohort: { minCohort: 2, threshold: 2, colluders: 0 } }),
        [409, "round/bad-study"],
      ],
    ] as const
  ).map(
    ([what, body, answer]): Row => ({
      what: `a study ${what}`,
      as: "leader",
      method: "POST",
      path: "/v1/studies",
      type: OCTETS,
      body,
      answer,
    }),
  ),
  {
    what: "a study as JSON",
    as: "leader",
    method: "POST",
    path: "/v1/studies",
    body: () => JSON.stringify(studyFile(2)),
    answer: [400, BAD],
  },
  {
    what: "a study as text",
    as: "leader",
    method: "POST",
    path: "/v1/studies",
    type: "text/html",
    body: "<html>" as never,
    answer: [415, BAD],
  },
  // POST /v1/studies/<digest>/closed
  {
    what: "wrong role",
    as: "north",
    method: "POST",
    path: closed(FIRST),
    answer: [403, "identity/wrong-role"],
  },
  {
    what: "unknown",
    as: "leader",
    method: "POST",
    path: closed(UNKNOWN),
    answer: [404, "identity/unknown-study"],
  },
  { what: "no digest", as: "leader", method: "POST", path: closed("first"), answer: [400, BAD] },
  { what: "a path", as: "leader", method: "POST", path: closed("..%2f..%2fetc"), answer: [400, BAD] },
  { what: "a long digest", as: "leader", method: "POST", path: closed("a".repeat(5000)), answer: [414, BAD] },
  // POST /v1/leave
  ...["leader", "fog-1"].map(
    (as): Row => ({
      what: `wrong role ${as}`,
      as,
      method: "POST",
      path: "/v1/leave",
      body: () => leave({ name: as }),
      answer: [403, "identity/wrong-role"],
    }),
  ),
  ...(
    [
      ["in another's name", () => leave({ name: "south" }), [400, BAD]],
      ["in another's name, signed by oneself", () => leave({ name: "south", by: "north" }), [400, BAD]],
      ["signed by another", () => leave({ by: "south" }), [400, BAD]],
      ["for another time", () => JSON.stringify({ ...JSON.parse(leave()), at: now() - 5 }), [400, BAD]],
      ["of yesterday", () => leave({ at: now() - DAY }), [400, "identity/stale-request"]],
      ["of tomorrow", () => leave({ at: now() + 3 * HOUR }), [400, "identity/stale-request"]],
      ["at the end of time", () => leave({ at: Number.MAX_SAFE_INTEGER }), [400, "identity/stale-request"]],
      ["without a signature", () => leave({ signature: "" }), [400, BAD]],
      ["with a time that is none", () => JSON.stringify({ ...JSON.parse(leave()), at: "now" }), [400, BAD]],
      ["with something more", () => JSON.stringify({ ...JSON.parse(leave()), force: true }), [400, BAD]],
      ["that is a list", () => "[]", [400, BAD]],
      ["that is null", () => "null", [400, BAD]],
      ["that is not JSON", () => "{", [400, BAD]],
      ["with a prototype", () => '{"__proto__":{"name":"north"}}', [400, BAD]],
      ["that is too long", () => JSON.stringify({ name: "x".repeat(20_000) }), [413, BAD]],
    ] as const
  ).map(
    ([what, body, answer]): Row => ({
      what: `a wish ${what}`,
      as: "north",
      method: "POST",
      path: "/v1/leave",
      body,
      answer,
    }),
  ),
  // POST /v1/renew
  ...(
    [
      ["for another's name", () => csr("south"), [400, BAD]],
      ["for other keys", () => csr("north", "south"), [400, BAD]],
      ["for another name and own keys", () => csr("leader", "north"), [400, BAD]],
      ["that is nonsense", () => JSON.stringify({ csr: "nonsense" }), [400, BAD]],
      ["that is empty", () => "{}", [400, BAD]],
      [
        "with something more",
        async () => JSON.stringify({ ...JSON.parse(await csr("north")), days: 9999 }),
        [400, BAD],
      ],
      ["that is too long", () => JSON.stringify({ csr: "x".repeat(20_000) }), [413, BAD]],
    ] as const
  ).map(
    ([what, body, answer]): Row => ({
      what: `a request ${what}`,
      as: "north",
      method: "POST",
      path: "/v1/renew",
      body,
      answer,
    }),
  ),
  // no route
  { what: "no route", as: "leader", path: "/v1/keys", answer: [404, BAD] },
  { what: "other method", as: "leader", method: "DELETE", path: "/v1/studies", answer: [404, BAD] },
  { what: "bad escape", as: "leader", path: "/v1/%", answer: [400, BAD] },
]

const send = async ({ as, method, path, body, type }: Row): Promise<RawAnswer> => {
  const content = typeof body === "function" ? await body() : body
  return raw(authority.port, {
    path,
    as: callers.get(as) ?? null,
    ...(method === undefined ? {} : { method }),
    ...(content === undefined ? {} : { body: content }),
    ...(type === undefined ? {} : { type }),
  })
}

describe("[S18] the authority's routes", () => {
  it(`answer ${rows.length} kinds of hostile requests with a typed problem, and change nothing`, async () => {
    const before = await stateOf()
    for (const row of rows) {
      const name = `${row.method ?? "GET"} ${row.path.slice(0, 60)} ${row.what}`
      const answer = await send(row)
      expect([name, answer.status, answer.type], answer.text).toEqual([
        name,
        row.answer[0],
        expect.stringContaining("application/problem+json"),
      ])
      const problem = JSON.parse(answer.text)
      expect([name, problem.code, problem.status]).toEqual([name, row.answer[1], row.answer[0]])
      expect(Object.keys(problem).sort()).toEqual(["code", "detail", "remedy", "status", "title", "type"])
      // neither where in the program it was, nor what was sent
      expect(answer.text).not.toMatch(/node_modules|\.ts|\.js|at \w+ \(|xxxxxxxx|__proto__/)
    }
    expect(await stateOf()).toEqual(before)
    expect(authority.failures).toEqual([])
  })

  it("answer what is not HTTP, and go on", async () => {
    const say = (text: string): Promise<string> =>
      new Promise((resolve) => {
        let heard = ""
        const socket = connect({ host: "127.0.0.1", port: authority.port, rejectUnauthorized: false })
        socket.on("data", (data) => {
          heard += data
        })
        socket.on("close", () => resolve(heard))
        socket.on("error", () => undefined)
        socket.write(text)
      })
    expect(await say("HELLO\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 .*"code":"identity\/bad-request"/s)
    // no TLS at all
    await new Promise<void>((resolve) => {
      const socket = connectPlain({ host: "127.0.0.1", port: authority.port })
      socket.on("close", () => resolve())
      socket.on("error", () => undefined)
      socket.end("GET /v1/ca HTTP/1.1\r\n\r\n")
    })
    expect((await raw(authority.port, { path: "/v1/ca" })).status).toBe(200)
  })

  it("take a captured request only from who made it", async () => {
    const wish = leave({ name: "west" })
    const from = (as: string): Promise<RawAnswer> =>
      raw(authority.port, { method: "POST", path: "/v1/leave", as: callers.get(as) ?? null, body: wish })
    expect((await from("east")).status).toBe(400)
    expect(authority.registry.studies()[0]?.version).toBe(1)
    const granted = await from("west")
    expect(granted.status).toBe(200)
    const state = await stateOf()
    // the same words again, by whomever
    expect((await from("west")).text).toBe(granted.text)
    expect((await from("east")).status).toBe(400)
    expect(await stateOf()).toEqual(state)
    // and nothing else is open to who has left
    for (const [method, path, body] of [
      ["POST", "/v1/renew", await csr("west")],
      ["POST", "/v1/studies", "x"],
    ] as const) {
      const answer = await raw(authority.port, { method, path, as: callers.get("west") ?? null, body })
      expect([answer.status, JSON.parse(answer.text).code]).toEqual([
        403,
        path === "/v1/renew" ? "identity/has-left" : "identity/wrong-role",
      ])
    }
  })
})
