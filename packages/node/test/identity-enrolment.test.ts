import { X509Certificate } from "node:crypto"
import { once } from "node:events"
import { createServer as createHttpServer } from "node:http"
import { createServer } from "node:https"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { connect, type Server } from "node:tls"
import { toHex } from "@consilium/base/bytes"
import { isConsiliumError } from "@consilium/base/errors"
import { openRoster } from "@consilium/federation/roster"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { FailedAttempts } from "../src/identity/attempts.js"
import { makeCsr } from "../src/identity/csr.js"
import { enrol, fetchRoster, loadOrEnrol } from "../src/identity/enrol-client.js"
import { enrolMessage } from "../src/identity/enrol-message.js"
import type { ParticipantKeys } from "../src/identity/keys.js"
import { type Kit, makeKits, readKit, saveTickets } from "../src/identity/kit.js"
import { nodeSuite } from "../src/identity/suite.js"
import { type TlsIdentity, tlsIdentity, tlsServerOptions } from "../src/identity/tls.js"
import { SealedFiles } from "../src/store/sealed.js"
import { type RawAnswer, raw, SEATS, TestAuthority } from "./identity-authority.js"
import { testStudy } from "./identity-study.js"
import { temporaryFolder } from "./store-children.js"

const now = Date.now
const DAY = 86_400_000
let root: string
let remove: () => Promise<void>
beforeAll(async () => {
  const made = await temporaryFolder("enrol")
  root = made.path
  remove = made.remove
})
afterAll(() => remove())

let n = 0
let folder: string
beforeEach(() => {
  folder = join(root, String(n++))
})

const post = (port: number, body: string, path = "/v1/enrol"): Promise<RawAnswer> =>
  raw(port, { method: "POST", path, body })

const bodyFor = async (
  kit: Kit,
  keys: ParticipantKeys,
  change: Record<string, unknown> = {},
): Promise<string> => {
  const unsigned = {
    token: kit.token,
    name: kit.name,
    csr: makeCsr(kit.name, keys.tlsKey),
    signingKey: keys.signingKey,
    sealingKey: keys.sealingKey,
    address: "",
  }
  return JSON.stringify({
    ...unsigned,
    token: Buffer.from(kit.token).toString("base64url"),
    signingKey: toHex(keys.signingKey),
    sealingKey: toHex(keys.sealingKey),
    signature: toHex(keys.sign(enrolMessage(kit.caFingerprint, unsigned))),
    ...change,
  })
}

describe("enrolment", () => {
  it("gives every participant a certificate, and all of them the roster once the last one is there", async () => {
    const authority = await TestAuthority.start(folder)
    const addresses: Record<string, string> = { leader: "localhost:8443", "fog-1": "[::1]:9000" }
    const waiting: Promise<Uint8Array>[] = []
    for (const { name, role } of SEATS) {
      const keys = await authority.study.keysOf(name)
      const address = addresses[name] ?? ""
      const certificates = await enrol({ kit: authority.kit(name), keys, address, now })
      expect(certificates.caCertificate.trim()).toBe(authority.study.authority.certificate.trim())
      expect(new X509Certificate(certificates.certificate).subject).toBe(`CN=${name}\nOU=${role}`)
      waiting.push(fetchRoster(authority.kit(name), tlsIdentity(keys, certificates), { now }))
    }
    const [signed] = await Promise.all(waiting)
    for (const other of await Promise.all(waiting)) expect(other).toEqual(signed)
    const { directory } = openRoster(nodeSuite, authority.me.keys.signingKey, signed as Uint8Array)
    expect(directory.roster.version).toBe(1)
    for (const { name, role, parent } of SEATS) {
      const keys = await authority.study.keysOf(name)
      const { id: _, parent: above, ...entry } = directory.named(name)
      expect(entry).toEqual({
        name,
        role,
        address: addresses[name] ?? "",
        signingKey: keys.signingKey,
        sealingKey: keys.sealingKey,
        tlsKeyHash: keys.tlsKeyHash,
      })
      expect(above).toEqual(parent === null ? null : directory.named(parent).id)
    }
    expect(authority.refusals).toEqual([])
    await authority.stop()
  })

  it("waits for an authority that starts later, and says when it waited long enough", async () => {
    const authority = await TestAuthority.layOut(folder)
    const keys = await authority.study.keysOf("north")
    const options = { kit: authority.kit("north"), keys, address: "", now }
    await expect(enrol({ ...options, patienceMs: 150 })).rejects.toMatchObject({
      code: "identity/authority-unreachable",
      message: `https://127.0.0.1:${authority.port} did not answer (ECONNREFUSED).`,
    })
    const enrolled = enrol(options)
    await new Promise((resolve) => setTimeout(resolve, 200))
    await authority.run()
    expect((await enrolled).certificate).toContain("BEGIN CERTIFICATE")
    await authority.stop()
  })

  it("stops waiting when it is told to, in the middle of an answer that does not come", async () => {
    const authority = await TestAuthority.start(folder)
    const { kit, identity } = await authority.join("north")
    const stop = new AbortController()
    const waiting = fetchRoster(kit, identity, { now, stop: stop.signal })
    setTimeout(() => stop.abort(), 100)
    const begun = performance.now()
    await expect(waiting).rejects.toMatchObject({ code: "identity/authority-unreachable" })
    expect(performance.now() - begun).toBeLessThan(2000)
    await authority.stop()
  })

  it("gives the same keys the same certificate again, also after the authority has restarted", async () => {
    const authority = await TestAuthority.start(folder)
    const keys = await authority.study.keysOf("north")
    const options = { kit: authority.kit("north"), keys, address: "north.example:1", now }
    const first = await enrol(options)
    const own = await SealedFiles.open(join(folder, "own", "north"), authority.study.key)
    expect(await loadOrEnrol(own, options)).toEqual(first)
    await authority.stop()
    await authority.run()
    expect(authority.registry.members().map(({ name }) => name)).toEqual(["north"])
    expect(await enrol({ ...options, kit: { ...options.kit } })).toEqual(first)
    await authority.stop()
    // saved: no authority needed
    expect(await loadOrEnrol(own, options)).toEqual(first)
  })

  it("takes a new address from the same keys until a roster is signed", async () => {
    const authority = await TestAuthority.start(folder)
    const keys = await authority.study.keysOf("north")
    const options = { kit: authority.kit("north"), keys, now }
    await enrol({ ...options, address: "old.example:1" })
    const { certificate } = await enrol({ ...options, address: "new.example:2" })
    expect(new X509Certificate(certificate).subjectAltName).toContain("DNS:new.example")
    expect(authority.registry.members().map(({ address }) => address)).toEqual(["new.example:2"])
    await authority.joinAll(SEATS.map(({ name }) => name).filter((name) => name !== "north"))
    await expect(enrol({ ...options, address: "newer.example:3" })).rejects.toMatchObject({
      code: "identity/roster-closed",
    })
    expect((await enrol({ ...options, address: "new.example:2" })).certificate).toBe(certificate)
    await authority.stop()
  })

  it("[S11] refuses a token that was used with other keys, is for another name, unknown, or expired", async () => {
    const authority = await TestAuthority.start(folder)
    const { study } = authority
    const north = authority.kit("north")
    await authority.join("north")
    const refused = async (change: Partial<Kit>, code: string, of = "other"): Promise<void> => {
      const error = await enrol({
        kit: { ...north, ...change },
        keys: await study.keysOf(of),
        address: "",
        now,
      }).catch((e) => e)
      expect(error.code).toBe(code)
      expect(String(error) + error.message).not.toContain(Buffer.from(north.token).toString("base64url"))
    }
    await refused({}, "identity/token-used")
    await refused({ name: "south" }, "identity/token-refused")
    await refused({ name: "nobody" }, "identity/token-refused")
    await refused({ token: new Uint8Array(32) }, "identity/token-refused")
    await refused({ name: "nobody", token: new Uint8Array(32) }, "identity/token-refused")
    // the keys of another participant, all or one of them
    await refused({ name: "south", token: authority.kit("south").token }, "identity/key-in-use", "north")
    expect(authority.registry.members().map(({ name }) => name)).toEqual(["north"])
    await authority.stop()

    await saveTickets(study.files, await authority.makeKits(SEATS, now() - 1))
    await authority.run()
    await expect(authority.join("south")).rejects.toMatchObject({ code: "identity/token-expired" })
    await authority.stop()
  })

  it("refuses requests that are malformed, too long, or not signed by the keys they name", async () => {
    const authority = await TestAuthority.start(folder)
    const { port, study } = authority
    const north = authority.kit("north")
    const keys = await study.keysOf("north")
    const other = await study.keysOf("other")
    const good = await bodyFor(north, keys)
    const refused = async (body: string, status: number, code = "identity/bad-request"): Promise<void> => {
      const answer = await post(port, body)
      expect([answer.status, answer.type, JSON.parse(answer.text).code]).toEqual([
        status,
        expect.stringContaining("application/problem+json"),
        code,
      ])
      expect(answer.text).not.toContain(Buffer.from(north.token).toString("base64url"))
    }
    await refused("{", 400)
    await refused("[]", 400)
    await refused(JSON.stringify({ ...JSON.parse(good), extra: 1 }), 400)
    await refused(JSON.stringify({ ...JSON.parse(good), csr: 5 }), 400)
    await refused(" ".repeat(20_000), 413)
    for (const change of [
      { signingKey: toHex(other.signingKey) },
      { sealingKey: toHex(other.sealingKey) },
      { csr: makeCsr("north", other.tlsKey) },
      { address: "evil.example:1" },
      { signature: "00".repeat(64) },
    ])
      await refused(await bodyFor(north, keys, change), 400)
    await refused(await bodyFor(north, keys, { sealingKey: "00".repeat(32) }), 400, "identity/bad-key")
    await refused(await bodyFor(north, keys, { signingKey: `01${"00".repeat(31)}` }), 400, "identity/bad-key")
    await refused(
      await bodyFor(north, keys, { address: "leader.consilium.internal:1" }),
      400,
      "identity/bad-address",
    )
    expect((await post(port, good, "/v1/other")).status).toBe(404)
    expect(authority.registry.members()).toEqual([])
    expect((await post(port, good)).status).toBe(200)
    await authority.stop()
  })

  it("slows down whoever fails too often, before reading what they send, whatever stands behind the path", async () => {
    let clock = now()
    const authority = await TestAuthority.start(folder, {
      now: () => clock,
      server: { limits: { failures: 3, windowMs: 60_000 } },
    })
    const { port } = authority
    const good = await bodyFor(authority.kit("north"), await authority.study.keysOf("north"))
    for (const path of ["/v1/enrol", "/v1/enrol?", "/v1/enrol?again"])
      expect((await post(port, "{}", path)).status).toBe(400)
    const answer = await post(port, good)
    expect(answer.status).toBe(429)
    expect(answer.headers).toMatchObject({ "retry-after": "60" })
    expect(authority.refusals).toEqual([
      ...Array(3).fill("identity/bad-request"),
      "identity/too-many-attempts",
    ])
    clock += 60_001
    expect((await post(port, good)).status).toBe(200)
    await authority.stop()
  })

  it("[S11] shows the roster to enrolled participants only", async () => {
    const authority = await TestAuthority.start(folder)
    const { port } = authority
    const { north } = await authority.joinAll()
    const get = async (as: TlsIdentity | null, session?: Buffer): Promise<number> =>
      (await raw(port, { path: "/v1/roster", as, session })).status
    expect(await get(null)).toBe(401)
    const foreign = await testStudy(join(folder, "foreign"))
    expect(await get((await foreign.member("north", "facility")).identity)).toBe(401)
    // a resumed session without a certificate counts as authorized for TLS alone
    let session: Buffer | undefined
    const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false })
    socket.on("session", (ticket) => {
      session = ticket
      socket.end()
    })
    socket.resume()
    await once(socket, "close")
    expect(session).toBeDefined()
    expect(await get(null, session)).toBe(401)
    // certified by the right authority, but enrolled nowhere; and the authority itself
    expect(await get((await authority.study.member("nobody", "facility")).identity)).toBe(403)
    expect(await get(authority.me.identity)).toBe(403)
    expect(await get(north?.identity as TlsIdentity)).toBe(200)
    await authority.stop()
  })
})

describe("a false authority", () => {
  const asked: string[] = []
  let study: TestAuthority["study"]
  let authority: TestAuthority["me"]
  beforeEach(async () => {
    study = await testStudy(folder)
    authority = await study.member("authority", "authority")
  })
  /** The kit of north, for an authority at a port. */
  const kitFor = async (port: number): Promise<Kit> => {
    const at = join(folder, `kits-${port}`)
    const { signingKey, sign } = authority.keys
    await makeKits({
      folder: at,
      study: "heart",
      authority: {
        name: "authority",
        url: `https://127.0.0.1:${port}`,
        caFingerprint: study.authority.fingerprint,
        signingKey,
        sign,
      },
      participants: [{ name: "north", role: "facility", parent: "fog-1", local: "" }],
      expires: now() + DAY,
    })
    return readKit(join(at, "north"))
  }
  const servers: Server[] = []
  afterAll(() => {
    for (const server of servers) server.close()
  })
  /** Answers /v1/ca with a certificate and keeps what else it is sent. */
  const impostor = async (identity: TlsIdentity, ca: string): Promise<number> => {
    const server = createServer(
      { ...tlsServerOptions(identity), requestCert: false },
      (incoming, response) => {
        let body = ""
        incoming.on("data", (part) => {
          body += part
        })
        incoming.on("end", () => {
          asked.push(`${incoming.url} ${body}`)
          response.end(incoming.url === "/v1/ca" ? ca : "{}")
        })
      },
    )
    servers.push(server)
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    return (server.address() as AddressInfo).port
  }

  it("[S11] gets no token: not with another root, nor with the right root and no certificate for the authority", async () => {
    const foreign = await testStudy(join(folder, "foreign"))
    const foreignAuthority = await foreign.member("authority", "authority")
    const south = await study.member("south", "facility")
    const keys = await study.keysOf("north")
    for (const [identity, ca, code] of [
      // its own root
      [foreignAuthority.identity, foreign.authority.certificate, "identity/wrong-authority"],
      // the right root, shown by somebody whom it did not certify
      [foreignAuthority.identity, study.authority.certificate, "identity/wrong-authority"],
      // the right root, shown by an enrolled participant
      [south.identity, study.authority.certificate, "identity/wrong-peer"],
      // the participant's certificate as a root: another fingerprint
      [south.identity, south.identity.certificate, "identity/wrong-authority"],
      [south.identity, "nonsense", "identity/wrong-authority"],
    ] as const) {
      const port = await impostor(identity, ca)
      const kit = await kitFor(port)
      const error = await enrol({ kit, keys, address: "", now, patienceMs: 2000 }).catch((e) => e)
      expect(isConsiliumError(error) ? error.code : String(error)).toBe(code)
    }
    expect(asked.map((line) => line.trim())).toEqual(Array(5).fill("/v1/ca"))
  })

  it("is not believed when its certificate is not the one that was asked for", async () => {
    const keys = await study.keysOf("north")
    const other = await study.keysOf("south")
    const foreign = await testStudy(join(folder, "foreign"))
    const answers = [
      await study.authority.issue({
        csr: makeCsr("south", other.tlsKey),
        name: "south",
        role: "facility",
        validityDays: 1,
      }),
      await study.authority.issue({
        csr: makeCsr("north", other.tlsKey),
        name: "north",
        role: "facility",
        validityDays: 1,
      }),
      await study.authority.issue({
        csr: makeCsr("north", keys.tlsKey),
        name: "north",
        role: "leader",
        validityDays: 1,
      }),
      await foreign.authority.issue({
        csr: makeCsr("north", keys.tlsKey),
        name: "north",
        role: "facility",
        validityDays: 1,
      }),
      await (await study.at(() => now() + 3 * DAY)).issue({
        csr: makeCsr("north", keys.tlsKey),
        name: "north",
        role: "facility",
        validityDays: 1,
      }),
    ]
    // the right certificate but for the last bit of its signature
    const own = await study.authority.issue({
      csr: makeCsr("north", keys.tlsKey),
      name: "north",
      role: "facility",
      validityDays: 1,
    })
    const changed = Buffer.from(new X509Certificate(own).raw)
    changed[changed.length - 1] = (changed.at(-1) as number) ^ 1
    answers.push(new X509Certificate(changed).toString())
    let certificate = ""
    const server = createServer(
      { ...tlsServerOptions(authority.identity), requestCert: false },
      (incoming, response) => {
        incoming.resume()
        response.end(
          incoming.url === "/v1/ca" ? study.authority.certificate : JSON.stringify({ certificate }),
        )
      },
    )
    servers.push(server)
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    const kit = await kitFor((server.address() as AddressInfo).port)
    for (certificate of answers)
      await expect(enrol({ kit, keys, address: "", now })).rejects.toMatchObject({
        code: "identity/certificate-refused",
      })
    certificate = await (await study.at(() => now() - 3 * DAY)).issue({
      csr: makeCsr("north", keys.tlsKey),
      name: "north",
      role: "facility",
      validityDays: 1,
    })
    await expect(enrol({ kit, keys, address: "", now })).rejects.toMatchObject({
      code: "identity/certificate-expired",
    })
    certificate = "nonsense"
    await expect(enrol({ kit, keys, address: "", now })).rejects.toMatchObject({
      code: "identity/enrolment-failed",
    })
  })

  it("that does not speak TLS is told apart from one that is not up yet", async () => {
    const server = createHttpServer().listen(0, "127.0.0.1")
    await once(server, "listening")
    const kit = await kitFor((server.address() as AddressInfo).port)
    await expect(
      enrol({
        kit,
        keys: await study.keysOf("north"),
        address: "",
        now,
        patienceMs: 5000,
      }),
    ).rejects.toMatchObject({ code: "identity/wrong-authority" })
    server.close()
  })
})

describe("failed attempts", () => {
  it("are counted per IPv4 address and per /64 of IPv6, for as long as the window", () => {
    let clock = 0
    const attempts = new FailedAttempts({ failures: 2, windowMs: 1000 }, () => clock)
    attempts.failed("10.0.0.1")
    clock = 400
    attempts.failed("::ffff:10.0.0.1")
    expect(attempts.waitMs("10.0.0.1")).toBe(600)
    expect(attempts.waitMs("10.0.0.2")).toBe(0)
    attempts.failed("2001:db8:0:1::1")
    attempts.failed("2001:db8:0:1:ffff::2")
    expect(attempts.waitMs("2001:db8:0:1:2:3:4:5")).toBe(1000)
    expect(attempts.waitMs("2001:db8:0:2::1")).toBe(0)
    clock = 1001
    expect(attempts.waitMs("10.0.0.1")).toBe(0)
    for (let i = 0; i < 5000; i++) attempts.failed(`10.1.${i >> 8}.${i & 255}`)
    expect(attempts.waitMs("2001:db8:0:1::1")).toBe(0)
  })
})
