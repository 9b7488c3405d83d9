import type { Study } from "@consilium/federation/study"
import { afterEach, describe, expect, it } from "vitest"
import { serveTest } from "../../../packages/node/test/api-server.js"
import { LoggedStudy, ran } from "../../../packages/node/test/api-study.js"
import { consilium } from "./in-process.js"

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

const COUNTED: Partial<Study> = {
  statistics: {
    bins: 8,
    ranges: [0, 1, 2].map(() => ({ low: -4, high: 4 })),
    mostRows: 200,
    noiseMultiplier: 0,
  },
  evaluation: { bins: 20, every: 1, mostRows: 200, noiseMultiplier: 0, stop: null },
}

/** A leader with one study that is over. */
const leaderOf = async (study: Partial<Study>): Promise<string> => {
  const server = await serveTest()
  closing.push(() => server.close())
  const outcome = ran({ study: { protection: "plain", rounds: 2, name: "counted", ...study } })
  server.leader.all.push(new LoggedStudy(outcome, [outcome.directory]))
  return server.url
}

describe("study figures", () => {
  it("shows statistics and evaluations of all patients together", async () => {
    const url = await leaderOf(COUNTED)
    const { code, stdout, stderr } = await consilium(
      "study",
      "figures",
      "--leader",
      url,
      "--study",
      "counted",
    )
    expect([code, stderr]).toEqual([0, ""])
    expect(stdout).toMatch(/^The study counted \([0-9a-f]{64}\)\n/)
    expect(stdout).toMatch(/All training rows together: \d+, of which \d+ are ill/)
    expect(stdout).toMatch(/feature +mean +deviation +lower quartile +median +upper quartile/)
    expect(stdout).toMatch(/after round +rows +ill +accuracy +balanced +AUC +± +Brier\n +1 .*\n +2 /)
    expect(stdout).not.toContain("noise")
    const json = JSON.parse(
      (await consilium("study", "figures", "--leader", url, "--study", "counted", "--format", "json")).stdout,
    ) as { readonly evaluations: readonly { readonly round: number }[] }
    expect(json.evaluations.map(({ round }) => round)).toEqual([1, 2])
  })

  it("says so where a study counts nothing", async () => {
    const url = await leaderOf({})
    const { code, stdout } = await consilium("study", "figures", "--leader", url, "--study", "counted")
    expect(code).toBe(0)
    expect(stdout).toContain("has opened no statistics and no evaluations.")
  })
})
