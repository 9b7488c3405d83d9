import type { EventView } from "@consilium/node/api/study-view"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { atMostEvery, reconnectDelay } from "../src/backoff.js"
import { eventsPath, isForbidden, isPassing, positionAfter, Refusal, refusalOf } from "../src/leader-api.js"
import { chosenIn, searchFor, shownStudy } from "../src/study-choice.js"
import { extendTail, leavesGap, TAIL_LENGTH } from "../src/tail.js"

const line = (seq: number): EventView => ({
  study: "ab",
  seq,
  at: "2025-11-21T07:46:12.345Z",
  type: "submit",
  actor: "clinic-1",
  says: `line ${seq}`,
})
const numbers = (tail: readonly EventView[]): readonly number[] => tail.map(({ seq }) => seq)

describe("the end of the log", () => {
  it("takes each line once and in order, however they come", () => {
    let tail = extendTail([], [line(4), line(3)])
    tail = extendTail(tail, [line(5)])
    tail = extendTail(tail, [line(2), line(4), line(6), line(6)])
    expect(numbers(tail)).toEqual([2, 3, 4, 5, 6])
    expect(extendTail(tail, [])).toEqual(tail)
  })

  it("keeps the last lines only", () => {
    const many = Array.from({ length: TAIL_LENGTH + 7 }, (_, i) => line(i + 1))
    const tail = extendTail(many.slice(0, 100), many.slice(100))
    expect([tail.length, tail[0]?.seq, tail.at(-1)?.seq]).toEqual([TAIL_LENGTH, 8, TAIL_LENGTH + 7])
  })

  it("knows when lines are missing", () => {
    expect([leavesGap([], line(1)), leavesGap([], line(2))]).toEqual([false, true])
    expect([7, 8, 9, 10].map((seq) => leavesGap([line(8)], line(seq)))).toEqual([false, false, false, true])
  })
})

describe("coming back", () => {
  it("waits longer each time, up to a quarter of a minute, and not the same for everybody", () => {
    const delays = (random: number) => Array.from({ length: 8 }, (_, i) => reconnectDelay(i, random))
    expect(delays(0)).toEqual([250, 500, 1000, 2000, 4000, 7500, 7500, 7500])
    expect(delays(1)).toEqual([500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000])
    expect(reconnectDelay(1_000_000, 0.5)).toBe(11_250)
  })

  it("resumes at the end of every log that the leader has", () => {
    const studies = [
      { id: "0123456789abcdef00", events: 12 },
      { id: "fedcba987654321000", events: 0 },
    ]
    expect(positionAfter(studies)).toBe("0123456789abcdef:12,fedcba9876543210:0")
    expect(eventsPath("ab:1,cd:2")).toBe("/v1/events?after=ab%3A1%2Ccd%3A2")
    expect(eventsPath(positionAfter([]))).toBe("/v1/events")
    const many = Array.from({ length: 200 }, (_, i) => ({ id: String(i).padStart(16, "0"), events: i }))
    expect(positionAfter(many).split(",")).toHaveLength(128)
    expect(positionAfter(many)).toContain("0000000000000199:199")
  })
})

describe("work that is asked for often", () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it("runs at once, then at most once in each interval, and once more after the last request", async () => {
    const times: number[] = []
    const began = Date.now()
    const refresh = atMostEvery(500, async () => {
      times.push(Date.now() - began)
    })
    for (let i = 0; i < 13; i++) {
      refresh.ask()
      await vi.advanceTimersByTimeAsync(100)
    }
    await vi.advanceTimersByTimeAsync(5000)
    expect(times).toEqual([0, 500, 1000, 1500])
    refresh.ask()
    expect(times).toHaveLength(5)
  })

  it("does not begin again before it has ended, and forgets no request meanwhile", async () => {
    let running = 0
    const seen: number[] = []
    const refresh = atMostEvery(500, async () => {
      running += 1
      seen.push(running)
      await new Promise((resolve) => setTimeout(resolve, 3000))
      running -= 1
      if (seen.length === 1) throw new Error("the leader is gone")
    })
    refresh.ask()
    await vi.advanceTimersByTimeAsync(1000)
    refresh.ask()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(seen).toEqual([1, 1])
  })

  it("stops when it is told to", async () => {
    let runs = 0
    const refresh = atMostEvery(500, async () => {
      runs += 1
    })
    refresh.ask()
    refresh.ask()
    refresh.cancel()
    refresh.ask()
    await vi.advanceTimersByTimeAsync(5000)
    expect(runs).toBe(1)
  })
})

describe("refusals", () => {
  it("are told in the leader's own words where it gave any", () => {
    const body = {
      title: "api/not-found",
      detail: "This leader has no study of this id.",
      remedy: "Read them.",
    }
    expect(refusalOf(404, body)).toMatchObject({ status: 404, message: body.detail, remedy: "Read them." })
    expect(refusalOf(500, { title: "api/failed" })).toMatchObject({ message: "api/failed", remedy: null })
    for (const nothing of [null, "<html>", 3, { detail: 7, remedy: "" }])
      expect(refusalOf(502, nothing)).toMatchObject({
        message: "The leader answered with status 502.",
        remedy: null,
      })
  })

  it("say whether asking again may help", () => {
    const of = (status: number) => new Refusal(status, "no", null)
    expect([0, 429, 500, 503].map((status) => isPassing(of(status)))).toEqual([true, true, true, true])
    expect([400, 401, 403, 404].map((status) => isPassing(of(status)))).toEqual([false, false, false, false])
    expect([401, 403, 404, 500].map((status) => isForbidden(of(status)))).toEqual([true, true, false, false])
    expect(isForbidden(new Error("403"))).toBe(false)
  })
})

describe("the study that is shown", () => {
  const study = (id: string, state: "running" | "complete" | "waiting") => ({ id, state })

  it("is the chosen one, else the newest that runs, else the newest", () => {
    const studies = [study("a", "running"), study("b", "running"), study("c", "complete")]
    expect(shownStudy(studies, "a")?.id).toBe("a")
    expect(shownStudy(studies, null)?.id).toBe("b")
    expect(shownStudy(studies, "gone")?.id).toBe("b")
    expect(shownStudy([study("a", "complete"), study("b", "waiting")], null)?.id).toBe("b")
    expect(shownStudy([], "a")).toBeUndefined()
  })

  it("stands in the address, beside what else is there", () => {
    expect([chosenIn("?study=ab"), chosenIn("?x=1"), chosenIn("")]).toEqual(["ab", null, null])
    expect(searchFor("?x=1&study=ab", "cd")).toBe("?x=1&study=cd")
    expect(searchFor("", "cd")).toBe("?study=cd")
  })
})
