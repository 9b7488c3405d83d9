import { insecureSeededSecret } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import { startFacility, stepFacility } from "../src/facility.js"
import { decodeFacility, encodeFacility } from "../src/facility-snapshot.js"
import type { FacilityContext, FacilityEvent, FacilityState, FacilityStep } from "../src/facility-state.js"
import type { StudyEvaluation } from "../src/figures/study-figures.js"
import { emptyLedger } from "../src/ledger-chain.js"
import { type RoundSpec, specDigest } from "../src/messages.js"
import { initialModel, modelFile, modelHashOf } from "../src/model.js"
import { type Study, studyDigest, valueCount } from "../src/study.js"
import {
  authorityKey,
  changedRoster,
  directoryOf,
  keysFor,
  signed,
  suite,
  testPolicy,
  testStudy,
} from "./members.js"
import { withPrivacy } from "./private-study.js"
import { sumStudy } from "./sum-study.js"

const evaluation: StudyEvaluation = { bins: 20, every: 1, mostRows: 200, noiseMultiplier: 3, stop: null }
const STUDIES = {
  update: sumStudy("patient", { rounds: 4 }),
  evaluation: testStudy(4, { ...withPrivacy({ epsilon: 50 }), rounds: 4, evaluation }),
} as const

/** A facility, and a leader that may say to it what it likes. */
const sceneOf = (study: Study, purpose: "update" | "evaluation") => {
  const directory = directoryOf(study, 4, 2)
  const me = directory.named("clinic-1")
  const context: FacilityContext = {
    study,
    directory,
    me,
    keys: keysFor(me.name),
    suite,
    policy: testPolicy({
      privacy: { study: { epsilon: 50, delta: 1e-5 }, month: { epsilon: 50, delta: 1e-5 } },
    }),
    authorityKey,
    preparation: "declared",
  }
  const step = (state: FacilityState, event: FacilityEvent): FacilityStep =>
    stepFacility(context, state, event)
  const models = [0, 1].map((shift) => initialModel(study).map((value) => value + shift)) as [
    Float64Array,
    Float64Array,
  ]
  const specOf = (place: Pick<RoundSpec, "round" | "attempt">, model = models[0]): RoundSpec => ({
    study: studyDigest(study),
    ...place,
    purpose,
    epoch: 0,
    roster: directory.digest,
    model: modelHashOf(study, model),
  })
  const announce = (state: FacilityState, spec: RoundSpec, model = models[0]): FacilityStep =>
    step(state, {
      type: "message",
      at: 1,
      from: directory.leader,
      message: { type: "announce", spec, model: modelFile(study, model, 0), members: null },
    })
  /** The facility announced to, with what it made sent and charged. */
  const sentFor = (state: FacilityState, spec: RoundSpec, model = models[0]): FacilityState => {
    const { state: training } = announce(state, spec, model)
    const secret = insecureSeededSecret("one share")
    const values = new Int32Array(purpose === "update" ? valueCount(study) : 2 * evaluation.bins)
    const trained = step(training, { type: "trained", spec: specDigest(spec), values, secret }).state
    const { seq, hash: previous } = emptyLedger(me.id)
    const place = { seq: seq + 1, previous, month: "2026-11" }
    const { state: submitted } = step(trained, { type: "entered", spec: specDigest(spec), place })
    expect(submitted.phase).toBe("submitted")
    return submitted
  }
  const says = (state: FacilityState, message: Extract<FacilityEvent, { type: "message" }>["message"]) =>
    step(state, { type: "message", at: 2, from: directory.leader, message }).state
  return { study, directory, me, context, models, specOf, announce, sentFor, says }
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
      const { context, directory, models, specOf, announce, sentFor, says } = sceneOf(
        STUDIES[purpose],
        purpose,
      )
      const spec = specOf(first)
      const accepted = modelHashOf(context.study, models[1])
      const idle = says(sentFor(startFacility(context), spec), {
        type: "closed",
        spec: specDigest(spec),
        accepted,
      })
      expect(idle.phase).toBe("idle")
      const snapshot = encodeFacility(idle)
      if (snapshot === null) throw new Error("A facility between attempts has a snapshot.")
      for (const state of [idle, decodeFacility(snapshot, context, directory)])
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
      const { context, models, specOf, announce, sentFor, says } = sceneOf(STUDIES[purpose], purpose)
      const over = (state: FacilityState, spec: RoundSpec) =>
        says(state, { type: "void", spec: specDigest(spec), reason: "too few" })
      const spec = specOf(first)
      const kept = over(sentFor(startFacility(context), spec), spec)
      const other = specOf(next, models[1])
      const state = over(sentFor(kept, other, models[1]), other)
      const again = announce(state, specOf({ round: 1, attempt: 3 }))
      expect(workAsked(again)).toEqual([])
      expect(refusals(again)).toEqual(["cohort/differencing"])
    },
  )

  it("[S27] ends with its roster: others sign among new members, who know no cohort of it", () => {
    const { study, directory, context, specOf, announce, sentFor, says } = sceneOf(
      STUDIES.evaluation,
      "evaluation",
    )
    const spec = specOf(first)
    const idle = says(sentFor(startFacility(context), spec), {
      type: "void",
      spec: specDigest(spec),
      reason: "too few",
    })
    const roster = changedRoster(directory.roster, { join: { "clinic-5": "fog-1" } })
    const among = says(idle, { type: "roster", signed: signed(roster, study) })
    const again = announce(among, { ...specOf(next), roster: among.memory.directory.digest })
    expect(workAsked(again)).toEqual(["count"])
  })
})
