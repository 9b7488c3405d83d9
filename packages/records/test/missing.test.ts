import { ConsiliumError } from "@consilium/base/errors"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { checkFeatures, defaultFeatures, incompleteRows } from "../src/features.js"
import {
  constantsFromMeans,
  type MissingConstant,
  type MissingPlan,
  preparedFeatures,
  settleMissing,
} from "../src/missing.js"
import type { LabelledRows } from "../src/rows.js"
import type { TableSchema } from "../src/schema.js"
import { schemaDigest } from "../src/schema-digest.js"
import { readSiteTable } from "../src/site-table.js"
import { LIPID_SCHEMA } from "./site-schema.js"

const FEATURES = defaultFeatures(LIPID_SCHEMA)
const CONSTANTS: readonly MissingConstant[] = [
  { type: "number", column: "cholesterol", value: 190 },
  { type: "code", column: "smoking", code: "former" },
  { type: "number", column: "diabetes", value: 0 },
]
const IMPUTE: MissingPlan = { missing: "impute", constants: CONSTANTS }
const INDICATOR: MissingPlan = { missing: "indicator", constants: CONSTANTS }
const DROPPED: MissingPlan = { missing: "drop", constants: [] }

const rowsOf = (...lines: readonly string[]): LabelledRows => {
  const text = ["patient,age,cholesterol,smoking,diabetes,event", ...lines, ""].join("\n")
  return incompleteRows(readSiteTable(LIPID_SCHEMA, "lipids.csv", text), FEATURES)
}
const ROWS = rowsOf("a,50,200,current,1,1", "b,60,NA,never,0,0", "c,70,180,,NA,1", "d,40,NA,NA,NA,0")

const settle = (
  plan: MissingPlan,
  names = preparedFeatures(LIPID_SCHEMA, FEATURES, plan.missing),
  rows = ROWS,
) => settleMissing(rows, LIPID_SCHEMA, FEATURES, names, plan)
const matrix = ({ rows, columns, features }: LabelledRows): number[][] =>
  Array.from({ length: rows }, (_, i) => [...features.subarray(i * columns, (i + 1) * columns)])
const said = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    if (error instanceof ConsiliumError) return String(error)
    throw error
  }
  throw new Error("nothing was thrown")
}

describe("features by default", () => {
  it("are numbers, yes and no, and codes but the first; never the target or the patient", () => {
    expect(FEATURES.map(({ name }) => name)).toEqual([
      "age",
      "cholesterol",
      "smoking=former",
      "smoking=current",
      "diabetes",
    ])
  })
  it("keep what is missing until a study settles it, in all features of a column", () => {
    expect(matrix(ROWS)).toEqual([
      [50, 200, 0, 1, 1],
      [60, NaN, 0, 0, 0],
      [70, 180, NaN, NaN, NaN],
      [40, NaN, NaN, NaN, NaN],
    ])
  })
  it.each<readonly [string, readonly { name: string; column: string; equals?: string }[], string]>([
    ["none", [], 'Schema "lipids" has no feature.'],
    ["one without a column", [{ name: "x", column: "weight" }], 'needs column "weight"'],
    ["the target", [{ name: "x", column: "event" }], "would be the target itself"],
    [
      "two of a name",
      [
        { name: "x", column: "age" },
        { name: "x", column: "cholesterol" },
      ],
      'Two features are named "x"',
    ],
    ["a name that says missing", [{ name: "age=missing", column: "age" }], 'ends in "=missing"'],
    ["a name that is too long", [{ name: "x".repeat(65), column: "age" }], "65 characters"],
  ])("are refused: %s", (_, features, message) => {
    expect(said(() => checkFeatures(LIPID_SCHEMA, features))).toContain(message)
  })
})

describe("missing values", () => {
  it("drop: rows that lack a feature are left out, and counted", () => {
    const { rows, dropped } = settle(DROPPED)
    expect(matrix(rows)).toEqual([[50, 200, 0, 1, 1]])
    expect([dropped, [...rows.labels], [...rows.patients]]).toEqual([3, [1], [0]])
  })

  it("drop: what the study does not train on may be missing", () => {
    const { rows, dropped } = settle(DROPPED, ["smoking=current", "age"])
    expect(matrix(rows)).toEqual([
      [1, 50],
      [0, 60],
    ])
    expect([dropped, rows.names]).toEqual([2, ["smoking=current", "age"]])
  })

  it("impute: constants take their place, and a code fills all features of its column", () => {
    const { rows, dropped } = settle(IMPUTE)
    expect(matrix(rows)).toEqual([
      [50, 200, 0, 1, 1],
      [60, 190, 0, 0, 0],
      [70, 180, 1, 0, 0],
      [40, 190, 1, 0, 0],
    ])
    expect([dropped, [...rows.labels], [...rows.patients]]).toEqual([0, [1, 0, 1, 0], [0, 1, 2, 3]])
  })

  it("indicator: the same, and one feature per column says where it was", () => {
    const { rows } = settle(INDICATOR)
    expect(rows.names.slice(5)).toEqual(["cholesterol=missing", "smoking=missing", "diabetes=missing"])
    expect(matrix(rows).map((row) => row.slice(0, 5))).toEqual(matrix(settle(IMPUTE).rows))
    expect(matrix(rows).map((row) => row.slice(5))).toEqual([
      [0, 0, 0],
      [1, 0, 0],
      [0, 1, 1],
      [1, 1, 1],
    ])
  })

  it("each row is settled by itself: no other row changes it", () => {
    const field = (values: readonly string[]) => fc.constantFrom(...values)
    const line = fc
      .tuple(
        field(["30", "70"]),
        field(["NA", "150", "250"]),
        field(["NA", "never", "current"]),
        field(["NA", "1"]),
      )
      .map(([age, cholesterol, smoking, diabetes]) => `p,${age},${cholesterol},${smoking},${diabetes},1`)
    fc.assert(
      fc.property(fc.array(line, { minLength: 1, maxLength: 6 }), (lines) => {
        for (const plan of [DROPPED, IMPUTE, INDICATOR]) {
          const together = matrix(settle(plan, undefined, rowsOf(...lines)).rows)
          const apart = lines.flatMap((one) => matrix(settle(plan, undefined, rowsOf(one)).rows))
          expect(together).toEqual(apart)
        }
      }),
    )
  })
})

describe("what a study declares", () => {
  const names = preparedFeatures(LIPID_SCHEMA, FEATURES, "impute")
  const with_ = (constant: MissingConstant): MissingPlan => ({
    missing: "impute",
    constants: [...CONSTANTS.filter(({ column }) => column !== constant.column), constant],
  })
  it.each<readonly [string, MissingPlan, readonly string[]]>([
    ["a feature that the schema does not give", IMPUTE, ["age", "weight"]],
    ["a feature of another strategy", IMPUTE, [...names, "cholesterol=missing"]],
    ["no constant for what may be missing", { missing: "impute", constants: CONSTANTS.slice(1) }, names],
    ["an indicator that is not trained on", INDICATOR, names],
    ["a constant for no column", with_({ type: "number", column: "weight", value: 1 }), names],
    ["a constant for the target", with_({ type: "number", column: "event", value: 1 }), names],
    ["a code that is none", with_({ type: "code", column: "smoking", code: "CANARY" }), names],
    ["a number for a category", with_({ type: "number", column: "smoking", value: 1 }), names],
    ["a code for a number", with_({ type: "code", column: "cholesterol", code: "190" }), names],
    ["a number out of range", with_({ type: "number", column: "cholesterol", value: 4.9 }), names],
    ["half a truth value", with_({ type: "number", column: "diabetes", value: 0.5 }), names],
    ["two constants for a column", { missing: "impute", constants: [...CONSTANTS, ...CONSTANTS] }, names],
  ])("is refused: %s", (_, plan, wanted) => {
    expect(said(() => settle(plan, wanted))).toMatch(/^records\/bad-preparation: /)
  })

  it("is refused with what to do", () => {
    expect(said(() => settle(IMPUTE, ["age", "cholesterol=missing", "weight"]))).toMatchInlineSnapshot(`
      "records/bad-preparation: The study trains on "cholesterol=missing", "weight"; the schema "lipids" gives age, cholesterol, smoking=former, smoking=current, diabetes where missing values are settled by "impute".
        remedy: Correct \`data\` or the features in study.yaml as the message says, before the study is signed.
        see: docs/reference/errors.md#recordsbad-preparation"
    `)
    expect(said(() => settle({ missing: "impute", constants: [] }))).toMatchInlineSnapshot(`
      "records/bad-preparation: No constant is declared for "cholesterol", "smoking", "diabetes", which may be missing.
        remedy: Declare under data.constants what a missing value becomes.
        see: docs/reference/errors.md#recordsbad-preparation"
    `)
    expect(said(() => settle(INDICATOR, names))).toMatchInlineSnapshot(`
      "records/bad-preparation: The study does not train on "cholesterol=missing", "smoking=missing", "diabetes=missing", which the strategy "indicator" adds.
        remedy: Correct \`data\` or the features in study.yaml as the message says, before the study is signed.
        see: docs/reference/errors.md#recordsbad-preparation"
    `)
    expect(
      said(() => settle(with_({ type: "number", column: "cholesterol", value: 4.9 }))),
    ).toMatchInlineSnapshot(`
      "records/bad-preparation: The constant of column "cholesterol", 4.9, is not in [40, 1000] mg/dL.
        remedy: Declare a value that the column may have.
        see: docs/reference/errors.md#recordsbad-preparation"
    `)
  })

  it("may leave out constants of columns that it does not train on", () => {
    expect(settle({ missing: "impute", constants: [] }, ["age"]).rows.rows).toBe(4)
  })

  it("does not fit rows of other features", () => {
    const other = { ...ROWS, names: [...ROWS.names].reverse() }
    expect(said(() => settle(IMPUTE, names, other))).toContain("other features than the schema")
  })
})

describe("constants from declared means", () => {
  it("are means, the likelier truth value, and the most frequent code", () => {
    const means = new Map([
      ["age", 50],
      ["cholesterol", 196],
      ["smoking=former", 0.25],
      ["smoking=current", 0.2],
      ["diabetes", 0.6],
    ])
    expect(constantsFromMeans(LIPID_SCHEMA, FEATURES, means)).toEqual([
      { type: "number", column: "cholesterol", value: 196 },
      { type: "code", column: "smoking", code: "never" },
      { type: "number", column: "diabetes", value: 1 },
    ])
    expect(constantsFromMeans(LIPID_SCHEMA, FEATURES, means.set("smoking=current", 0.5))[1]).toEqual({
      type: "code",
      column: "smoking",
      code: "current",
    })
    means.delete("cholesterol")
    expect(said(() => constantsFromMeans(LIPID_SCHEMA, FEATURES, means))).toContain("No mean is declared")
  })
})

describe("the digest of a schema", () => {
  const digest = (schema: TableSchema, features = FEATURES): string => schemaDigest(schema, features).join()
  const changed = (name: string, change: object): TableSchema => ({
    ...LIPID_SCHEMA,
    columns: LIPID_SCHEMA.columns.map((column) =>
      column.name === name ? ({ ...column, ...change } as typeof column) : column,
    ),
  })
  const own = digest(LIPID_SCHEMA)
  it("changes with all that decides a number", () => {
    for (const other of [
      digest({ ...LIPID_SCHEMA, name: "fats" }),
      digest({ ...LIPID_SCHEMA, target: { column: "diabetes", positive: [] } }),
      digest(changed("cholesterol", { unit: "mmol/L" })),
      digest(changed("cholesterol", { range: [40, 999] })),
      digest(changed("cholesterol", { missing: { rule: "drop-row", tokens: ["NA", ""] } })),
      digest(changed("smoking", { categories: [{ code: "never", meaning: "smokes" }] })),
      digest(changed("diabetes", { yes: "not diagnosed", no: "diagnosed" })),
      digest(LIPID_SCHEMA, FEATURES.slice(1)),
      digest(LIPID_SCHEMA, [...FEATURES].reverse()),
    ])
      expect(other).not.toBe(own)
  })
  it("does not change with what is only said, or how a site spells what is missing", () => {
    expect(digest(changed("age", { description: "Years" }))).toBe(own)
    expect(digest(changed("age", { missing: { rule: "drop-row", tokens: ["?"] } }))).toBe(own)
  })
})
