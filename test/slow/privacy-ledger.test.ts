import { cpSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { ledgerReadingSchema } from "@consilium/node/ledger-reading"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { consilium, type Ran } from "../../apps/cli/test/in-process.js"
import { apiUrl, edit, FACILITIES, SHORT, WITHOUT_ONE } from "../failures/held-study.js"
import { buildProgram, StudyRun } from "../security/study-run.js"

// The privacy ledger of one facility in real processes: killed again and again, then set back to an older folder.

const VICTIM = "hospital-1"
const KILLS = 10

let run: StudyRun
const config = (): string => join(run.folder, VICTIM, "local/facility.yaml")
const data = (): string => join(run.folder, VICTIM, "data")
const older = (): string => join(run.folder, "older")

const cli = (...args: readonly string[]): Promise<Ran> => consilium(...args, "--config", config())
const ledger = async () => {
  const { code, stdout, stderr } = await cli("privacy", "ledger", "--format", "json")
  if (code !== 0) throw new Error(stderr)
  return ledgerReadingSchema.parse(JSON.parse(stdout))
}
/** The whole ledger as it is exported. */
const report = async (name: string) => {
  const out = join(run.folder, name)
  const { code, stderr } = await cli("privacy", "ledger", "export", "--out", out)
  if (code !== 0) throw new Error(stderr)
  return JSON.parse(readFileSync(out, "utf8")) as {
    readonly running: boolean
    readonly chain: { readonly head: string }
    readonly entries: readonly { readonly seq: number; readonly hash: string }[]
  }
}
const gone = async (): Promise<void> => {
  run.kill(VICTIM)
  await run.exit(VICTIM)
}
const answers = async (): Promise<void> => {
  await run.until(async () => (await cli("status")).code === 0, `${VICTIM} answers`)
}
const compared = async (): Promise<void> => {
  await answers()
  await run.until(async () => (await ledger()).state !== "not-compared", `${VICTIM} has compared its ledger`)
}

beforeAll(async () => {
  await buildProgram()
  run = await StudyRun.layOut({
    facilities: 4,
    fogs: 1,
    rounds: 400,
    protection: "shamir",
    seed: 7,
    epsilon: 50,
  })
  edit(join(run.folder, "leader/local/leader.yaml"), (text) =>
    text.replace(/^store: pglite$/m, "store: segments").replaceAll(/^ *- (8443|8001|8002)\n/gm, ""),
  )
  edit(join(run.folder, "study.yaml"), (text) =>
    text
      .replace(/collect: \d+/, `collect: ${SHORT.collect}`)
      .replace(/answer: \d+/, `answer: ${SHORT.answer}`),
  )
  run.startAllBut([])
}, 120_000)
afterAll(() => run.close())

describe("a facility's privacy ledger in real processes", () => {
  it(`[S21] lacks nothing after ${KILLS} kills at any moment`, { timeout: 300_000 }, async () => {
    await run.said("leader", "round 2 of 400 closed")
    await compared()
    await gone()
    cpSync(data(), older(), { recursive: true, filter: (path) => !/\.sock(et)?$/.test(path) })
    let entries = (await ledger()).head.seq
    expect(entries).toBeGreaterThan(0)
    for (let kill = 0; kill < KILLS; kill++) {
      run.start(VICTIM)
      // from before it has enrolled again to the middle of a round
      await sleep(300 + 250 * kill)
      await gone()
      const read = await ledger()
      expect(read.problem).toBeNull()
      expect(read.head.seq).toBeGreaterThanOrEqual(entries)
      expect(read.months.reduce((sum, { updates }) => sum + updates, 0)).toBe(read.head.seq)
      entries = read.head.seq
    }
    const stopped = await cli("privacy", "ledger")
    expect(stopped.stdout).toContain(`The privacy ledger of ${VICTIM}, which does not run.\n`)
    const whole = await report("stopped.json")
    expect(whole).toMatchObject({ running: false, chain: { isWhole: true, entries } })
    expect(whole.entries.map(({ seq }) => seq)).toEqual(Array.from({ length: entries }, (_, i) => i + 1))
    run.start(VICTIM)
    await compared()
    // an entry made just before a kill may never be certified: its attempt is over by then
    await run.until(async () => ((await ledger()).certified?.seq ?? 0) > entries, "it goes on")
    const running = await ledger()
    expect(running).toMatchObject({ state: "compared", problem: null })
    expect(running.certified?.seq).toBeGreaterThanOrEqual(entries)
    expect(running.studies[0]?.room?.rounds).toBeGreaterThan(0)
    const doctor = await cli("doctor", "--format", "json")
    expect(doctor.stdout).toContain("The privacy ledger is one chain of")
    // what it says while it runs begins with what it said before
    const later = await report("running.json")
    expect(later).toMatchObject({ running: true, chain: { isWhole: true } })
    expect(later.entries.slice(0, entries)).toEqual(whole.entries)
    expect(later.entries.at(-1)?.hash).toBe(later.chain.head)
    expect(running.lifetime.updates).toBe(running.head.seq)
    expect(running.studies[0]?.forecast?.roundsPerDay).toBeGreaterThan(0)
    expect((await cli("status")).stdout).toMatch(
      /Privacy spent: epsilon \d+\.\d\d of \d+\.\d\d in \d{4}-\d\d, /,
    )
  })

  it("[S21] spends nothing from an older folder, says so everywhere, and the others go on", {
    timeout: 180_000,
  }, async () => {
    await gone()
    rmSync(data(), { recursive: true })
    cpSync(older(), data(), { recursive: true })
    const before = (await ledger()).head.seq
    run.start(VICTIM)
    await answers()
    const response = await fetch(`${await apiUrl(run)}/api/training/start`, {
      method: "POST",
      body: JSON.stringify({ privacy: "differential" }),
    })
    expect(response.status).toBe(202)
    await run.said("leader", `${VICTIM} refused in collecting: privacy/ledger-rolled-back`)
    await run.until(() => /closed: 3 facilities/.test(run.output("leader", "log")), "the others go on")
    const read = await ledger()
    expect(read.head.seq).toBe(before)
    expect(read.state).toBe("rolled-back")
    const shown = await cli("privacy", "ledger")
    expect(shown.stdout).toMatch(/NOT WHOLE: The others hold entry \d+ of this facility's privacy ledger/)
    const status = await cli("status")
    expect(status.stdout).toContain("PRIVACY: The others hold entry")
    const doctor = await cli("doctor")
    expect(`${doctor.stdout}${doctor.stderr}`).toContain("privacy ledger, which ends here at entry")
    expect(doctor.code).not.toBe(0)
    expect(run.output(VICTIM, "log")).toContain("privacy/ledger-rolled-back")
  })

  it("begins anew by a person's word, and the month is spent", { timeout: 120_000 }, async () => {
    const nobody = await cli("privacy", "ledger", "reset", "--reason", "the disk is lost")
    expect([nobody.code, nobody.stdout]).toEqual([2, ""])
    const reset = ["privacy", "ledger", "reset", "--by", "A. Okafor", "--reason", "the disk is lost"]
    const begun = await cli(...reset)
    expect(begun.stderr).toBe("")
    expect(begun.stdout).toMatch(/begins anew with entry \d+; all of \d{4}-\d{2} counts as spent/)
    const again = await cli(...reset)
    expect(again.stderr).toContain("privacy/ledger-whole")
    await run.said("leader", `${VICTIM} refused in collecting: policy/privacy-month`)
    const read = await ledger()
    expect(read).toMatchObject({ problem: null, thisMonth: { beginning: { by: "A. Okafor" } } })
    expect(read.studies.every(({ room }) => room === null || room.rounds === 0)).toBe(true)
    await run.stop(VICTIM)
    expect((await ledger()).thisMonth.beginning?.reason).toBe("the disk is lost")
    expect(WITHOUT_ONE.length + 1).toBe(FACILITIES.length)
  })
})
