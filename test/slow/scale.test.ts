import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { rm } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { InProcessesResult } from "../../apps/cli/src/bench/scale-in-processes.js"
import type { DemoReport } from "../../apps/cli/src/demo/report.js"
import { demo, demoReport } from "../security/demo-run.js"
import { buildProgram, PROGRAM } from "../security/study-run.js"

beforeAll(() => buildProgram())

const leaderIn = ({ rounds }: DemoReport): readonly DemoReport["rounds"][number]["bytes"]["leader"][] =>
  rounds.map(({ bytes: { leader } }) => leader)

describe("a federation in one process, beside the same one in processes", () => {
  const SWITCHES = ["--facilities", "6", "--rounds", "3", "--seed", "7", "--study", "synthetic-heart"]

  it.each([
    ["shamir", "2"],
    ["shamir", "0"],
    ["masked", "0"],
    ["plain", "2"],
  ])("[S15] %s with %s fogs: the same model, figures and bytes into the leader", async (protection, fogs) => {
    const switches = [...SWITCHES, "--protection", protection, "--fogs", fogs]
    const apart = await demoReport(...switches)
    const together = await demoReport(...switches, "--in-process")
    expect(together.modelHash).toBe(apart.modelHash)
    expect([together.metrics, together.baselines]).toEqual([apart.metrics, apart.baselines])
    expect(leaderIn(together)).toEqual(leaderIn(apart))
    expect([together.audit, apart.audit].map(({ verified }) => verified)).toEqual([true, true])
    expect(together.audit.events).toBe(apart.audit.events)
    expect(together.processes).toEqual([])
    expect(apart.processes).toHaveLength(8 + Number(fogs))
    expect([...together.marks].sort()).toEqual([...apart.marks, "in-process"].sort())
    // without fogs all that facilities send comes to the leader
    if (fogs === "0")
      for (const { bytes } of [...together.rounds, ...apart.rounds]) {
        expect(bytes.fogs).toEqual({ update: 0, relayed: 0, opening: 0, metadata: 0 })
        expect(bytes.direct).toEqual(bytes.leader)
        expect(bytes.fogIn).toBe(0)
      }
  })

  it("leaves a log that a stranger verifies", async () => {
    const { code, stdout, stderr } = await demo(...SWITCHES, "--in-process", "--format", "json")
    expect(code).toBe(0)
    const report = JSON.parse(stdout) as DemoReport
    const [, file, key] = /--file (\S+) --authority ([0-9a-f]{64})/.exec(stderr) ?? []
    const verify = (authority: string) =>
      promisify(execFile)(process.execPath, [
        PROGRAM,
        ...["audit", "verify", "--file", file as string, "--authority", authority, "--format", "json"],
      ])
    const { stdout: answer } = await verify(key as string)
    expect(JSON.parse(answer)).toMatchObject({
      verified: true,
      modelHash: report.modelHash,
      logHead: report.logHead,
      ended: true,
    })
    await expect(verify("ab".repeat(32))).rejects.toMatchObject({ code: expect.any(Number) })
    await rm(report.folder, { recursive: true, force: true })
  })

  it("takes hundreds", async () => {
    const report = await demoReport(
      ...["--in-process", "--facilities", "200", "--fogs", "4", "--rounds", "2", "--seed", "7"],
      ...["--study", "synthetic-heart", "--protection", "plain"],
    )
    expect(report.rounds.map(({ participants }) => participants.length)).toEqual([200, 200])
    expect(report.audit.verified).toBe(true)
  })
})

it("bench scale measures how work grows, and says where the time goes", async () => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [PROGRAM, "bench", "scale", "--quick", "--format", "json"],
    { maxBuffer: 1 << 24 },
  )
  const { rows, machine, date } = JSON.parse(stdout) as {
    readonly machine: string
    readonly date: string
    readonly rows: readonly { readonly id: string; readonly value: number | null; readonly unit: string }[]
  }
  expect([machine.length > 0, Number.isNaN(Date.parse(date))]).toEqual([true, false])
  const figure = (id: string): number => rows.find((row) => row.id === id)?.value ?? Number.NaN
  for (const size of ["plain.12", "plain.24", "shamir.6", "shamir.12", "masked.6", "ckks.6"])
    for (const measure of ["round", "cpu", "set-up", "peak-rss", "signatures"])
      expect(figure(`scale.${size}.${measure}`), `${size} ${measure}`).toBeGreaterThan(0)
  // every facility checks every signature that it is shown; together they check few different ones
  expect(figure("scale.plain.24.signatures")).toBeGreaterThan(24 * 24)
  expect(figure("scale.plain.24.signatures-different")).toBeLessThan(24 * 5)
  expect(figure("tiers.shamir.6.fogs-0.leader-children")).toBe(6)
  expect(figure("tiers.shamir.6.fogs-4.leader-children")).toBe(4)
  expect(figure("tiers.shamir.6.fogs-0.leader-in")).toBeGreaterThan(figure("tiers.shamir.6.fogs-4.leader-in"))
})

/** What one facility's process may take: room for more of them on one machine than a region has hospitals. */
const FACILITY_BYTES = 90e6
const SET_UP_SECONDS = 180

describe("fifty facilities on one machine", () => {
  let result: InProcessesResult
  beforeAll(async () => {
    const built = fileURLToPath(new URL("../../apps/cli/dist/bench/scale-in-processes.js", import.meta.url))
    expect(existsSync(built)).toBe(true)
    const { runInProcesses } = await import(built)
    result = await runInProcesses({ protection: "shamir", facilities: 50, fogs: 4, rounds: 2 })
  })
  afterAll(() => {
    const megabytes = result?.facilities.map(({ peakRss }) => Math.round(peakRss / 1e6))
    console.log(`set-up ${result?.setUpSeconds} s, rounds ${result?.seconds} s, peak RSS ${megabytes} MB`)
  })

  it(`take at most ${FACILITY_BYTES / 1e6} MB each`, () => {
    expect(result.facilities).toHaveLength(50)
    for (const { peakRss } of result.facilities) expect(peakRss).toBeLessThanOrEqual(FACILITY_BYTES)
  })

  it("begin within three minutes, and nobody is late", () => {
    expect(result.setUpSeconds).toBeLessThan(SET_UP_SECONDS)
    expect(result.participants).toEqual([50, 50])
  })
})
