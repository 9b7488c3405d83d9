import { insecureSeededSecret } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import type { FacilityState, FacilityStep } from "../src/facility-state.js"
import type { StudyEvaluation } from "../src/figures/study-figures.js"
import { type RoundSpec, specDigest } from "../src/messages.js"
import { modelHashOf } from "../src/model.js"
import { type Study, valueCount } from "../src/study.js"
import { facilityAlone } from "./facility-alone.js"
import { changedRoster, signed, testPolicy, testStudy } from "./members.js"
import { withPrivacy } from "./private-study.js"
import { sumStudy } from "./sum-study.js"

const evaluation: StudyEvaluation = { bins: 20, every: 1, mostRows: 200, noiseMultiplier: 3, stop: null }
const STUDIES = {
  update: sumStudy("patient", { rounds: 4 }),
  evaluation: testStudy(4, { ...withPrivacy({ epsilon: 50 }), rounds: 4, evaluation }),
} as const

/** A facility with one kind of noise, and the models that it is asked about. */
const sceneOf = (purpose: "update" | "evaluation") => {
  const study: Study = STUDIES[purpose]
  const budget = { epsilon: 50, delta: 1e-5 }
  const alone = facilityAlone(study, testPolicy({ privacy: { study: budget, month: budget } }))
  const models = [0, 1].map((shift) => alone.parameters.map((value) => value + shift)) as [
    Float64Array,
    Float64Array,
  ]
  const specOf = (place: Pick<RoundSpec, "round" | "attempt">, model = models[0]): RoundSpec =>
    alone.specOf({ ...place, purpose }, model)
  /** The facility announced to, with what it made sent and charged. */
  const sentFor = (state: FacilityState, spec: RoundSpec, model = models[0]): FacilityState => {
    const { state: training } = alone.announce(state, spec, model)
    const secret = insecureSeededSecret("one share")
    const values = new Int32Array(purpose === "update" ? valueCount(study) : 2 * evaluation.bins)
    const trained = alone.step(training, { type: "trained", spec: specDigest(spec), values, secret })
    const { state: submitted } = alone.enter(trained.state, spec)
    expect(submitted.phase).toBe("submitted")
    return submitted
  }
  return { ...alone, study, models, specOf, sentFor }
}

const workAsked = ({ effects }: FacilityStep): readonly string[] =>
  effects.flatMap(({ type }) => (type === "train" || type === "count" ? [type] : []))
const refusals = ({ effects }: FacilityStep): readonly string[] =>
  effects.flatMap((effect) => (effect.type === "security" ? [effect.code] : []))

// Were a second share drawn, the mean of both would be this facility's noise in what the sums tell of the others, who are charged once.
describe("a share of noise that was sent and is kept no more", () => {
  const first = { round: 1, attempt: 1 }
  const next = { round: 1, attempt: 2 }

  it.each(["update", "evaluation"] as const)(
    "[S26] [S27] is not followed by another for the same %s when the leader says it is closed",
    (purpose) => {
      const { study, start, restarted, models, specOf, announce, sentFor, hear } = sceneOf(purpose)
      const spec = specOf(first)
      const accepted = modelHashOf(study, models[1])
      const sent = sentFor(start, spec)
      const idle = hear(sent, { type: "closed", spec: specDigest(spec), accepted }).state
      expect(idle.phase).toBe("idle")
      for (const state of [idle, restarted(idle)])
        for (const place of [next, { round: 3, attempt: 1 }]) {
          const again = announce(state, specOf(place))
          expect(workAsked(again)).toEqual([])
          expect(refusals(again)).toEqual(["cohort/differencing"])
        }
    },
  )

  it.each(["update", "evaluation"] as const)(
    "[S26] [S27] is not followed by another for the same %s when one from another model came between",
    (purpose) => {
      const { start, models, specOf, announce, sentFor, giveUp } = sceneOf(purpose)
      const spec = specOf(first)
      const kept = giveUp(sentFor(start, spec), spec).state
      const other = specOf(next, models[1])
      const { state } = giveUp(sentFor(kept, other, models[1]), other)
      const again = announce(state, specOf({ round: 1, attempt: 3 }))
      expect(workAsked(again)).toEqual([])
      expect(refusals(again)).toEqual(["cohort/differencing"])
    },
  )

  it("[S27] ends with its roster: others sign among new members, who know no cohort of it", () => {
    const { study, directory, start, specOf, announce, sentFor, giveUp, hear } = sceneOf("evaluation")
    const spec = specOf(first)
    const idle = giveUp(sentFor(start, spec), spec).state
    const roster = changedRoster(directory.roster, { join: { "clinic-5": "fog-1" } })
    const among = hear(idle, { type: "roster", signed: signed(roster, study) }).state
    const again = announce(among, { ...specOf(next), roster: among.memory.directory.digest })
    expect(workAsked(again)).toEqual(["count"])
  })
})
