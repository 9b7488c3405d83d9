import type { LogEntry } from "@consilium/federation/log"
import { describe, expect, it } from "vitest"
import { StudyViews, summaryOf } from "../src/api/study-views.js"
import { LoggedStudy, ran } from "./api-study.js"

const STUDY = ran({ study: { protection: "shamir" } })

class Failing extends LoggedStudy {
  failures = 0
  readEntries = 0
  override async *entries(after = 0): AsyncGenerator<LogEntry> {
    for await (const entry of super.entries(after)) {
      if (this.failures > 0 && entry.header.seq % 7 === 0) {
        this.failures -= 1
        throw new Error("the disk")
      }
      this.readEntries += 1
      yield entry
    }
  }
}

describe("the views of studies", () => {
  it("grow with the log, reading each event once", async () => {
    const handle = new Failing(STUDY, undefined, 0)
    const views = new StudyViews()
    expect((await views.of(handle)).state).toBe("waiting")
    for (let shown = 9; shown < STUDY.log.length; shown += 9) {
      handle.grow(9)
      const asked = await Promise.all([views.of(handle), views.of(handle), views.of(handle)])
      expect(asked.map(({ log }) => log.events)).toEqual([shown, shown, shown])
    }
    handle.grow()
    const whole = await views.of(handle)
    expect(handle.readEntries).toBe(STUDY.log.length)
    expect(whole).toEqual(await new StudyViews().of(new LoggedStudy(STUDY)))
    expect(summaryOf(whole)).toMatchObject({ state: "complete", closedRounds: 2, events: STUDY.log.length })
  })

  it("after a reading that failed, go on from where they were", async () => {
    const handle = new Failing(STUDY)
    handle.failures = 2
    const views = new StudyViews()
    const asked = await Promise.allSettled([views.of(handle), views.of(handle), views.of(handle)])
    expect(asked.map(({ status }) => status)).toEqual(["rejected", "rejected", "fulfilled"])
    expect((await views.of(handle)).log.events).toBe(STUDY.log.length)
  })
})
