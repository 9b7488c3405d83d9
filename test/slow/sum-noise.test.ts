import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { ledgerReadingSchema } from "@consilium/node/ledger-reading"
import { afterAll, beforeAll, expect, it } from "vitest"
import { consilium } from "../../apps/cli/test/in-process.js"
import { edit } from "../failures/held-study.js"
import { buildProgram, StudyRun } from "../security/study-run.js"

// A study whose noise is on the sum, in real processes: once undisturbed, once with a facility killed again and again.

const ROUNDS = 6
const FACILITIES = 4
const VICTIM = "hospital-1"
const runs: StudyRun[] = []

const laidOut = async (): Promise<StudyRun> => {
  const run = await StudyRun.layOut({
    facilities: FACILITIES,
    fogs: 1,
    rounds: ROUNDS,
    protection: "shamir",
    seed: 7,
    epsilon: 4,
  })
  runs.push(run)
  edit(join(run.folder, "leader/local/leader.yaml"), (text) =>
    text.replace(/^store: pglite$/m, "store: segments").replaceAll(/^ *- (8443|8001|8002)\n/gm, ""),
  )
  edit(join(run.folder, "study.yaml"), (text) =>
    text
      .replace(/^( +)steps: 20$/m, "$1steps: 1")
      .replace(/^( +)sample_rate: .*$/m, "$1sample_rate: 1")
      .replace(/^( +)noise: local$/m, "$1noise: sum")
      .replace(/^( +)patients: 0$/m, "$1patients: 150")
      .replace(/^( +)most_patients: 0$/m, "$1most_patients: 2000")
      .replace(/^( +)fraction_bits: .*$/m, "$1fraction_bits: 10"),
  )
  await run.reread()
  expect(run.study.privacy).toMatchObject({ noise: "sum", unit: "patient", mostPatients: 2000 })
  expect(run.study.training.steps).toBe(1)
  return run
}

const ledgerOf = async (run: StudyRun, name: string) => {
  const config = join(run.folder, name, "local/facility.yaml")
  const { code, stdout, stderr } = await consilium(
    "privacy",
    "ledger",
    "--format",
    "json",
    "--config",
    config,
  )
  if (code !== 0) throw new Error(stderr)
  return ledgerReadingSchema.parse(JSON.parse(stdout))
}

beforeAll(buildProgram, 120_000)
afterAll(() => Promise.all(runs.map((run) => run.close())))

it("[S26] a facility that is killed again and again draws one share a round, and the model is the same", {
  timeout: 300_000,
}, async () => {
  const calm = await laidOut()
  calm.startAllBut([])
  await calm.complete()
  const { modelHash } = await calm.outcome()

  const shaken = await laidOut()
  shaken.startAllBut([])
  for (let kill = 0; kill < 5; kill++) {
    await sleep(900 + 150 * kill)
    if (shaken.output("leader", "log").includes(`round ${ROUNDS} of ${ROUNDS} closed`)) break
    shaken.kill(VICTIM)
    await shaken.exit(VICTIM)
    shaken.start(VICTIM)
  }
  await shaken.complete()
  expect((await shaken.outcome()).modelHash).toBe(modelHash)

  for (const run of [calm, shaken])
    for (const name of run.named("facility")) {
      const { problem, head, studies } = await ledgerOf(run, name)
      expect([name, problem, head.seq]).toEqual([name, null, ROUNDS])
      expect(studies[0]?.spent.epsilon).toBeLessThanOrEqual(4)
    }
})
