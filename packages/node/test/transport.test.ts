import { mkdtemp, rm } from "node:fs/promises"
import net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { decode } from "@consilium/base/encoding"
import { milliseconds } from "@consilium/base/units"
import type { Envelope } from "@consilium/federation/messages"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { Mailbox } from "../src/transport/mailbox.js"
import type { StudyDoor } from "../src/transport/study-door.js"
import { offersCodec, parcelCodec, receiptCodec } from "../src/transport/wire.js"
import { testStudy } from "./identity-study.js"
import { message, until, words } from "./runner-bench.js"
import { heavy, line, say } from "./runner-machine.js"
import { ask, OTHER_STUDY, parcel, World } from "./transport-world.js"

let world: World
beforeAll(async () => {
  world = await World.make()
})
afterAll(() => world.close())
afterEach(() => world.clear())

const texts = (what: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${what} ${i}`)
const up = (...said: string[]): Envelope[] => said.map((text) => message("clinic-1", "fog-1", line(text)))

describe("an edge", () => {
  it("carries messages both ways, in order, each once", async () => {
    const fog = await world.open("fog-1")
    await world.serve("fog-1", () => [fog.runner])
    const clinic = await world.child("clinic-1", "fog-1")
    const fogId = world.named("fog-1").id
    const clinicId = world.named("clinic-1").id
    await Promise.all([
      ...texts("up", 300).map((text) => clinic.runner.post(say(fogId, line(text)))),
      ...texts("down", 300).map((text) => fog.runner.post(say(clinicId, line(text)))),
    ])
    const heardAt = (side: typeof fog, from: string): string[] =>
      side.machine.heard.filter((what) => what.startsWith(`${from}: `))
    await until(() => heardAt(fog, "clinic-1").length === 300 && heardAt(clinic, "fog-1").length === 300)
    expect(heardAt(fog, "clinic-1")).toEqual(texts("up", 300).map((text) => `clinic-1: ${text}`))
    expect(heardAt(clinic, "fog-1")).toEqual(texts("down", 300).map((text) => `fog-1: ${text}`))
    await until(() => clinic.runner.mailbox(world.named("fog-1")).empty)
    await until(() => fog.runner.mailbox(world.named("clinic-1")).empty)
    expect(clinic.told).toEqual([])
  })

  it("keeps two studies over one connection apart", async () => {
    const studies = [undefined, OTHER_STUDY]
    const fogs = await Promise.all(studies.map((study) => world.open("fog-1", study)))
    await world.serve("fog-1", () => fogs.map(({ runner }) => runner))
    const clinics = await Promise.all(
      studies.map((study) => world.child("clinic-1", "fog-1", study ? { study } : {})),
    )
    await Promise.all(
      clinics.flatMap(({ runner }, i) =>
        texts(`study ${i}`, 20).map((text) => runner.post(say(world.named("fog-1").id, line(text)))),
      ),
    )
    await until(() => fogs.every(({ machine }) => machine.heard.length === 20))
    for (const [i, { machine }] of fogs.entries())
      expect(machine.heard).toEqual(texts(`study ${i}`, 20).map((text) => `clinic-1: ${text}`))
  })

  it("waits for a parent that is not there yet, and says so once", async () => {
    const clinic = await world.child("clinic-1", "fog-1")
    await clinic.runner.post(say(world.named("fog-1").id, line("early")))
    await until(() => clinic.told.length > 0)
    const fog = await world.open("fog-1")
    await world.serve("fog-1", () => [fog.runner])
    await until(() => clinic.told.length === 2 && fog.machine.heard.length === 1)
    expect(clinic.told).toEqual([
      { up: false, detail: "ECONNREFUSED" },
      { up: true, detail: "" },
    ])
    expect(fog.machine.heard).toEqual(["clinic-1: early"])
  })

  it("[S16] loses and repeats nothing when either side is killed in the middle", async () => {
    let fog = await world.open("fog-1")
    let server = await world.serve("fog-1", () => [fog.runner])
    let clinic = await world.child("clinic-1", "fog-1")
    const clinicId = world.named("clinic-1").id
    const fogId = world.named("fog-1").id
    for (let n = 0; n < 6; n++) {
      const posts = [
        ...texts(`up ${n}`, 10).map((text) => clinic.runner.post(say(fogId, line(text)))),
        ...texts(`down ${n}`, 10).map((text) => fog.runner.post(say(clinicId, line(text)))),
      ]
      // what is posted is durable here; where it has come on its way is left to chance
      await Promise.all(posts)
      await new Promise((resolve) => setTimeout(resolve, 7 * n))
      if (n % 2 === 0) {
        fog.runner.stop()
        await server.close()
        fog = await world.open("fog-1")
        server = await world.serve("fog-1", () => [fog.runner])
      } else {
        clinic.kill()
        clinic = await world.child("clinic-1", "fog-1")
      }
    }
    const from = (heard: readonly string[], name: string) =>
      heard.filter((what) => what.startsWith(`${name}: `))
    await until(
      () =>
        from(fog.machine.heard, "clinic-1").length >= 60 && from(clinic.machine.heard, "fog-1").length >= 60,
    )
    const all = (what: string): string[] =>
      Array.from({ length: 6 }, (_, n) => texts(`${what} ${n}`, 10)).flat()
    expect(from(fog.machine.heard, "clinic-1")).toEqual(all("up").map((text) => `clinic-1: ${text}`))
    expect(from(clinic.machine.heard, "fog-1")).toEqual(all("down").map((text) => `fog-1: ${text}`))
  })

  it("takes a repeated post once, and refuses one after a gap", async () => {
    const fog = await world.open("fog-1")
    await world.serve("fog-1", () => [fog.runner])
    const path = `/v1/studies/${fog.runner.id}/messages`
    const post = async (first: number, ...said: string[]) =>
      ask(world, "fog-1", world.identity("clinic-1"), {
        method: "POST",
        path,
        body: parcel(up(...said), first),
      })
    const taken = async (first: number, ...said: string[]): Promise<number> =>
      decode(receiptCodec, (await post(first, ...said)).body).taken
    expect(await taken(1)).toBe(0)
    expect(await taken(1, "a", "b")).toBe(2)
    expect(await taken(1, "a", "b")).toBe(2)
    expect(await taken(2, "b", "c")).toBe(3)
    expect(await taken(1, "a")).toBe(3)
    expect(await post(5, "z")).toMatchObject({ status: 409, problem: { title: "network/gap" } })
    expect(await taken(9)).toBe(3)
    expect(fog.machine.heard).toEqual(["clinic-1: a", "clinic-1: b", "clinic-1: c"])
  })

  it("holds what waits for a child until the child says that it has it", async () => {
    const fog = await world.open("fog-1")
    await world.serve("fog-1", () => [fog.runner])
    const clinic = world.named("clinic-1")
    for (const text of ["a", "b", "c"]) await fog.runner.post(say(clinic.id, line(text)))
    const get = (after: number) =>
      ask(world, "fog-1", world.identity("clinic-1"), {
        path: `/v1/studies/${fog.runner.id}/messages?after=${after}&wait=0`,
      })
    const got = async (after: number) => {
      const { first, envelopes } = decode(parcelCodec, (await get(after)).body)
      return [first, ...envelopes.map(words)]
    }
    expect(await got(0)).toEqual([1, "fog-1: a", "fog-1: b", "fog-1: c"])
    expect(await got(0)).toEqual([1, "fog-1: a", "fog-1: b", "fog-1: c"])
    expect(await got(2)).toEqual([3, "fog-1: c"])
    expect(await got(2)).toEqual([3, "fog-1: c"])
    expect(fog.runner.mailbox(clinic).acknowledged).toBe(2)
    for (const after of [1, 0, 4])
      expect(await get(after)).toMatchObject({ status: 409, problem: { title: "network/gap" } })
    expect(await got(3)).toEqual([4])
    expect(fog.runner.mailbox(clinic).empty).toBe(true)
  })

  it("answers a poll as soon as there is something, and ends the oldest of too many", async () => {
    const fog = await world.open("fog-1")
    await world.serve("fog-1", () => [fog.runner])
    const poll = () =>
      ask(world, "fog-1", world.identity("clinic-1"), {
        path: `/v1/studies/${fog.runner.id}/messages?after=0`,
      }).then(
        ({ body }) => decode(parcelCodec, body).envelopes.map(words).join(),
        () => "cut off",
      )
    const polls = [poll()]
    for (let n = 0; n < 3; n++) {
      await new Promise((resolve) => setTimeout(resolve, 60))
      polls.push(poll())
    }
    expect(await Promise.all(polls.slice(0, 2))).toEqual(["cut off", "cut off"])
    await fog.runner.post(say(world.named("clinic-1").id, line("now")))
    expect(await Promise.all(polls.slice(2))).toEqual(["fog-1: now", "fog-1: now"])
  })

  it("offers each child its studies, and new ones as they come", async () => {
    const fog = await world.open("fog-1")
    const other = await world.open("fog-1", OTHER_STUDY)
    const doors: StudyDoor[] = []
    await world.serve("fog-1", () => doors)
    const offered = async (name: string, known = 0): Promise<string[]> => {
      const { body } = await ask(world, "fog-1", world.identity(name), { path: `/v1/studies?known=${known}` })
      return decode(offersCodec, body).map(({ study }) => Buffer.from(study).toString("hex"))
    }
    expect(await offered("clinic-1")).toEqual([])
    doors.push(fog.runner)
    expect(await offered("clinic-1")).toEqual([fog.runner.id])
    expect(await offered("clinic-2")).toEqual([])
    const waiting = offered("clinic-1", 1)
    await new Promise((resolve) => setTimeout(resolve, 100))
    doors.push(other.runner)
    expect(await waiting).toEqual([fog.runner.id, other.runner.id])
    expect(await world.link("clinic-1", "fog-1").studies(0)).toHaveLength(2)
  })

  it("goes on with the others when one child does not fetch", async () => {
    const fog = await world.open("fog-1")
    await world.serve("fog-1", () => [fog.runner])
    const large: Envelope = { ...(up("x")[0] as Envelope), body: new Uint8Array(64 << 20) }
    for (let n = 0; n < 5; n++) fog.runner.mailbox(world.named("clinic-3")).put(large)
    const before = fog.runner.head
    const post = (first: number, envelope: Envelope) =>
      ask(world, "fog-1", world.identity("clinic-1"), {
        method: "POST",
        path: `/v1/studies/${fog.runner.id}/messages`,
        body: parcel([envelope], first),
      })
    const refused = await post(1, message("clinic-1", "clinic-3", line("more")))
    expect(refused).toMatchObject({
      status: 503,
      headers: { "retry-after": "1" },
      problem: { title: "network/overloaded" },
    })
    expect(fog.runner.head).toEqual(before)
    expect((await post(1, up("for the fog")[0] as Envelope)).status).toBe(200)
  })

  it("tells the parent what it has before it leaves", async () => {
    const fog = await world.open("fog-1")
    await world.serve("fog-1", () => [fog.runner])
    const clinic = await world.child("clinic-1", "fog-1")
    await fog.runner.post(say(world.named("clinic-1").id, line("last")))
    await until(() => clinic.machine.heard.includes("fog-1: last"))
    await clinic.runner.post(say(world.named("fog-1").id, line("goodbye")))
    await clinic.study.leave(milliseconds(5000))
    expect(fog.machine.heard).toContain("clinic-1: goodbye")
    expect(fog.runner.mailbox(world.named("clinic-1")).empty).toBe(true)
  })

  it("works for a participant whose clock is an hour off, either way", async () => {
    for (const skew of [-3_600_000, 3_600_000]) {
      const bench = await world.bench("clinic-1")
      bench.skew = skew
      const fog = await world.open("fog-1")
      // the fog's clock, too, judges certificates: they are valid from an hour before they were issued
      await world.serve("fog-1", () => [fog.runner], { now: () => Date.now() + skew * 0.99 })
      const clinic = await world.child("clinic-1", "fog-1")
      await clinic.runner.post(say(world.named("fog-1").id, line("on time")))
      await until(() => fog.machine.heard.includes("clinic-1: on time"))
      await world.clear()
    }
  })
})

describe("a child", () => {
  it("[S11] does not speak to another participant that answers at its parent's address", async () => {
    const fog = await world.open("fog-1")
    await world.serve("fog-1", () => [fog.runner], { identity: world.identity("fog-2") })
    const clinic = await world.child("clinic-1", "fog-1")
    await clinic.runner.post(say(world.named("fog-1").id, line("for fog-1 only")))
    await until(() => clinic.told.length > 0)
    expect(clinic.told[0]?.detail).toContain("The other side is not fog-1.")
    expect(fog.machine.heard).toEqual([])
  })

  it("tells of a parent that talks nonsense, asks on, and takes nothing of it", async () => {
    const fog = await world.open("fog-1")
    let mad = true
    const box = new Mailbox(7, [message("fog-1", "clinic-1", line("out of the blue"))])
    const door: StudyDoor = {
      id: fog.runner.id,
      directory: fog.runner.directory,
      signedRoster: fog.runner.signedRoster,
      take: (child, first, envelopes) => fog.runner.take(child, first, envelopes),
      acknowledge: (child, upTo) => (mad ? undefined : fog.runner.acknowledge(child, upTo)),
      mailbox: (child) => (mad ? box : fog.runner.mailbox(child)),
    }
    await world.serve("fog-1", () => [door])
    const clinic = await world.child("clinic-1", "fog-1")
    await until(() => clinic.told.length > 0)
    expect(clinic.told[0]?.detail).toContain("Message 7 of fog-1 came after message 0.")
    mad = false
    await fog.runner.post(say(world.named("clinic-1").id, line("hello")))
    await until(() => clinic.machine.heard.length > 0)
    expect(clinic.machine.heard).toEqual(["fog-1: hello"])
    expect(clinic.told.at(-1)?.up).toBe(true)
  })

  it("comes through a network that cuts connections at any byte", async () => {
    const fog = await world.open("fog-1")
    await world.serve("fog-1", () => [fog.runner])
    const target = world.named("fog-1").address.split(":")
    let budget = 900
    const proxy = net.createServer((near) => {
      const far = net.connect(Number(target[1]), target[0])
      const left = { bytes: budget }
      budget = budget * 1.4 + 137
      const cut = (): void => {
        near.destroy()
        far.destroy()
      }
      const pipe = (from: net.Socket, to: net.Socket): void => {
        from.on("data", (data) => {
          to.write(data.subarray(0, Math.max(0, left.bytes)))
          left.bytes -= data.length
          if (left.bytes <= 0) to.end(cut)
        })
        from.on("error", cut)
        from.on("close", cut)
      }
      pipe(near, far)
      pipe(far, near)
    })
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve))
    const { port } = proxy.address() as net.AddressInfo
    const clinic = await world.child("clinic-1", "fog-1", { address: `127.0.0.1:${port}` })
    try {
      await Promise.all(
        texts("up", 40).map((text) => clinic.runner.post(say(world.named("fog-1").id, line(text)))),
      )
      for (const text of texts("down", 40)) await fog.runner.post(say(world.named("clinic-1").id, line(text)))
      const got = (): number => clinic.machine.heard.filter((what) => what.startsWith("fog-1: ")).length
      await until(() => got() >= 40 && fog.machine.heard.filter((w) => w.startsWith("clinic")).length >= 40)
      expect(fog.machine.heard.filter((what) => what.startsWith("clinic"))).toEqual(
        texts("up", 40).map((text) => `clinic-1: ${text}`),
      )
      expect(got()).toBe(40)
    } finally {
      clinic.kill()
      proxy.close()
    }
  })
})

describe("a mailbox", () => {
  const ALL = { envelopes: 10, bytes: 1 << 20 }
  const inside = async (box: Mailbox, limit = ALL): Promise<string[]> =>
    (await box.next(limit, milliseconds(0))).envelopes.map(words)

  it("holds what is not acknowledged and forgets what is", async () => {
    const box = new Mailbox()
    for (const envelope of up("a", "b", "c")) box.put(envelope)
    expect(await inside(box, { envelopes: 2, bytes: 1 << 20 })).toEqual(["clinic-1: a", "clinic-1: b"])
    box.acknowledge(1)
    expect(await box.next(ALL, milliseconds(0))).toMatchObject({ first: 2 })
    for (const wrong of [0, 4])
      expect(() => box.acknowledge(wrong)).toThrow("A neighbour says it has everything")
    box.acknowledge(3)
    expect(box.empty).toBe(true)
    expect(await box.next(ALL, milliseconds(0))).toEqual({ first: 4, envelopes: [] })
  })

  it("makes the same parcel of an envelope that is too large for others, whatever waits around it", async () => {
    const large = message("clinic-1", "fog-1", heavy("large", 3000))
    const alone = new Mailbox(5, [large])
    const limit = { envelopes: 10, bytes: 2000 }
    expect(await alone.next(limit, milliseconds(0))).toEqual({ first: 5, envelopes: [large] })
    const among = new Mailbox(4, up("before"))
    among.put(large)
    for (const envelope of up("after", "later")) among.put(envelope)
    expect(await inside(among, limit)).toEqual(["clinic-1: before"])
    among.acknowledge(4)
    expect(await among.next(limit, milliseconds(0))).toEqual({ first: 5, envelopes: [large] })
    among.acknowledge(5)
    expect(await inside(among, limit)).toEqual(["clinic-1: after", "clinic-1: later"])
  })

  it("keeps to the bytes of a parcel as it is encoded", async () => {
    const box = new Mailbox(
      1,
      texts("line", 50).flatMap((text) => up(text)),
    )
    for (const bytes of [600, 1000, 5000]) {
      const { envelopes } = await box.next({ envelopes: 1000, bytes }, milliseconds(0))
      const encoded = parcel(envelopes).length
      expect(encoded).toBeLessThanOrEqual(bytes + 64)
      expect(encoded).toBeGreaterThan(bytes - 250)
    }
  })

  it("is overfull by bytes or by number", () => {
    const box = new Mailbox()
    const small = up("x")[0] as Envelope
    for (let n = 0; n <= 32_768; n++) box.put(small)
    expect(box.overfull).toBe(true)
    box.acknowledge(10)
    expect(box.overfull).toBe(false)
    for (let n = 0; n < 5; n++) box.put({ ...small, body: new Uint8Array(60 << 20) })
    expect(box.overfull).toBe(true)
  })

  it("wakes who waits when something comes, or when it is closed", async () => {
    const box = new Mailbox()
    const waiting = box.next(ALL, milliseconds(10_000))
    for (const envelope of up("now")) box.put(envelope)
    expect((await waiting).envelopes.map(words)).toEqual(["clinic-1: now"])
    box.acknowledge(1)
    const closed = box.next(ALL, milliseconds(10_000))
    box.close()
    expect((await closed).envelopes).toEqual([])
  })
})

describe("a parent's port", () => {
  it("[S11] lets nobody in without a certificate, with one of another authority, or with an expired one", async () => {
    const fog = await world.open("fog-1")
    await world.serve("fog-1", () => [fog.runner])
    const own = world.identity("clinic-1")
    const elsewhere = await mkdtemp(join(tmpdir(), "consilium-elsewhere-"))
    try {
      const foreign = await (await testStudy(elsewhere)).member("clinic-1", "facility")
      const past = await world.authority.at(() => Date.now() - 3 * 86_400_000)
      const expired = await world.authority.member("clinic-1", "facility", {
        authority: past,
        validityDays: 1,
      })
      const soon = await world.authority.at(() => Date.now() + 2 * 3_600_000)
      const early = await world.authority.member("clinic-1", "facility", { authority: soon })
      for (const identity of [
        { ...own, certificate: "", key: "" },
        { ...foreign.identity, caCertificate: own.caCertificate },
        { ...expired.identity, caCertificate: own.caCertificate },
        { ...early.identity, caCertificate: own.caCertificate },
      ])
        await expect(ask(world, "fog-1", identity, { path: "/v1/studies" })).rejects.toThrow()
      // an hour's difference is borne
      const ahead = await world.authority.at(() => Date.now() + 0.95 * 3_600_000)
      const skewed = await world.authority.member("clinic-1", "facility", { authority: ahead })
      expect((await ask(world, "fog-1", skewed.identity, { path: "/v1/studies" })).status).toBe(200)
    } finally {
      await rm(elsewhere, { recursive: true, force: true })
    }
  })

  it("ends what a certificate allows when it expires, on an open connection too", async () => {
    const fog = await world.open("fog-1")
    let now = Date.now()
    await world.serve("fog-1", () => [fog.runner], { now: () => now })
    const call = () => ask(world, "fog-1", world.identity("clinic-1"), { path: "/v1/studies" })
    expect((await call()).status).toBe(200)
    now += 31 * 86_400_000
    expect(await call()).toMatchObject({ status: 403, problem: { title: "identity/certificate-expired" } })
    now -= 32 * 86_400_000
    expect(await call()).toMatchObject({ status: 403, problem: { title: "identity/certificate-refused" } })
  })
})
