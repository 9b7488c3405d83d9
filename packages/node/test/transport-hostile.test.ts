import { randomBytes } from "node:crypto"
import { mkdtemp, rm } from "node:fs/promises"
import net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect, type TLSSocket } from "node:tls"
import { encode } from "@consilium/base/encoding"
import { ERROR_TABLE } from "@consilium/base/error-codes"
import { hash } from "@consilium/base/hash"
import { type Envelope, type Message, messageCodec } from "@consilium/federation/messages"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { keysFor, spoiled } from "../../federation/test/members.js"
import { parseAddress } from "../src/identity/names.js"
import { type TlsIdentity, tlsClientOptions } from "../src/identity/tls.js"
import { CHILD_LIMITS, type ChildLimits } from "../src/transport/child-limits.js"
import type { StudyDoor } from "../src/transport/study-door.js"
import { CHUNK_BYTES, PARCEL_TYPE, UPLOAD_TYPE } from "../src/transport/wire.js"
import { ran } from "./api-study.js"
import { testStudy } from "./identity-study.js"
import { message, until } from "./runner-bench.js"
import { line, say } from "./runner-machine.js"
import { ask, parcel, type RawAnswer, type RawCall, type Running, World } from "./transport-world.js"

let world: World
let elsewhere = ""
const strangers = new Map<string, TlsIdentity>()
beforeAll(async () => {
  world = await World.make()
  elsewhere = await mkdtemp(join(tmpdir(), "consilium-elsewhere-"))
  const { caCertificate } = world.identity("clinic-1")
  const foreign = await (await testStudy(elsewhere)).member("clinic-1", "facility")
  strangers.set("another authority's certificate", { ...foreign.identity, caCertificate })
  const past = await world.authority.at(() => Date.now() - 3 * 86_400_000)
  const expired = await world.authority.member("clinic-1", "facility", { authority: past, validityDays: 1 })
  strangers.set("an expired certificate", { ...expired.identity, caCertificate })
  const soon = await world.authority.at(() => Date.now() + 2 * 3_600_000)
  const early = await world.authority.member("clinic-1", "facility", { authority: soon })
  strangers.set("a certificate of tomorrow", { ...early.identity, caCertificate })
  strangers.set("no certificate", { ...world.identity("clinic-1"), certificate: "", key: "" })
})
afterAll(async () => {
  await world.close()
  await rm(elsewhere, { recursive: true, force: true })
})
afterEach(() => world.clear())

let fog: Running
const serve = async (changes: Partial<ChildLimits> = {}): Promise<void> => {
  fog = await world.open("fog-1")
  await world.serve("fog-1", () => [fog.runner], { limits: { ...CHILD_LIMITS, ...changes } })
}

/** All that a study is at the fog, as far as it is durable. */
const standing = async () => {
  let journal = 0
  for await (const _ of fog.runner.store.journal()) journal += 1
  return {
    journal,
    log: fog.runner.store.length,
    head: Buffer.from(fog.runner.head.hash).toString("hex"),
    heard: fog.machine.heard.length,
    taken: ["clinic-1", "clinic-3"].map((name) => fog.runner.taken(world.named(name))),
    up: fog.runner.mailbox(world.named("leader")).held.length,
  }
}

const STACK = /\bat .+[.:]\w+:\d+|node_modules|\/src\/|\/dist\/|\/tmp\/|Error:/
/** A refusal must be a typed problem that says what to do, and nothing of this side's insides. */
const checkProblem = (answer: RawAnswer): string => {
  expect(answer.headers["content-type"]).toBe("application/problem+json")
  const { problem } = answer
  expect(Object.keys(problem ?? {}).sort()).toEqual(["detail", "remedy", "status", "title", "type"])
  expect(problem?.status).toBe(answer.status)
  expect(Object.keys(ERROR_TABLE)).toContain(problem?.title)
  expect(problem?.type).toBe(`docs/reference/errors.md#${problem?.title.replace("/", "")}`)
  expect(problem?.remedy).not.toBe("")
  expect(answer.body.toString()).not.toMatch(STACK)
  return `${answer.status} ${problem?.title}`
}

const said = (from: string, text: string): Envelope => message(from, "fog-1", line(text))
const ID = () => fog.runner.id
const DIGEST_NAME = "ab".repeat(32)

/** Routes, an honest request to each, and ways to spoil it. */
type Case = readonly [what: string, call: RawCall, refused: string]
const messagesPath = (rest = ""): string => `/v1/studies/${ID()}/messages${rest}`
const post = (body: Uint8Array, rest = ""): RawCall => ({ method: "POST", path: messagesPath(rest), body })
const upload = (path: string, body: Uint8Array, headers: Record<string, string | number> = {}): RawCall => ({
  method: "PUT",
  path,
  body,
  headers: { "content-type": UPLOAD_TYPE, "content-length": body.length, ...headers },
})

const BAD_NUMBERS = ["-1", "1.5", "1e3", "", " 1", "0x1", "99999999999999999999", "1&after=2", "NaN"]

const cases = (): readonly Case[] => [
  ...BAD_NUMBERS.filter((n) => !n.includes("after")).map(
    (known): Case => [
      `offers, known=${known}`,
      { path: `/v1/studies?known=${encodeURIComponent(known)}` },
      "400 network/bad-request",
    ],
  ),
  ["offers by POST", { method: "POST", path: "/v1/studies", body: parcel([]) }, "404 network/bad-request"],
  ...BAD_NUMBERS.map(
    (after): Case => [
      `poll, after=${after}`,
      { path: messagesPath(`?after=${after.includes("&") ? after : encodeURIComponent(after)}&wait=0`) },
      "400 network/bad-request",
    ],
  ),
  ["poll, from beyond all", { path: messagesPath("?after=9&wait=0") }, "409 network/gap"],
  ["poll, another study", { path: `/v1/studies/${"0".repeat(64)}/messages` }, "404 network/unknown-study"],
  ["poll, a study in capitals", { path: messagesPath().toUpperCase() }, "404 network/bad-request"],
  [
    "poll, a study that climbs",
    { path: "/v1/studies/..%2f..%2fetc%2fpasswd/messages" },
    "404 network/unknown-study",
  ],
  [
    "poll, a study without end",
    { path: `/v1/studies/${"a".repeat(5000)}/messages` },
    "400 network/bad-request",
  ],
  ["an escape that is none", { path: "/v1/studies/%zz/messages" }, "400 network/bad-request"],
  ["nothing at this address", { path: "/v1/nothing" }, "404 network/bad-request"],
  ["another method", { method: "DELETE", path: messagesPath() }, "404 network/bad-request"],
  ["a patch", { method: "PATCH", path: messagesPath(), body: parcel([]) }, "404 network/bad-request"],
  [
    "post, another study",
    { ...post(parcel([said("clinic-1", "x")])), path: `/v1/studies/${"0".repeat(64)}/messages` },
    "404 network/unknown-study",
  ],
  ["post, no body", { method: "POST", path: messagesPath() }, "400 network/bad-request"],
  ...["text/plain", "application/json", "multipart/form-data", "", "?"].map(
    (type): Case => [
      `post, a body of type "${type}"`,
      {
        method: "POST",
        path: messagesPath(),
        body: parcel([said("clinic-1", "x")]),
        headers: { "content-type": type, "content-length": parcel([said("clinic-1", "x")]).length },
      },
      "415 network/bad-request",
    ],
  ),
  ["post, too large", post(new Uint8Array(CHUNK_BYTES + 1)), "413 network/too-large"],
  ["post, random bytes", post(randomBytes(500)), "4.. encoding/.*"],
  ["post, after a gap", post(parcel([said("clinic-1", "x")], 5)), "409 network/gap"],
  ["post, number zero", post(parcel([said("clinic-1", "x")], 0)), "400 .*/.*"],
  [
    "post, a number without end",
    post(parcel([said("clinic-1", "x")], Number.MAX_SAFE_INTEGER)),
    "409 network/gap",
  ],
  ["post, in a sibling's name", post(parcel([said("clinic-3", "x")])), "403 identity/bad-signature"],
  ["post, in the leader's name", post(parcel([said("leader", "x")])), "403 identity/bad-signature"],
  [
    "post, in nobody's name",
    post(parcel([{ ...said("clinic-1", "x"), from: new Uint8Array(16).fill(9) }])),
    "403 identity/bad-signature",
  ],
  [
    "post, of another study",
    post(parcel([message("clinic-1", "fog-1", line("x"), new Uint8Array(32))])),
    "400 round/unexpected",
  ],
  [
    "post, good and bad together",
    post(parcel([said("clinic-1", "good"), said("clinic-3", "bad")])),
    "403 identity/bad-signature",
  ],
  [
    "post, an upload that is not there",
    post(new Uint8Array(0), `?upload=${DIGEST_NAME}`),
    "404 network/unknown-upload",
  ],
  ["post, an upload that climbs", post(new Uint8Array(0), "?upload=..%2f..%2fx"), "400 network/bad-request"],
  [
    "upload, a name that climbs",
    upload("/v1/uploads/..%2f..%2fkeys?offset=0", new Uint8Array(9)),
    "400 network/bad-request",
  ],
  ["upload, a short name", upload("/v1/uploads/ab?offset=0", new Uint8Array(9)), "400 network/bad-request"],
  ...["-1", "x", "1.5"].map(
    (offset): Case => [
      `upload, offset ${offset}`,
      upload(`/v1/uploads/${DIGEST_NAME}?offset=${offset}`, new Uint8Array(9)),
      "400 network/bad-request",
    ],
  ),
  [
    "upload, a wrong offset",
    upload(`/v1/uploads/${DIGEST_NAME}?offset=5`, new Uint8Array(9)),
    "409 network/wrong-offset",
  ],
  [
    "upload, too large a chunk",
    upload(`/v1/uploads/${DIGEST_NAME}?offset=0`, new Uint8Array(CHUNK_BYTES + 1)),
    "413 network/too-large",
  ],
  [
    "upload, as a parcel",
    upload(`/v1/uploads/${DIGEST_NAME}?offset=0`, new Uint8Array(9), { "content-type": PARCEL_TYPE }),
    "400 network/bad-request",
  ],
  [
    "upload, as JSON",
    upload(`/v1/uploads/${DIGEST_NAME}?offset=0`, new Uint8Array(9), { "content-type": "application/json" }),
    "415 network/bad-request",
  ],
  [
    "upload, of no stated length",
    {
      ...upload(`/v1/uploads/${DIGEST_NAME}?offset=0`, new Uint8Array(9)),
      headers: { "content-type": UPLOAD_TYPE, "transfer-encoding": "chunked" },
    },
    "400 network/bad-request",
  ],
  [
    "headers too large",
    { path: "/v1/studies", headers: { "x-long": "x".repeat(9000) } },
    "431 network/too-large",
  ],
]

describe("[S18] every route", () => {
  it("refuses what is wrong with a typed problem, and nothing is changed", async () => {
    await serve()
    await fog.runner.take(world.named("clinic-1"), 1, [])
    await fog.runner.post(say(world.named("leader").id, line("something")))
    const before = await standing()
    for (const [what, call, refused] of cases()) {
      const answer = await ask(world, "fog-1", world.identity("clinic-1"), call)
      expect(`${what}: ${checkProblem(answer)}`).toMatch(new RegExp(`: ${refused}$`))
      expect(await standing(), what).toEqual(before)
    }
    const head = await ask(world, "fog-1", world.identity("clinic-1"), {
      method: "HEAD",
      path: `/v1/uploads/${DIGEST_NAME}`,
    })
    expect([head.status, head.headers["upload-offset"]]).toEqual([200, "0"])
    // and it goes on serving
    const good = await ask(
      world,
      "fog-1",
      world.identity("clinic-1"),
      post(parcel([said("clinic-1", "good")])),
    )
    expect(good.status).toBe(200)
    expect(fog.machine.heard.at(-1)).toBe("clinic-1: good")
  })

  it("is closed to the enrolled who are no children here, and to all who are not enrolled", async () => {
    await serve()
    const before = await standing()
    const calls: RawCall[] = [
      { path: messagesPath("?after=0&wait=0") },
      post(parcel([said("clinic-2", "x")])),
      post(new Uint8Array(0), `?upload=${DIGEST_NAME}`),
      { method: "HEAD", path: `/v1/uploads/${DIGEST_NAME}` },
      upload(`/v1/uploads/${DIGEST_NAME}?offset=0`, new Uint8Array(9)),
    ]
    for (const name of ["clinic-2", "fog-2", "leader", "fog-1"])
      for (const call of calls) {
        const answer = await ask(world, "fog-1", world.identity(name), call)
        if (call.method === "HEAD") expect(answer.status).toBe(403)
        else expect(checkProblem(answer)).toBe("403 identity/unknown-participant")
      }
    const offers = await ask(world, "fog-1", world.identity("clinic-2"), { path: "/v1/studies" })
    expect(offers.body).toHaveLength(4)
    for (const [what, identity] of strangers)
      for (const call of [{ path: "/v1/studies" }, ...calls])
        await expect(ask(world, "fog-1", identity, call), what).rejects.toThrow()
    expect(await standing()).toEqual(before)
  })

  it("keeps its own faults to itself", async () => {
    fog = await world.open("fog-1")
    const door: StudyDoor = {
      id: fog.runner.id,
      directory: fog.runner.directory,
      signedRoster: fog.runner.signedRoster,
      take: () => Promise.reject(new TypeError("cannot read the key of /var/someone/secret")),
      acknowledge: () => {
        throw Object.assign(new Error("at Object.secret (/src/a.ts:1:2)"), { statusCode: 503 })
      },
      mailbox: (child) => fog.runner.mailbox(child),
    }
    await world.serve("fog-1", () => [door])
    for (const call of [post(parcel([said("clinic-1", "x")])), { path: messagesPath("?after=0") }]) {
      const answer = await ask(world, "fog-1", world.identity("clinic-1"), call)
      expect(checkProblem(answer)).toBe("500 network/failed")
      expect(answer.body.toString()).not.toMatch(/secret/)
    }
  })
})

/** One message of every type that was said in a study, and those that a healthy study does not need. */
const everyMessage = (): ReadonlyMap<Message["type"], Message> => {
  const found = new Map<Message["type"], Message>()
  for (const protection of ["plain", "shamir"] as const)
    for (const { message: each } of ran({ study: { protection } }).said) found.set(each.type, each)
  const bytes = new Uint8Array(32).fill(5)
  const more: Message[] = [
    { type: "void", spec: bytes, reason: "void" },
    { type: "refusal", purpose: "update", round: 1, attempt: 1, code: "policy/refused", reason: "no" },
    { type: "security", code: "round/equivocation", about: new Uint8Array(16), evidence: bytes },
    { type: "roster", signed: bytes },
  ]
  for (const each of more) if (!found.has(each.type)) found.set(each.type, each)
  return found
}

describe("[S18] every type of message", () => {
  const ALL_TYPES = [
    "announce",
    "lock",
    "openings",
    "propose",
    "certificate",
    "candidate",
    "void",
    "closed",
    "finish",
    "ended",
    "roster",
    "update",
    "share",
    "submit",
    "opening",
    "verdict",
    "signature",
    "partial",
    "report",
    "final-report",
    "refusal",
    "region",
    "traffic",
    "security",
  ]

  beforeEach(() => serve())

  it("is in the table", () => {
    expect([...everyMessage().keys()].sort()).toEqual([...ALL_TYPES].sort())
  })

  it("is refused or logged as evidence when it is spoiled, foreign, replayed or out of order", async () => {
    let next = 1
    const send = (body: Uint8Array) => ask(world, "fog-1", world.identity("clinic-1"), post(body))
    for (const [at, [type, each]] of [...everyMessage()].entries()) {
      // so much evidence of one child is taken, and then no more
      if (at % 10 === 9) {
        await world.clear()
        await serve()
        next = 1
      }
      const envelope = message("clinic-1", "fog-1", each)
      const before = await standing()
      const refuse = async (what: string, body: Uint8Array, code: RegExp): Promise<void> => {
        const answer = await send(body)
        expect(`${type}, ${what}: ${checkProblem(answer)}`).toMatch(code)
        expect(await standing(), `${type}, ${what}`).toEqual(before)
      }
      const foreign = message("clinic-1", "fog-1", each, new Uint8Array(32).fill(1))
      const sibling = message("clinic-3", "fog-1", each)
      const leaders = message("leader", "fog-1", each)
      await refuse("of another study", parcel([foreign], next), /round\/unexpected$/)
      await refuse("of another child", parcel([sibling], next), /identity\/bad-signature$/)
      await refuse("of somebody above", parcel([leaders], next), /identity\/bad-signature$/)
      await refuse("out of order", parcel([envelope], next + 1), /network\/gap$/)
      for (const how of spoiled(new Uint8Array(1)).keys()) {
        const then = await standing()
        const answer = await send(spoiled(parcel([envelope], next)).get(how) as Uint8Array)
        if (answer.status !== 200) {
          checkProblem(answer)
          expect(await standing(), `${type}, ${how}`).toEqual(then)
          continue
        }
        // a bit of what is signed, or of the signature: it is in its place, so it is taken, as evidence
        expect(how, type).toMatch(/bit flipped/)
        next += 1
        expect(fog.machine.heard.at(-1)).toMatch(/^refused identity\/bad-signature/)
        expect(await standing()).toMatchObject({ up: then.up, log: then.log + 1 })
      }
      // signed, but no message
      const junk = signedJunk(encode(messageCodec, each).slice(0, -1))
      expect((await send(parcel([junk], next))).status).toBe(200)
      next += 1
      expect(fog.machine.heard.at(-1)).toMatch(/^refused encoding\//)
      // honest, and then again
      const honest = parcel([message("clinic-1", "fog-1", each)], next)
      expect((await send(honest)).status).toBe(200)
      next += 1
      const once = await standing()
      expect((await send(honest)).status).toBe(200)
      expect(await standing(), `${type}, replayed`).toEqual(once)
    }
  }, 60_000)
})

/** Signed as it should be, around bytes that are no message. */
const signedJunk = (body: Uint8Array): Envelope => {
  const { study, from, to } = said("clinic-1", "x")
  const signature = keysFor("clinic-1").sign(hash("envelope", study, from, to, body))
  return { study, from, to, body, signature }
}

describe("[S18] limits", () => {
  const tls = (identity = world.identity("clinic-1")): Promise<TLSSocket> =>
    new Promise((resolve, reject) => {
      const { host, port } = parseAddress(world.named("fog-1").address)
      const socket = connect({ host, port, ...tlsClientOptions(identity, "fog-1") })
      socket.once("secureConnect", () => resolve(socket))
      socket.once("error", reject)
      socket.on("error", () => undefined)
    })
  /** All that comes until the other side closes. */
  const rest = (socket: net.Socket): Promise<string> =>
    new Promise((resolve) => {
      let text = ""
      socket.on("data", (data) => {
        text += data.toString("latin1")
      })
      socket.on("close", () => resolve(text))
    })
  const open = (): Promise<net.Socket> =>
    new Promise((resolve, reject) => {
      const { host, port } = parseAddress(world.named("fog-1").address)
      const socket = net.connect(port, host)
      socket.once("connect", () => resolve(socket))
      socket.on("error", reject)
    })

  it("cut off who sends headers or a body slowly, and say so", async () => {
    await serve({ headersMs: 300, requestMs: 600 })
    const before = await standing()
    const headers = await tls()
    headers.write("POST /v1/studies HTTP/1.1\r\nhost: x\r\n")
    const drip = setInterval(() => headers.write("x-a: b\r\n"), 100)
    const slowHeaders = await rest(headers)
    clearInterval(drip)
    expect(slowHeaders).toMatch(/^HTTP\/1\.1 408 /)
    expect(slowHeaders).toContain('"title":"network/too-slow"')
    expect(slowHeaders).not.toMatch(STACK)
    const body = await tls()
    body.write(
      `POST ${messagesPath()} HTTP/1.1\r\nhost: x\r\ncontent-type: ${PARCEL_TYPE}\r\ncontent-length: 1000\r\n\r\n`,
    )
    const dripping = setInterval(() => body.write("x"), 100)
    const started = performance.now()
    await rest(body)
    clearInterval(dripping)
    expect(performance.now() - started).toBeLessThan(5000)
    expect(await standing()).toEqual(before)
  })

  it("cut off who shows no certificate, and keep a place for others", async () => {
    await serve({ handshakeMs: 2000, strangers: 3 })
    const silent = [await open(), await open(), await open()]
    const closed = silent.map(rest)
    const fourth = await open()
    const started = performance.now()
    expect(await rest(fourth)).toBe("")
    // at once, not when its time to show a certificate is over
    expect(performance.now() - started).toBeLessThan(1500)
    await Promise.all(closed)
    expect((await ask(world, "fog-1", world.identity("clinic-1"), { path: "/v1/studies" })).status).toBe(200)
  })

  it("hold for the connections of one child, not for another's", async () => {
    await serve({ connections: 2 })
    const sockets: TLSSocket[] = []
    for (let n = 0; n < 6; n++) sockets.push(await tls())
    const seventh = await tls()
    expect(await rest(seventh)).toBe("")
    expect((await ask(world, "fog-1", world.identity("clinic-3"), { path: "/v1/studies" })).status).toBe(200)
    for (const socket of sockets) socket.destroy()
    await until(() => sockets.every(({ destroyed }) => destroyed))
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect((await ask(world, "fog-1", world.identity("clinic-1"), { path: "/v1/studies" })).status).toBe(200)
  })

  it("close a connection on which nothing moves", async () => {
    await serve({ idleMs: 200 })
    const started = performance.now()
    await rest(await tls())
    expect(performance.now() - started).toBeLessThan(5000)
  })

  it("hold for the requests of one child in a second, not for another's", async () => {
    await serve({ rate: { burst: 5, perSecond: 1 } })
    const call = (name: string) => ask(world, "fog-1", world.identity(name), { path: "/v1/studies" })
    const answers: string[] = []
    for (let n = 0; n < 7; n++) {
      const answer = await call("clinic-1")
      answers.push(answer.status === 200 ? "200" : checkProblem(answer))
      if (answer.status === 429) expect(answer.headers["retry-after"]).toBe("1")
    }
    expect(answers.slice(0, 5)).toEqual(["200", "200", "200", "200", "200"])
    expect(answers).toContain("429 network/too-many-requests")
    expect((await call("clinic-3")).status).toBe(200)
  })

  it("hold for bodies that are under way", async () => {
    await serve({ bodies: 2 })
    const slow = [await tls(), await tls()]
    for (const socket of slow)
      socket.write(
        `POST ${messagesPath()} HTTP/1.1\r\nhost: x\r\ncontent-type: ${PARCEL_TYPE}\r\ncontent-length: 1000\r\n\r\nx`,
      )
    await new Promise((resolve) => setTimeout(resolve, 100))
    const refused = await ask(world, "fog-1", world.identity("clinic-1"), post(parcel([])))
    expect(checkProblem(refused)).toBe("429 network/too-many-requests")
    for (const socket of slow) socket.destroy()
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect((await ask(world, "fog-1", world.identity("clinic-1"), post(parcel([])))).status).toBe(200)
  })

  it("refuse a body larger than allowed before it is read", async () => {
    await serve()
    const socket = await tls()
    socket.write(
      `POST ${messagesPath()} HTTP/1.1\r\nhost: x\r\ncontent-type: ${PARCEL_TYPE}\r\ncontent-length: ${CHUNK_BYTES + 1}\r\n\r\n`,
    )
    const answer = await new Promise<string>((resolve) => {
      socket.once("data", (data) => resolve(data.toString("latin1")))
    })
    expect(answer).toMatch(/^HTTP\/1\.1 413 /)
    socket.destroy()
  })

  it("refuse what is not HTTP, or two requests in one", async () => {
    await serve()
    for (const raw of [
      "\x16\x03\x01 not HTTP\r\n\r\n",
      "GET / HTTP/9.9\r\n\r\n",
      `POST ${messagesPath()} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n`,
      `POST ${messagesPath()} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcde`,
    ]) {
      const socket = await tls()
      socket.write(raw)
      const answer = await rest(socket)
      expect(answer).toMatch(/^HTTP\/1\.1 400 /)
      expect(answer).toContain('"title":"network/bad-request"')
    }
  })
})

describe("a study under attack", () => {
  it("goes on for the others", async () => {
    await serve()
    const clinic = await world.child("clinic-3", "fog-1")
    let attacking = true
    const attack = (async () => {
      for (let n = 0; attacking; n++) {
        const kinds: RawCall[] = [
          post(randomBytes(2000)),
          post(parcel([said("clinic-3", "x")])),
          { path: messagesPath("?after=0") },
          upload(`/v1/uploads/${DIGEST_NAME}?offset=0`, randomBytes(5000)),
          post(new Uint8Array(0), `?upload=${DIGEST_NAME}`),
          { path: `/v1/studies?known=${n}` },
        ]
        const call = ask(world, "fog-1", world.identity("clinic-1"), kinds[n % kinds.length] as RawCall)
        await Promise.race([call.catch(() => undefined), new Promise((resolve) => setTimeout(resolve, 20))])
      }
    })()
    const texts = Array.from({ length: 40 }, (_, i) => `line ${i}`)
    for (const text of texts) {
      await clinic.runner.post(say(world.named("fog-1").id, line(text)))
      await fog.runner.post(say(world.named("clinic-3").id, line(text)))
    }
    await until(() => fog.machine.heard.filter((what) => what.startsWith("clinic-3")).length === 40)
    await until(() => clinic.machine.heard.filter((what) => what.startsWith("fog-1")).length === 40)
    attacking = false
    await attack
    expect(fog.machine.heard.filter((what) => what.startsWith("clinic-"))).toEqual(
      texts.map((text) => `clinic-3: ${text}`),
    )
  }, 60_000)
})
