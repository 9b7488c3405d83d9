import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { readKit } from "@consilium/node/identity/kit"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { STACK } from "../failures/answers.js"
import {
  apiUrl,
  ended,
  FACILITIES,
  knownHealthPort,
  knownPort,
  layOutStudy,
  logOf,
  release,
  standsStill,
} from "../failures/held-study.js"
import type { Targets } from "../failures/load-kinds.js"
import { MixedLoad, socketsOf } from "../failures/mixed-load.js"
import { buildProgram, type StudyRun } from "../security/study-run.js"

// A study under way hears a minute of honest and hostile requests on all its ports at once. For most of that time one
// facility waits for a person, so that the study stands in the middle of a round; then it goes on while the load does.

/** A minute, unless a run is short of time. */
const LOAD_MS = 1000 * Number(process.env.CONSILIUM_LOAD_SECONDS ?? 60)
const HELD_MS = LOAD_MS - 8_000
const LAYOUT = { rounds: 12, deadlines: { collect: 300, answer: 60 }, held: true } as const
/** A process may grow by this much, and be this large, in megabytes. */
const GROWTH = 160
const LARGEST = 450

const runs: StudyRun[] = []
const study = async (): Promise<StudyRun> => {
  const run = await layOutStudy(LAYOUT)
  runs.push(run)
  return run
}

/** Resident memory of each process, in megabytes. */
const memory = (run: StudyRun): ReadonlyMap<string, number> =>
  new Map(
    run.layout.processes.map(({ name }) => [
      name,
      Number(execFileSync("ps", ["-o", "rss=", "-p", String(run.pid(name))], { encoding: "utf8" })) / 1024,
    ]),
  )

const portOf = (url: string): number => Number(new URL(url).port)

beforeAll(async () => {
  await buildProgram()
})

afterAll(async () => {
  for (const run of runs) await run.close()
})

describe("a minute, or as long as is asked, of honest and hostile load on every port", () => {
  it("leaves the study's model, its processes and their memory as they are, and refuses in so many words", async () => {
    const calm = await study()
    calm.startAllBut([])
    await release(calm)
    await calm.complete()
    const undisturbed = await ended(calm)

    const run = await study()
    const ports = {
      leader: await knownPort(run, "leader"),
      fog: await knownPort(run, "fog-1"),
      health: await knownHealthPort(run),
    }
    run.startAllBut([])
    await standsStill(run, FACILITIES.length - 1)
    const targets: Targets = {
      ...ports,
      study: undisturbed.id,
      api: portOf(await apiUrl(run)),
      authority: portOf((await readKit(join(run.folder, "hospital-1"))).authorityUrl),
      sockets: await socketsOf(run),
    }
    expect(targets.sockets).toHaveLength(4)
    const before = memory(run)
    const began = Date.now()
    const load = await MixedLoad.start(run, targets)
    await sleep(HELD_MS)
    const after = memory(run)
    await release(run)
    const exits = run.complete()
    await sleep(LOAD_MS - (Date.now() - began))
    await load.stop()
    const codes = await exits
    const seconds = (Date.now() - began) / 1000

    const rows = load.tallies.map(
      ({ what, granted, refused, closed }) =>
        `${what.padEnd(64)} ${String(granted).padStart(6)} ${String(refused).padStart(7)} ${String(closed).padStart(6)}`,
    )
    const grown = [...before].map(
      ([name, was]) =>
        `${name.padEnd(20)} ${was.toFixed(0)} MB before, ${(after.get(name) ?? 0).toFixed(0)} MB after`,
    )
    console.log(
      [`${seconds.toFixed(0)} s of load`, `${"".padEnd(64)} granted refused closed`, ...rows, ...grown].join(
        "\n",
      ),
    )

    expect([...load.faults]).toEqual([])
    expect(codes).toEqual(Object.fromEntries(run.layout.processes.map(({ name }) => [name, 0])))
    for (const { name } of run.layout.processes) expect(run.output(name, "log"), name).not.toMatch(STACK)
    for (const [name, was] of before) {
      const is = after.get(name) as number
      expect(is - was, name).toBeLessThan(GROWTH)
      expect(is, name).toBeLessThan(LARGEST)
    }
    // everything was tried, nothing hostile was granted, and honest requests were all along
    for (const { what, toBeGranted, granted, refused, closed } of load.tallies) {
      expect(granted + refused + closed, what).toBeGreaterThan(LOAD_MS / 6000)
      if (toBeGranted === "always") expect(granted, what).toBeGreaterThan(10 * refused)
      if (toBeGranted === "never") expect(granted, what).toBe(0)
    }
    const outcome = await ended(run)
    expect(outcome.complete).toBe(true)
    expect(outcome.modelHash).toBe(undisturbed.modelHash)
    expect(outcome.rounds.map(({ attempt, participants }) => [attempt, participants])).toEqual(
      outcome.rounds.map(() => [1, FACILITIES]),
    )
    expect(logOf(run, "leader").map(({ header }) => header.type)).not.toContain("void")
  }, 240_000)
})
