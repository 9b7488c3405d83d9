import { compareBytes } from "@consilium/base/bytes"
import { describe, expect, it } from "vitest"
import { type PlannedFacility, planStudy } from "../src/plan-study.js"
import { DEFAULT_POLICY, type LocalPolicy } from "../src/policy.js"
import { epsilonAfter, isPrivate } from "../src/privacy-plan.js"
import { Directory, participantId } from "../src/roster.js"
import type { Study } from "../src/study.js"
import { runStudy } from "./harness.js"
import { directoryOf, type StudyChanges, testStudy } from "./members.js"
import { withPrivacy } from "./private-study.js"
import { cohorts } from "./scenes.js"
import { withSumNoise } from "./sum-study.js"

const OWN = "its/own/facility.yaml"
const HASH = new Uint8Array(32)
const facilitiesOf = (
  directory: Directory,
  policy: Partial<LocalPolicy> | null = null,
  of: (name: string) => boolean = () => true,
): readonly PlannedFacility[] =>
  directory.facilities.map(({ name }) => ({
    name,
    policy: policy !== null && of(name) ? { ...DEFAULT_POLICY, ...policy } : DEFAULT_POLICY,
    policyFrom: policy === null ? null : OWN,
  }))

const planned = (
  changes: StudyChanges = {},
  tree: { readonly facilities?: number; readonly fogs?: number } = {},
  policy: Partial<LocalPolicy> | null = null,
  of?: (name: string) => boolean,
) => {
  const { facilities = 5, fogs = 2 } = tree
  const study: Study = testStudy(facilities, { insecureSeed: null, ...changes })
  const directory = directoryOf(study, facilities, fogs)
  return planStudy({ study, directory }, facilitiesOf(directory, policy, of))
}

describe("the plan of a study", () => {
  it("says who may collude and who may be away, by the protection's own rule", () => {
    expect(planned().cohort).toEqual({
      facilities: 5,
      smallest: 3,
      threshold: 4,
      colluders: 1,
      withstands: 1,
      quorum: 4,
      mayBeAway: 1,
    })
    // nobody is needed to open what nobody protects
    const { cohort, warnings } = planned({ protection: "plain", cohort: { minCohort: 5 } }, { fogs: 1 })
    expect(cohort).toMatchObject({ smallest: 5, mayBeAway: 0 })
    expect(warnings).toContain(
      "Every facility is needed in every round: one that is away makes the attempt void.",
    )
    expect(planned().rounds).toEqual({
      planned: 2,
      attempts: 3,
      localSteps: 6,
      batchSize: 3,
      fineTuneSteps: 0,
      personalSteps: 0,
      exchanges: 6,
      figures: { statistics: 0, evaluations: 0 },
      ceremonies: 0,
    })
    expect(planned({ protection: "ckks", rounds: 7, keys: { openings: 3, days: 30 } }).rounds).toMatchObject({
      exchanges: 4,
      ceremonies: 3,
    })
  })

  it("counts as many exchanges as the leader's broadcasts that are answered", () => {
    for (const protection of ["plain", "shamir", "masked"] as const) {
      const { said } = runStudy({ study: { protection, rounds: 1 } })
      const asks = ["announce", "lock", "openings", "propose", "certificate", "candidate"]
      const answered = said.filter(({ by, message }) => by === "leader" && asks.includes(message.type))
      const { opened } = { plain: { opened: 0 }, shamir: { opened: 1 }, masked: { opened: 1 } }[protection]
      const certificates = answered.filter(({ message }) => message.type === "certificate").length
      const exchanges = answered.length - (opened === 0 ? certificates : 0)
      expect([protection, planned({ protection }).rounds.exchanges]).toEqual([protection, exchanges])
    }
  })

  it("says what facilities refuse: by their own policies it cannot run, by the default one it may", () => {
    const byDefault = planned({ protection: "plain" })
    expect(byDefault.facilities.map(({ refusal }) => refusal?.code)).toEqual(
      Array(5).fill("policy/protection"),
    )
    expect(byDefault.problems).toEqual([])
    expect(byDefault.warnings).toContain(
      "A facility that keeps the default policy would take no part: This facility's policy allows ckks, bfv, masked, shamir; the study uses plain.",
    )
    const strict = { smallestCohort: 5 }
    const one = planned({}, {}, strict, (name) => name === "clinic-2")
    expect(one.problems).toEqual([])
    expect(one.warnings).toContain(
      "clinic-2 would take no part: The study opens sums over 3 facilities; this facility's policy wants at least 5.",
    )
    const two = planned({}, {}, strict, (name) => name === "clinic-2" || name === "clinic-3")
    expect(two.problems).toMatchObject([
      {
        code: "cohort/too-small",
        message: "2 of 5 facilities would take no part by their own policies; a round needs 4.",
      },
    ])
  })

  it("warns of what a person would want to know first", () => {
    const { warnings } = planned(
      { insecureSeed: 7, attempts: 1, protection: "plain", cohort: { colluders: 0 } },
      { facilities: 4, fogs: 3 },
      {
        protections: ["plain"],
        insecureSeed: true,
        colluders: 0,
        approval: "ask",
        workingHours: { days: [0], from: 0, to: 60, utcOffset: 0 },
      },
    )
    expect(warnings).toMatchInlineSnapshot(`
      [
        "Every secret follows from a public seed: the study protects nothing, and no result of it is private.",
        "Updates travel readable to the fogs that add them.",
        "The leader reads the single updates of clinic-2, clinic-3: each is the only facility below its fog.",
        "A person has to allow the study first at clinic-1, clinic-2, clinic-3 and 1 more.",
        "Rounds begin within working hours only at clinic-1, clinic-2, clinic-3 and 1 more.",
        "One attempt that fails ends the study.",
        "The study withstands no colluding facility: one that works with the leader may learn the updates of others.",
        "Without differential privacy the model carries no bound on what it tells of one patient.",
      ]
    `)
  })

  it("finds a message that nothing can carry", () => {
    const many = testStudy(1200, { protection: "shamir", quantisation: { largestWeight: 16 } })
    const nobody = { address: "", signingKey: HASH, sealingKey: HASH, tlsKeyHash: HASH }
    const leader = {
      ...nobody,
      id: participantId("leader"),
      name: "leader",
      role: "leader",
      parent: null,
    } as const
    const clinics = Array.from({ length: 1200 }, (_, i) => {
      const name = `clinic-${i}`
      return { ...nobody, id: participantId(name), name, role: "facility", parent: leader.id } as const
    })
    const participants = [leader, ...clinics].sort((a, b) => compareBytes(a.id, b.id))
    const crowd = new Directory({ study: HASH, version: 1, issuedAt: 0, participants })
    const crowded = planStudy({ study: many, directory: crowd }, facilitiesOf(crowd))
    expect(crowded.round?.largest.type).toBe("lock")
    expect(crowded.problems).toMatchObject([
      { code: "round/bad-study", message: expect.stringContaining("A message of the kind lock would have ") },
    ])
  })
})

describe("the privacy of a plan", () => {
  const changes = (epsilon: number): StudyChanges => ({
    ...withPrivacy({ epsilon }),
    rounds: 6,
    attempts: 1,
    name: "forecast",
    insecureSeed: null,
  })
  const study = testStudy(4, changes(100))
  const directory = directoryOf(study, 4, 2)
  const spent = (rounds: number): number => (isPrivate(study) ? epsilonAfter(study, rounds) : Number.NaN)
  const caps = { study: { epsilon: 100, delta: 1e-5 }, month: { epsilon: 1000, delta: 1e-5 } }
  const plan = (policy: Partial<LocalPolicy> = {}, changed: Study = study) =>
    planStudy({ study: changed, directory }, facilitiesOf(directory, { privacy: caps, ...policy }))

  it("tells epsilon after every planned round", () => {
    const { privacy } = plan()
    expect(privacy?.afterRound).toEqual([1, 2, 3, 4, 5, 6].map(spent))
    expect(privacy?.facilities[0]).toMatchObject({
      facility: directory.facilities[0]?.name,
      rounds: 6,
      epsilon: spent(6),
    })
    expect(planned().privacy).toBeNull()
  })

  it("tells when budgets are used up, as a run of the study shows it", () => {
    // the budget has room for two rounds and a half
    const epsilon = (spent(2) + spent(3)) / 2
    const small = testStudy(4, changes(epsilon))
    const forecast = plan({}, small).privacy?.facilities[0]
    expect(forecast).toMatchObject({ cap: epsilon, rounds: 2, epsilon: spent(2) })
    expect(plan({}, small).warnings).toContain(
      `Budgets are used up before the end: clinic-1, clinic-2, clinic-3 and 1 more after round 2 of 6.`,
    )
    const run = runStudy({ facilities: 4, fogs: 2, study: changes(epsilon) })
    expect(cohorts(run)).toHaveLength(2)
    expect(run.lines.some((line) => line.includes("policy/privacy-budget"))).toBe(true)
  })

  it("tells how many rounds one month has room for", () => {
    const month = { epsilon: spent(3), delta: 1e-5 }
    const { privacy, warnings } = plan({ privacy: { ...caps, month } })
    const rounds = privacy?.facilities[0]?.roundsInOneMonth as number
    // the month's filter holds for adaptively chosen studies as well, and so has less room than the odometer shows
    expect(rounds).toBeGreaterThan(0)
    expect(rounds).toBeLessThanOrEqual(3)
    expect(privacy?.facilities[0]?.rounds).toBe(6)
    expect(warnings.some((warning) => warning.startsWith("If all rounds fall in one calendar month"))).toBe(
      true,
    )
  })

  it("[S26] tells where the noise is, for how many honest facilities it is made, and what it rests on", () => {
    for (const unit of ["patient", "facility"] as const) {
      const summed = testStudy(4, { ...withSumNoise(unit), rounds: 3 })
      const { privacy, warnings } = plan({}, summed)
      expect(privacy?.onSum).toEqual({ unit, clipNorm: 1, smallest: 3, colluders: 1, hiding: 2 })
      const after = [1, 2, 3].map((rounds) => (isPrivate(summed) ? epsilonAfter(summed, rounds) : 0))
      expect(privacy?.afterRound).toEqual(after)
      expect(warnings.filter((warning) => warning.startsWith("The noise is on the sum"))).toHaveLength(1)
      expect(warnings.join()).toContain("no more than 1 of a sum's facilities work together")
    }
    expect(plan().privacy?.onSum).toBeNull()
    expect(plan().warnings.join()).not.toContain("on the sum")
  })
})
