import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { encode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { milliseconds } from "@consilium/base/units"
import { type Envelope, envelopeCodec } from "@consilium/federation/messages"
import type { Participant } from "@consilium/federation/roster"
import * as fc from "fast-check"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { Moment, StudyRunner } from "../src/roles/study-runner.js"
import { openSegmentStores } from "../src/store/segment-stores.js"
import type { Stores } from "../src/store/study-store.js"
import { Bench, DIRECTORY, Freezer, message, words } from "./runner-bench.js"
import { type HearingMachine, line, say } from "./runner-machine.js"

const PEERS = ["leader", "clinic-1", "clinic-3"] as const
type Peer = (typeof PEERS)[number]
const peerOf = (name: Peer): Participant => DIRECTORY.named(name)

/** Something a peer says to the fog, or to others through it. */
interface Said {
  readonly to: Peer | "fog-1"
  readonly text: string
}
type Action =
  /**
   * Parcels of neighbours, all at once: from so many after the first that is wanted. At the n-th moment of a kind from now
   * the process may be at its end.
   */
  | {
      readonly type: "deliver"
      readonly parcels: readonly { readonly peer: Peer; readonly skip: number; readonly count: number }[]
      readonly crash: { readonly moment: Moment; readonly nth: number } | null
    }
  /** A neighbour fetches; it may tell that it has some of it. */
  | { readonly type: "fetch"; readonly peer: Peer; readonly limit: number; readonly keep: number }
  | { readonly type: "local"; readonly to: Peer }
  | { readonly type: "restart" }

const verb = fc.oneof(
  { weight: 4, arbitrary: fc.constant("ask") },
  { weight: 3, arbitrary: fc.constant("line") },
  { weight: 2, arbitrary: fc.constant("task") },
  { weight: 1, arbitrary: fc.constant("checkpoint") },
)
const peer = fc.constantFrom(...PEERS)
const streams = fc.record(
  Object.fromEntries(
    PEERS.map((name) => [
      name,
      fc.array(
        fc.oneof(
          { weight: 3, arbitrary: fc.record({ to: fc.constant("fog-1" as const), text: verb }) },
          {
            weight: 1,
            arbitrary: fc.record({
              to: fc.constantFrom(...PEERS.filter((other) => other !== name)),
              text: fc.constant("line"),
            }),
          },
        ),
        { minLength: 1, maxLength: 12 },
      ),
    ]),
  ) as Record<Peer, fc.Arbitrary<Said[]>>,
)
const moment: fc.Arbitrary<Moment> = fc.constantFrom("before-save", "after-save", "after-send")
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("deliver" as const),
      parcels: fc.array(
        fc.record({ peer, skip: fc.integer({ min: -3, max: 1 }), count: fc.integer({ min: 1, max: 5 }) }),
        { minLength: 1, maxLength: 3 },
      ),
      crash: fc.option(fc.record({ moment, nth: fc.integer({ min: 1, max: 3 }) })),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("fetch" as const),
      peer,
      limit: fc.integer({ min: 1, max: 6 }),
      keep: fc.integer({ min: 0, max: 6 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("local" as const), to: peer }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("restart" as const) }) },
)

const bytesOf = (envelope: Envelope): string => toHex(encode(envelopeCodec, envelope))

/** A fog and its three neighbours. The neighbours never forget anything; the fog may stop at any moment. */
class Edges {
  readonly #bench: Bench
  readonly #streams: ReadonlyMap<Peer, readonly Envelope[]>
  /** What each neighbour has from the fog, by number. */
  readonly received = new Map<Peer, Envelope[]>(PEERS.map((name) => [name, []]))
  readonly #kept = new Map<Peer, number>(PEERS.map((name) => [name, 0]))
  readonly #told = new Map<Peer, number>(PEERS.map((name) => [name, 0]))
  readonly #freezer = new Freezer()
  runner!: StudyRunner
  machine!: HearingMachine
  /** What happened at the fog itself, and whether it was told that this is saved. */
  readonly locals = new Map<string, boolean>()
  crashes = 0

  constructor(bench: Bench, streams: ReadonlyMap<Peer, readonly Envelope[]>) {
    this.#bench = bench
    this.#streams = streams
  }

  async open(): Promise<void> {
    this.#freezer.thaw()
    const { runner, machine } = await this.#bench.open({ probe: this.#freezer.probe })
    this.runner = runner
    this.machine = machine
    runner.begin()
    for (const name of PEERS) {
      // what was answered is remembered; what was not may be
      expect(runner.taken(peerOf(name))).toBeGreaterThanOrEqual(this.#told.get(name) as number)
    }
    await this.#settled()
  }

  async run(action: Action): Promise<void> {
    switch (action.type) {
      case "restart":
        this.runner.stop()
        await this.open()
        return
      case "local":
        return this.#alive(this.#local(action.to))
      case "deliver":
        if (action.crash !== null) this.#freezer.at(action.crash.moment, action.crash.nth)
        return this.#alive(Promise.all(action.parcels.map((parcel) => this.#deliver(parcel))))
      case "fetch":
        return this.#fetch(action.peer, action.limit, action.keep)
    }
  }

  /** Everything is delivered and fetched, without further trouble. */
  async finish(): Promise<void> {
    this.runner.stop()
    await this.open()
    for (const name of PEERS) await this.#deliver({ peer: name, skip: 0, count: Number.POSITIVE_INFINITY })
    await this.#settled()
    for (const name of PEERS) await this.#fetch(name, 1000, 1000)
    for (const name of PEERS) expect(this.runner.mailbox(peerOf(name)).empty).toBe(true)
  }

  /** Waits for something and all that follows from it, or for the end of the process. */
  async #alive(work: Promise<unknown>): Promise<void> {
    const end = await Promise.race([work.then(() => this.#settled()), this.#freezer.frozen])
    if (end !== "frozen") return
    this.crashes += 1
    await this.open()
  }

  async #settled(): Promise<void> {
    const { runner } = this
    const undone = (): boolean =>
      this.machine.heard
        .filter((what) => what.includes(": task "))
        .some((what) => !this.machine.heard.includes(`did ${what.split(" ").at(-1)}`))
    while (undone() && this.runner === runner) await new Promise((resolve) => setImmediate(resolve))
    // behind all that is under way, a checkpoint as well
    const gap = [message("leader", "fog-1", line("gap"))]
    for (let n = 0; n < 2; n++) await runner.take(peerOf("leader"), 1000, gap).catch(() => 0)
  }

  async #local(to: Peer): Promise<void> {
    const text = `local ${this.locals.size}`
    this.locals.set(text, false)
    await this.runner.post(say(peerOf(to).id, line(text)))
    this.locals.set(text, true)
  }

  async #deliver({ peer: name, skip, count }: { peer: Peer; skip: number; count: number }): Promise<void> {
    const told = this.#told.get(name) as number
    const stream = this.#streams.get(name) as readonly Envelope[]
    const first = Math.max(1, told + 1 + skip)
    const envelopes = stream.slice(first - 1, first - 1 + count)
    if (envelopes.length === 0) return
    try {
      const taken = await this.runner.take(peerOf(name), first, envelopes)
      expect(taken).toBeGreaterThanOrEqual(first + envelopes.length - 1)
      this.#told.set(name, Math.max(taken, this.#told.get(name) as number))
    } catch (error) {
      if (!(error instanceof ConsiliumError)) throw error
      expect([error.code, first > told + 1]).toEqual(["network/gap", true])
    }
  }

  async #fetch(name: Peer, limit: number, keep: number): Promise<void> {
    const mailbox = this.runner.mailbox(peerOf(name))
    this.runner.acknowledge(peerOf(name), this.#kept.get(name) as number)
    const { first, envelopes } = await mailbox.next({ envelopes: limit, bytes: 1 << 30 }, milliseconds(0))
    const have = this.received.get(name) as Envelope[]
    expect(first).toBe((this.#kept.get(name) as number) + 1)
    for (const [i, envelope] of envelopes.entries()) {
      const before = have[first - 1 + i]
      // a number stands for the same bytes for ever
      if (before !== undefined) expect(bytesOf(envelope)).toBe(bytesOf(before))
      else have.push(envelope)
    }
    this.#kept.set(name, first - 1 + Math.min(keep, envelopes.length))
    if (keep % 2 === 0) this.runner.acknowledge(peerOf(name), this.#kept.get(name) as number)
  }
}

const holds = async (
  place: Bench,
  said: Record<Peer, Said[]>,
  actions: readonly Action[],
): Promise<number> => {
  const texts = new Map(
    PEERS.map((name) => [name, said[name].map(({ to, text }, i) => ({ to, text: `${text} ${name}-${i}` }))]),
  )
  const envelopes = new Map(
    PEERS.map((name) => [
      name,
      (texts.get(name) as Said[]).map(({ to, text }) => message(name, to, line(text))),
    ]),
  )
  const edges = new Edges(place, envelopes)
  await edges.open()
  for (const action of actions) await edges.run(action)
  await edges.finish()
  const { heard } = edges.machine

  for (const name of PEERS) {
    const toFog = (texts.get(name) as Said[]).filter(({ to }) => to === "fog-1")
    // each message once, in order
    expect(heard.filter((what) => what.startsWith(`${name}: `))).toEqual(
      toFog.map(({ text }) => `${name}: ${text}`),
    )
    // what was passed on, byte for byte, in order, once
    for (const sender of PEERS)
      expect(
        (edges.received.get(name) as Envelope[])
          .filter((envelope) => words(envelope).startsWith(`${sender}: `))
          .map(bytesOf),
      ).toEqual(
        (envelopes.get(sender) as Envelope[])
          .filter((_, i) => (texts.get(sender) as Said[])[i]?.to === name)
          .map(bytesOf),
      )
    // what the fog itself said follows from what it heard, and was said once
    const own = heard.flatMap((what, i) => {
      if (what.startsWith(`${name}: ask `)) return [`heard ${i + 1}: ${what.slice(name.length + 6)}`]
      return []
    })
    const spoken = (edges.received.get(name) as Envelope[])
      .map(words)
      .filter((what) => what.startsWith("fog-1: heard "))
      .map((what) => what.slice("fog-1: ".length))
    expect(spoken).toEqual(own)
  }
  // work: done once as far as anybody can tell
  const tasks = heard.filter((what) => what.includes(": task ")).map((what) => what.split(" ").at(-1))
  expect(heard.filter((what) => what.startsWith("did ")).sort()).toEqual(tasks.map((t) => `did ${t}`).sort())
  const locals = [...edges.received.values()].flat().map(words)
  for (const [text, saved] of edges.locals) {
    const times = heard.filter((what) => what === `say ${text}`).length
    expect(times).toBeLessThanOrEqual(1)
    if (saved) expect(times).toBe(1)
    expect(locals.filter((what) => what === `fog-1: ${text}`)).toHaveLength(times)
  }
  // the log tells the same
  const store = await place.store()
  const logged: string[] = []
  for await (const { body } of store.entries()) logged.push(Buffer.from(body).toString())
  expect(logged).toEqual(heard)
  edges.runner.stop()
  return edges.crashes
}

let folder = ""
let places = 0
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "consilium-runner-model-"))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const check = async (
  numRuns: number,
  stores: ((folder: string) => Promise<Stores>) | null,
): Promise<number> => {
  let crashes = 0
  await fc.assert(
    fc.asyncProperty(streams, fc.array(action, { minLength: 1, maxLength: 24 }), async (said, actions) => {
      const place = await Bench.at(join(folder, String(places++)), "fog-1", stores)
      crashes += await holds(place, said, actions)
      await place.close()
    }),
    { numRuns },
  )
  return crashes
}

describe("whatever its neighbours repeat, skip and reorder, and whenever it stops, a runner", () => {
  it("[S16] takes each message once, in order, and gives each number one content for ever", async () => {
    expect(await check(30, null)).toBeGreaterThan(20)
  }, 120_000)

  it("does so on segment files too", async () => {
    expect(await check(6, (at) => openSegmentStores(at))).toBeGreaterThan(1)
  }, 120_000)
})
