import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { stringify } from "yaml"
import { serveTest, type TestApi } from "../../../packages/node/test/api-server.js"
import { temporaryFolder } from "../../../packages/node/test/store-children.js"
import { consilium } from "./in-process.js"

let folder = ""
let remove: () => Promise<void> = async () => undefined
let server: TestApi
beforeAll(async () => {
  const made = await temporaryFolder("study-plan")
  folder = made.path
  remove = made.remove
  server = await serveTest()
  const init = ["init", "--out", join(folder, "study"), "--authority", "ca.example.org:8440"]
  const { code } = await consilium(...init, "--facilities", "north,south,east,west")
  expect(code).toBe(0)
})
afterAll(async () => {
  await server.close()
  await remove()
})

const plan = (...args: readonly string[]) => consilium("study", "plan", ...args)
const changedFile = async (name: string, change: (text: string) => string): Promise<string> => {
  const path = join(folder, name)
  const before = await readFile(join(folder, "study", "study.yaml"), "utf8")
  const after = change(before)
  expect(after).not.toBe(before)
  await writeFile(path, after)
  return path
}

describe("study plan", () => {
  it("tells of a study folder what it will be, and writes nothing", async () => {
    const study = join(folder, "study")
    const before = await readdir(study, { recursive: true })
    const { code, stdout, stderr } = await plan("--config", study)
    expect([code, stderr]).toEqual([0, ""])
    expect(stdout).toContain("The study heart: fedyogi, updates protected by ")
    expect(stdout).toContain("Nothing is started or written.")
    expect(stdout).toContain("opened over 3 facilities or more (k), by 3 of them together (t)")
    expect(stdout).toMatch(/north {11}below fog-1; its own policy: takes part/)
    expect(stdout).toMatch(/Time, measured just now on this machine \(.+, Node\.js \d+/)
    expect(stdout).toMatch(/ {2}without {9}the network, disks/)
    expect(stdout).toContain("Without differential privacy the model carries no bound")
    expect(stdout.trimEnd().split("\n").at(-1)).toBe("It could start.")
    expect(await readdir(study, { recursive: true })).toEqual(before)
  })

  it("says the same in JSON, and nothing else on stdout", async () => {
    const { code, stdout } = await plan("--config", join(folder, "study"), "--no-time", "--format", "json")
    const told = JSON.parse(stdout)
    expect(code).toBe(0)
    expect(told).toMatchObject({
      study: { name: "heart", parameters: 14, values: 15 },
      cohort: {
        facilities: 4,
        smallest: 3,
        threshold: 3,
        colluders: 1,
        withstands: 1,
        quorum: 3,
        mayBeAway: 1,
      },
      startable: true,
      problems: [],
      privacy: null,
      time: null,
    })
    expect(told.round.facilities).toHaveLength(4)
    expect(told.round.messages).toBeGreaterThan(10)
  })

  it("forecasts what a private study spends, and says where its noise comes from", async () => {
    const path = await changedFile("private.yaml", (text) =>
      text
        .replace("privacy: null", "privacy: {epsilon: 2, noise_multiplier: 0.5}")
        .replace("weights: exact", "weights: equal")
        .replace(/fine_tune_steps: \d+/, "fine_tune_steps: 0"),
    )
    const { code, stdout, stderr } = await plan("--file", path, "--no-time")
    expect([code, stderr]).toEqual([0, ""])
    expect(stdout).toContain("Privacy: at most epsilon 2 (delta 0.00001) at each facility")
    expect(stdout).toMatch(/noise {11}\d+\.\d+, calibrated to the budget; it is more than the floor of 0\.5/)
    expect(stdout).toMatch(/forecast {8}epsilon \d\.\d{3} after round 1, .*after round 15/)
    expect(stdout).toMatch(/north {11}epsilon [12]\.\d{3} of 2 after 15 of 15 rounds/)
    const { privacy } = JSON.parse((await plan("--file", path, "--no-time", "--format", "json")).stdout)
    expect(privacy.afterRound).toHaveLength(15)
    expect(privacy.afterRound[14]).toBeLessThanOrEqual(2)
    expect(privacy.noise).toMatchObject({ from: "calibrated", floor: 0.5 })
  })

  it("says in words what a private study clips, and which noise it adds", async () => {
    const planned = async (name: string, privacy: string): Promise<string> => {
      const path = await changedFile(`${name}.yaml`, (text) =>
        text
          .replace("privacy: null", `privacy: {epsilon: 200, ${privacy}}`)
          .replace("weights: exact", "weights: equal")
          .replace(/fine_tune_steps: \d+/, "fine_tune_steps: 0"),
      )
      const { code, stdout, stderr } = await plan("--file", path, "--no-time")
      expect([code, stderr]).toEqual([0, ""])
      return stdout
    }
    expect(await planned("layers", "clipping: {kind: per-layer, norms: [0.8, 0.6]}")).toContain(
      "  clipping        each patient's gradient layer by layer: the weights at norm 0.8, the bias at norm 0.6\n",
    )
    expect(await planned("adaptive", "clipping: {kind: adaptive, count_sigma: 5}")).toContain(
      "  clipping        each patient's gradient at a norm that follows the quantile 0.5 of theirs: 1 at first, 0.01 to 100 later, by a noisy count (deviation 5) that is part of every step\n",
    )
    const laplace = await planned("laplace", "mechanism: laplace")
    expect(laplace).toContain("adds Laplace noise\n  clipping        each patient's gradient at L1 norm 1\n")
  })

  it("[S26] says where noise on the sum is, for how many facilities it is made, and what it rests on", async () => {
    const path = await changedFile("sum.yaml", (text) =>
      text
        .replace(
          "privacy: null",
          "privacy: {epsilon: 2, noise: sum, sample_rate: 1, patients: 100, most_patients: 300}",
        )
        .replace("weights: exact", "weights: equal")
        .replace(/fine_tune_steps: \d+/, "fine_tune_steps: 0")
        .replace(/fraction_bits: \d+/, "fraction_bits: 10")
        .replace(/^( +)steps: 100$/m, "$1steps: 1"),
    )
    const { code, stdout, stderr } = await plan("--file", path, "--no-time")
    expect([code, stderr]).toEqual([0, ""])
    expect(stdout).toContain("local work      1 step over all patients")
    expect(stdout).toContain("the shares of 2 (3 in the smallest cohort, less 1 colluding) are all of it")
    expect(stdout).toContain("each patient's gradient, one step a round, at norm 1")
    expect(stdout).toContain("no more than 1 of a sum's facilities work together")
    const { privacy } = JSON.parse((await plan("--file", path, "--no-time", "--format", "json")).stdout)
    expect(privacy.onSum).toMatchObject({ unit: "patient", smallest: 3, colluders: 1, hiding: 2 })
    expect(privacy.afterRound[14]).toBeLessThanOrEqual(2)
  })

  it("ends as the error's class says where the study could not start", async () => {
    const wrong = async (name: string, change: (text: string) => string): Promise<string> => {
      const { code, stdout, stderr } = await plan("--file", await changedFile(name, change), "--no-time")
      expect(stdout).toBe("")
      return `${code} ${stderr.split(":")[0]}`
    }
    expect(await wrong("small.yaml", (text) => text.replace(/smallest: \d/, "smallest: 2"))).toBe(
      "6 round/bad-study",
    )
    expect(await wrong("key.yaml", (text) => text.replace("rounds: 15", "round: 15"))).toBe(
      "2 config/invalid",
    )
    expect((await plan("--file", join(folder, "none.yaml"))).code).toBe(2)
    for (const words of [
      [],
      ["--privacy", "mpc"],
      ["--file", "a", "--config", "b"],
      ["--privacy", "mpc", "--file", "a", "--leader", server.url],
    ])
      expect((await plan(...words)).code).toBe(2)
  })

  it("shows the whole plan, and ends with 4, where too many facilities would refuse", async () => {
    const study = join(folder, "refusing")
    await cp(join(folder, "study"), study, { recursive: true })
    for (const name of ["north", "south"]) {
      const path = join(study, name, "local", "facility.yaml")
      const text = await readFile(path, "utf8")
      await writeFile(path, text.replace("smallest_cohort: 3", "smallest_cohort: 4"))
    }
    const { code, stdout, stderr } = await plan("--config", study, "--no-time")
    expect(code).toBe(4)
    expect(stderr).toContain("cohort/too-small: 2 of 4 facilities would take no part by their own policies")
    expect(stdout).toContain("REFUSES (policy/cohort)")
    expect(stdout).toContain("It cannot run like this: 2 of 4 facilities")
  })

  it("plans a preset after the first study of a leader, and starts nothing", async () => {
    const { starts } = server.leader
    const { code, stdout, stderr } = await plan(
      "--privacy",
      "differential",
      "--leader",
      server.url,
      "--no-time",
    )
    expect([code, stderr]).toEqual([0, ""])
    expect(stdout).toContain("The study preset ")
    expect(stdout).toContain("4 facilities, fogs: fog-1, fog-2")
    const missing = await plan("--privacy", "mpc", "--leader", server.url)
    expect([missing.code, missing.stderr]).toEqual([5, expect.stringContaining("api/not-available")])
    expect(server.leader.starts).toBe(starts)
  })

  it("plans a file without participants among those who are present at a leader", async () => {
    const path = join(folder, "anybody.yaml")
    await mkdir(folder, { recursive: true })
    await writeFile(
      path,
      stringify({
        name: "for anybody",
        model: { kind: "logistic-regression", features: ["a", "b"] },
        training: {},
        server: {},
        rounds: 2,
      }),
    )
    const alone = await plan("--file", path, "--no-time")
    expect([alone.code, alone.stderr]).toEqual([2, expect.stringContaining("names no participants")])
    const { code, stdout } = await plan("--file", path, "--leader", server.url, "--no-time")
    expect([code, stdout]).toEqual([0, expect.stringContaining("4 facilities, fogs: fog-1, fog-2")])
  })
})
