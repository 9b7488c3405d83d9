import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "vitest"
import { testStudy } from "../../federation/test/members.js"
import { withPrivacy } from "../../federation/test/private-study.js"
import { CHARGED } from "../src/privacy-ledger.js"
import type { RunnerOptions } from "../src/roles/study-runner.js"
import { frozenAt, restartingFacility, until } from "./restarting-facility.js"

// A facility whose clip norm follows its patients: a process that ends and begins again has to go on from the same norm.

const clipping = {
  type: "adaptive",
  targetQuantile: 0.5,
  learningRate: 0.4,
  countSigma: 2,
  minimum: 0.05,
  maximum: 8,
} as const
const STUDY = testStudy(4, { ...withPrivacy({ epsilon: 100, clipping }), protection: "plain", rounds: 20 })
const BUDGET = { epsilon: 500, delta: 1e-5 }
const NOW = Date.UTC(2026, 10, 30)
const ROUNDS = 4

const facility = restartingFacility(STUDY, { rows: "adaptive", policy: BUDGET, now: NOW })

let folder = ""
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "consilium-adaptive-"))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const start = (name: string, probe?: RunnerOptions["probe"]) =>
  facility.start(join(folder, name), BUDGET, probe)

/** What a facility sends in its rounds; it ends after every round, or at some moments of saving, as told. */
const sentOver = async (name: string, ends: "never" | "each-round" | "while-saving", from = 1) => {
  let at = await start(name)
  for (let round = from; round <= ROUNDS; round++) {
    if (ends === "while-saving") {
      await at.end()
      const { probe, isFrozen } = frozenAt("after-save", CHARGED)
      at = await start(name, probe)
      await at.hear(facility.announce(round))
      await until(isFrozen)
      await at.crash()
      at = await start(name)
    } else await at.hear(facility.announce(round))
    await until(() => at.updates().length === round + 1 - from)
    await at.hear(facility.voided(round))
    if (ends === "each-round") {
      await at.end()
      at = await start(name)
    }
  }
  const sent = at.updates()
  const saved = at.machine.snapshot()
  expect(saved).not.toBeNull()
  expect(at.machineFrom(saved).snapshot()).toEqual(saved)
  await at.end()
  return sent
}

it("a facility that ends and begins again between rounds, or in the midst of one, sends the same updates", async () => {
  const straight = await sentOver("straight", "never")
  expect(straight).toHaveLength(ROUNDS)
  expect(await sentOver("each-round", "each-round")).toEqual(straight)
  expect(await sentOver("while-saving", "while-saving")).toEqual(straight)
  // without what it carries from the first round, the second is another one
  const [second] = await sentOver("second-alone", "never", 2)
  expect(second).not.toEqual(straight[1])
})
