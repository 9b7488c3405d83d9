import { describe, expect, it } from "vitest"
import {
  CARDIOVASCULAR_DECLARED_STANDARDISER,
  CARDIOVASCULAR_FEATURES,
  CARDIOVASCULAR_MISSING_CONSTANTS,
} from "../src/cardiovascular/features.js"
import { CARDIOVASCULAR_SCHEMA, cardiovascularSchema } from "../src/cardiovascular/schema.js"
import { readTable } from "../src/csv.js"
import { checkFeatures } from "../src/features.js"
import { checkPreparation, preparedFeatures } from "../src/missing.js"
import { schemaFaults } from "../src/schema.js"
import { marginalsOf } from "../src/simulator/case-population.js"
import { FACILITY_KINDS } from "../src/simulator/kinds.js"
import { momentsOf, sharesOf } from "../src/simulator/marginal.js"
import { CODE_COLUMNS, NUMBER_COLUMNS, SEXES } from "../src/simulator/population.js"

describe("the cardiovascular schema", () => {
  it("does not contradict itself, with and without its optional columns", () => {
    expect(schemaFaults(CARDIOVASCULAR_SCHEMA)).toEqual([])
    for (const header of [[], ["Origin"], ["patient"], ["origin", "patient"]])
      expect(schemaFaults(cardiovascularSchema(header))).toEqual([])
  })

  it("keeps missing values of all columns but those that a row is nothing without", () => {
    const ruled = (rule: string): readonly string[] =>
      CARDIOVASCULAR_SCHEMA.columns.filter(({ missing }) => missing.rule === rule).map(({ name }) => name)
    expect(ruled("refuse")).toEqual(["origin", "patient"])
    expect(ruled("drop-row")).toEqual(["age", "sex", "event"])
    expect(ruled("keep").length).toBe(23)
  })

  it("has no place for a row that is not marked, unless no row is", () => {
    const names = CARDIOVASCULAR_SCHEMA.columns.map(({ name }) => name)
    const row = names.map(
      (name) => ({ origin: "real", patient: "1", age: "60", sex: "male", event: "0" })[name] ?? "NA",
    )
    const text = `${names.join()}\n${row.join()}\n`
    expect(() => readTable(CARDIOVASCULAR_SCHEMA, "a.csv", text)).toThrow('column "origin"')
    const own = names.slice(2)
    const table = readTable(cardiovascularSchema(own), "a.csv", `${own.join()}\n${row.slice(2).join()}\n`)
    expect([table.rows, table.columns.has("origin"), [...table.patients]]).toEqual([1, false, [0]])
  })
})

describe("the cardiovascular features", () => {
  it("are these", () => {
    checkFeatures(CARDIOVASCULAR_SCHEMA, CARDIOVASCULAR_FEATURES)
    expect(CARDIOVASCULAR_FEATURES.map(({ name }) => name).join(" ")).toMatchInlineSnapshot(
      `"age sex=male systolic_pressure diastolic_pressure total_cholesterol hdl_cholesterol triglycerides fasting_glucose bmi heart_rate creatinine hba1c uric_acid potassium albumin fibrinogen smoking=former smoking=current activity=moderate activity=high ecg=st-t ecg=hypertrophy ecg=fibrillation diabetes pressure_treatment family_history exertional_pain albuminuria artery_disease"`,
    )
  })

  it("are those of the declared standardiser", () => {
    expect(CARDIOVASCULAR_DECLARED_STANDARDISER.names).toEqual(
      CARDIOVASCULAR_FEATURES.map(({ name }) => name),
    )
    expect(CARDIOVASCULAR_DECLARED_STANDARDISER.origin).toBe("declared")
  })

  it("are declared near the middle of what the kinds of facility are made from", () => {
    const declared = new Map(
      CARDIOVASCULAR_DECLARED_STANDARDISER.names.map((name, at) => [
        name,
        {
          mean: CARDIOVASCULAR_DECLARED_STANDARDISER.means[at] as number,
          deviation: CARDIOVASCULAR_DECLARED_STANDARDISER.deviations[at] as number,
        },
      ]),
    )
    const groups = FACILITY_KINDS.flatMap((kind) => SEXES.map((sex) => marginalsOf(kind, sex)))
    const average = (values: readonly number[]): number =>
      values.reduce((sum, value) => sum + value, 0) / values.length
    for (const name of NUMBER_COLUMNS) {
      const moments = groups.map((marginals) => momentsOf(marginals[name]))
      const mean = average(moments.map((one) => one.mean))
      const deviation = Math.sqrt(average(moments.map((one) => one.deviation ** 2 + (one.mean - mean) ** 2)))
      const found = declared.get(name)
      expect(Math.abs((found?.mean ?? NaN) - mean) / deviation, name).toBeLessThan(0.15)
      expect(Math.abs((found?.deviation ?? NaN) / deviation - 1), name).toBeLessThan(0.15)
    }
    for (const column of CODE_COLUMNS) {
      const shares = groups.map((marginals) => sharesOf(marginals[column]))
      const features = CARDIOVASCULAR_FEATURES.filter((feature) => feature.column === column)
      for (const [at, { name }] of features.entries()) {
        const share = average(shares.map((all) => all[at + 1] as number))
        const found = declared.get(name)
        expect(Math.abs((found?.mean ?? NaN) - share), name).toBeLessThan(0.03)
        expect(Math.abs((found?.deviation ?? NaN) - Math.sqrt(share * (1 - share))), name).toBeLessThan(0.05)
      }
    }
  })

  it("can be prepared where values are missing, by constants that the study declares", () => {
    const plan = { missing: "indicator", constants: CARDIOVASCULAR_MISSING_CONSTANTS } as const
    const names = preparedFeatures(CARDIOVASCULAR_SCHEMA, CARDIOVASCULAR_FEATURES, "indicator")
    expect(names.length).toBe(29 + 23)
    checkPreparation(CARDIOVASCULAR_SCHEMA, CARDIOVASCULAR_FEATURES, names, plan)
    expect(
      CARDIOVASCULAR_MISSING_CONSTANTS.filter(({ type }) => type === "code").map((one) =>
        Object.values(one).join(" "),
      ),
    ).toEqual(["code smoking never", "code activity moderate", "code ecg normal"])
  })
})
