import { ConsiliumError } from "@consilium/base/errors"
import { uniformBelow } from "@consilium/base/random"
import { insecureSeededRandom } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import { profileTable, type TableProfile } from "../src/profile.js"
import { readSiteTable } from "../src/site-table.js"
import { shownCounts } from "../src/small-cells.js"
import { LIPID_SCHEMA } from "./site-schema.js"

interface Row {
  readonly patient?: string
  readonly age?: number
  readonly cholesterol?: number | null
  readonly smoking?: string | null
}
const profileOf = (rows: readonly Row[]): TableProfile => {
  const lines = rows.map(({ patient, age = 50, cholesterol = 200, smoking = "never" }, i) =>
    [patient ?? `p${i}`, age, cholesterol ?? "NA", smoking ?? "NA", "0", i % 2].join(","),
  )
  const text = ["patient,age,cholesterol,smoking,diabetes,event", ...lines, ""].join("\n")
  return profileTable(readSiteTable(LIPID_SCHEMA, "ward.csv", text, { missing: "keep" }))
}
const times = (count: number, row: Row): Row[] => Array.from({ length: count }, () => row)
const about = (profile: TableProfile, name: string) => {
  const found = profile.columns.find((column) => column.name === name)
  if (found === undefined) throw new Error(`no column ${name}`)
  return found
}
const countsOf = (profile: TableProfile, name: string): (number | null)[] => {
  const { values, missing } = about(profile, name)
  return [...values.map(({ rows }) => rows), missing]
}

describe("a profile", () => {
  it("tells counts, shares and quantiles of large groups", () => {
    const rows = [
      ...times(40, { smoking: "never" }),
      ...times(30, { smoking: "current" }),
      ...times(20, { smoking: "former", cholesterol: null }),
      ...times(10, { smoking: null }),
    ].map((row, i) => ({ ...row, age: 18 + (i % 90) }))
    const profile = profileOf(rows)
    expect([profile.rows, profile.patients, profile.leftOut, profile.smallestGroup]).toEqual([100, 100, 0, 5])
    expect(countsOf(profile, "smoking")).toEqual([40, 20, 30, 10])
    expect(about(profile, "smoking")).toMatchObject({
      present: 90,
      missing: 10,
      missingShare: 0.1,
      quantiles: [],
    })
    expect(about(profile, "cholesterol")).toMatchObject({
      unit: "mg/dL",
      present: 80,
      missing: 20,
      missingShare: 0.2,
    })
    expect(about(profile, "age").quantiles.map(({ share }) => share)).toEqual([0.1, 0.25, 0.5, 0.75, 0.9])
    expect(profile.columns.map(({ name }) => name)).not.toContain("patient")
  })

  it("of fewer than five patients is refused", () => {
    try {
      profileOf(times(4, {}))
      throw new Error("nothing was thrown")
    } catch (error) {
      expect((error as ConsiliumError).code).toBe("records/too-few")
    }
    // four patients with many rows are four patients
    const few = Array.from({ length: 40 }, (_, i) => ({ patient: `p${i % 4}` }))
    expect(() => profileOf(few)).toThrow(ConsiliumError)
  })
})

describe("small groups", () => {
  it("are hidden, and the next smallest with a single one", () => {
    const profile = profileOf([
      ...times(50, { smoking: "never" }),
      ...times(20, { smoking: "former" }),
      ...times(3, { smoking: "current" }),
    ])
    expect(countsOf(profile, "smoking")).toEqual([50, null, null, 0])
    expect(about(profile, "smoking")).toMatchObject({ present: 73, missingShare: 0 })
  })

  it("hide the share that is missing as well", () => {
    const profile = profileOf([...times(60, {}), ...times(2, { cholesterol: null })])
    expect(about(profile, "cholesterol")).toMatchObject({ present: null, missing: null, missingShare: null })
  })

  it("are groups of patients, however many rows they have", () => {
    const profile = profileOf([
      ...times(50, { smoking: "never" }),
      ...times(20, { smoking: "former" }),
      ...Array.from({ length: 30 }, (_, i) => ({ patient: `few${i % 3}`, smoking: "current" })),
    ])
    expect(countsOf(profile, "smoking")).toEqual([50, null, null, 0])
  })

  it("of patients with several rows hide how many patients there are", () => {
    const single = times(30, {})
    expect(profileOf([...single, { patient: "p0" }]).patients).toBeNull()
    const several = Array.from({ length: 6 }, (_, i) => ({ patient: `p${i}` }))
    expect(profileOf([...single, ...several]).patients).toBe(30)
  })

  it("of rows that were left out are not counted", () => {
    const text = (left: number): string =>
      [
        "patient,age,cholesterol,smoking,diabetes,event",
        ...Array.from({ length: 20 }, (_, i) => `p${i},50,200,never,0,1`),
        ...Array.from({ length: left }, () => "NA,50,200,never,0,1"),
        "",
      ].join("\n")
    const loose = {
      ...LIPID_SCHEMA,
      columns: LIPID_SCHEMA.columns.map((column) =>
        column.type === "identifier"
          ? { ...column, missing: { rule: "drop-row" as const, tokens: ["NA"] } }
          : column,
      ),
    }
    const left = (count: number) =>
      profileTable(readSiteTable(loose, "ward.csv", text(count), { missing: "keep" })).leftOut
    expect([left(0), left(1), left(4), left(5)]).toEqual([0, null, null, 5])
  })
})

/** Every list of so many counts up to a largest one. */
const tables = (groups: number, largest: number): number[][] =>
  groups === 0
    ? [[]]
    : tables(groups - 1, largest).flatMap((rest) =>
        Array.from({ length: largest + 1 }, (_, count) => [...rest, count]),
      )
const shown = (sizes: readonly number[]): readonly (number | null)[] => {
  let next = 0
  return shownCounts(sizes.map((rows) => ({ rows, patients: Array.from({ length: rows }, () => next++) })))
}
const total = (sizes: readonly number[]): number => sizes.reduce((sum, size) => sum + size, 0)

describe("an attacker who knows the total, the rule and all that is shown", () => {
  // all tables of so many groups are made, and told apart only by what is shown of them
  it.each([
    [2, 24],
    [3, 14],
    [4, 9],
    [5, 7],
  ])("of %i groups cannot work out one hidden count", (groups, largest) => {
    const seen = new Map<string, { hidden: number[]; possible: Set<number>[] }>()
    for (const sizes of tables(groups, largest)) {
      if (total(sizes) < 5) continue
      const counts = shown(sizes)
      const key = JSON.stringify([total(sizes), counts])
      const entry = seen.get(key) ?? {
        hidden: counts.flatMap((count, i) => (count === null ? [i] : [])),
        possible: sizes.map(() => new Set<number>()),
      }
      for (const [i, size] of sizes.entries()) entry.possible[i]?.add(size)
      seen.set(key, entry)
    }
    const found = [...seen].filter(([, { hidden, possible }]) =>
      hidden.some((i) => (possible[i]?.size ?? 0) < 2),
    )
    expect(found).toEqual([])
  })

  it("never sees a group of 1 to 4, and subtracting leaves at least two groups of five patients or more together", () => {
    const random = insecureSeededRandom(1, "small cells")
    for (let i = 0; i < 3000; i++) {
      const sizes = Array.from(
        { length: 2 + uniformBelow(random, 6) },
        () => uniformBelow(random, 3) * uniformBelow(random, 12),
      )
      const counts = shown(sizes)
      expect(counts.some((count) => count !== null && count > 0 && count < 5)).toBe(false)
      const hidden = sizes.filter((_, at) => counts[at] === null)
      if (hidden.length === 0 || total(sizes) < 5) continue
      expect(hidden.length).toBeGreaterThan(1)
      expect(total(hidden)).toBeGreaterThan(4)
    }
  })

  it("cannot tell from which quantiles there are how many values are missing", () => {
    // 24 to 29 patients, some without a value: 25 values would allow quartiles
    const seen = new Map<string, Set<number>>()
    for (let patients = 20; patients < 60; patients++)
      for (let missing = 0; missing < patients; missing++) {
        if (missing > 6 && missing < patients - 6) continue
        const profile = profileOf([
          ...times(patients - missing, {}),
          ...times(missing, { cholesterol: null }),
        ])
        const { quantiles, missing: told } = about(profile, "cholesterol")
        const key = JSON.stringify([patients, told, quantiles.length])
        seen.set(key, (seen.get(key) ?? new Set()).add(missing))
      }
    for (const [key, possible] of seen)
      if (JSON.parse(key)[1] === null) expect([key, possible.size > 1]).toEqual([key, true])
  })
})

describe("quantiles", () => {
  const agesOf = (ages: readonly number[]) => about(profileOf(ages.map((age) => ({ age }))), "age").quantiles
  it("are the more, the more patients there are", () => {
    const shares = (patients: number): number[] =>
      agesOf(times(patients, {}).map(() => 50)).map(({ share }) => share)
    expect([shares(5), shares(24), shares(25), shares(49), shares(50)]).toEqual([
      [0.5],
      [0.5],
      [0.25, 0.5, 0.75],
      [0.25, 0.5, 0.75],
      [0.1, 0.25, 0.5, 0.75, 0.9],
    ])
  })

  it("are means of five neighbours that no other quantile has, rounded to three digits", () => {
    const ages = Array.from({ length: 50 }, (_, i) => 20 + i * i * 0.031)
    for (const { share, value } of agesOf(ages)) {
      const middle = Math.round(share * 49)
      const mean = ages.slice(middle - 2, middle + 3).reduce((sum, age) => sum + age, 0) / 5
      expect(value).toBe(Number(mean.toPrecision(3)))
      expect(ages).not.toContain(value)
    }
    for (let patients = 25; patients < 200; patients++) {
      const middles = (patients < 50 ? [0.25, 0.5, 0.75] : [0.1, 0.25, 0.5, 0.75, 0.9]).map((share) =>
        Math.round(share * (patients - 1)),
      )
      for (const [i, middle] of middles.entries()) {
        expect(middle).toBeGreaterThan(2)
        expect(middle).toBeLessThan(patients - 3)
        if (i > 0) expect(middle - (middles[i - 1] as number)).toBeGreaterThan(4)
      }
    }
  })

  it("never show the smallest or the largest value by themselves", () => {
    const values = agesOf([19, ...times(48, {}).map(() => 50), 109])
    expect(values.map(({ value }) => value)).toEqual([50, 50, 50, 50, 50])
  })

  it("count a patient with many rows once", () => {
    const profile = profileOf([
      ...Array.from({ length: 30 }, (_, i) => ({ patient: `p${i}`, age: 40 })),
      ...Array.from({ length: 300 }, (_, i) => ({ patient: `q${i % 6}`, age: 90 })),
    ])
    expect(about(profile, "age").quantiles).toEqual([
      { share: 0.25, value: 40 },
      { share: 0.5, value: 40 },
      { share: 0.75, value: 40 },
    ])
  })
})
