import { spawn } from "node:child_process"
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { DemoReport } from "../src/demo/report.js"
import { VERSION } from "../src/main.js"

const bin = fileURLToPath(new URL("../bin/consilium.js", import.meta.url))

interface Finished {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the command in a process of its own, with nothing on standard input. */
const consilium = (...args: readonly string[]): Promise<Finished> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [bin, ...args], { stdio: ["ignore", "pipe", "pipe"] })
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (chunk) => {
      stdout += chunk
    })
    child.stderr.on("data", (chunk) => {
      stderr += chunk
    })
    child.once("error", reject)
    child.once("close", (code) => resolve({ code, stdout, stderr }))
  })

describe("the command line", () => {
  let folder = ""
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "consilium cli "))
    // builds first if sources have changed, so that no test sees the words of the build
    await consilium("--version")
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it("lets a reader go that has seen enough", async () => {
    const child = spawn(process.execPath, [bin, "--help"], { stdio: ["ignore", "pipe", "pipe"] })
    child.stdout.destroy()
    let said = ""
    child.stderr.on("data", (chunk) => {
      said += chunk
    })
    const code = await new Promise((resolve) => child.once("close", resolve))
    expect([code, said]).toEqual([0, ""])
  })

  it("has the version of its package", async () => {
    const { version } = JSON.parse(await readFile(new URL("../package.json", import.meta.url), "utf8"))
    expect(VERSION).toBe(version)
    expect((await consilium("--version")).stdout.trim()).toBe(version)
  })

  it("shows an example with every command's help", async () => {
    for (const command of [
      ["demo"],
      ["init"],
      ["leader", "start"],
      ["facility", "start"],
      ["audit", "verify"],
    ]) {
      const { code, stdout } = await consilium(...command, "--help")
      expect(code).toBe(0)
      expect(stdout).toContain(`Example:\n  consilium ${command[0]}`)
    }
  })

  it("refuses unknown words with exit code 2 and writes nothing to standard output", async () => {
    for (const args of [
      ["demo", "--sede", "4"],
      ["dmeo"],
      ["demo", "--facilities", "2"],
      ["demo", "--strategy", "magic"],
    ]) {
      const { code, stdout, stderr } = await consilium(...args)
      expect(code).toBe(2)
      expect(stdout).toBe("")
      expect(stderr).toContain("error:")
    }
  })

  it("refuses what it cannot do, with the code and what to do instead", async () => {
    const refused = async (...args: readonly string[]): Promise<string> => {
      const { code, stdout, stderr } = await consilium("demo", ...args)
      expect(stdout).toBe("")
      return `exit ${code}\n${stderr.trimEnd()}`
    }
    expect(await refused("--privacy", "much")).toMatchInlineSnapshot(`
      "exit 2
      cli/usage: --privacy "much" is no budget.
        remedy: Say --privacy off, or an epsilon above 0 such as --privacy 8; smaller is more private.
        see: docs/reference/errors.md#cliusage"
    `)
    expect(await refused("--privacy", "0")).toContain("is no budget")
    expect(await refused("--privacy", "8", "--fine-tune", "5")).toContain("Fine-tuning adds no noise")
    expect(await refused("--privacy", "8", "--strategy", "ditto")).toContain("Personal models add no noise")
    expect(await refused("--fine-tune", "5", "--strategy", "ditto")).toContain("a model of its own already")
    expect(await refused("--study", "heart")).toMatchInlineSnapshot(`
      "exit 2
      cli/usage: The heart study needs the folder of the four processed UCI files.
        remedy: Add --data DIR; the files are at archive.ics.uci.edu under Heart Disease. Without data, --study simulated runs.
        see: docs/reference/errors.md#cliusage"
    `)
    expect(await refused("--study", "heart", "--data", folder)).toContain("records/unreadable")
    expect(await refused("--data", folder)).toContain("reads no --data")
    expect(await refused("--fogs", "9")).toContain("9 fogs are more than 6 facilities")
    expect(await refused("--study", "heart", "--facilities", "5")).toContain("four centres")
    expect(await refused("--facilities", "101")).toContain("Add --in-process")
    expect(await refused("--facilities", "1001", "--in-process")).toContain("at most 1000")
    expect(await refused("--chaos", "--in-process")).toContain("--chaos kills processes")
    for (const how of [[], ["--in-process"]])
      expect(await refused("--fogs", "0", "--protection", "plain", ...how)).toContain(
        "Put them below a fog, or choose a protection that hides single updates",
      )
  })

  it("runs a whole study in one process, with facilities that talk to the leader", async () => {
    const run = join(folder, "in-process")
    const args = [
      "--in-process",
      "--facilities",
      "3",
      "--rounds",
      "2",
      "--seed",
      "3",
      "--fogs",
      "0",
      "--keep",
      run,
    ]
    const { code, stdout, stderr } = await consilium("demo", ...args, "--format", "json")
    expect([code, stderr]).toEqual([0, expect.stringContaining("round 2 of 2 closed: 3 facilities")])
    const report = JSON.parse(stdout) as DemoReport
    expect(report).toMatchObject({ processes: [], folder: run, audit: { verified: true, certifiedSums: 3 } })
    expect(report.marks).toContain("in-process")
    expect((await readdir(run)).sort()).toEqual(
      expect.arrayContaining(["model.consilium", "outcome.json", "study.log"]),
    )
  })

  it("lays out a study without fogs", async () => {
    const args = ["--authority", "127.0.0.1:8440", "--facilities", "north,south,east", "--fogs", "0"]
    const { code, stdout } = await consilium(
      "init",
      "--out",
      join(folder, "flat"),
      ...args,
      "--format",
      "json",
    )
    expect(code).toBe(0)
    const made = JSON.parse(stdout) as { study: string; participants: Record<string, string> }
    expect(Object.keys(made.participants)).toEqual(["leader", "north", "south", "east"])
    expect((await readFile(made.study, "utf8")).match(/parent: leader/g)).toHaveLength(3)
  })

  it("lays out a study once, and refuses to do it again", async () => {
    const out = join(folder, "study")
    const args = [
      "init",
      "--out",
      out,
      "--authority",
      "127.0.0.1:8440",
      "--facilities",
      "north,south,east",
      "--format",
      "json",
    ]
    const first = await consilium(...args)
    expect(first.code).toBe(0)
    const made = JSON.parse(first.stdout) as { participants: Record<string, string> }
    expect(Object.keys(made.participants)).toEqual(["leader", "fog-1", "north", "south", "east"])
    for (const path of Object.values(made.participants))
      expect(await readFile(path, "utf8")).toContain("data_folder")
    const before = await readdir(out)
    const second = await consilium(...args)
    expect(second.code).toBe(2)
    expect(second.stderr).toContain("config/exists")
    expect(await readdir(out)).toEqual(before)
  })

  it("lays out nothing where names clash or the folder cannot be made", async () => {
    const file = join(folder, "a file")
    await writeFile(file, "")
    const refused = async (out: string, facilities: string): Promise<string> => {
      const { code, stderr } = await consilium(
        "init",
        "--out",
        out,
        "--authority",
        "127.0.0.1:8440",
        "--facilities",
        facilities,
      )
      return `${code} ${stderr.replaceAll(folder, "<folder>")}`
    }
    const names = join(folder, "names")
    expect(await refused(names, "north,south,north")).toMatchInlineSnapshot(`
      "5 identity/bad-name: Two participants are called north.
        remedy: Give every participant a name of its own.
        see: docs/reference/errors.md#identitybad-name
      "
    `)
    expect(await refused(names, "north,south,authority")).toMatchInlineSnapshot(`
      "5 identity/bad-name: A participant cannot be called authority: that is the authority's own folder.
        remedy: Give every participant a name of its own.
        see: docs/reference/errors.md#identitybad-name
      "
    `)
    expect(await readdir(folder)).not.toContain("names")
    expect(await refused(file, "north,south,east")).toMatchInlineSnapshot(`
      "2 cli/usage: The folder <folder>/a file cannot be made.
        remedy: Name a new or an empty folder where you may write.
        see: docs/reference/errors.md#cliusage
      "
    `)
    expect(await refused(join(file, "below"), "north,south,east")).toMatchInlineSnapshot(`
      "2 cli/usage: The folder <folder>/a file/below cannot be made.
        remedy: Name a new or an empty folder where you may write.
        see: docs/reference/errors.md#cliusage
      "
    `)
    expect(await readFile(file, "utf8")).toBe("")
  })

  it("runs a whole study in real processes and prints one JSON value", async () => {
    const keep = join(folder, "a run")
    const { code, stdout, stderr } = await consilium(
      "demo",
      "--rounds",
      "2",
      "--seed",
      "5",
      "--keep",
      keep,
      "--format",
      "json",
    )
    expect(stderr).toContain("round 2 of 2 closed: 6 facilities")
    expect(code).toBe(0)
    const report = JSON.parse(stdout)
    expect(report.audit).toMatchObject({ verified: true, certifiedSums: 3 })
    expect(report.marks).toEqual(["insecure-seed", "synthetic-data", "exact-metrics"])
    expect([report.protection, report.budget]).toEqual(["ckks", { epsilon: 8, delta: 1e-5 }])
    expect(report.modelHash).toMatch(/^[0-9a-f]{64}$/)
    expect(report.rounds).toHaveLength(2)
    expect(report.rounds[0].participants).toHaveLength(6)
    // two regional sums of ciphertexts, of a polynomial each
    expect(report.rounds[1].bytes.leader.update).toBe(2 * 39_960)
    expect(report.processes.map((p: { role: string }) => p.role)).toEqual([
      "authority",
      "leader",
      "fog",
      "fog",
      ...Array.from({ length: 6 }, () => "facility"),
    ])
    for (const { pid } of report.processes) expect(() => process.kill(pid, 0)).toThrow("ESRCH")
    const audited = await consilium(
      "audit",
      "verify",
      "--config",
      join(keep, "leader", "local", "leader.yaml"),
      "--format",
      "json",
    )
    expect(JSON.parse(audited.stdout)).toMatchObject({
      verified: true,
      modelHash: report.modelHash,
      logHead: report.logHead,
    })
    // a participant that is started again finds that all is done
    const config = join(keep, "clinic-1", "local", "facility.yaml")
    const restarted = await consilium("facility", "start", "--config", config)
    expect(restarted.stderr).toContain("the study simulated is over here")
    expect(restarted.code).toBe(0)
    const again = await consilium("demo", "--keep", keep)
    expect(again.code).toBe(2)
    expect(again.stderr).toContain("config/exists")
  }, 120_000)
})
