import { createHash, randomBytes } from "node:crypto"
import { mkdir, readdir, readFile, stat, utimes, writeFile } from "node:fs/promises"
import https from "node:https"
import net from "node:net"
import { join } from "node:path"
import { Readable } from "node:stream"
import { toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import { milliseconds } from "@consilium/base/units"
import * as fc from "fast-check"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { parseAddress } from "../src/identity/names.js"
import { tlsClientOptions } from "../src/identity/tls.js"
import type { ParentServer } from "../src/transport/parent-server.js"
import { UploadFolder, type UploadLimits } from "../src/transport/upload-folder.js"
import { CHUNK_BYTES, OFFSET_HEADER, receiptCodec, UPLOAD_TYPE } from "../src/transport/wire.js"
import { message, until } from "./runner-bench.js"
import { heavy, line, say, textOf } from "./runner-machine.js"
import { ask, OTHER_STUDY, parcel, type RawAnswer, type Running, World } from "./transport-world.js"

let world: World
beforeAll(async () => {
  world = await World.make()
})
afterAll(() => world.close())
afterEach(() => world.clear())

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")
const MIB = 1 << 20

const head = async (digest: string, as = "clinic-1"): Promise<number> => {
  const answer = await ask(world, "fog-1", world.identity(as), {
    method: "HEAD",
    path: `/v1/uploads/${digest}`,
  })
  expect(answer.status).toBe(200)
  return Number(answer.headers[OFFSET_HEADER])
}
const put = (digest: string, offset: number, body: Uint8Array, as = "clinic-1"): Promise<RawAnswer> =>
  ask(world, "fog-1", world.identity(as), {
    method: "PUT",
    path: `/v1/uploads/${digest}?offset=${offset}`,
    body,
    headers: { "content-type": UPLOAD_TYPE, "content-length": body.length },
  })
const use = (study: string, digest: string, as = "clinic-1"): Promise<RawAnswer> =>
  ask(world, "fog-1", world.identity(as), {
    method: "POST",
    path: `/v1/studies/${study}/messages?upload=${digest}`,
  })

/** Sends some of the bytes that were promised, and cuts the connection. */
const putCut = (digest: string, offset: number, body: Uint8Array, after: number): Promise<void> =>
  new Promise((resolve) => {
    const { host, port } = parseAddress(world.named("fog-1").address)
    const request = https.request({
      host,
      port,
      agent: false,
      method: "PUT",
      path: `/v1/uploads/${digest}?offset=${offset}`,
      headers: { "content-type": UPLOAD_TYPE, "content-length": body.length },
      ...tlsClientOptions(world.identity("clinic-1"), "fog-1"),
    })
    request.on("error", () => resolve())
    request.on("close", () => resolve())
    request.write(Buffer.from(body.subarray(0, after)), () => setTimeout(() => request.destroy(), 5))
  })

/** A way to the fog that counts what goes up, and can be cut. */
const countingProxy = async () => {
  const [host, port] = world.named("fog-1").address.split(":")
  const open = new Set<net.Socket>()
  const state = { bytes: 0, cutAfter: Number.POSITIVE_INFINITY }
  const server = net.createServer((near) => {
    const far = net.connect(Number(port), host)
    const cut = (): void => {
      near.destroy()
      far.destroy()
    }
    for (const socket of [near, far]) {
      open.add(socket)
      socket.on("close", () => {
        open.delete(socket)
        cut()
      })
      socket.on("error", cut)
    }
    near.on("data", (data) => {
      state.bytes += data.length
      if (state.bytes > state.cutAfter) cut()
      else if (!far.write(data)) near.pause()
    })
    far.on("drain", () => near.resume())
    far.on("data", (data) => near.write(data))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    state,
    address: `127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    close(): void {
      for (const socket of open) socket.destroy()
      server.close()
    },
  }
}

let fog: Running
let server: ParentServer
const serve = async (options: { uploadLimits?: UploadLimits; now?: () => number } = {}): Promise<void> => {
  fog = await world.open("fog-1")
  server = await world.serve("fog-1", () => [fog.runner], options)
}
const restart = async (): Promise<void> => {
  fog.runner.stop()
  await server.close()
  await serve()
}
const leftover = async (): Promise<string[]> => {
  const children = await readdir(world.uploads("fog-1"))
  return (await Promise.all(children.map((child) => readdir(join(world.uploads("fog-1"), child))))).flat()
}

describe("a large parcel", () => {
  it("goes up in chunks, in its place among small ones, and leaves nothing behind", async () => {
    await serve()
    const proxy = await countingProxy()
    const clinic = await world.child("clinic-1", "fog-1", { address: proxy.address })
    const fogId = world.named("fog-1").id
    const large = heavy("large", 2 * MIB + 5)
    const larger = heavy("larger one", 1.5 * MIB)
    for (const said of [line("before"), large, line("between"), larger, line("after")])
      await clinic.runner.post(say(fogId, said))
    await until(() => fog.machine.heard.length === 5)
    expect(fog.machine.heard).toEqual(
      [line("before"), large, line("between"), larger, line("after")].map(
        (said) => `clinic-1: ${textOf(said)}`,
      ),
    )
    await until(() => clinic.runner.mailbox(world.named("fog-1")).empty)
    expect(await leftover()).toEqual([])
    expect(proxy.state.bytes).toBeGreaterThan(3.5 * MIB)
    expect(proxy.state.bytes).toBeLessThan(3.7 * MIB)
    expect(clinic.told).toEqual([])
    proxy.close()
  })

  it("goes on where it was after the child is killed, though more has come to be said meanwhile", async () => {
    await serve()
    const proxy = await countingProxy()
    proxy.state.cutAfter = 2.5 * MIB
    const clinic = await world.child("clinic-1", "fog-1", { address: proxy.address })
    const fogId = world.named("fog-1").id
    await clinic.runner.post(say(fogId, heavy("large", 4 * MIB)))
    await until(() => proxy.state.bytes > proxy.state.cutAfter)
    clinic.kill()
    expect(fog.machine.heard).toEqual([])
    const [name = ""] = await leftover()
    const there = await head(name)
    expect(there).toBeGreaterThan(1.5 * MIB)
    proxy.state.bytes = 0
    proxy.state.cutAfter = Number.POSITIVE_INFINITY
    const again = await world.child("clinic-1", "fog-1", { address: proxy.address })
    await again.runner.post(say(fogId, line("more")))
    await again.runner.post(say(fogId, heavy("and more", 1.1 * MIB)))
    await until(() => fog.machine.heard.length === 3)
    expect(proxy.state.bytes).toBeLessThan(5.1 * MIB - there + 0.3 * MIB)
    await until(() => again.runner.mailbox(world.named("fog-1")).empty)
    expect(await leftover()).toEqual([])
    proxy.close()
  })

  it("goes on where it was after the parent is killed", async () => {
    await serve()
    const proxy = await countingProxy()
    proxy.state.cutAfter = 2.5 * MIB
    const clinic = await world.child("clinic-1", "fog-1", { address: proxy.address })
    await clinic.runner.post(say(world.named("fog-1").id, heavy("large", 3 * MIB)))
    await until(() => proxy.state.bytes > proxy.state.cutAfter)
    await restart()
    proxy.state.bytes = 0
    proxy.state.cutAfter = Number.POSITIVE_INFINITY
    await until(() => fog.machine.heard.length === 1)
    expect(proxy.state.bytes).toBeLessThan(2.5 * MIB)
    proxy.close()
  })

  it("is not sent again where only the answer was lost", async () => {
    await serve()
    const large = message("clinic-1", "fog-1", heavy("large", 1.5 * MIB))
    // the fog has it from a life of the clinic that nobody remembers
    await fog.runner.take(world.named("clinic-1"), 1, [large])
    const proxy = await countingProxy()
    const clinic = await world.child("clinic-1", "fog-1", { address: proxy.address })
    await clinic.runner.post(say(world.named("fog-1").id, heavy("large", 1.5 * MIB)))
    await until(() => clinic.runner.mailbox(world.named("fog-1")).empty)
    expect(proxy.state.bytes).toBeLessThan(100_000)
    proxy.close()
  })

  it("goes up beside one of another study of the same child", async () => {
    const fogs = [await world.open("fog-1"), await world.open("fog-1", OTHER_STUDY)]
    await world.serve("fog-1", () => fogs.map(({ runner }) => runner))
    const link = world.link("clinic-1", "fog-1")
    const { StudyLink } = await import("../src/transport/study-link.js")
    const clinics = [await world.open("clinic-1"), await world.open("clinic-1", OTHER_STUDY)]
    for (const { runner } of clinics) void new StudyLink(link, world.named("fog-1"), runner).run()
    for (const [i, { runner }] of clinics.entries())
      await runner.post(say(world.named("fog-1").id, heavy(`study ${i}`, (i + 1.2) * MIB)))
    await until(() => fogs.every(({ machine }) => machine.heard.length === 1))
    expect(fogs.map(({ machine }) => machine.heard[0])).toEqual(
      [0, 1].map((i) => `clinic-1: ${textOf(heavy(`study ${i}`, (i + 1.2) * MIB))}`),
    )
  })
})

describe("an upload", () => {
  const large = () => parcel([message("clinic-1", "fog-1", heavy("large", 2.1 * MIB))])

  it("goes on from whichever byte either side has stopped at", async () => {
    await serve()
    const whole = large()
    const digest = sha256(whole)
    let lives = 1
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ cut: fc.integer({ min: 0, max: MIB }), restart: fc.boolean() }), {
          maxLength: 4,
        }),
        async (cuts) => {
          for (const { cut, restart: again } of cuts) {
            const there = await head(digest)
            await putCut(digest, there, whole.subarray(there, there + MIB), cut)
            if (again) {
              await restart()
              lives += 1
            }
            const now = await head(digest)
            expect(now).toBeGreaterThanOrEqual(there)
            expect(now).toBeLessThanOrEqual(there + cut)
          }
          for (let there = await head(digest); there < whole.length; there = await head(digest))
            expect((await put(digest, there, whole.subarray(there, there + MIB))).status).toBe(204)
          const answer = await use(fog.runner.id, digest)
          expect(decode(receiptCodec, answer.body)).toEqual({ taken: 1 })
          expect(await head(digest)).toBe(0)
        },
      ),
      { numRuns: 5 },
    )
    // taken on the first run, passed over on the others
    expect(fog.machine.heard).toHaveLength(1)
    expect(lives).toBeGreaterThan(1)
  }, 60_000)

  it("lies in a file of its owner's alone that nobody can read without its key", async () => {
    await serve()
    const secret = Buffer.from("a value that is the patient's ".repeat(1000))
    const digest = sha256(secret)
    await put(digest, 0, secret.subarray(0, 11_111))
    await put(digest, 11_111, secret.subarray(11_111, 20_001))
    const path = join(world.uploads("fog-1"), toHex(world.named("clinic-1").id), digest)
    const bytes = await readFile(path)
    expect(bytes).toHaveLength(20_001)
    expect(bytes.includes("patient")).toBe(false)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await stat(join(path, ".."))).mode & 0o777).toBe(0o700)
    expect((await put(digest, 20_001, secret.subarray(20_001))).status).toBe(204)
    // whole: what is wrong is only that it is no parcel
    expect((await use(fog.runner.id, digest)).problem?.title).toMatch(/^encoding\//)
  })

  it("is refused with what is wrong, and changes nothing in the study", async () => {
    await serve()
    const whole = large()
    const digest = sha256(whole)
    const before = fog.runner.head
    const told = (answer: RawAnswer) => [answer.status, answer.problem?.title]
    expect(told(await use(fog.runner.id, digest))).toEqual([404, "network/unknown-upload"])
    expect(told(await put(digest, 5, whole.subarray(5, 100)))).toEqual([409, "network/wrong-offset"])
    expect((await put(digest, 0, whole.subarray(0, 100))).status).toBe(204)
    for (const offset of [0, 99, 101])
      expect(told(await put(digest, offset, whole.subarray(0, 100)))).toEqual([409, "network/wrong-offset"])
    expect(await head(digest)).toBe(100)
    // not whole yet: what is there is dropped, and everything can begin anew
    expect(told(await use(fog.runner.id, digest))).toEqual([422, "network/wrong-digest"])
    expect(await head(digest)).toBe(0)
    const wrong = "0".repeat(64)
    await put(wrong, 0, whole.subarray(0, 100))
    expect(told(await use(fog.runner.id, wrong))).toEqual([422, "network/wrong-digest"])
    expect(told(await put(digest, 0, new Uint8Array(MIB + 1)))).toEqual([413, "network/too-large"])
    for (const name of ["x", "..%2f..%2fkeys", digest.toUpperCase(), digest.slice(1), `${digest}0`])
      expect(told(await put(name, 0, whole.subarray(0, 100)))).toEqual([400, "network/bad-request"])
    expect(told(await put(digest, -1, whole.subarray(0, 100)))).toEqual([400, "network/bad-request"])
    expect(fog.runner.head).toEqual(before)
    expect(await leftover()).toEqual([])
  })

  it("belongs to the child that sends it", async () => {
    await serve()
    const whole = large()
    const digest = sha256(whole)
    await put(digest, 0, whole.subarray(0, MIB))
    expect(await head(digest, "clinic-3")).toBe(0)
    expect((await use(fog.runner.id, digest, "clinic-3")).problem?.title).toBe("network/unknown-upload")
    for (const stranger of ["clinic-2", "leader"]) {
      const answer = await put(digest, MIB, whole.subarray(MIB), stranger)
      expect([answer.status, answer.problem?.title]).toEqual([403, "identity/unknown-participant"])
    }
    expect(await head(digest)).toBe(MIB)
    // what another child signs is not taken from this one either
    await put(digest, MIB, whole.subarray(MIB, 2 * MIB))
    await put(digest, 2 * MIB, whole.subarray(2 * MIB))
    await put(sha256(whole), 0, whole.subarray(0, MIB), "clinic-3")
    for (let at = MIB; at < whole.length; at += MIB)
      await put(digest, at, whole.subarray(at, at + MIB), "clinic-3")
    expect((await use(fog.runner.id, digest, "clinic-3")).problem?.title).toBe("identity/bad-signature")
    expect((await use(fog.runner.id, digest)).status).toBe(200)
  })

  it("is limited in number, in bytes and in age, for each child apart", async () => {
    let now = Date.now()
    const uploadLimits = { number: 3, bytes: 5000, largest: 3000, age: milliseconds(60_000) }
    await serve({ uploadLimits, now: () => now })
    const name = (n: number): string => String(n).repeat(64)
    const told = async (n: number, offset: number, size: number, as = "clinic-1") => {
      const { status, problem, headers } = await put(name(n), offset, new Uint8Array(size), as)
      return problem === null ? status : `${problem.title} ${status} ${headers["retry-after"] ?? ""}`.trim()
    }
    expect(await told(1, 0, 3001)).toBe("network/too-large 413")
    expect(await told(1, 0, 2000)).toBe(204)
    expect(await told(1, 2000, 1001)).toBe("network/too-large 413")
    expect(await told(2, 0, 2000)).toBe(204)
    expect(await told(3, 0, 1001)).toBe("network/too-many-uploads 429 1")
    expect(await told(3, 0, 500)).toBe(204)
    expect(await told(4, 0, 1)).toBe("network/too-many-uploads 429 1")
    expect(await told(4, 0, 1, "clinic-3")).toBe(204)
    expect(await told(3, 500, 500)).toBe(204)
    expect(await told(3, 1000, 1)).toBe("network/too-many-uploads 429 1")
    now += 61_000
    expect(await told(4, 0, 1)).toBe(204)
    expect((await leftover()).sort()).toEqual([name(4), name(4)])
  })
})

describe("a folder of uploads", () => {
  const child = new Uint8Array(16).fill(3)
  const name = sha256(Buffer.from("x"))
  const open = (folder: string) => UploadFolder.open({ folder, secret: "a secret" })

  it("is swept when it is opened", async () => {
    const folder = world.uploads("swept")
    const own = join(folder, toHex(child))
    await mkdir(own, { recursive: true })
    await writeFile(join(folder, "stray"), "x")
    await writeFile(join(own, "no digest"), "x")
    for (const [digest, age] of [
      ["a", 10],
      ["b", 7200],
    ] as const) {
      await writeFile(join(own, digest.repeat(64)), "x")
      const then = Date.now() / 1000 - age
      await utimes(join(own, digest.repeat(64)), then, then)
    }
    await mkdir(join(folder, "ff".repeat(16)))
    await writeFile(join(folder, "ff".repeat(16), "old"), "x")
    await (await open(folder)).close()
    expect(await readdir(folder)).toEqual([toHex(child)])
    expect(await readdir(own)).toEqual(["a".repeat(64)])
  })

  it("lets a new request take over from one whose connection hangs", async () => {
    const uploads = await open(world.uploads("hanging"))
    const hanging = new Readable({ read: () => undefined })
    hanging.push("abc")
    const first = uploads.append(child, name, { offset: 0, size: 10 }, hanging).catch((error) => error.name)
    while (
      (await stat(join(world.uploads("hanging"), toHex(child), name)).catch(() => ({ size: 0 }))).size < 3
    )
      await new Promise((resolve) => setTimeout(resolve, 5))
    expect(await uploads.length(child, name)).toBe(3)
    expect(await first).toBe("AbortError")
    expect(
      await uploads.append(child, name, { offset: 3, size: 2 }, Readable.from([Buffer.from("de")])),
    ).toBe(5)
    const waiting = uploads
      .append(child, name, { offset: 5, size: 1 }, new Readable({ read: () => undefined }))
      .catch((error) => error.name)
    await uploads.close()
    expect(await waiting).toBe("AbortError")
  })

  it("gives back every byte, in whatever pieces they came, and nothing that was changed", async () => {
    const folder = world.uploads("pieces")
    const bytes = randomBytes(5000)
    const digest = sha256(bytes)
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 5000 }), { maxLength: 6 }), async (cuts) => {
        const uploads = await open(folder)
        const places = [0, ...cuts.sort((a, b) => a - b), 5000]
        for (const [i, from] of places.slice(0, -1).entries()) {
          const piece = bytes.subarray(from, places[i + 1])
          await uploads.append(child, digest, { offset: from, size: piece.length }, Readable.from([piece]))
        }
        expect(Buffer.from(await uploads.read(child, digest)).equals(bytes)).toBe(true)
        await uploads.remove(child, digest)
      }),
      { numRuns: 20 },
    )
    const uploads = await open(folder)
    await uploads.append(child, digest, { offset: 0, size: 5000 }, Readable.from([bytes]))
    const path = join(folder, toHex(child), digest)
    const file = await readFile(path)
    file[4000] = (file[4000] as number) ^ 1
    await writeFile(path, file)
    await expect(uploads.read(child, digest)).rejects.toThrow("do not have the digest")
    await expect(uploads.read(child, digest)).rejects.toThrow("Nothing is here of the upload")
    expect(CHUNK_BYTES).toBe(MIB)
  })
})
