import { execFile } from "node:child_process"
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { promisify } from "node:util"
import { epsilonAfter, isPrivate, type PrivateStudy } from "@consilium/federation/privacy-plan"
import { studyFileSchema, studyOf } from "@consilium/node/config/study-file"
import { readConfig } from "@consilium/node/config/yaml-file"
import type { Outcome } from "@consilium/node/roles/outcome"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { DemoReport } from "../../apps/cli/src/demo/report.js"
import { EXAMPLE_CONFIG } from "../../packages/node/test/privacy-config-example.js"
import { startDemo } from "../security/demo-run.js"
import { buildProgram, PROGRAM, temporaryFolder } from "../security/study-run.js"

// The short form of a study's privacy, and what facilities do at their caps, in real processes.

let folder = ""
let example = ""
beforeAll(async () => {
  await buildProgram()
  folder = temporaryFolder()
  example = join(folder, "privacy_config.yaml")
  writeFileSync(example, EXAMPLE_CONFIG)
}, 240_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const privateStudyIn = async (run: string): Promise<PrivateStudy> => {
  const study = studyOf(await readConfig(studyFileSchema, join(folder, run, "study.yaml")))
  if (!isPrivate(study)) throw new Error("The study was to be private.")
  return study
}

/** Runs a demo to its end in a folder of its own; `meanwhile` gets the leader's address once the first round is under way. */
const demoIn = async (
  run: string,
  switches: readonly string[],
  meanwhile: (url: string) => Promise<void> = async () => undefined,
): Promise<DemoReport> => {
  const place = ["--facilities", "4", "--fogs", "1", "--keep", join(folder, run), "--format", "json"]
  const demo = startDemo(...switches, ...place)
  while (!/round 1 of/.test(demo.stderr()) && demo.child.exitCode === null) await sleep(50)
  const url = /the API are at (\S+)/.exec(demo.stderr())?.[1]
  if (url !== undefined) await meanwhile(url)
  const { code, stdout, stderr } = await demo.ended
  if (code !== 0) throw new Error(`The demo ended with ${code}:\n${stderr}`)
  return JSON.parse(stdout) as DemoReport
}

describe("[S20] facilities whose noise is not calibrated", () => {
  it("stop exactly at their caps, and the study ends with the last closed round's model", async () => {
    const report = await demoIn("capped", ["--rounds", "6", "--privacy", "1", "--calibrate", "false"])
    const study = await privateStudyIn("capped")
    const closed = report.rounds.length
    expect(closed).toBeGreaterThan(0)
    expect(closed).toBeLessThan(6)
    expect(report.ended).toBe(
      `The privacy budget is used up after round ${closed} of 6: too few facilities may spend on another round.`,
    )
    expect(report.noise).toMatchObject({ from: "given", noiseMultiplier: 4 })
    expect(report.privacy).toHaveLength(4)
    for (const { epsilon } of report.privacy) {
      expect(epsilon).toBe(epsilonAfter(study, closed))
      expect(epsilon).toBeLessThanOrEqual(1)
      expect(epsilonAfter(study, closed + 1)).toBeGreaterThan(1)
    }
    expect(report.audit).toMatchObject({ verified: true, certifiedSums: closed })
    expect(report.metrics.mean.auc).not.toBeNull()
  }, 240_000)
})

describe("the privacy_config.yaml of the design", () => {
  let report: DemoReport
  let started: { readonly id: string; readonly name: string }
  let plan: string
  beforeAll(async () => {
    report = await demoIn("configured", ["--rounds", "3", "--privacy-config", example], async (url) => {
      const say = async (...words: readonly string[]): Promise<string> =>
        (await promisify(execFile)(process.execPath, [PROGRAM, ...words])).stdout
      const leader = ["--leader", url, "--privacy-config", example]
      started = JSON.parse(await say("study", "start", ...leader, "--format", "json"))
      plan = await say("study", "plan", ...leader, "--no-time")
    })
  }, 240_000)

  it("runs a demo whose noise is calibrated, which ends within epsilon 1 after all its rounds", async () => {
    const study = await privateStudyIn("configured")
    expect(study).toMatchObject({
      protection: "ckks",
      ring: { degree: 4096 },
      privacy: { epsilon: 1, delta: 1e-5, maxGradNorm: 1 },
    })
    expect(report).toMatchObject({
      protection: "ckks",
      ended: null,
      budget: { epsilon: 1, delta: 1e-5 },
      noise: { from: "calibrated", floor: 1.1, noiseMultiplier: study.privacy.noiseMultiplier },
      audit: { verified: true },
    })
    expect(study.privacy.noiseMultiplier).toBeGreaterThan(1.1)
    expect(report.rounds).toHaveLength(3)
    for (const { epsilon } of report.privacy) {
      expect(epsilon).toBeLessThanOrEqual(1)
      expect(epsilon).toBeGreaterThan(0.99)
    }
  })

  it("starts a study at a running leader, and the plan explains which noise won", () => {
    expect(started.name).toMatch(/-configured-2$/)
    const studies = join(folder, "configured", "leader", "data", "studies")
    const outcomes = readdirSync(studies).map(
      (id) => JSON.parse(readFileSync(join(studies, id, "outcome.json"), "utf8")) as Outcome,
    )
    const outcome = outcomes.find(({ id }) => id === started.id)
    expect(outcome).toMatchObject({ complete: true, reason: null, protection: "ckks" })
    for (const { epsilon } of outcome?.privacy ?? []) expect(epsilon).toBeLessThanOrEqual(1)
    expect(outcome?.privacy).toHaveLength(4)
    expect(plan).toMatch(/noise +3\.\d+, calibrated to the budget; it is more than the floor of 1\.1/)
    expect(plan).toContain("It could start.")
  })
})
