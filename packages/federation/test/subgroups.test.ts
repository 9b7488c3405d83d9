import { toHex } from "@consilium/base/bytes"
import { SMALL_CELL } from "@consilium/learning/small-cells"
import { beforeAll, describe, expect, it } from "vitest"
import { DEFAULT_POLICY } from "../src/policy.js"
import { groupNames, type SubgroupReport } from "../src/reporting.js"
import { measureSubgroups, subgroupTables } from "../src/subgroup-figures.js"
import { measure } from "../src/training.js"
import { type Options, type Outcome, runStudy } from "./harness.js"
import { facilityNames, type StudyChanges, testStudy, toyRecords } from "./members.js"
import { withPrivacy } from "./private-study.js"
import { insteadOf, models } from "./scenes.js"

const SUBGROUPS = [
  { feature: "a", cuts: [], names: ["female", "male"] },
  { feature: "b", cuts: [-0.4, 0.4], names: [] },
]
const grouped: StudyChanges = { reporting: { subgroups: SUBGROUPS } }
const study = testStudy(4, grouped)
const parameters = Float64Array.of(1, -0.5, 0.2, 0.1)

/** Rows whose first column answers yes or no. */
const yesOrNo = (facility: string, rows: number, yes: (row: number) => boolean) => {
  const { features, ...rest } = toyRecords(facility, 3, rows)
  return { ...rest, features: features.map((value, at) => (at % 3 === 0 ? Number(yes(at / 3)) : value)) }
}
const inUnits = (holdOut: { readonly features: Float64Array; readonly rows: number }) => ({
  names: ["a", "b", "c"],
  columns: 3,
  features: holdOut.features,
  patients: Array.from({ length: holdOut.rows }, (_, row) => row),
})
const even = (row: number): boolean => row % 2 === 0

describe("the groups of a study", () => {
  it("are called by their names, or by their values", () => {
    expect(SUBGROUPS.map(groupNames)).toEqual([
      ["female", "male"],
      ["under -0.4", "-0.4 to under 0.4", "0.4 and over"],
    ])
    expect(groupNames({ feature: "age", cuts: [65], names: [] })).toEqual(["under 65", "65 and over"])
    expect(groupNames({ feature: "sex", cuts: [], names: [] })).toEqual(["0", "1"])
  })
})

describe("a facility's figures by groups", () => {
  it("tell of every row once in each grouping, in the units of the records", () => {
    const holdOut = yesOrNo("large", 200, even)
    const report = measureSubgroups(study, parameters, holdOut, inUnits(holdOut)) as SubgroupReport
    const total = measure(study, parameters, holdOut)
    for (const groups of report) {
      expect(groups.reduce((sum, figures) => sum + (figures?.rows ?? 0), 0)).toBe(200)
      const right = groups.reduce((sum, figures) => sum + (figures ? figures.accuracy * figures.rows : 0), 0)
      expect(right).toBeCloseTo((total.accuracy as number) * 200, 9)
    }
    // the model reads standardised columns, the groups those in units: twice as large here
    const twice = { ...holdOut, features: holdOut.features.map((value) => 2 * value) }
    const units = {
      ...inUnits(holdOut),
      features: twice.features.map((v, at) => (at % 3 === 0 ? v / 2 : v)),
    }
    const wider = measureSubgroups(study, parameters, holdOut, units) as SubgroupReport
    expect(wider[0]).toEqual(report[0])
    expect(wider[1]?.[1]?.rows).toBeLessThan(report[1]?.[1]?.rows as number)
  })

  it("hide a small group with its neighbour, and all groups of a feature that is missing or answers neither", () => {
    const few = yesOrNo("few", 120, (row) => row < 6)
    const report = measureSubgroups(study, parameters, few, inUnits(few)) as SubgroupReport
    expect(report[0]).toEqual([null, null])
    expect(report[1]).not.toContain(null)
    const other = { ...inUnits(few), names: ["sex", "b", "c"] }
    expect(measureSubgroups(study, parameters, few, other)?.[0]).toEqual([null, null])
    const maybe = yesOrNo("maybe", 200, even)
    maybe.features[0] = 0.5
    expect(measureSubgroups(study, parameters, maybe, inUnits(maybe))?.[0]).toEqual([null, null])
  })

  it("are none where the study declares none", () => {
    const rows = yesOrNo("large", 200, even)
    expect(measureSubgroups(testStudy(), parameters, rows, inUnits(rows))).toBeNull()
  })
})

describe("figures over facilities", () => {
  const figures = (rows: number, accuracy: number) => ({
    rows,
    positives: rows / 2,
    accuracy,
    balancedAccuracy: accuracy,
    auc: accuracy,
    logLoss: 1 - accuracy,
  })

  it("add counts and weigh means by rows, where nobody hides the group", () => {
    const tables = subgroupTables(study, [
      {
        facility: "south",
        report: [
          [figures(30, 0.6), figures(10, 1)],
          [null, null, figures(20, 0.5)],
        ],
      },
      {
        facility: "north",
        report: [
          [figures(10, 1), null],
          [null, figures(12, 0.5), figures(40, 0.8)],
        ],
      },
    ])
    expect(tables.map(({ feature }) => feature)).toEqual(["a", "b"])
    const [sex, b] = tables.map(({ groups }) => groups)
    expect(sex?.[0]).toEqual({
      group: "female",
      facilities: [
        { facility: "north", figures: figures(10, 1) },
        { facility: "south", figures: figures(30, 0.6) },
      ],
      all: { ...figures(40, 0.7), logLoss: expect.closeTo(0.3, 12) },
    })
    expect(sex?.[1]?.all).toBeNull()
    expect(b?.map(({ all }) => all?.rows ?? null)).toEqual([null, null, 60])
    expect(b?.[2]?.all?.accuracy).toBeCloseTo(0.7, 12)
  })

  it("are none where nobody reports", () => {
    const tables = subgroupTables(study, [])
    expect(tables.flatMap(({ groups }) => groups.map(({ all }) => all))).toEqual(new Array(5).fill(null))
    expect(subgroupTables(testStudy(), [{ facility: "north", report: [] }])).toEqual([])
  })
})

describe("a study that declares groups", () => {
  const SIZES = [160, 200, 60, 120]
  const options = (changes: Partial<Options> = {}): Options => ({
    records: (facility) => {
      const at = facilityNames(4).indexOf(facility)
      return {
        train: yesOrNo(`${facility}/train`, 20, even),
        // the third facility has few women held out
        holdOut: yesOrNo(`${facility}/hold-out`, SIZES[at] as number, (row) =>
          at === 2 ? row > 3 : even(row),
        ),
      }
    },
    ...changes,
    study: { ...grouped, ...changes.study },
  })
  const reportsOf = ({ leader, nameOf, directory }: Outcome) => {
    if (leader.phase !== "closed") throw new Error(`The study ended in phase ${leader.phase}.`)
    return new Map(
      directory.facilities.map(({ id }) => [nameOf(id), leader.finals.get(toHex(id))?.subgroups]),
    )
  }
  let outcome: Outcome
  beforeAll(() => {
    outcome = runStudy(options())
  })

  it("[S29] gets each facility's figures with its final report, small groups hidden", () => {
    const reports = reportsOf(outcome)
    expect(reports.get("clinic-1")?.map((groups) => groups.length)).toEqual([2, 3])
    expect(reports.get("clinic-3")?.[0]).toEqual([null, null])
    for (const figures of [...reports.values()].flatMap((report) => report?.flat() ?? [])) {
      if (figures === null) continue
      expect(figures.positives).toBeGreaterThanOrEqual(SMALL_CELL)
      expect(figures.rows - figures.positives).toBeGreaterThanOrEqual(SMALL_CELL)
    }
    const tables = subgroupTables(
      study,
      [...reports].flatMap(([facility, report]) => (report ? [{ facility, report }] : [])),
    )
    // one facility hides both sexes, so nobody learns them of all four together
    expect(tables[0]?.groups.map(({ all }) => all)).toEqual([null, null])
  })

  it("gets the same models as one that declares none", () => {
    expect(models(runStudy(options({ study: { reporting: { subgroups: [] } } })))).toEqual(models(outcome))
  })

  it("gets none from a facility that keeps its figures to itself", () => {
    const silent = runStudy(options({ policies: { "clinic-2": { metrics: DEFAULT_POLICY.metrics } } }))
    expect(reportsOf(silent).get("clinic-2")).toBeNull()
    expect(reportsOf(silent).get("clinic-1")).not.toBeNull()
  })

  it.each([
    ["none", false],
    ["exact", true],
  ] as const)("with differential privacy and metrics %s: sent is %s", (metrics, sent) => {
    const priv = runStudy(options({ study: withPrivacy({ metrics }) }))
    for (const report of reportsOf(priv).values()) expect(report !== null).toBe(sent)
  })

  it("does not take a report of other groups than its own", () => {
    const wrong = runStudy(
      options({
        speak: insteadOf("clinic-1", "final-report", (message) => [
          { ...message, subgroups: [[null, null]] },
        ]),
      }),
    )
    expect(wrong.log.map(({ header }) => header.type)).toContain("security:round/unexpected")
    expect(reportsOf(wrong).get("clinic-1")).toBeUndefined()
    expect(reportsOf(wrong).get("clinic-2")).toHaveLength(2)
  })
})
