import { afterEach, describe, expect, it } from "vitest"
import { serveTest, type TestApi } from "../../../packages/node/test/api-server.js"
import { RunningLeader } from "../../../packages/node/test/running-leader.js"
import { consilium } from "./in-process.js"

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
const WHY = ["--reason", "the labels of one facility are wrong"] as const

describe("study stop", () => {
  it("ends a study, says what is left of it, and may be said twice", async () => {
    const { server, leader } = await running()
    const stop = ["study", "stop", "--leader", server.url, "--study", "under way", ...WHY] as const
    const first = await consilium(...stop, "--by", "A. Okafor", "--format", "json")
    expect([first.code, first.stderr]).toEqual([0, ""])
    expect(JSON.parse(first.stdout)).toMatchObject({
      id: leader.runner.id,
      name: "under way",
      closedRounds: 0,
      by: "A. Okafor",
      via: "loopback",
      reason: WHY[1],
    })
    const second = await consilium(...stop)
    expect([second.code, second.stdout]).toEqual([0, expect.stringContaining("is stopped, by A. Okafor")])
    const status = await consilium("study", "status", "--leader", server.url, "--study", "under way")
    expect(status.stdout).toContain("is aborted: Stopped by A. Okafor after 0 closed rounds")
    const wait = await consilium("study", "wait", "--leader", server.url, "--study", "under way")
    expect(wait.code).toBe(8)
  })

  it("refuses a study that is over, and a decision that is no line", async () => {
    const { server, leader } = await running()
    const stop = ["study", "stop", "--leader", server.url] as const
    const over = await consilium(...stop, "--study", server.study.id.slice(0, 16), ...WHY)
    expect([over.code, over.stdout, over.stderr]).toEqual([6, "", expect.stringContaining("round/over")])
    const lines = await consilium(...stop, "--study", "under way", "--reason", "one\ntwo")
    expect([lines.code, lines.stderr]).toEqual([2, expect.stringContaining("cli/usage")])
    const none = await consilium(...stop, ...WHY)
    expect([none.code, none.stderr]).toEqual([5, expect.stringContaining("admin/no-such-study")])
    for (const words of [
      ["study", "stop", ...WHY],
      [...stop, "--config", "leader.yaml", ...WHY],
      [...stop, "--study", "under way"],
    ])
      expect((await consilium(...words)).code).toBe(2)
    expect(leader.runner.over).toBe(false)
  })
})
