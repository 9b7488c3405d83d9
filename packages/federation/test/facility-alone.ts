import { startFacility, stepFacility } from "../src/facility.js"
import { decodeFacility, encodeFacility } from "../src/facility-snapshot.js"
import type { FacilityContext, FacilityEvent, FacilityState, FacilityStep } from "../src/facility-state.js"
import { emptyLedger } from "../src/ledger-chain.js"
import { type Message, type RoundSpec, specDigest } from "../src/messages.js"
import { initialModel, modelFile, modelHashOf } from "../src/model.js"
import type { LocalPolicy } from "../src/policy.js"
import { type Study, studyDigest } from "../src/study.js"
import { authorityKey, directoryOf, keysFor, suite, testPolicy } from "./members.js"

/** One facility's machine among four, and a leader that may say to it what it likes. */
export const facilityAlone = (study: Study, policy: LocalPolicy = testPolicy()) => {
  const directory = directoryOf(study, 4, 2)
  const me = directory.named("clinic-1")
  const context: FacilityContext = {
    study,
    directory,
    me,
    keys: keysFor(me.name),
    suite,
    policy,
    authorityKey,
    preparation: "declared",
  }
  const parameters = initialModel(study)
  const specOf = (
    place: Pick<RoundSpec, "round" | "attempt"> & Partial<Pick<RoundSpec, "purpose">>,
    model: Float64Array = parameters,
  ): RoundSpec => ({
    study: studyDigest(study),
    purpose: "update",
    ...place,
    epoch: 0,
    roster: directory.digest,
    model: modelHashOf(study, model),
  })
  const step = (state: FacilityState, event: FacilityEvent): FacilityStep =>
    stepFacility(context, state, event)
  const hear = (state: FacilityState, message: Message): FacilityStep =>
    step(state, { type: "message", at: 1, from: directory.leader, message })
  return {
    directory,
    me,
    parameters,
    specOf,
    start: startFacility(context),
    step,
    hear,
    announce: (state: FacilityState, spec: RoundSpec, model: Float64Array = parameters): FacilityStep =>
      hear(state, { type: "announce", spec, model: modelFile(study, model, 0), members: null }),
    /** Its charge has a place in the ledger: the first. */
    enter: (state: FacilityState, spec: RoundSpec): FacilityStep => {
      const { seq, hash: previous } = emptyLedger(me.id)
      const place = { seq: seq + 1, previous, month: "2026-11" }
      return step(state, { type: "entered", spec: specDigest(spec), place })
    },
    giveUp: (state: FacilityState, spec: RoundSpec): FacilityStep =>
      hear(state, { type: "void", spec: specDigest(spec), reason: "too few" }),
    /** A state between attempts as a crash leaves it. */
    restarted: (state: FacilityState): FacilityState => {
      const snapshot = encodeFacility(state)
      if (snapshot === null) throw new Error("A facility between attempts has a snapshot.")
      return decodeFacility(snapshot, context, directory)
    },
  }
}
