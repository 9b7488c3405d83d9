import { execFile } from "node:child_process"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { apiUrl, FACILITIES, layOutStudy, release, WITHOUT_ONE } from "../failures/held-study.js"
import { buildProgram, PROGRAM, type StudyRun } from "../security/study-run.js"

// The keys of a study in real processes, watched and changed from the command line.

/** More rounds than anybody waits for: who stops the study ends it. */
const ROUNDS = 2000
const VICTIM = "hospital-1"

interface Finished {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}
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

let run: StudyRun
let url = ""
const file = (name: string): string =>
  join(run.folder, name, "local", name === "leader" ? "leader.yaml" : "facility.yaml")
const at = (name: string) => ["--config", file(name)] as const
/** What the leader says of its one study's keys. */
const keys = async () => (await told("keys", "status", ...at("leader"))).studies[0].keys
const heldBy = async (name: string) => (await told("keys", "status", ...at(name))).studies[0].held
const doctor = async (name: string) => {
  const { stdout } = await consilium("doctor", ...at(name), "--format", "json")
  return JSON.parse(stdout).checks.find(({ id }: { id: string }) => id === "keys")
}

beforeAll(async () => {
  await buildProgram()
  // one facility asks a person first, so that the first round waits while its keys are looked at
  run = await layOutStudy({
    rounds: ROUNDS,
    protection: "ckks",
    deadlines: { collect: 25, answer: 3 },
    held: true,
  })
}, 300_000)
afterAll(() => run?.close())

describe("the keys of a study under way", () => {
  it("are there before its first round, at every facility, and told the same by API and socket", async () => {
    run.startAllBut([])
    url = await apiUrl(run)
    await run.said("leader", "epoch 1 begins")
    const found = await keys()
    expect(found).toMatchObject({ epoch: 1, leftOut: [], wanted: null, scheme: { name: "CKKS" } })
    expect([...found.dealers].sort()).toEqual([...FACILITIES])
    const api = await told("keys", "status", "--leader", url)
    expect(api.studies[0].keys.ceremonies).toEqual(found.ceremonies)
    for (const name of FACILITIES) {
      expect(await heldBy(name)).toMatchObject({ epoch: 1, own: true, keys: 4, shares: 4 })
      expect(await doctor(name)).toMatchObject({ verdict: "passed" })
    }
    expect((await consilium("keys", "status", ...at(VICTIM))).stdout).toContain("own key       here\n")
  }, 120_000)

  it("are changed when a person asks, and a facility that is down is left out", async () => {
    // it has sent its update: the sum is opened by the others. Killed as one of those named to open it would end the attempt.
    await run.said(VICTIM, "update-submitted: round 1")
    run.kill(VICTIM)
    await release(run)
    const asked = await told(
      "keys",
      "rotate",
      ...at("leader"),
      "--reason",
      "a laptop was lost",
      "--by",
      "A. Okafor",
    )
    expect(asked).toMatchObject({ asked: true, epoch: 1 })
    await run.said("leader", "epoch 2 begins: 3 keys")
    const found = await keys()
    expect(found).toMatchObject({
      epoch: 2,
      leftOut: [{ name: VICTIM, why: "It was not there for the whole ceremony.", returns: true }],
    })
    expect([...found.dealers].sort()).toEqual([...WITHOUT_ONE])
    expect(found.ceremonies.at(-1).cause).toBe(
      "A. Okafor (the leader's admin socket) asked for it: a laptop was lost",
    )
    expect(await doctor("leader")).toMatchObject({
      verdict: "note",
      says: expect.stringContaining(`${VICTIM} has no key in epoch 2`),
    })
    for (const name of WITHOUT_ONE) expect(await heldBy(name)).toMatchObject({ epoch: 2, own: true, keys: 3 })
  }, 180_000)

  it("take it in again once it runs, with a ceremony that nobody has to ask for", async () => {
    run.start(VICTIM)
    await run.said("leader", "epoch 3 begins: 4 keys")
    await run.until(async () => (await heldBy(VICTIM)).epoch === 3, `${VICTIM} has keys again`)
    expect(await heldBy(VICTIM)).toMatchObject({ own: true, keys: 4, shares: 4, lastCeremony: 3 })
    const { code, stdout } = await consilium("keys", "ceremony", "--leader", url, "--epoch", "3")
    expect(code).toBe(0)
    expect(stdout).toContain(`because ${VICTIM} has no key in this epoch`)
    expect(stdout).toMatch(/ {2}certificate {2}[34] signed: /)
    expect(run.output(VICTIM, "log")).toContain("keys/left-out")
  }, 180_000)

  it("are gone with the study, which the stopped leader's folder still tells of", async () => {
    expect((await consilium("study", "stop", ...at("leader"), "--reason", "it was a trial")).code).toBe(0)
    const { leader, ...others } = await run.complete()
    // a leader says by its exit code that a study of its is not complete
    expect([leader, Object.values(others).every((code) => code === 0)]).toEqual([6, true])
    const { ceremonies } = await told("keys", "ceremony", ...at("leader"))
    expect(ceremonies.map(({ epoch, phase }: { epoch: number; phase: string }) => [epoch, phase])).toEqual([
      [1, "held"],
      [2, "held"],
      [3, "held"],
    ])
    expect((await consilium("keys", "status", ...at("leader"))).stdout).toContain(
      "the study is over, and its keys are destroyed",
    )
    for (const name of FACILITIES) expect(run.output(name, "log")).toContain("keys-destroyed: epoch 3")
    const late = await consilium("keys", "rotate", ...at("leader"), "--reason", "too late")
    expect([late.code, late.stderr]).toEqual([5, expect.stringContaining("admin/not-running")])
    expect((await consilium("audit", "verify", ...at("leader"))).code).toBe(0)
  }, 120_000)
})
