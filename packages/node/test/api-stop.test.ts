import { decode } from "@consilium/base/encoding"
import { milliseconds } from "@consilium/base/units"
import { STOPPED, stopCodec } from "@consilium/federation/leader-stop"
import { type Envelope, messageCodec } from "@consilium/federation/messages"
import { afterEach, describe, expect, it } from "vitest"
import { ROUTES } from "../src/api/routes.js"
import { stoppedSchema } from "../src/api/stop-schemas.js"
import { StudyViews } from "../src/api/study-views.js"
import type { Moment } from "../src/roles/study-runner.js"
import { type Ask, ask, bearer, serveTest, type TestApi } from "./api-server.js"
import { RunningLeader } from "./running-leader.js"

const REASON = "the labels of one facility are wrong"
const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

const running = async (): Promise<{ readonly server: TestApi; readonly leader: RunningLeader }> => {
  const leader = await RunningLeader.begin({ name: "under way", rounds: 3 })
  const server = await serveTest()
  closing.push(
    () => leader.close(),
    () => server.close(),
  )
  server.leader.all.push(leader.handle)
  return { server, leader }
}
const stopping = (id: string, body: object, headers: Readonly<Record<string, string>> = {}): Ask => ({
  method: "POST",
  path: ROUTES.stop.path.replace(":id", id),
  headers: { "content-type": "application/json", ...headers },
  body: JSON.stringify(body),
})

/** What a leader's fogs have still to be told. */
const waiting = async ({ runner, directory }: RunningLeader): Promise<readonly string[]> => {
  const told = await Promise.all(
    directory.fogs.map(async (fog) => {
      const all = await runner.mailbox(fog).next({ envelopes: 100, bytes: 1 << 30 }, milliseconds(0))
      return all.envelopes.map(({ body }: Envelope) => decode(messageCodec, body).type).join(" ")
    }),
  )
  return told
}

describe("POST /v1/studies/{id}/stop", () => {
  it("ends the study, says what is left of it, and gives the same answer again", async () => {
    const { server, leader } = await running()
    const { id } = leader.handle
    const answer = await ask(server.url, stopping(id, { by: "A. Okafor", reason: REASON }))
    expect([answer.status, answer.text]).toEqual([200, expect.anything()])
    const stopped = stoppedSchema.parse(JSON.parse(answer.text))
    expect(stopped).toMatchObject({
      id,
      name: "under way",
      closedRounds: 0,
      by: "A. Okafor",
      via: "loopback",
    })
    const events = leader.handle.length
    const again = await ask(server.url, stopping(id.slice(0, 16), { by: "another", reason: "another" }))
    expect([again.status, JSON.parse(again.text)]).toEqual([200, stopped])
    expect(leader.handle.length).toBe(events)
    const view = await new StudyViews().of(leader.handle)
    expect(view).toMatchObject({
      state: "aborted",
      reason: `Stopped by A. Okafor after 0 closed rounds: ${REASON}`,
    })
    const told = await ask(server.url, { path: `/v1/studies/${id}/events` })
    expect(JSON.parse(told.text).events.at(1)).toMatchObject({
      type: STOPPED,
      actor: "leader",
      says: `A. Okafor (loopback) stopped the study after 0 closed rounds, with the model ${stopped.modelHash.slice(0, 16)}: ${REASON}`,
    })
    expect(await waiting(leader)).toEqual(["announce void ended", "announce void ended"])
  })

  it("logs who asked by what the leader knows them by", async () => {
    const { server, leader } = await running()
    await ask(server.url, stopping(leader.handle.id, { reason: REASON }, bearer("operator")))
    for await (const { header, body } of leader.handle.entries())
      if (header.type === STOPPED)
        expect(decode(stopCodec, body)).toMatchObject({
          by: "token operator",
          via: "token operator",
          reason: REASON,
        })
    expect(leader.machine.state.phase).toBe("aborted")
  })

  it("is for those who may start studies", async () => {
    const { server, leader } = await running()
    for (const role of ["reader", "auditor"]) {
      const refused = await ask(server.url, stopping(leader.handle.id, { reason: REASON }, bearer(role)))
      expect([role, refused.status, JSON.parse(refused.text).title]).toEqual([role, 403, "api/forbidden"])
    }
    expect(leader.runner.over).toBe(false)
  })

  it("refuses a study that ended otherwise, and changes nothing", async () => {
    const { server } = await running()
    const { length } = server.study
    const refused = await ask(server.url, stopping(server.study.id, { reason: REASON }))
    expect([refused.status, JSON.parse(refused.text)]).toMatchObject([
      409,
      { title: "round/over", detail: expect.stringContaining("is over: it is complete.") },
    ])
    expect(server.study.length).toBe(length)
  })

  it("refuses a study that its leader gave up before, and says why it did", async () => {
    const leader = await RunningLeader.begin({ attempts: 1, deadlines: { collect: 1, answer: 1 } })
    closing.push(() => leader.close())
    await leader.runner.ended
    const events = leader.handle.length
    await expect(leader.handle.stop({ by: "A. Okafor", reason: REASON }, "test")).rejects.toMatchObject({
      code: "round/over",
      message: expect.stringContaining("is over: Round 1 failed 1 times"),
    })
    expect(leader.handle.length).toBe(events)
  })

  it.each([
    ["no reason", {}],
    ["an empty reason", { reason: "" }],
    ["two lines", { reason: "first\nsecond" }],
    ["a reason longer than the log takes", { reason: "é".repeat(400) }],
    ["a name longer than the log takes", { reason: REASON, by: "x".repeat(65) }],
    ["an unknown key", { reason: REASON, force: true }],
  ])("refuses %s", async (_what, body) => {
    const { server, leader } = await running()
    const refused = await ask(server.url, stopping(leader.handle.id, body))
    expect([refused.status, JSON.parse(refused.text).title]).toEqual([400, "api/malformed"])
    expect(leader.runner.over).toBe(false)
  })
})

/** The leader as a process that is gone at the first such moment: it does nothing more. */
const dyingAt = async (leader: RunningLeader, moment: Moment) => {
  let reach: () => void = () => undefined
  const reached = new Promise<void>((resolve) => {
    reach = resolve
  })
  await leader.open((now) => {
    if (now !== moment) return
    reach()
    return new Promise<void>(() => undefined)
  })
  return { reached }
}

describe("a leader that dies while it stops a study", () => {
  it("has logged it and tells everybody when it comes back", async () => {
    const leader = await RunningLeader.begin({ rounds: 3 })
    closing.push(() => leader.close())
    // the process is gone once the step is saved: nothing of it has been sent
    const saved = await dyingAt(leader, "after-save")
    void leader.handle.stop({ by: "A. Okafor", reason: REASON }, "test").catch(() => undefined)
    await saved.reached
    expect(await waiting(leader)).toEqual(["announce", "announce"])
    await leader.open()
    expect(leader.runner.over).toBe(true)
    expect(await waiting(leader)).toEqual(["announce void ended", "announce void ended"])
    const again = await leader.handle.stop({ by: "another", reason: "another" }, "test")
    expect(again).toMatchObject({ by: "A. Okafor", reason: REASON })
  })

  it("knows nothing of it if it died before it was saved", async () => {
    const leader = await RunningLeader.begin({ rounds: 3 })
    closing.push(() => leader.close())
    const dying = await dyingAt(leader, "before-save")
    void leader.handle.stop({ by: "A. Okafor", reason: REASON }, "test").catch(() => undefined)
    await dying.reached
    await leader.open()
    expect(leader.runner.over).toBe(false)
    expect(leader.machine.state.phase).toBe("collecting")
    expect(await waiting(leader)).toEqual(["announce", "announce"])
  })
})
