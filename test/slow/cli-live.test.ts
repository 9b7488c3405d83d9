import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { DemoProcess } from "../../apps/cli/src/demo/layout.js"
import { buildProgram, PROGRAM, StudyRun } from "../security/study-run.js"

interface Finished {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs one command line in a process of its own. */
const consilium = (...args: readonly string[]): Promise<Finished> =>
  new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...args], { maxBuffer: 1 << 26 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : (error.code as number), stdout, stderr }),
    )
  })

/** The JSON of a command that is to succeed. */
// biome-ignore lint/suspicious/noExplicitAny: each test names the fields it is about
const told = async (...args: readonly string[]): Promise<any> => {
  const { code, stdout, stderr } = await consilium(...args, "--format", "json")
  if (code !== 0) throw new Error(`${args.join(" ")} ended with ${code}:\n${stderr}`)
  return JSON.parse(stdout)
}

const rosterWaits = async (): Promise<boolean> =>
  (await told("status", "--config", config("leader", "leader"))).studies[0].rosterWaits

/** The role's checks and the exit code; a build that was asked to be taken as it is (NOBUILD) may be an old one. */
const doctor = async (file: string) => {
  const { code, stdout } = await consilium("doctor", "--config", file, "--format", "json")
  const all = JSON.parse(stdout).checks as readonly {
    readonly id: string
    readonly verdict: string
    readonly says: string
    readonly code: string | null
  }[]
  const checks = all.filter(({ id }) => id !== "build")
  const isOld = all.some(({ id, verdict }) => id === "build" && verdict === "problem")
  return {
    code: isOld ? null : code,
    checks,
    problems: checks.filter(({ verdict }) => verdict === "problem"),
  }
}

const PLAN = { facilities: 5, fogs: 1, rounds: 3, seed: null, protection: "shamir", epsilon: null } as const
const PATIENCE = 60_000
const eventually = async (holds: () => Promise<boolean>, what: string): Promise<void> => {
  for (const until = Date.now() + PATIENCE; !(await holds()); await sleep(200))
    if (Date.now() > until) throw new Error(`It did not come to this: ${what}.\n${run.lastWords()}`)
}

let run: StudyRun
const config = (name: string, role: string): string =>
  role === "authority"
    ? join(run.folder, "authority", "authority.yaml")
    : join(run.folder, name, "local", `${role}.yaml`)
const edited = (path: string, ...changes: readonly (readonly [string, string])[]): void => {
  let text = readFileSync(path, "utf8")
  for (const [from, to] of changes) {
    expect(text).toContain(from)
    text = text.replace(from, to)
  }
  writeFileSync(path, text)
}

beforeAll(async () => {
  await buildProgram()
  run = await StudyRun.layOut(PLAN)
}, 300_000)
afterAll(() => run?.close())

describe("a small study from its command line", () => {
  const [asking, leaving, pausing] = ["hospital-1", "clinic-1", "clinic-2"] as const
  let leader = ""
  /** The study that this is about. */
  let first: readonly string[] = []
  let hash = ""

  it("is watched and waits for a person", async () => {
    leader = config("leader", "leader")
    first = ["--config", leader, "--study", "simulated"]
    edited(leader, ["store: pglite", "store: segments"], ["- 8443\n", ""])
    // people and this test take their time
    edited(join(run.folder, "study.yaml"), ["collect: 60", "collect: 600"])
    edited(config(asking, "facility"), ["approval: auto", "approval: ask"])
    expect((await consilium("status", "--config", leader)).stderr).toContain("admin/not-running")
    const before = await doctor(config(pausing, "facility"))
    expect(before.checks.find(({ id }) => id === "certificate")).toMatchObject({ verdict: "not-checked" })
    run.startAllBut([])
    await eventually(async () => {
      const { stdout } = await consilium("approvals", "list", "--config", config(asking, "facility"))
      return stdout.includes("WAITS FOR A PERSON")
    }, `${asking} asks`)
    expect(await told("status", "--config", config(asking, "facility"))).toMatchObject({
      role: "facility",
      name: asking,
      studies: [{ name: "simulated", approval: "none", waitsForApproval: true, round: 1 }],
    })
    expect(await told("status", "--config", leader)).toMatchObject({
      role: "leader",
      studies: [{ rounds: { closed: 0, planned: 3 }, phase: "collecting" }],
    })
    expect(await told("status", "--config", config("fog-1", "fog"))).toMatchObject({
      role: "fog",
      studies: [{ name: "simulated", over: false }],
    })
    expect((await told("status", "--config", config("", "authority"))).studies).toHaveLength(1)
    expect(await told("model", "list", ...first)).toMatchObject({ models: [], releases: [] })
    const none = await consilium("model", "show", ...first)
    expect(none.code).toBe(3)
    expect(none.stderr).toContain("model/not-found: The study simulated has no model yet")
  })

  it("tells over HTTP what it is doing, and what it cannot start", async () => {
    const url = /the page and the API are at (\S+)/.exec(run.output("leader", "log"))?.[1] as string
    expect((await told("study", "list", "--leader", url)).studies).toMatchObject([
      { name: "simulated", state: "running", closedRounds: 0 },
    ])
    expect((await told("study", "status", "--leader", url)).plannedRounds).toBe(3)
    const started = await told("study", "start", "--leader", url, "--privacy", "mpc")
    expect(started.name).toBe("simulated-mpc-2")
    const person = ["--config", config(asking, "facility"), "--by", "A. Okafor"]
    await eventually(async () => {
      const { studies } = await told("approvals", "list", "--config", config(asking, "facility"))
      return (
        studies.length === 2 &&
        studies.every((study: { waitsForApproval: boolean }) => study.waitsForApproval)
      )
    }, "both studies wait for a person")
    expect((await consilium("approvals", "approve", ...person)).stderr).toContain(
      "admin/no-such-study: 2 studies",
    )
    const denied = await told("approvals", "deny", ...person, "--study", started.name)
    expect(denied).toEqual({ study: started.id, approved: false })
    await eventually(async () => {
      const { studies } = await told("study", "list", "--leader", url)
      return studies[1]?.state === "complete"
    }, "the other study goes on without who denied it")
    const other = await told("study", "status", "--leader", url, "--study", started.id)
    expect(other.rounds.map(({ cohort }: { cohort: string[] }) => cohort.length)).toEqual([4, 4, 4])
    expect((await consilium("model", "list", "--config", leader)).stderr).toContain("admin/no-such-study")
    const again = join(run.folder, "study.yaml")
    const known = await consilium("study", "start", "--leader", url, "--file", again)
    expect(known.stderr).toContain("api/already-started")
    const token = join(run.folder, "token")
    writeFileSync(token, "not-a-known-token\n", { mode: 0o600 })
    const refused = await consilium("study", "list", "--leader", url, "--token-file", token)
    expect(refused.stderr).toContain("api/unauthenticated")
    expect(refused.stderr + refused.stdout).not.toContain("not-a-known-token")
  })

  it("finds everything in order about a facility that pauses, and what is wrong once it is broken", async () => {
    await run.stop(pausing)
    const file = config(pausing, "facility")
    const { code, checks, problems } = await doctor(file)
    expect(problems).toEqual([])
    expect(code ?? 0).toBe(0)
    const ids = ["configuration", "kit", "data-folder", "storage-key", "certificate", "roster"]
    for (const id of [...ids, "authority", "parent", "log"])
      expect(checks).toContainEqual(expect.objectContaining({ id, verdict: "passed" }))
    expect(checks.find(({ id }) => id === "records")?.says).toMatch(
      /^The records can be read: \d+ rows to train on, \d+ held out; 1 warning\.$/,
    )
    const records = join(run.folder, pausing, "local", "records.csv")
    const kept = readFileSync(records)
    writeFileSync(records, "age,sex\n")
    const broken = await doctor(file)
    writeFileSync(records, kept)
    expect(broken.code ?? 3).toBe(3)
    expect(broken.problems.map(({ id }) => id)).toEqual(["records"])
    const running = await doctor(leader)
    expect(running.problems).toEqual([])
    const folder = running.checks.find(({ id }) => id === "data-folder")
    expect(folder?.says).toContain(`process ${run.pid("leader")}`)
    run.start(pausing)
  })

  it("takes in a newcomer with the next round", async () => {
    const invited = await told(
      ...["join", "river", "--authority", config("", "authority"), "--parent", "fog-1"],
      ...["--out", run.folder],
    )
    expect(invited.start).toContain("consilium facility start")
    edited(
      config("river", "facility"),
      ["approval: auto", "approval: ask"],
      ["metrics: none", "metrics: exact"],
    )
    cpSync(
      join(run.folder, asking, "local", "records.csv"),
      join(run.folder, "river", "local", "records.csv"),
    )
    // nobody planned for it when the study was laid out
    const processes = run.layout.processes as DemoProcess[]
    processes.push({ role: "facility", name: "river", config: config("river", "facility") })
    run.start("river")
    await eventually(async () => {
      const { participants, studies } = await told("members", "--authority", config("", "authority"))
      const river = participants.find(({ name }: { name: string }) => name === "river")
      return river?.state === "enrolled" && studies[0].facilities.includes("river")
    }, "river is enrolled")
    await eventually(rosterWaits, "the leader has the roster for the next round")
    expect(
      await told("approvals", "approve", "--config", config(asking, "facility"), "--by", "A. Okafor"),
    ).toMatchObject({ approved: true })
    await run.said("leader", "river joined the study")
    await eventually(async () => {
      const { studies } = await told("approvals", "list", "--config", config("river", "facility"))
      return studies[0]?.waitsForApproval === true
    }, "river asks")
  })

  it("lists, shows, exports and rolls back models while it runs", async () => {
    const { models } = await told("model", "list", ...first)
    expect(models).toMatchObject([{ round: 1, released: true }])
    hash = models[0].hash
    const shown = await told("model", "show", ...first, "--hash", hash.slice(0, 12))
    expect(shown.model).toMatchObject({ hash, round: 1 })
    expect(shown.metrics.facilities).toHaveLength(5)
    const to = join(run.folder, "while-running.consilium")
    const exported = await told("model", "export", ...first, "--to", to)
    expect(exported).toMatchObject({ hash, round: 1, bytes: readFileSync(to).length })
    expect(exported.sha256).toBe(createHash("sha256").update(readFileSync(to)).digest("hex"))
    const why = ["--reason", "seen | by two", "--by", "B. Silva"]
    expect(await told("model", "rollback", ...first, "--round", "1", ...why)).toMatchObject({
      hash,
    })
    const early = await consilium("model", "rollback", ...first, "--round", "2", ...why)
    expect(early.stderr).toContain("model/not-found: Round 2 of the study simulated has no model: 1 of 3")
    const card = await told("model", "card", ...first)
    expect(card.marks).toEqual(["synthetic-data"])
    expect(card.model.file.sha256).toBe(exported.sha256)
    expect(card.releases).toMatchObject([{ round: 1, by: "B. Silva", reason: "seen | by two" }])
    expect(card.data.trainingRows).toBeGreaterThan(100)
  })

  it("lets a facility go with the next round", async () => {
    expect(await told("leave", "--config", config(leaving, "facility"))).toMatchObject({
      askedAt: expect.stringMatching(/Z$/),
    })
    await eventually(async () => {
      const { participants, studies } = await told("members", "--authority", config("", "authority"))
      const one = participants.find(({ name }: { name: string }) => name === leaving)
      return one.state === "left" && !studies[0].facilities.includes(leaving)
    }, `${leaving} has left`)
    await eventually(rosterWaits, "the leader has the roster for the next round")
    await told("approvals", "approve", "--config", config("river", "facility"), "--by", "C. Rivera")
    await run.said("leader", `${leaving} left the study`)
  })

  it("goes on to its end; the outcome names who joined and who left", async () => {
    const codes = await run.complete()
    expect(Object.values(codes).every((code) => code === 0)).toBe(true)
    const outcome = await run.outcome()
    expect(outcome.complete).toBe(true)
    expect(outcome.rounds.map(({ participants }) => participants.length)).toEqual([5, 6, 5])
    const of = (name: string) => outcome.facilities.find((facility) => facility.name === name)
    expect(of("river")).toMatchObject({ joined: 2, left: null })
    expect(of(leaving)).toMatchObject({ joined: 1, left: 2, global: null })
    expect(of(asking)).toMatchObject({ joined: 1, left: null })
    expect(of("river")?.global).not.toBeNull()
  })

  it("keeps its models when nothing runs any more: card, export, rollback", async () => {
    const list = await told("model", "list", ...first)
    expect(list.models.map(({ released }: { released: boolean }) => released)).toEqual([true, false, false])
    const outcome = await run.outcome()
    expect(list.models[2].hash).toBe(outcome.modelHash)
    const why = ["--reason", "river is in it", "--by", "B. Silva"]
    await told("model", "rollback", ...first, "--round", "2", ...why)
    const after = await told("model", "show", ...first)
    expect(after.model).toMatchObject({ round: 2, released: true, hash: list.models[1].hash })
    const to = join(run.folder, "card.md")
    await told("model", "card", ...first, "--to", to)
    const card = readFileSync(to, "utf8")
    expect(card).toContain(list.models[1].hash)
    expect(card).toContain("| river | 2 |  | yes |")
    expect(card).toContain(`| ${leaving} | 1 | 2 | yes |`)
    expect(card).toContain("by B. Silva: seen \\| by two")
    const file = join(run.folder, "after.consilium")
    await told("model", "export", ...first, "--round", "1", "--to", file)
    expect(readFileSync(file)).toEqual(readFileSync(join(run.folder, "while-running.consilium")))
    expect(existsSync(`${file}.part`)).toBe(false)
    const audited = await told("audit", "verify", ...first)
    expect(audited).toMatchObject({ verified: true, ended: true, modelHash: outcome.modelHash })
    const unreachable = await doctor(config(pausing, "facility"))
    expect(unreachable.code ?? 5).toBe(5)
    expect(unreachable.problems.map(({ code }) => code).sort()).toEqual([
      "identity/authority-unreachable",
      "network/unreachable",
    ])
  })
})
