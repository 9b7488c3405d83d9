import { isConsiliumError } from "@consilium/base/errors"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { convertUnit, UNIT_CONVERSIONS, unitFactor, unitsInto } from "../src/units.js"

describe("units", () => {
  // pairs that clinicians know by heart
  it.each([
    ["cholesterol", 200, "mg/dL", "mmol/L", 5.17],
    ["triglycerides", 150, "mg/dL", "mmol/L", 1.69],
    ["glucose", 126, "mg/dL", "mmol/L", 6.99],
    ["creatinine", 1, "mg/dL", "umol/L", 88.42],
    ["uric acid", 7, "mg/dL", "umol/L", 416.36],
    ["potassium", 4.1, "mEq/L", "mmol/L", 4.1],
    [undefined, 4.2, "g/dL", "g/L", 42],
    [undefined, 3.5, "g/L", "mg/dL", 350],
    [undefined, 16, "kPa", "mm Hg", 120.01],
    [undefined, 30, "months", "years", 2.5],
  ] as const)("%s: %s %s are %s", (analyte, value, from, to, wanted) => {
    expect(convertUnit(value, { analyte, from, to })).toBeCloseTo(wanted, 2)
  })

  it("have a factor of a tenth of the molar mass, or its inverse", () => {
    // molar masses in g/mol, from the formulas C27H46O, C57H104O6, C6H12O6, C4H7N3O and C5H4N4O3
    const masses = {
      cholesterol: 386.65,
      triglycerides: 885.4,
      glucose: 180.16,
      creatinine: 113.12,
      "uric acid": 168.11,
    }
    for (const { analyte, factor } of UNIT_CONVERSIONS) {
      const mass = masses[analyte as keyof typeof masses]
      if (mass === undefined) continue
      const wanted = factor < 40 || analyte === "triglycerides" ? mass / 10 : 10_000 / mass
      expect(factor / wanted).toBeCloseTo(1, 3)
    }
  })

  it("go there and back", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...UNIT_CONVERSIONS),
        fc.double({ min: 0, max: 1e6, noNaN: true }),
        (row, value) => {
          const analyte = row.analyte ?? undefined
          const there = convertUnit(value, { analyte, from: row.from, to: row.to })
          const back = convertUnit(there, { analyte, from: row.to, to: row.from })
          expect(Math.abs(back - value)).toBeLessThanOrEqual(4e-16 * value)
        },
      ),
    )
  })

  it("are told apart without case, blanks and letters for micro", () => {
    for (const spelling of ["umol/L", "µmol/l", "μmol / L", "mcmol/L", "UMOL/L"])
      expect(unitFactor("creatinine", spelling, "mg/dl")).toBe(1 / 88.42)
    expect(unitFactor(undefined, "mmHg", "mm Hg")).toBe(1)
    expect(unitFactor("glucose", "mg/dl", "mg/dL")).toBe(1)
  })

  it("of moles and grams need to know the substance", () => {
    expect(unitFactor(undefined, "mmol/L", "mg/dL")).toBeNull()
    expect(unitFactor("creatinine", "mmol/L", "mg/dL")).toBeNull()
    expect(unitFactor("glucose", "mm Hg", "mg/dL")).toBeNull()
  })

  it("that are not known are refused, with those that are", () => {
    expect(unitsInto("cholesterol", "mg/dL")).toEqual(["mmol/L", "mg/dL", "g/L"])
    let thrown: unknown
    try {
      convertUnit(5, { analyte: "cholesterol", from: "stones", to: "mg/dL" })
    } catch (error) {
      thrown = error
    }
    expect(isConsiliumError(thrown, "records/unknown-unit") && `${thrown.message} ${thrown.remedy}`).toBe(
      '"stones" cannot be converted into "mg/dL". Give the values in one of: mmol/L, mg/dL, g/L.',
    )
    expect(unitsInto(undefined, "beats per minute")).toEqual([])
  })
})
