import type { LogEntry } from "@consilium/federation/log"
import fc from "fast-check"
import { afterEach, describe, expect, it } from "vitest"
import { parsePosition, positionText, STREAM_LIMITS, type StreamLimits } from "../src/api/event-stream.js"
import type { ApiOptions } from "../src/api/handlers.js"
import { Reader, serveTest, type TestApi, until } from "./api-server.js"
import { freshStudy, LoggedStudy, ran } from "./api-study.js"

const FAST: StreamLimits = { ...STREAM_LIMITS, lookMs: 10, heartbeatMs: 10_000, patienceMs: 150 }
const SECOND = ran({ facilities: 4, fogs: 2, study: freshStudy(1) })

let server: TestApi
const serve = async (
  streams: Partial<StreamLimits> = {},
  more: Partial<ApiOptions> = {},
): Promise<TestApi> => {
  server = await serveTest({ streams: { ...FAST, ...streams }, ...more })
  return server
}
afterEach(() => server.close())

const seqs = (reader: Reader, study: string): readonly number[] =>
  reader.events.filter(({ data }) => data.study === study).map(({ data }) => data.seq)
const upTo = (length: number): readonly number[] => Array.from({ length }, (_, i) => i + 1)

describe("server-sent events", () => {
  it("carry each event of each study once and in order, as it is logged", async () => {
    const { url, leader, study } = await serve()
    const other = new LoggedStudy(SECOND, undefined, 0)
    leader.all.push(other)
    const reader = new Reader(url)
    await until(() => reader.events.length === study.length)
    for (let shown = 0; shown < SECOND.log.length; shown += 4) {
      other.grow(4)
      await until(() => seqs(reader, other.id).length === other.length)
    }
    expect(seqs(reader, study.id)).toEqual(upTo(study.length))
    expect(seqs(reader, other.id)).toEqual(upTo(SECOND.log.length))
    expect(reader.events.every(({ event }) => event === "log")).toBe(true)
    reader.leave()
  })

  it("of one study leave the others out; studies that begin later are found", async () => {
    const { url, leader, study } = await serve()
    const all = new Reader(url)
    const one = new Reader(url, `/v1/events?study=${study.id}`)
    await until(() => all.events.length === study.length && one.events.length === study.length)
    const late = new LoggedStudy(SECOND)
    leader.all.push(late)
    await until(() => seqs(all, late.id).length === late.length)
    expect(seqs(one, late.id)).toEqual([])
    all.leave()
    one.leave()
    await until(() => server.metrics.streams() === 0)
    expect(await server.metrics.text()).toContain('requests_total{route="stream",status="200"} 2')
  })

  it("go on over both studies where a reader left, wherever that was", async () => {
    const { url, leader, study } = await serve()
    const other = new LoggedStudy(SECOND)
    leader.all.push(other)
    const total = study.length + other.length
    const whole = new Reader(url)
    await until(() => whole.events.length === total)
    whole.leave()
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: total - 1 }), fc.boolean(), async (cut, byHeader) => {
        const id = whole.events[cut]?.id as string
        const rest = byHeader
          ? new Reader(url, "/v1/events", { "last-event-id": id })
          : new Reader(url, `/v1/events?after=${encodeURIComponent(id)}`)
        await until(() => rest.events.length === total - cut - 1)
        rest.leave()
        const seen = [...whole.events.slice(0, cut + 1), ...rest.events].map(
          ({ data }) => `${data.study.slice(0, 4)} ${data.seq}`,
        )
        expect(new Set(seen).size).toBe(total)
        for (const one of [study, other])
          expect(
            [...whole.events.slice(0, cut + 1), ...rest.events]
              .filter(({ data }) => data.study === one.id)
              .map(({ data }) => data.seq),
          ).toEqual(upTo(one.length))
      }),
      { numRuns: 15 },
    )
  })

  it("beat while nothing happens", async () => {
    const { url, study } = await serve({ heartbeatMs: 20 })
    const reader = new Reader(url, `/v1/events?after=${study.id.slice(0, 16)}:${study.length}`)
    await until(() => reader.comments >= 3)
    expect(reader.events).toEqual([])
    reader.leave()
  })

  it("are refused beyond the number of streams, and there is room again when a reader leaves", async () => {
    const { url, study, metrics } = await serve({ streams: 2 })
    const readers = [new Reader(url), new Reader(url)]
    await until(() => readers.every(({ events }) => events.length === study.length))
    const third = new Reader(url)
    await until(() => third.status !== 0)
    expect([third.status, third.response?.headers["retry-after"]]).toEqual([503, "10"])
    expect(third.response?.headers["content-type"]).toContain("application/problem+json")
    expect(await metrics.text()).toMatch(/^consilium_event_streams 2$/m)
    readers[0]?.leave()
    await until(() => study.waiting === 1)
    const fourth = new Reader(url)
    await until(() => fourth.events.length === study.length)
    for (const reader of [...readers, fourth]) reader.leave()
    await until(() => study.waiting === 0)
  })

  it("cut off a reader that does not read, and no other", async () => {
    const { url, leader, study } = await serve()
    const events = 200_000
    class Endless extends LoggedStudy {
      served = 0
      override get length(): number {
        return events
      }
      override async *entries(after = 0): AsyncGenerator<LogEntry> {
        const [first] = this.outcome.log as [LogEntry]
        for (let seq = after + 1; seq <= events; seq++) {
          this.served = seq
          yield { ...first, header: { ...first.header, seq, type: "x".repeat(4000) } }
        }
      }
    }
    const endless = new Endless(SECOND)
    leader.all.push(endless)
    const good = new Reader(url, `/v1/events?study=${study.id}`)
    const stuck = new Reader(url, `/v1/events?study=${endless.id}`, {}, true)
    await until(() => stuck.status === 200)
    let before = -1
    await until(() => {
      const stopped = endless.served === before
      before = endless.served
      return stopped && before > 0 && server.troubles.length === 0
    })
    await new Promise((resolve) => setTimeout(resolve, 2 * FAST.patienceMs))
    stuck.response?.resume()
    await until(() => stuck.ended)
    expect(endless.served).toBeLessThan(events)
    expect(server.metrics.streams()).toBe(1)
    await until(() => good.events.length === study.length)
    good.leave()
  })

  it("end when the server does, when their time is over, and when a log cannot be read", async () => {
    const { url, leader, study, troubles } = await serve({ lifetimeMs: 100 })
    const old = new Reader(url)
    await until(() => old.ended)
    expect(old.events).toHaveLength(study.length)
    class Broken extends LoggedStudy {
      // biome-ignore lint/correctness/useYield: it fails before it could
      override async *entries(): AsyncGenerator<LogEntry> {
        throw new Error("a bad sector")
      }
    }
    leader.all.push(new Broken(SECOND))
    const failing = new Reader(url)
    await until(() => failing.ended)
    expect(troubles.splice(0)).toMatchObject([{ message: "a bad sector" }])
    leader.all.pop()
    await server.close()
    await serve()
    const last = new Reader(server.url)
    await until(() => last.events.length === study.length)
    await server.close()
    await until(() => last.ended)
  })
})

describe("positions", () => {
  it("are read as they are written", () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.stringMatching(/^[0-9a-f]{16}$/),
          fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
          { maxKeys: 20 },
        ),
        (places) => {
          const position = new Map(Object.entries(places))
          expect(parsePosition(positionText(position))).toEqual(position)
        },
      ),
    )
  })
})
