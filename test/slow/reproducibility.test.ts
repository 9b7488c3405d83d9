import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { HEART_FILES } from "@consilium/records/heart"
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest"
import type { DemoReport } from "../../apps/cli/src/demo/report.js"
import {
  demo,
  demoReport,
  type Ended,
  goneWithin,
  killAll,
  processesOf,
  startDemo,
} from "../security/demo-run.js"
import { buildProgram, temporaryFolder } from "../security/study-run.js"

let scratch = ""
beforeAll(async () => {
  await buildProgram()
  scratch = temporaryFolder()
})
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

describe("the same seed, the same model", () => {
  const SMALL = ["--facilities", "3", "--fogs", "1", "--rounds", "2", "--fine-tune", "5"]
  const reports = new Map<string, DemoReport>()
  const report = (name: string): DemoReport => reports.get(name) as DemoReport

  beforeAll(async () => {
    for (const [name, switches] of [
      ["shamir", ["--protection", "shamir", "--seed", "5"]],
      ["shamir again", ["--protection", "shamir", "--seed", "5"]],
      ["plain", ["--protection", "plain", "--seed", "5"]],
      ["ckks", ["--protection", "ckks", "--seed", "5"]],
      ["bfv", ["--protection", "bfv", "--seed", "5"]],
      ["masked", ["--protection", "masked", "--seed", "5"]],
      ["another seed", ["--protection", "shamir", "--seed", "6"]],
      ["no seed", []],
      ["no seed again", []],
    ] as const)
      reports.set(name, await demoReport(...SMALL, ...switches))
  })

  it("[S15] twice with one seed: model, figures and participants are equal; the logs tell of two runs", () => {
    const [first, second] = [report("shamir"), report("shamir again")]
    expect(second.modelHash).toBe(first.modelHash)
    expect(first.modelHash).toMatch(/^[0-9a-f]{64}$/)
    expect([second.metrics, second.personalised, second.baselines]).toEqual([
      first.metrics,
      first.personalised,
      first.baselines,
    ])
    expect(second.logHead).not.toBe(first.logHead)
  })

  it("[S15] the protection does not change the model", () => {
    const bytes = new Set<number>()
    for (const name of ["plain", "shamir", "ckks", "bfv", "masked"]) {
      expect([name, report(name).modelHash]).toEqual([name, report("shamir").modelHash])
      expect([name, report(name).metrics]).toEqual([name, report("shamir").metrics])
      bytes.add(report(name).rounds.at(-1)?.bytes.facilityUp as number)
    }
    // what crosses the edges is another thing under each; bfv takes the modulus that ckks takes
    expect(bytes.size).toBeGreaterThanOrEqual(4)
  })

  it("another seed gives another model, and so does every run without one", () => {
    const names = ["shamir", "another seed", "no seed", "no seed again"]
    expect(new Set(names.map((name) => report(name).modelHash)).size).toBe(names.length)
  })

  it("a seeded run is marked, and every run's log was audited", () => {
    for (const [name, { seed, marks, audit }] of reports) {
      expect([name, marks.includes("insecure-seed")]).toEqual([name, seed !== null])
      expect([name, audit.verified, audit.certifiedSums]).toEqual([name, true, 2])
    }
  })

  it("the processes that a report lists have ended with it", () => {
    for (const { processes } of reports.values()) {
      expect(processes.map(({ role }) => role).sort()).toEqual([
        "authority",
        "facility",
        "facility",
        "facility",
        "fog",
        "leader",
      ])
      for (const { pid } of processes) expect(() => process.kill(pid, 0)).toThrow("ESRCH")
    }
  })
})

describe("a run that is stopped ends all its processes", () => {
  /** A demo without an end that has come to a line. */
  const underWay = async (name: string, line: string): Promise<ReturnType<typeof startDemo>> => {
    const switches = ["--facilities", "3", "--fogs", "1", "--rounds", "100000", "--keep", join(scratch, name)]
    const running = startDemo(...switches, "--format", "json")
    onTestFinished(() => killAll(running.child.pid as number))
    for (let waited = 0; !running.stderr().includes(line); waited++) {
      if (waited > 600 || running.child.exitCode !== null)
        throw new Error(`The demo did not start:\n${running.stderr()}`)
      await sleep(50)
    }
    return running
  }
  const seconds: Record<string, number> = {}
  afterAll(() => console.log("seconds until all processes were gone", seconds))

  const training = "round 2 of"
  const starting = "starting 6 processes"
  it.each([
    ["Ctrl-C, which goes to all", training, (group: number) => process.kill(-group, "SIGINT")],
    ["SIGINT to the demo alone", training, (group: number) => process.kill(group, "SIGINT")],
    ["SIGTERM to the demo alone", training, (group: number) => process.kill(group, "SIGTERM")],
    ["kill -9 of the demo alone", training, (group: number) => process.kill(group, "SIGKILL")],
    ["SIGINT while its processes start", starting, (group: number) => process.kill(group, "SIGINT")],
    ["kill -9 while its processes start", starting, (group: number) => process.kill(group, "SIGKILL")],
  ])("%s", async (name, line, stop) => {
    const { child, ended } = await underWay(name, line)
    const group = child.pid as number
    if (line === training) expect(processesOf(group)).toHaveLength(1 + 6)
    stop(group)
    const took = await goneWithin(group, 15_000)
    expect(took).not.toBeNull()
    seconds[name] = (took as number) / 1000
    expect(took).toBeLessThan(8_000)
    const { code, stdout, stderr } = await ended
    expect(code).not.toBe(0)
    expect(stdout).toBe("")
    if (!name.startsWith("kill"))
      expect(stderr.slice(stderr.indexOf("cli/"))).toMatchInlineSnapshot(`
      "cli/process-ended: The demo was stopped.
        remedy: Start it again.
        see: docs/reference/errors.md#cliprocess-ended
      "
    `)
  })
})

describe("what cannot run says so, and leaves nothing running", () => {
  /** Exit code and what was said, without what differs from run to run. */
  const told = async ({ code, stdout, stderr, group }: Ended): Promise<string> => {
    expect(stdout).toBe("")
    expect(await goneWithin(group, 1_000)).not.toBeNull()
    return `exit ${code}\n${stderr.replaceAll(scratch, "<scratch>").replace(/[0-9a-f]{64}/g, "<digest>")}`
  }

  it("the heart study without its data", async () => {
    expect(await told(await demo("--study", "heart", "--format", "json"))).toMatchInlineSnapshot(`
      "exit 2
      cli/usage: The heart study needs the folder of the four processed UCI files.
        remedy: Add --data DIR; the files are at archive.ics.uci.edu under Heart Disease. Without data, --study simulated runs.
        see: docs/reference/errors.md#cliusage
      "
    `)
  })

  it("a folder of data that is not there", async () => {
    const data = join(scratch, "nowhere")
    expect(await told(await demo("--study", "heart", "--data", data))).toMatchInlineSnapshot(`
      "exit 3
      records/unreadable: <scratch>/nowhere/processed.cleveland.data is not there.
        remedy: Give the folder that holds processed.cleveland.data, processed.hungarian.data, processed.switzerland.data and processed.va.data.
        see: docs/reference/errors.md#recordsunreadable
      "
    `)
  })

  it("a privacy budget that is none", async () => {
    expect(await told(await demo("--privacy", "none", "--format", "json"))).toMatchInlineSnapshot(`
      "exit 2
      cli/usage: --privacy "none" is no budget.
        remedy: Say --privacy off, or an epsilon above 0 such as --privacy 8; smaller is more private.
        see: docs/reference/errors.md#cliusage
      "
    `)
  })

  it("a folder that holds something, which stays as it is", async () => {
    const folder = join(scratch, "in use")
    mkdirSync(folder)
    writeFileSync(join(folder, "notes.txt"), "mine")
    expect(await told(await demo("--keep", folder))).toMatchInlineSnapshot(`
      "exit 2
      config/exists: The folder <scratch>/in use is not empty.
        remedy: Name an empty or a new folder with --keep.
        see: docs/reference/errors.md#configexists
      "
    `)
    expect(readdirSync(folder)).toEqual(["notes.txt"])
  })

  it("a folder that is a file", async () => {
    const file = join(scratch, "a file")
    writeFileSync(file, "mine")
    expect(await told(await demo("--keep", file))).toMatchInlineSnapshot(`
      "exit 2
      cli/usage: The folder <scratch>/a file cannot be made.
        remedy: Name an empty or a new folder with --keep, where you may write.
        see: docs/reference/errors.md#cliusage
      "
    `)
    expect(readFileSync(file, "utf8")).toBe("mine")
  })

  it("a switch that is not there", async () => {
    expect(await told(await demo("--colour", "blue"))).toMatchInlineSnapshot(`
      "exit 2
      error: unknown option '--colour'
      (--help shows what there is)
      "
    `)
  })

  it("numbers that cannot be", async () => {
    for (const switches of [
      ["--facilities", "2"],
      ["--rounds", "0"],
      ["--rounds", "1.5"],
      ["--seed", "-1"],
      ["--fogs", "4", "--facilities", "3"],
    ])
      expect(await told(await demo(...switches))).toMatch(/^exit 2\n(error|cli\/usage): /)
  })

  const data = process.env.CONSILIUM_DATA
  const real = data !== undefined && existsSync(join(data, "heart-uci"))
  const why = real ? "" : " (skipped: CONSILIUM_DATA names no folder with heart-uci)"

  it.skipIf(!real)(`a data file that is missing, or altered by one byte${why}`, async () => {
    const copy = join(scratch, "heart")
    cpSync(join(data as string, "heart-uci"), copy, { recursive: true })
    const own = join(scratch, "temporary files")
    mkdirSync(own)
    vi.stubEnv("TMPDIR", own)
    const va = join(copy, HEART_FILES.va.file)
    const bytes = readFileSync(va)
    bytes[0] = (bytes[0] as number) ^ 1
    writeFileSync(va, bytes)
    expect(
      await told(await demo("--study", "heart", "--data", copy, "--format", "json")),
    ).toMatchInlineSnapshot(`
      "exit 3
      records/wrong-file: The file for va is not the published processed.va.data: its SHA-256 is <digest>, not <digest>.
        remedy: Fetch processed.va.data again and keep its bytes as they are (line ends too), or accept any file of this format; the published split then does not apply.
        see: docs/reference/errors.md#recordswrong-file
      "
    `)
    rmSync(va)
    expect(await told(await demo("--study", "heart", "--data", copy))).toMatchInlineSnapshot(`
      "exit 3
      records/unreadable: <scratch>/heart/processed.va.data is not there.
        remedy: Give the folder that holds processed.cleveland.data, processed.hungarian.data, processed.switzerland.data and processed.va.data.
        see: docs/reference/errors.md#recordsunreadable
      "
    `)
    // a run that did not start leaves no folder of its own
    expect(readdirSync(own)).toEqual([])
    vi.unstubAllEnvs()
  })
})
