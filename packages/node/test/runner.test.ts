import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { encode } from "@consilium/base/encoding"
import { ConsiliumError, isConsiliumError } from "@consilium/base/errors"
import { milliseconds } from "@consilium/base/units"
import { type Envelope, envelopeCodec } from "@consilium/federation/messages"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { Moment, StudyRunner } from "../src/roles/study-runner.js"
import type { StudyStore } from "../src/store/study-store.js"
import { Bench, changed, DIRECTORY, Freezer, message, stepped, until, words } from "./runner-bench.js"
import { heavy, line, say } from "./runner-machine.js"

let folder = ""
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "consilium-runner-"))
})
afterAll(() => rm(folder, { recursive: true, force: true }))
let benches = 0
const bench = (name?: string): Promise<Bench> => Bench.at(join(folder, String(benches++)), name)

const leader = DIRECTORY.named("leader")
const clinic = DIRECTORY.named("clinic-1")
const other = DIRECTORY.named("clinic-3")

const fromLeader = (...texts: string[]): readonly Envelope[] =>
  texts.map((text) => message("leader", "fog-1", line(text)))
const fromClinic = (...texts: string[]): readonly Envelope[] =>
  texts.map((text) => message("clinic-1", "fog-1", line(text)))

const ALL = { envelopes: 1000, bytes: 1 << 30 }
const held = async (runner: StudyRunner, peer = leader) => runner.mailbox(peer).next(ALL, milliseconds(0))
const heldWords = async (runner: StudyRunner, peer = leader): Promise<string[]> =>
  (await held(runner, peer)).envelopes.map(words)
const count = async (records: AsyncIterable<unknown>): Promise<number> => {
  let n = 0
  for await (const _ of records) n += 1
  return n
}
const sizes = async (store: StudyStore) => ({ journal: await count(store.journal()), log: store.length })

describe("a study's runner", () => {
  it("[S16] saves what came and what it led to before it answers", async () => {
    const place = await bench()
    const seen: { moment: Moment; what: readonly string[]; journal: number; told: boolean }[] = []
    const store = await place.store()
    let told = false
    const { runner } = await place.open({
      probe: async (moment, what) => {
        seen.push({ moment, what, journal: (await sizes(store)).journal, told })
      },
    })
    expect(await runner.take(leader, 1, fromLeader("ask a")).finally(() => (told = true))).toBe(1)
    expect(seen).toEqual([
      { moment: "before-save", what: ["send:ended", "pass:ended", "log:heard"], journal: 0, told: false },
      { moment: "after-save", what: ["send:ended", "pass:ended", "log:heard"], journal: 1, told: false },
      { moment: "after-send", what: ["send:ended", "pass:ended", "log:heard"], journal: 1, told: false },
    ])
    expect(await heldWords(runner)).toEqual(["fog-1: heard 1: a"])
    runner.stop()
  })

  it("tells nobody that it has what is not saved yet, also when asked meanwhile", async () => {
    const place = await bench()
    const freezer = new Freezer()
    const { runner } = await place.open({ probe: freezer.probe })
    freezer.at("before-save")
    void runner.take(leader, 1, fromLeader("ask a"))
    await freezer.frozen
    expect(runner.taken(leader)).toBe(0)
    expect(await runner.take(leader, 1, [])).toBe(0)
    expect(await heldWords(runner)).toEqual([])
    const again = await place.open()
    expect(again.runner.taken(leader)).toBe(0)
  })

  it("passes over what it has taken, and records nothing of it", async () => {
    const place = await bench()
    const { runner, machine } = await place.open()
    const store = await place.store()
    expect(await runner.take(leader, 1, fromLeader("a", "b"))).toBe(2)
    const before = await sizes(store)
    expect(await runner.take(leader, 1, fromLeader("a", "b"))).toBe(2)
    expect(await runner.take(leader, 2, fromLeader("b"))).toBe(2)
    expect(await sizes(store)).toEqual(before)
    expect(await runner.take(leader, 2, fromLeader("b", "c"))).toBe(3)
    expect(machine.heard).toEqual(["leader: a", "leader: b", "leader: c"])
    const again = await place.open()
    expect(again.machine.heard).toEqual(machine.heard)
    expect(again.runner.taken(leader)).toBe(3)
  })

  it("[S10] refuses a gap, a foreign study and a foreign name, and changes nothing", async () => {
    const place = await bench()
    const { runner, machine } = await place.open()
    const store = await place.store()
    await runner.take(clinic, 1, fromClinic("a"))
    const before = { ...(await sizes(store)), head: runner.head, heard: machine.heard.length }
    const refused = async (first: number, envelopes: readonly Envelope[]): Promise<string> =>
      runner.take(clinic, first, envelopes).then(
        () => "taken",
        (error) => (error as ConsiliumError).code,
      )
    expect(await refused(3, fromClinic("c"))).toBe("network/gap")
    expect(await refused(2, [message("clinic-3", "fog-1", line("x"))])).toBe("identity/bad-signature")
    expect(await refused(2, [message("leader", "fog-1", line("x"))])).toBe("identity/bad-signature")
    expect(await refused(2, [message("clinic-1", "fog-1", line("x"), new Uint8Array(32))])).toBe(
      "round/unexpected",
    )
    // one bad envelope turns the parcel away whole
    expect(await refused(2, [...fromClinic("b"), message("clinic-3", "fog-1", line("x"))])).toBe(
      "identity/bad-signature",
    )
    expect({ ...(await sizes(store)), head: runner.head, heard: machine.heard.length }).toEqual(before)
    expect(await refused(2, fromClinic("b"))).toBe("taken")
  })

  it("logs forged messages, and turns them away once there is evidence enough", async () => {
    const place = await bench()
    const { runner, machine } = await place.open()
    const store = await place.store()
    const forged = { ...(fromClinic("x")[0] as Envelope), signature: new Uint8Array(64) }
    for (let n = 1; n <= 64; n++) expect(await runner.take(clinic, n, [forged])).toBe(n)
    const before = await sizes(store)
    await expect(runner.take(clinic, 65, [forged])).rejects.toThrow("not signed by it")
    expect(await sizes(store)).toEqual(before)
    expect(machine.heard).toEqual(Array.from({ length: 64 }, () => "refused identity/bad-signature"))
    expect(await runner.take(clinic, 65, fromClinic("honest"))).toBe(65)
    const again = await place.open()
    expect(again.machine.heard).toEqual(machine.heard)
    await expect(again.runner.take(clinic, 66, [forged])).rejects.toThrow("not signed by it")
  })

  it("[S16] does not come back where the record leads elsewhere", async () => {
    const place = await bench()
    const { runner } = await place.open()
    await runner.take(leader, 1, fromLeader("ask a"))
    await expect(place.open({ machineOptions: { salt: 1 } })).rejects.toThrow(
      /^The record of fog-1 from .* does not lead to what was sent then\.$/,
    )
    const error = await place.open({ machineOptions: { salt: 1 } }).catch((e: unknown) => e)
    expect(isConsiliumError(error, "store/replay-differs")).toBe(true)
    // the same record is good for the version that wrote it
    expect((await place.open()).machine.heard).toEqual(["leader: ask a"])
  })

  it("[S16] does not come back on a log that lost an event", async () => {
    const place = await bench()
    const { runner } = await place.open()
    await runner.take(leader, 1, fromLeader("a"))
    const store = await place.store()
    await expect(place.open({ store: changed(store, { length: 0 }) })).rejects.toThrow(
      "The log of fog-1 holds 0 events; its record leads to 1.",
    )
  })

  it("waits for room on a full disk, and saves the step as it was", async () => {
    const place = await bench()
    const store = await place.store()
    let full = 2
    const tight = changed(store, {
      async commit(step) {
        if (full-- > 0) throw new ConsiliumError("store/full", "There is no room to write.")
        await store.commit(step)
      },
    })
    const { runner, machine } = await place.open({ store: tight })
    const started = performance.now()
    expect(await runner.take(leader, 1, fromLeader("ask a"))).toBe(1)
    expect(performance.now() - started).toBeGreaterThan(1900)
    expect(place.narrated).toEqual([
      expect.stringContaining("There is no room to write. Free space"),
      "there is room on the disk again; going on",
    ])
    expect(machine.heard).toEqual(["leader: ask a"])
    expect((await place.open()).machine.heard).toEqual(machine.heard)
  })

  it("goes on without a checkpoint where there is no room for one, and makes it later", async () => {
    const place = await bench()
    const store = await place.store()
    let full = true
    const tight = changed(store, {
      async checkpoint(journal) {
        if (full) throw new ConsiliumError("store/full", "There is no room to write.")
        await store.checkpoint(journal)
      },
    })
    const { runner } = await place.open({ store: tight })
    const tried = stepped(runner)
    expect(await runner.take(leader, 1, fromLeader("a", "checkpoint"))).toBe(2)
    await tried
    const triedAgain = stepped(runner)
    expect(await runner.take(leader, 3, fromLeader("b"))).toBe(3)
    await triedAgain
    expect((await sizes(store)).journal).toBe(2)
    full = false
    const done = stepped(runner)
    expect(await runner.take(leader, 4, fromLeader("c"))).toBe(4)
    await done
    expect((await sizes(store)).journal).toBe(1)
    expect((await place.open()).machine.heard).toHaveLength(4)
  })

  it("keeps what is not acknowledged through a checkpoint, under its numbers", async () => {
    const place = await bench()
    const { runner } = await place.open()
    await runner.take(leader, 1, fromLeader("ask a", "ask b", "ask c"))
    const { first, envelopes } = await held(runner)
    expect(first).toBe(1)
    runner.acknowledge(leader, 1)
    const store = await place.store()
    const made = stepped(runner)
    await runner.take(leader, 4, fromLeader("checkpoint"))
    await made
    const again = await place.open()
    expect((await sizes(store)).journal).toBe(1)
    const kept = await held(again.runner)
    expect(kept.first).toBe(2)
    expect(kept.envelopes.map((e) => encode(envelopeCodec, e))).toEqual(
      envelopes.slice(1).map((e) => encode(envelopeCodec, e)),
    )
    await again.runner.take(leader, 5, fromLeader("ask d"))
    expect(await heldWords(again.runner)).toEqual([
      "fog-1: heard 2: b",
      "fog-1: heard 3: c",
      "fog-1: heard 5: d",
    ])
  })

  it("[S13] ends a step where a checkpoint is wanted, also within a parcel: what follows is recorded after it", async () => {
    const place = await bench()
    const { runner } = await place.open()
    const store = await place.store()
    const both = [
      runner.take(leader, 1, fromLeader("old", "checkpoint", "new", "newer")),
      runner.take(leader, 5, fromLeader("ask last")),
    ]
    expect(await Promise.all(both)).toEqual([5, 5])
    // the snapshot, and one step with all that came after it
    expect((await sizes(store)).journal).toBe(2)
    const again = await place.open()
    expect(again.machine.heard.map((heard) => heard.replace("leader: ", ""))).toEqual([
      "old",
      "checkpoint",
      "new",
      "newer",
      "ask last",
    ])
    expect(await heldWords(again.runner)).toEqual(["fog-1: heard 5: last"])
  })

  it("numbers rightly what is acknowledged while a checkpoint is written", async () => {
    const place = await bench()
    let during: (() => void) | null = null
    const { runner } = await place.open({
      probe: (_moment, what) => {
        if (what.includes("checkpoint") && what.length === 1) during?.()
      },
    })
    await runner.take(leader, 1, fromLeader("ask a", "ask b"))
    during = () => {
      if (runner.mailbox(leader).acknowledged === 0) runner.acknowledge(leader, 1)
    }
    const made = stepped(runner)
    await runner.take(leader, 3, fromLeader("checkpoint"))
    await made
    expect(runner.mailbox(leader).acknowledged).toBe(1)
    const again = await place.open()
    // whichever the checkpoint has seen: number 2 is the answer to b
    again.runner.acknowledge(leader, 1)
    expect(await held(again.runner)).toMatchObject({ first: 2 })
    expect(await heldWords(again.runner)).toEqual(["fog-1: heard 2: b"])
  })

  it("does again the work that was not done, and not the work that was", async () => {
    const place = await bench()
    const tasksRun: string[] = []
    const freezer = new Freezer()
    const one = await place.open({ machineOptions: { tasksRun }, probe: freezer.probe })
    one.runner.begin()
    await one.runner.take(leader, 1, fromLeader("task early"))
    await until(() => one.machine.heard.includes("did early"))
    freezer.at("before-save", 2)
    await one.runner.take(leader, 2, fromLeader("task late"))
    await freezer.frozen
    expect(tasksRun).toEqual(["early", "late"])
    const two = await place.open({ machineOptions: { tasksRun } })
    expect(two.machine.heard).toEqual(["leader: task early", "did early", "leader: task late"])
    expect(tasksRun).toEqual(["early", "late"])
    two.runner.begin()
    await until(() => two.machine.heard.includes("did late"))
    expect(tasksRun).toEqual(["early", "late", "late"])
    await until(() => two.runner.head.seq === 4)
    const three = await place.open({ machineOptions: { tasksRun } })
    three.runner.begin()
    expect(three.machine.heard).toEqual(two.machine.heard)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(tasksRun).toEqual(["early", "late", "late"])
  })

  it("does not make a checkpoint while work is under way", async () => {
    const place = await bench()
    const { runner } = await place.open()
    const store = await place.store()
    let steps = 0
    runner.onStep(() => {
      steps += 1
    })
    await runner.take(leader, 1, fromLeader("task slow", "checkpoint"))
    // the checkpoint follows the step in which the work was done
    await until(() => steps === 2)
    expect((await sizes(store)).journal).toBe(1)
    expect((await place.open()).machine.heard).toEqual([
      "leader: task slow",
      "leader: checkpoint",
      "did slow",
    ])
  })

  it("arms the timer again, and not one that has gone off", async () => {
    const place = await bench()
    const one = await place.open()
    await one.runner.take(leader, 1, fromLeader("timer early 3600000", "timer late 30"))
    one.runner.stop()
    const two = await place.open()
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(two.machine.heard).toHaveLength(2)
    two.runner.begin()
    await until(() => two.machine.heard.includes("tick late"))
    await until(() => two.runner.head.seq === 3)
    const three = await place.open()
    three.runner.begin()
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(three.machine.heard.filter((what) => what === "tick late")).toHaveLength(1)
    three.runner.stop()
  })

  it("stays ended, from its record and from a checkpoint", async () => {
    for (const texts of [["end done"], ["end done", "checkpoint"]]) {
      const place = await bench()
      const { runner } = await place.open()
      expect(runner.over).toBe(false)
      await runner.take(leader, 1, fromLeader(...texts))
      expect(await runner.ended).toBe("done")
      const again = await place.open()
      expect(again.runner.over).toBe(true)
      again.runner.begin()
      await again.runner.ended
    }
  })

  it("ends everything that waits when it is stopped", async () => {
    const place = await bench()
    const freezer = new Freezer()
    const { runner } = await place.open({ probe: freezer.probe })
    freezer.at("before-save")
    void runner.take(leader, 1, fromLeader("a"))
    await freezer.frozen
    const waiting = runner.post(say(leader.id, line("b")))
    runner.stop()
    await expect(waiting).rejects.toThrow("This participant is stopping.")
    await expect(runner.take(leader, 1, fromLeader("a"))).rejects.toThrow("This participant is stopping.")
  })

  it("passes on what is not its own, and takes no more for one who does not fetch it", async () => {
    const place = await bench()
    const { runner } = await place.open()
    await runner.take(clinic, 1, [message("clinic-1", "clinic-3", heavy("a", 1000))])
    expect(await heldWords(runner, other)).toEqual(["clinic-1: ca978112 and 1000 bytes"])
    const large: Envelope = { ...(fromClinic("x")[0] as Envelope), body: new Uint8Array(64 << 20) }
    for (let n = 0; n < 4; n++) runner.mailbox(other).put(large)
    const before = runner.head
    const more = [message("clinic-1", "clinic-3", line("more"))]
    await expect(runner.take(clinic, 2, more)).rejects.toThrow(
      "Too much waits for a participant that does not answer.",
    )
    expect(runner.head).toEqual(before)
    // who fetches is sent to
    expect(await runner.take(clinic, 2, fromClinic("for the fog"))).toBe(2)
    runner.acknowledge(other, 2)
    expect(await runner.take(clinic, 3, more)).toBe(3)
  })

  it("takes up any number of inputs at once, in steps that a store can hold", async () => {
    const place = await bench()
    const steps: number[] = []
    const { runner, machine } = await place.open({
      probe: (moment, what) => {
        if (moment === "after-save") steps.push(what.filter((name) => name === "log:heard").length)
      },
    })
    const texts = Array.from({ length: 700 }, (_, i) => `line ${i}`)
    await Promise.all(texts.map((text) => runner.post(say(leader.id, line(text)))))
    expect(machine.heard).toEqual(texts.map((text) => `say ${text}`))
    expect(Math.max(...steps)).toBeLessThanOrEqual(256)
    // what is large goes into steps of its own: these are refused, what comes between shows the steps
    const large: Envelope = { ...(fromClinic("x")[0] as Envelope), body: new Uint8Array(60 << 20) }
    steps.splice(0)
    const done: Promise<unknown>[] = [runner.post(say(leader.id, line("first")))]
    for (let n = 0; n < 3; n++) {
      done.push(runner.take(clinic, 99, [large]).catch(() => undefined))
      done.push(runner.post(say(leader.id, line(`after ${n}`))))
    }
    await Promise.all(done)
    expect(steps).toEqual([1, 1, 1, 1])
  })
})
