import { readdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fromHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import { type Charge, chargeCodec } from "@consilium/federation/charge"
import { CHARGED } from "@consilium/node/privacy-ledger"
import type { Outcome } from "@consilium/node/roles/outcome"
import { openSegmentStores } from "@consilium/node/store/segment-stores"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { DemoReport } from "../../apps/cli/src/demo/report.js"
import { demoReport, startDemo } from "../security/demo-run.js"
import { buildProgram, temporaryFolder } from "../security/study-run.js"

let folder = ""
let report: DemoReport
let told = ""
let answers: readonly { readonly status: number; readonly body: { readonly id?: string } }[] = []

beforeAll(async () => {
  await buildProgram()
  folder = temporaryFolder()
  const switches = ["--facilities", "4", "--fogs", "1", "--rounds", "4"]
  const demo = startDemo(...switches, "--privacy", "8", "--keep", join(folder, "run"), "--format", "json")
  while (!/round 1 of/.test(demo.stderr()) && demo.child.exitCode === null) await sleep(50)
  const url = /the API are at (\S+)/.exec(demo.stderr())?.[1]
  const start = async (privacy: string) => {
    const answer = await fetch(`${url}/api/training/start`, {
      method: "POST",
      body: JSON.stringify({ privacy }),
    })
    return { status: answer.status, body: (await answer.json()) as { id?: string } }
  }
  answers = [await start("differential"), await start("combined")]
  const { code, stdout, stderr } = await demo.ended
  if (code !== 0) throw new Error(`The demo ended with ${code}:\n${stderr}`)
  report = JSON.parse(stdout) as DemoReport
  told = stderr
}, 240_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const outcomeOf = (name: RegExp): Outcome => {
  const studies = join(folder, "run", "leader", "data", "studies")
  const outcomes = readdirSync(studies).map(
    (study) => JSON.parse(readFileSync(join(studies, study, "outcome.json"), "utf8")) as Outcome,
  )
  return outcomes.find(({ study }) => name.test(study)) as Outcome
}

/** What a facility's own log of a study was charged. */
const ledgerOf = async (facility: string, study: string): Promise<readonly Charge[]> => {
  const stores = await openSegmentStores(join(folder, "run", facility, "data", "studies"))
  const charges: Charge[] = []
  for await (const { header, body } of (await stores.study(fromHex(study))).entries())
    if (header.type === CHARGED) charges.push(decode(chargeCodec, body))
  await stores.close()
  return charges
}

describe("the demo as it comes", () => {
  it("trains six facilities of three kinds within epsilon 8, near the pooled model and above each by itself", async () => {
    // the default, by its name
    const shown = await demoReport("--study", "simulated")
    expect(shown.protection).toBe("ckks")
    expect(shown.budget).toEqual({ epsilon: 8, delta: 1e-5 })
    expect(new Set(shown.metrics.facilities.map(({ name }) => name.replace(/-\d+$/, "")))).toEqual(
      new Set(["hospital", "clinic", "research-centre"]),
    )
    expect(shown.rounds.map(({ participants }) => participants.length)).toEqual(Array(10).fill(6))
    for (const { epsilon } of shown.privacy) expect(epsilon).toBeLessThanOrEqual(8)
    const quiet = shown.withoutNoise?.mean.auc as number
    expect(quiet).toBeGreaterThanOrEqual((shown.baselines.pooled.mean.auc as number) - 0.02)
    expect(quiet).toBeGreaterThanOrEqual((shown.baselines.localOnly.mean.auc as number) + 0.02)
    expect(shown.audit.verified).toBe(true)
  }, 180_000)
})

describe("a demo with differential privacy", () => {
  it("ends within its budget at every facility, says so, and shows what it costs", () => {
    expect(report.budget).toEqual({ epsilon: 8, delta: 1e-5 })
    expect(report.marks).toEqual(["synthetic-data", "exact-metrics"])
    expect(report.privacy).toHaveLength(4)
    for (const { epsilon, delta } of report.privacy) {
      expect(epsilon).toBeGreaterThan(7.9)
      expect(epsilon).toBeLessThanOrEqual(8)
      expect(delta).toBe(1e-5)
    }
    expect(report.metrics.mean.auc).toBeGreaterThan(0.7)
    expect(report.withoutNoise?.mean.auc).toBeGreaterThan(0.75)
    expect(report.audit.verified).toBe(true)
  })

  it("private studies are started by their kinds while it runs", () => {
    expect(answers.map(({ status }) => status)).toEqual([202, 202])
    // lines about them begin with their names
    expect(told).toMatch(/^ *simulated-differential-\d+: round 1 of 4 closed/m)
    expect(told.match(/^ *round 1 of 4 closed/gm)).toHaveLength(1)
    for (const [at, kind] of [/-differential-/, /-combined-/].entries()) {
      const outcome = outcomeOf(kind)
      expect(outcome).toMatchObject({ id: answers[at]?.body.id, complete: true, reason: null })
      for (const { epsilon } of outcome.privacy) {
        expect(epsilon).toBeGreaterThan(0.99)
        expect(epsilon).toBeLessThanOrEqual(1)
      }
    }
  })

  it("the facilities' own ledgers agree with what the leader's log shows", async () => {
    for (const { id, privacy, rounds } of [outcomeOf(/^simulated$/), outcomeOf(/-differential-/)])
      for (const { facility, epsilon } of privacy) {
        const charges = await ledgerOf(facility, id)
        expect(charges.map(({ round }) => round)).toEqual(rounds.map(({ round }) => round))
        expect(charges.at(-1)?.epsilon).toBe(epsilon)
        expect(charges.every(({ insecureSeed }) => !insecureSeed)).toBe(true)
      }
  })
})
