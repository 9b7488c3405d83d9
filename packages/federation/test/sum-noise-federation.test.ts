import { toHex } from "@consilium/base/bytes"
import { decode } from "@consilium/base/encoding"
import { insecureSeededRandom, insecureSeededSecret } from "@consilium/base/testing"
import { evaluate } from "@consilium/learning/metrics"
import { dpEventCodec } from "@consilium/privacy/event-codec"
import { RdpAccountant } from "@consilium/privacy/rdp"
import { describe, expect, it } from "vitest"
import type { FacilityState, FacilityStep } from "../src/facility-state.js"
import { startLocalState } from "../src/local-state.js"
import { type RoundSpec, specDigest } from "../src/messages.js"
import { epsilonAfter, type PrivateStudy, type StudyPrivacy, stepEvent } from "../src/privacy-plan.js"
import { PROTECTIONS } from "../src/study.js"
import { shareSigma, sumSensitivity, withNoiseShare } from "../src/sum-noise.js"
import { architectureOf, trainRound } from "../src/training.js"
import { facilityAlone } from "./facility-alone.js"
import { type Options, type Outcome, runStudy } from "./harness.js"
import { changedRoster, facilityNames, signed, toyRecords } from "./members.js"
import { withPrivacy } from "./private-study.js"
import { audited, cohorts, models, openedSums, Trainings, trainedSums } from "./scenes.js"
import { sumStudy, withSumNoise } from "./sum-study.js"

const UNITS = ["patient", "facility"] as const

describe("a federation whose noise is on the sum", () => {
  it.each(UNITS)("[S26] gives the same integers and models under every protection, unit %s", (unit) => {
    const runs = PROTECTIONS.map((protection) => {
      const trainings = new Trainings()
      const run = runStudy({ study: withSumNoise(unit, { protection }), train: trainings.listen })
      expect([protection, run.leader.phase, run.security]).toEqual([protection, "closed", []])
      expect(openedSums(run).map(({ sum }) => sum)).toEqual(trainedSums(run, trainings))
      return { models: models(run), values: trainings.all.map(({ values }) => [...values].join()).sort() }
    })
    for (const run of runs) expect(run).toEqual(runs[0])
    expect(models(runStudy({ study: withSumNoise(unit), seed: 9 }))).not.toEqual(runs[0]?.models)
  })

  it.each(UNITS)(
    "[S26] charges every facility one distributed event a round, which an audit replays, unit %s",
    (unit) => {
      const run = runStudy({ study: withSumNoise(unit) })
      const study = run.study as PrivateStudy
      for (const name of facilityNames(4)) {
        let accountant = new RdpAccountant()
        const charges = run.charges.get(name) ?? []
        expect(charges.map(({ round, steps }) => [round, steps])).toEqual([
          [1, 1],
          [2, 1],
        ])
        for (const { event, epsilon } of charges) {
          expect(decode(dpEventCodec, event)).toEqual(stepEvent(study))
          accountant = accountant.compose(decode(dpEventCodec, event))
          expect(epsilon).toBe(accountant.getEpsilon(study.privacy.delta))
        }
      }
      expect(toHex(audited(run).model)).toBe(models(run).at(-1))
    },
  )

  it.each([
    ["patient", { noiseMultiplier: 8 }, 0.75],
    ["facility", { noiseMultiplier: 1, epsilon: 100 }, 0.75],
  ] as const)("learns, unit %s", (unit, privacy, least) => {
    const wide = { epsilon: 100, delta: 1e-5 }
    const people = unit === "patient" ? { patients: 100, mostPatients: 100 } : {}
    const run = runStudy({
      facilities: 6,
      study: withSumNoise(unit, {
        privacy: { ...people, ...privacy } as Partial<StudyPrivacy>,
        training: unit === "patient" ? { learningRate: 2 } : { steps: 20, learningRate: 0.1 },
        cohort: { minCohort: 6 },
        rounds: 20,
      }),
      policies: Object.fromEntries(
        facilityNames(6).map((name) => [name, { privacy: { study: wide, month: wide } }]),
      ),
      records: (facility) => ({
        train: toyRecords(`${facility}/learn`, 3, 100),
        holdOut: toyRecords(`${facility}/held`, 3, 60),
      }),
    })
    expect(run.leader.progress.closed).toHaveLength(20)
    const { auc } = evaluate(
      architectureOf(run.study),
      run.leader.progress.parameters,
      toyRecords("strangers", 3, 400),
    )
    expect(auc).toBeGreaterThan(least)
  })

  it.each(UNITS)("[S26] stops at a facility's cap, and the others go on, unit %s", (unit) => {
    const changes = { ...withSumNoise(unit), rounds: 3 }
    const study = sumStudy(unit)
    const budget = { epsilon: 1.0001 * epsilonAfter(study, 1), delta: 1e-5 }
    const caps = { privacy: { study: budget, month: { epsilon: 100, delta: 1e-5 } } }
    const run = runStudy({ study: changes, policies: { "clinic-1": caps } })
    expect(run.leader.phase).toBe("closed")
    const rest = ["clinic-2", "clinic-3", "clinic-4"]
    expect(cohorts(run)).toEqual([["clinic-1", ...rest], rest, rest])
    expect(run.charges.get("clinic-1")).toHaveLength(1)
    expect(run.charges.get("clinic-2")).toHaveLength(3)
  })

  it.each(UNITS)("[S26] a facility that scales rows by their own figures takes no part, unit %s", (unit) => {
    const run = runStudy({ study: { ...withSumNoise(unit), attempts: 1 }, preparation: "own-statistics" })
    expect(run.leader.phase).toBe("aborted")
    expect(run.charges.size).toBe(0)
    expect(run.records.some(({ detail }) => detail.startsWith("policy/own-statistics"))).toBe(true)
  })

  it("[S26] a facility with more patients than declared says so and sits out, uncharged", () => {
    const run = runStudy({
      study: withSumNoise("patient"),
      records: (facility) => ({
        train: toyRecords(facility, 3, facility === "clinic-2" ? 41 : 40),
        holdOut: toyRecords(facility, 3, 10),
      }),
    })
    expect(run.leader.phase).toBe("closed")
    expect(cohorts(run)[0]).toEqual(["clinic-1", "clinic-3", "clinic-4"])
    expect(run.charges.has("clinic-2")).toBe(false)
    expect(run.records.find(({ event }) => event === "training-failed")?.detail).toContain(
      "privacy/too-many-patients",
    )
  })
})

describe("two sums of one model over different cohorts", () => {
  // clinic-5 colludes; clinic-1 is in both cohorts
  const FIRST = ["clinic-1", "clinic-2", "clinic-5"]
  const SECOND = ["clinic-1", "clinic-3", "clinic-4"]

  it("[S26] would leave less noise than one is charged for: what the rule is for", () => {
    const study = sumStudy("patient", {
      model: { features: Array.from({ length: 20 }, (_, i) => `x${i}`) },
      privacy: { standardise: Array.from({ length: 20 }, () => ({ mean: 0, deviation: 1 })) },
    })
    const sigma = study.privacy.noiseMultiplier * sumSensitivity(study)
    expect(shareSigma(study)).toBeCloseTo(sigma / Math.sqrt(2), 9)
    let squares = 0
    for (let draw = 0; draw < 300; draw++) {
      const [one, two, three, four] = [1, 2, 3, 4].map((party) =>
        withNoiseShare(new Int32Array(21), study, insecureSeededRandom(draw, `party ${party}`)),
      ) as [Int32Array, Int32Array, Int32Array, Int32Array]
      // the colluder's share is taken off the first sum; weighed 2 to 1 the two tell most of clinic-1
      for (let i = 0; i < 21; i++) {
        const first = (one[i] as number) + (two[i] as number)
        const second = (one[i] as number) + (three[i] as number) + (four[i] as number)
        squares += ((2 * first + second) / 3) ** 2
      }
    }
    // 5/6 of the accounted variance
    expect(squares / (300 * 21) / sigma ** 2).toBeLessThan(0.93)
    expect(squares / (300 * 21) / sigma ** 2).toBeGreaterThan(0.73)
  })

  /** A leader that hears of the first cohort's updates, lets its list be certified, opens nothing, and turns to the second. */
  const twice = (study: Options["study"]): Outcome => {
    let attempt = 0
    return runStudy({
      facilities: 5,
      fogs: 0,
      study: { rounds: 1, attempts: 2, ...study },
      speak: (utterance) => {
        const { by, message } = utterance
        if (message.type === "announce") attempt += 1
        if (message.type === "partial" && attempt === 1) return []
        const heard = attempt === 1 ? FIRST : SECOND
        return message.type === "submit" && !heard.includes(by) ? [] : [utterance]
      },
    })
  }
  const certified = ({ said, nameOf }: Outcome) =>
    said.flatMap(({ message }) =>
      message.type === "certificate"
        ? [message.proposal.cohort.map(({ facility }) => nameOf(facility)).sort()]
        : [],
    )

  it.each(UNITS)("[S26] are not opened: after one cohort no other is signed for, unit %s", (unit) => {
    const run = twice(withSumNoise(unit))
    expect(certified(run)).toEqual([FIRST])
    expect(openedSums(run)).toEqual([])
    expect(run.leader.phase).toBe("aborted")
    const refused = run.security.filter(({ code }) => code === "cohort/differencing")
    expect(refused.length).toBeGreaterThan(0)
    expect(refused[0]?.detail).toMatchInlineSnapshot(
      `"Another cohort than that of round 1, attempt 1 was proposed for the same model; the same shares of noise would be in both sums and in part cancel out."`,
    )
  })

  it("are where each facility adds noise of its own: the ordinary rule lets cohorts that far apart pass", () => {
    expect(certified(twice(withPrivacy()))).toEqual([FIRST, SECOND])
  })

  it("[S26] the same cohort may be opened again, with the same integers and no further charge", () => {
    let attempt = 0
    const trainings = new Trainings()
    const run = runStudy({
      study: { rounds: 1, attempts: 2, ...withSumNoise("patient") },
      train: trainings.listen,
      speak: (utterance) => {
        if (utterance.message.type === "announce") attempt += 1
        return utterance.message.type === "partial" && attempt === 1 ? [] : [utterance]
      },
    })
    expect(run.leader.phase).toBe("closed")
    expect(certified(run)).toHaveLength(2)
    expect(trainings.all).toHaveLength(4)
    expect(openedSums(run).map(({ sum }) => sum)).toEqual(trainedSums(run, trainings))
    for (const charges of run.charges.values()) expect(charges).toHaveLength(1)
  })
})

describe("a facility's one share for a model", () => {
  const study = sumStudy("patient", { protection: "plain" })
  const { directory, parameters, start, step, hear, announce, enter, giveUp, restarted, specOf } =
    facilityAlone(study)
  const secret = insecureSeededSecret("one share")
  const drawn = (spec: RoundSpec) =>
    trainRound({
      study,
      spec,
      parameters,
      examples: toyRecords("rows", 3, 20),
      patients: Array.from({ length: 20 }, (_, row) => row),
      local: startLocalState(),
      secret,
    }).values
  const sent = ({ effects }: FacilityStep): readonly string[] =>
    effects.flatMap((effect) =>
      effect.type === "send" && effect.message.type === "update" ? [toHex(effect.message.payload)] : [],
    )

  it("[S26] is drawn once, and sent again for every attempt at it, also after a crash", () => {
    const first = specOf({ round: 1, attempt: 1 })
    const training = announce(start, first)
    const trained = step(training.state, {
      type: "trained",
      spec: specDigest(first),
      values: drawn(first),
      secret,
    })
    const submitted = enter(trained.state, first)
    const [payload] = sent(submitted)
    const idle = giveUp(submitted.state, first).state
    for (const state of [idle, restarted(idle)])
      for (const spec of [specOf({ round: 1, attempt: 2 }), specOf({ round: 2, attempt: 1 })]) {
        const again = announce(state, spec)
        expect(again.effects.map(({ type }) => type)).not.toContain("train")
        expect(sent(again)).toEqual([payload])
        expect(again.state.memory.charges).toBe(1)
      }
  })

  it("[S26] ends with its roster: among others it draws anew and is charged again, or refuses if its sum counts as opened", () => {
    const first = specOf({ round: 1, attempt: 1 })
    const { state } = announce(start, first)
    const values = drawn(first)
    const trained = step(state, { type: "trained", spec: specDigest(first), values, secret })
    const idle = giveUp(enter(trained.state, first).state, first).state
    const roster = changedRoster(directory.roster, { join: { "clinic-5": "fog-1" } })
    const among = hear(idle, { type: "roster", signed: signed(roster, study) }).state
    const second = { ...specOf({ round: 1, attempt: 2 }), roster: among.memory.directory.digest }
    const again = announce(among, second)
    expect(again.effects.map(({ type }) => type)).toEqual(["train"])
    const fresh = { type: "trained", spec: specDigest(second), values: drawn(second), secret } as const
    expect(step(again.state, fresh).effects.map(({ type }) => type)).toEqual(["enter"])

    const { model, round, attempt } = first
    const seen = [{ model, round, attempt, facilities: directory.facilities.map(({ id }) => id) }]
    const opened: FacilityState = { ...among, memory: { ...among.memory, opened: seen } }
    const refused = announce(opened, second).effects
    expect(refused.flatMap((effect) => (effect.type === "security" ? [effect.code] : []))).toEqual([
      "cohort/differencing",
    ])
  })

  it("comes out the same when it is drawn again after a crash before it was kept, and another for another attempt", () => {
    const [first, second] = [specOf({ round: 1, attempt: 1 }), specOf({ round: 1, attempt: 2 })]
    expect(drawn(first)).toEqual(drawn(first))
    expect(drawn(first)).not.toEqual(drawn(second))
  })
})
