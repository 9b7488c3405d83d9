import { execFile } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseAddress } from "@consilium/node/identity/names"
import type { Outcome } from "@consilium/node/roles/outcome"
import { LOOPBACK, reserveAddress } from "@consilium/node/transport/address"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { apiUrl, FACILITIES, layOutStudy, logged, release } from "../failures/held-study.js"
import { buildProgram, PROGRAM, type StudyRun } from "../security/study-run.js"

// A study in real processes: planned before it begins, followed, stopped, audited and compared from the command line.

const VICTIM = fileURLToPath(new URL("../chaos/victim.mjs", import.meta.url))
/** More rounds than anybody waits for: who stops the study ends it. */
const ROUNDS = 500
const WHY = "the labels of one facility are wrong"

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
const json = ({ code, stdout, stderr }: Finished, wanted = 0) => {
  if (code !== wanted) throw new Error(`It ended with ${code}:\n${stdout}\n${stderr}`)
  return JSON.parse(stdout)
}

const runs: StudyRun[] = []
/** A held study that nothing runs of yet. */
const layOut = async (): Promise<StudyRun> => {
  const reserved = await reserveAddress(LOOPBACK, [0])
  await reserved.close()
  const { port } = parseAddress(reserved.address)
  const run = await layOutStudy({ rounds: ROUNDS, held: true, protection: "shamir", apiPort: port })
  runs.push(run)
  return run
}
const leaderFile = (run: StudyRun): string => join(run.folder, "leader/local/leader.yaml")

/** What must hold of every study that was stopped, once all of its processes have ended. */
const expectStopped = async (run: StudyRun, by: string): Promise<Outcome> => {
  const { leader, ...others } = await run.complete()
  // a leader says by its exit code that a study of its is not complete
  expect(leader).toBe(6)
  expect(Object.values(others).every((code) => code === 0)).toBe(true)
  const outcome = await run.outcome()
  const { rounds } = outcome
  expect(rounds.length).toBeGreaterThanOrEqual(2)
  expect(rounds.length).toBeLessThan(ROUNDS)
  expect(outcome).toMatchObject({
    complete: false,
    reason: `Stopped by ${by} after ${rounds.length} closed rounds: ${WHY}`,
    modelHash: rounds.at(-1)?.modelHash,
  })
  const audit = json(await consilium("audit", "verify", "--config", leaderFile(run), "--format", "json"))
  expect(audit).toMatchObject({
    verified: true,
    ended: true,
    modelHash: outcome.modelHash,
    certifiedRounds: rounds.length,
    stopped: { rounds: rounds.length, by, reason: WHY },
  })
  for (const name of FACILITIES) {
    const heads = join(run.folder, `${name}.heads`)
    const config = join(run.folder, name, "local/facility.yaml")
    json(await consilium("audit", "heads", "--config", config, "--to", heads, "--format", "json"))
    const compared = await consilium("audit", "verify", "--config", leaderFile(run), "--heads", heads)
    expect([compared.code, compared.stdout]).toEqual([
      0,
      expect.stringContaining(`stopped it after ${rounds.length} closed rounds: ${WHY}`),
    ])
  }
  return outcome
}

let followed: StudyRun
let crashed: StudyRun
beforeAll(async () => {
  await buildProgram()
  followed = await layOut()
  crashed = await layOut()
}, 300_000)
afterAll(async () => {
  for (const run of runs) await run.close()
})

describe("a study that is planned, followed and stopped", () => {
  it("crosses its edges as it was planned, is followed round by round, and ends with 8 for whoever waits", async () => {
    const run = followed
    const plan = json(await consilium("study", "plan", "--config", run.folder, "--format", "json"))
    expect(plan).toMatchObject({
      startable: true,
      rounds: { planned: ROUNDS },
      time: { measuredFacilities: 4 },
    })
    run.startAllBut([])
    const url = await apiUrl(run)
    const second = consilium("study", "wait", "--leader", url, "--until", "round", "5", "--timeout", "120")
    const end = consilium("study", "wait", "--leader", url, "--format", "json")
    const late = await consilium("study", "wait", "--leader", url, "--timeout", "1", "--format", "json")
    expect(json(late, 9)).toMatchObject({ ending: "timeout", closedRounds: 0, state: "running" })
    await release(run)
    const { code, stdout } = await second
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/round 5 of 500 closed: 4 facilities, model [0-9a-f]{16}/),
    ])
    const why = ["--reason", WHY, "--by", "A. Okafor"]
    const stopped = json(
      await consilium("study", "stop", "--config", leaderFile(run), ...why, "--format", "json"),
    )
    expect(stopped).toMatchObject({ by: "A. Okafor", via: "the leader's admin socket", reason: WHY })
    const ended = json(await end, 8)
    expect(ended).toMatchObject({
      ending: "aborted",
      state: "aborted",
      closedRounds: stopped.closedRounds,
      modelHash: stopped.modelHash,
      reason: expect.stringContaining(WHY),
    })
    const outcome = await expectStopped(run, "A. Okafor")
    expect(outcome.modelHash).toBe(stopped.modelHash)

    const planned: readonly { readonly up: Readonly<Record<string, number>> }[] = plan.round.facilities
    const sum = (traffic: Readonly<Record<string, number>>) =>
      Object.values(traffic).reduce((all, bytes) => all + bytes, 0)
    const up = planned.reduce((all, facility) => all + sum(facility.up), 0)
    // what is reported on a round's model comes in with the next one
    const measured = outcome.rounds.slice(1, -1)
    expect(measured.length).toBeGreaterThan(0)
    const mean = measured.reduce((all, { bytes }) => all + bytes.facilityUp, 0) / measured.length
    // the plan counts on eight bins in a report of ten; the early models of a run may fill two fewer, of 20 bytes each
    expect(Math.abs(up - mean)).toBeLessThan(0.02 * mean + 2 * 20 * FACILITIES.length)
    // all that a single round may differ by: a report has 20 bytes for each of its calibration bins that has rows
    const bins = 4 * 20 * FACILITIES.length
    const leaderIn = sum(plan.round.leader.in)
    for (const { round, bytes } of measured) {
      expect([round, Math.abs(up - bytes.facilityUp) <= bins]).toEqual([round, true])
      expect([round, Math.abs(leaderIn - sum(bytes.leader)) <= bins]).toEqual([round, true])
    }
    console.log(
      `planned ${up} bytes a round, measured ${measured.map(({ bytes }) => bytes.facilityUp).join(", ")}; planned ${JSON.stringify(plan.time.round)} s, measured ${measured.map(({ seconds }) => seconds).join(", ")}`,
    )
  })

  it("is stopped even if the leader is killed between its log and its messages", async () => {
    const run = crashed
    const [wanted, hits] = ["wanted", "hits"].map((name) => join(run.folder, name)) as [string, string]
    writeFileSync(wanted, "leader/after-save/log:study-stopped\n")
    writeFileSync(hits, "")
    run.startAllBut(["leader"])
    run.start("leader", VICTIM, { CHAOS_WANTED: wanted, CHAOS_HITS: hits })
    const url = await apiUrl(run)
    await release(run)
    expect((await consilium("study", "wait", "--leader", url, "--until", "round 2")).code).toBe(0)
    const died = await consilium("study", "stop", "--leader", url, "--reason", WHY)
    expect([died.code, died.stderr]).toEqual([5, expect.stringContaining("network/unreachable")])
    expect(await run.exit("leader")).toBeNull()
    expect(readFileSync(hits, "utf8")).toContain("log:study-stopped")
    expect(logged(run, "leader", "study-stopped")).toBe(1)
    expect(logged(run, "leader", "ended")).toBe(1)
    run.start("leader")
    await expectStopped(run, "loopback")
    expect(logged(run, "leader", "study-stopped")).toBe(1)
  })

  it("is set beside another, with a word on how both ended", async () => {
    const folders = [followed, crashed].map(({ folder }) => folder)
    const compared = json(await consilium("study", "compare", ...folders, "--format", "json"))
    expect(compared.studies).toMatchObject([
      { name: "simulated", state: "aborted", strategy: "fedyogi", protection: "shamir" },
      { name: "simulated", state: "aborted", strategy: "fedyogi", protection: "shamir" },
    ])
    // a round that is closed because its study is stopped has the figures that were there
    for (const { figures } of compared.studies) expect(figures.length).toBeLessThanOrEqual(FACILITIES.length)
    expect(
      compared.notes.filter((note: string) =>
        note.includes("its figures are those of its last closed round"),
      ),
    ).toHaveLength(2)
  })
})
