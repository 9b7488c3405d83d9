import { toHex } from "@consilium/base/bytes"
import { evaluationsOf, statisticsOf } from "@consilium/federation/figures/opened-figures"
import type { LogEntry } from "@consilium/federation/log"
import type { Study } from "@consilium/federation/study"
import { describe, expect, it } from "vitest"
import { type Options, runStudy } from "../../federation/test/harness.js"
import { authorityKey } from "../../federation/test/members.js"
import { withPrivacy } from "../../federation/test/private-study.js"
import { studyViewSchema } from "../src/api/schemas.js"
import { applyEntry, type FoldState, startView } from "../src/api/view-fold.js"
import { modelCardOf } from "../src/models/model-card.js"
import { modelCardText } from "../src/models/model-card-text.js"
import { readHistory } from "../src/models/model-log.js"
import { modelCardSchema } from "../src/models/model-schemas.js"
import { LoggedStudy } from "./api-study.js"

const counting = (noise: number): Partial<Study> => ({
  statistics: {
    bins: 8,
    ranges: [0, 1, 2].map(() => ({ low: -4, high: 4 })),
    mostRows: 200,
    noiseMultiplier: noise,
  },
  evaluation: { bins: 20, every: 1, mostRows: 200, noiseMultiplier: noise, stop: null },
})

const EVERY_OTHER: Partial<Study> = {
  evaluation: { bins: 20, every: 2, mostRows: 200, noiseMultiplier: 0, stop: null },
}

const folded = (options: Options) => {
  const outcome = runStudy(options)
  const states: FoldState[] = []
  let fold = startView(new LoggedStudy(outcome))
  for (const entry of outcome.log) {
    fold = applyEntry(fold, entry as LogEntry)
    states.push(fold)
  }
  expect(studyViewSchema.parse(fold.view)).toEqual(fold.view)
  return { outcome, states, view: fold.view }
}

describe("what the leader's page is told of all patients together", () => {
  it.each(["shamir", "ckks", "plain"] as const)("is what the opened sums say, under %s", (protection) => {
    const { outcome, states, view } = folded({
      study: { protection, rounds: 2, ...counting(0) },
      facilities: 4,
      fogs: 2,
    })
    const { figures } = outcome.leader.progress
    expect(view.figures.statistics).toEqual(statisticsOf(outcome.study, figures))
    const evaluations = evaluationsOf(outcome.study, figures)
    expect(view.figures.evaluations).toEqual(
      evaluations.map(({ cohort, ...evaluation }) => ({
        ...evaluation,
        facilities: ["clinic-1", "clinic-2", "clinic-3", "clinic-4"],
      })),
    )
    // rounds are rounds, and attempts at figures are apart
    expect(view.rounds.map(({ round, phase }) => [round, phase])).toEqual([
      [1, "closed"],
      [2, "closed"],
    ])
    expect(view.rounds.at(-1)?.modelHash).toBe(toHex(outcome.leader.progress.closed[1]?.model as Uint8Array))
    expect(view.figures.attempts.map(({ purpose, round, phase }) => [purpose, round, phase])).toEqual([
      ["statistics", 0, "closed"],
      ["evaluation", 1, "closed"],
      ["evaluation", 2, "closed"],
    ])
    for (const { lanes, cohort } of view.figures.attempts) {
      expect(cohort).toHaveLength(4)
      const steps = lanes.filter(({ name }) => name.startsWith("clinic")).map((lane) => lane.steps[0]?.step)
      expect(steps).toEqual(Array(4).fill("submitted"))
    }
    // while figures are under way, the round before them stays as it was
    const between = states.find(({ view: { figures: now } }) => now.attempts.at(-1)?.purpose === "evaluation")
    expect(between?.view.rounds.at(-1)).toMatchObject({ round: 1, phase: "closed" })
  })

  it("[S27] agrees with every facility's own ledger on what figures cost", () => {
    const { outcome, view } = folded({
      study: { ...withPrivacy({ epsilon: 60 }), rounds: 2, ...counting(3) },
      facilities: 5,
      fogs: 2,
    })
    expect(view.figures.evaluations).toHaveLength(2)
    for (const { facility, epsilon } of view.privacy)
      expect(epsilon).toBe(outcome.charges.get(facility)?.at(-1)?.epsilon)
  })

  it("says that figures are given up, and goes on with rounds", () => {
    const none = { figures: "none" as const }
    const { view } = folded({
      study: { rounds: 2, attempts: 2, ...counting(0) },
      facilities: 4,
      policies: { "clinic-1": none, "clinic-2": none },
    })
    expect(view.state).toBe("complete")
    expect(view.figures).toMatchObject({ statistics: null, evaluations: [] })
    expect(view.figures.attempts.every(({ phase, reason }) => phase === "void" && reason !== null)).toBe(true)
    expect(view.figures.attempts).toHaveLength(6)
    expect(view.rounds.map(({ phase }) => phase)).toEqual(["closed", "closed"])
  })

  it("is on the model's card, for the rounds that were evaluated", async () => {
    const { outcome } = folded({
      study: { rounds: 3, quantisation: { weights: "exact" }, ...counting(0), ...EVERY_OTHER },
      facilities: 4,
    })
    const { study, directory: first, log } = outcome
    const history = await readHistory({
      study,
      first,
      authorityKey,
      async *entries() {
        yield* log
      },
    })
    const cardOf = (round: number) => modelCardOf(history, { study, authorityKey }, { round })
    const [second, last] = [cardOf(2), cardOf(3)]
    expect(modelCardSchema.parse(last)).toEqual(last)
    expect(cardOf(1).evaluation).toBeNull()
    expect(second.evaluation?.round).toBe(2)
    const { rows, auc } = last.evaluation ?? {}
    const text = modelCardText(last)
    expect(text).toContain("## All held-out patients together")
    expect(text).toContain(`of 4 facilities, of which nobody saw a single one: ${rows} rows`)
    expect(text).toContain(` | ${auc?.toFixed(3)} | `)
    expect(modelCardText(cardOf(1))).not.toContain("All held-out patients together")
    // sums of figures are no rows that were trained on
    expect(last.data.trainingRows).toBe(second.data.trainingRows)
  })
})
