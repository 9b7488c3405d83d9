import { toHex } from "@consilium/base/bytes"
import { checkStudy, type Study, strategyName, trainingDigest } from "@consilium/federation/study"
import { subgroupTables } from "@consilium/federation/subgroup-figures"
import { describe, expect, it } from "vitest"
import { type DemoPlan, studyOfPlan } from "../src/demo/layout.js"
import { subgroupText } from "../src/demo/subgroup-text.js"
import { commandLine } from "../src/main.js"

const CENTRES = ["cleveland", "hungarian", "switzerland", "va"]
const study = (changes: Partial<DemoPlan> = {}): Study =>
  studyOfPlan(
    {
      study: "heart",
      data: null,
      facilities: 4,
      fogs: 1,
      rounds: 15,
      seed: 42,
      strategy: "fedyogi",
      learningRate: undefined,
      fineTuneSteps: 0,
      protection: "shamir",
      epsilon: null,
      ...changes,
    },
    CENTRES,
  )

describe("the strategies of a demo", () => {
  it.each(["fedavg", "fedprox", "scaffold", "fedavgm", "fedadam", "fedyogi", "fedadagrad"] as const)(
    "%s is a study that can run, with noise too",
    (strategy) => {
      for (const epsilon of [null, 8]) {
        const of = study({ strategy, epsilon })
        expect(() => checkStudy(of, 4)).not.toThrow()
        expect(strategyName(of)).toBe(strategy)
      }
    },
  )

  it("fedprox is fedavg with mu .01 unless told otherwise; with mu 0 it trains on the same streams", () => {
    expect(study({ strategy: "fedprox" }).training.proximalMu).toBe(0.01)
    expect(study({ strategy: "fedprox", proximalMu: 0.3 }).training.proximalMu).toBe(0.3)
    expect(study({ strategy: "fedadam" }).training.proximalMu).toBe(0)
    const plain = toHex(trainingDigest(study({ strategy: "fedavg" })))
    expect(toHex(trainingDigest(study({ strategy: "fedprox", proximalMu: 0 })))).toBe(plain)
    expect(toHex(trainingDigest(study({ strategy: "fedprox" })))).not.toBe(plain)
  })

  it("scaffold and ditto average at the server; ditto is a study without noise, on averaging's streams", () => {
    expect(study({ strategy: "scaffold" })).toMatchObject({
      training: { correction: "scaffold", ditto: null, learningRate: 0.001 },
      server: { strategy: "fedavg", learningRate: 1 },
    })
    const ditto = study({ strategy: "ditto" })
    expect(ditto).toMatchObject({
      training: { correction: "none", ditto: { lambda: 0.5, steps: 100, learningRate: 0.01 } },
      server: { strategy: "fedavg", learningRate: 1 },
    })
    expect(() => checkStudy(ditto, 4)).not.toThrow()
    expect(strategyName(ditto)).toBe("ditto")
    expect(toHex(trainingDigest(ditto))).toBe(
      toHex(trainingDigest(study({ strategy: "fedavg", learningRate: 0.01 }))),
    )
    expect(() => study({ strategy: "ditto", epsilon: 8 })).toThrow(/would tell of the patients/)
  })

  it("the seeded heart study trains on the streams that it always had", () => {
    expect(toHex(trainingDigest(study()))).toMatchInlineSnapshot(
      `"8ada12ddcb3b18daef9e859bf40ee49138b884723975c63c6954ff89bf5da8ba"`,
    )
  })

  it.each(["--mu -1", "--mu x", "--strategy cyclic"])("%s is refused", async (words) => {
    const line = commandLine()
    for (const command of [line, ...line.commands]) command.configureOutput({ writeErr: () => undefined })
    await expect(line.parseAsync(["demo", ...words.split(" ")], { from: "user" })).rejects.toThrow()
  })
})

describe("the groups of a demo", () => {
  const { subgroups } = study().reporting

  it("are women and men, and three ranges of age", () => {
    expect(subgroups).toEqual([
      { feature: "sex", cuts: [], names: ["female", "male"] },
      { feature: "age", cuts: [50, 65], names: [] },
    ])
  })

  it("are told facility by facility, with those that hide one by name", () => {
    const figures = {
      rows: 40,
      positives: 12,
      accuracy: 0.75,
      balancedAccuracy: 0.7,
      auc: 0.8,
      logLoss: 0.5,
    }
    const tables = subgroupTables({ reporting: { subgroups } }, [
      {
        facility: "va",
        report: [
          [null, null],
          [figures, figures, figures],
        ],
      },
      {
        facility: "cleveland",
        report: [
          [figures, figures],
          [figures, null, null],
        ],
      },
    ])
    expect(subgroupText(tables, 24).join("\n")).toMatchInlineSnapshot(`
      "
      How well it does for groups          accuracy balanced AUC       rows    ill
        sex: female                        hidden for all together
          cleveland                        0.750   0.700   0.800      40     12
          hidden by va
        sex: male                          hidden for all together
          cleveland                        0.750   0.700   0.800      40     12
          hidden by va
        age: under 50, all                 0.750   0.700   0.800      80     24
          cleveland                        0.750   0.700   0.800      40     12
          va                               0.750   0.700   0.800      40     12
        age: 50 to under 65                hidden for all together
          va                               0.750   0.700   0.800      40     12
          hidden by cleveland
        age: 65 and over                   hidden for all together
          va                               0.750   0.700   0.800      40     12
          hidden by cleveland
        (a group of fewer than 5 ill or 5 well patients is hidden, with what would give it away; of all together: means
        weighted by rows)"
    `)
    expect(subgroupText(subgroupTables({ reporting: { subgroups } }, []), 24)).toEqual([])
  })
})
