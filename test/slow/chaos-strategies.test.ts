import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { DemoStrategy } from "../../apps/cli/src/demo/studies.js"
import { ChaosStudy, type Ended } from "../chaos/chaos-study.js"
import { buildProgram } from "../security/study-run.js"

/** What depends on the order in which messages happen to come is no point to insist on. */
const IS_CHANCE = /log:(dropped|security|message-dropped)/
/** Moments at which what a strategy remembers is in somebody's hands: trained, sent, opened, announced, counted. */
const OF_STATE = [
  /^facility\/\w+-\w+\/(result:|log:|new-record|act|send:(submit|update|signature))/,
  /^leader\/\w+-\w+\/(log:sum-opened|send:(announce|candidate|closed))/,
]
const MOST = 30
/** A round's end: what it left is written down, and the next start reads it. */
const OF_RECORDS = /^facility\/\w+-\w+\/(new-record|checkpoint|log:round-closed)/

const open: ChaosStudy[] = []
const study = async (strategy: DemoStrategy): Promise<ChaosStudy> => {
  const made = await ChaosStudy.layOut("shamir", "segments", strategy)
  open.push(made)
  return made
}

/** The model and what facilities report of it, and of their own. */
const resultOf = ({ outcome, record }: Ended) => ({
  model: outcome.modelHash,
  models: outcome.rounds.map(({ round, attempt, modelHash }) => ({ round, attempt, modelHash })),
  figures: outcome.facilities,
  record,
})

beforeAll(async () => {
  if (process.env.NOBUILD === undefined) await buildProgram()
}, 300_000)

afterAll(async () => {
  for (const made of open) await made.close()
})

describe("what a strategy remembers survives SIGKILL", () => {
  it.each(["scaffold", "fedadam", "ditto"] as const)(
    "%s: a facility and the leader are killed, and the model is the same to the last bit",
    async (strategy) => {
      const undisturbed = await (await study(strategy)).undisturbed()
      const points = [...new Set(undisturbed.seen)].filter((point) => !IS_CHANCE.test(point)).sort()
      const wanted = points.filter((point) => OF_STATE.some((pattern) => pattern.test(point)))
      expect(wanted.length).toBeGreaterThan(20)
      const records = points.filter((point) => OF_RECORDS.test(point))
      expect(records).toContain("facility/after-save/new-record")
      const some = wanted.filter((_, i) => i % Math.ceil(wanted.length / MOST) === 0)
      const ended = await (await study(strategy)).killedAt([...new Set([...records, ...some])])
      console.log(
        `${strategy}: ${ended.kills} kills, ${ended.seconds.toFixed(1)} s (${undisturbed.seconds.toFixed(1)} s undisturbed):\n${ended.hits.join("\n")}`,
      )
      for (const role of ["leader", "facility"])
        expect(ended.hits.filter((point) => point.startsWith(role)).length).toBeGreaterThan(4)
      expect(records.filter((point) => !ended.hits.includes(point))).toEqual([])
      expect(resultOf(ended)).toEqual(resultOf(undisturbed))
      expect(ended.record.suspicions).toEqual([])
    },
    300_000,
  )
})
