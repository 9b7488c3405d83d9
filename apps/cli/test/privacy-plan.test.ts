import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { serveTest, type TestApi } from "../../../packages/node/test/api-server.js"
import { EXAMPLE_CONFIG } from "../../../packages/node/test/privacy-config-example.js"
import { temporaryFolder } from "../../../packages/node/test/store-children.js"
import { consilium } from "./in-process.js"

let folder = ""
let config = ""
let remove: () => Promise<void> = async () => undefined
let server: TestApi
beforeAll(async () => {
  const made = await temporaryFolder("privacy-plan")
  folder = made.path
  remove = made.remove
  config = join(folder, "privacy_config.yaml")
  await writeFile(config, EXAMPLE_CONFIG)
  server = await serveTest()
  const init = ["init", "--out", join(folder, "study"), "--authority", "ca.example.org:8440"]
  const made4 = await consilium(...init, "--facilities", "north,south,east,west", "--privacy-config", config)
  expect(made4.code).toBe(0)
})
afterAll(async () => {
  await server.close()
  await remove()
})

const plan = (...words: readonly string[]) => consilium("privacy", "plan", ...words)
const planned = async (...words: readonly string[]): Promise<Record<string, unknown>> => {
  const { code, stdout, stderr } = await plan(...words, "--format", "json")
  expect([code, stderr]).toEqual([0, ""])
  return JSON.parse(stdout)
}

describe("privacy plan", () => {
  it("tells from numbers alone what comes out, and why", async () => {
    const { code, stdout } = await plan("--epsilon", "1", "--rounds", "10", "--noise-multiplier", "1.1")
    expect(code).toBe(0)
    expect(stdout).toMatch(/noise +5\.889, calibrated to the budget; it is more than the floor of 1\.1/)
    expect(stdout).toContain("10 fit epsilon 1; 10 are planned")
    expect(stdout).toMatch(/epsilon 1\.000 after 10 rounds by RDP.*; 0\.\d+ by PLD/)
    expect(stdout).toMatch(/ {2}1 {12}0\.302/)
    expect(stdout).toContain("each facility, own steps (planned)")
    expect(stdout).toContain("one noise, on the sum")
    const floor = await plan("--noise-multiplier", "9")
    expect(floor.stdout).toMatch(/noise +9\.000, the floor: it is more than the 5\.889 that the budget needs/)
  })

  it("tells where facilities stop if nothing is calibrated", async () => {
    const found = await planned("--noise-multiplier", "4", "--no-calibrate")
    expect(found).toMatchObject({ roundsWithin: 4, noise: { from: "given" }, epsilon: 1, rounds: 10 })
    const { facilities } = found as {
      readonly facilities: readonly { readonly rounds: number; readonly epsilon: number }[]
    }
    for (const one of facilities) {
      expect(one.rounds).toBe(4)
      expect(one.epsilon).toBeLessThanOrEqual(1)
    }
    const { stdout } = await plan("--noise-multiplier", "4", "--no-calibrate")
    expect(stdout).toContain("4 fit epsilon 1: the study ends after round 4 of 10")
    expect(stdout).toContain("not reached: over the budget")
    const none = await plan("--noise-multiplier", "1.1", "--no-calibrate")
    expect(none.code).not.toBe(0)
    expect(none.stderr).toContain("One round of 20 steps costs epsilon")
  })

  it("reads a privacy_config.yaml, by itself or in the place of what a study says", async () => {
    expect(await planned("--privacy-config", config)).toMatchObject({
      noise: { from: "calibrated", floor: 1.1 },
      epsilon: 1,
    })
    const study = join(folder, "study")
    expect(await planned("--config", study)).toMatchObject({ study: "heart", rounds: 15, epsilon: 1 })
    const other = join(folder, "other.yaml")
    await writeFile(other, "epsilon: 3\nkey_length: 5000\n")
    const changed = await planned("--config", study, "--privacy-config", other)
    expect(changed).toMatchObject({
      epsilon: 3,
      notes: ["key_length 5000 is rounded up to 8192: ring degrees are 1024, 2048, 4096, 8192, 16384."],
    })
  })

  it("refuses switches that would be ignored", async () => {
    const both = await plan("--config", join(folder, "study"), "--epsilon", "2")
    expect([both.code, both.stderr]).toEqual([
      2,
      expect.stringContaining("the numbers of a study stand in its file"),
    ])
    const twice = await plan("--privacy-config", config, "--no-calibrate")
    expect([twice.code, twice.stderr]).toEqual([2, expect.stringContaining("leave the switches out")])
    const off = join(folder, "off.yaml")
    await writeFile(off, "differential_privacy: false\n")
    expect((await plan("--privacy-config", off)).stderr).toContain("trains without differential privacy")
  })
})

describe("a privacy_config.yaml", () => {
  it("is what init lays out", async () => {
    const text = await readFile(join(folder, "study", "study.yaml"), "utf8")
    expect(text).toContain("protection: ckks")
    expect(text).toMatch(/noise_multiplier: 1\.1/)
    expect(text).toMatch(/ring:\n {2}degree: 4096/)
  })

  it("is planned in the place of what a study says, and at a leader after its first study", async () => {
    const words = ["study", "plan", "--no-time", "--privacy-config", config]
    const own = await consilium(...words, "--config", join(folder, "study"))
    expect([own.code, own.stderr]).toEqual([0, ""])
    expect(own.stdout).toMatch(/noise +7\.145, calibrated to the budget; it is more than the floor of 1\.1/)
    const bad = join(folder, "paillier.yaml")
    await writeFile(bad, "encryption_scheme: PAILLIER\n")
    const refused = await consilium("study", "start", "--leader", server.url, "--privacy-config", bad)
    expect(refused.stderr).toContain("config/not-available")
  })
})

describe("config show", () => {
  it("names the source of each value, and without --effective what is said", async () => {
    const study = join(folder, "study", "study.yaml")
    const show = (...words: readonly string[]) => consilium("config", "show", "--config", study, ...words)
    const all = await show("--effective")
    expect(all.code).toBe(0)
    expect(all.stdout).toMatch(/privacy\.epsilon +1 +file/)
    expect(all.stdout).toMatch(/privacy\.noise_in_use +7\.145\d* +follows from the others/)
    const said = await show()
    expect(said.stdout).not.toContain("follows from the others")
    const other = join(folder, "three.yaml")
    await writeFile(other, "epsilon: 3\n")
    const configured = await show("--privacy-config", other)
    expect(configured.stdout).toMatch(/privacy\.epsilon +3 +privacy_config\.yaml/)
  })
})
