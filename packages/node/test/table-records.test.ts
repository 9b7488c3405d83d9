import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { insecureSeededRandom } from "@consilium/base/testing"
import { checkStudy, type Study } from "@consilium/federation/study"
import {
  CARDIOVASCULAR_DECLARED_STANDARDISER,
  CARDIOVASCULAR_FEATURES,
} from "@consilium/records/cardiovascular/features"
import { CARDIOVASCULAR_SCHEMA } from "@consilium/records/cardiovascular/schema"
import { csvText } from "@consilium/records/csv-write"
import { preparedFeatures } from "@consilium/records/missing"
import type { LabelledRows } from "@consilium/records/rows"
import { syntheticHeart } from "@consilium/records/synthetic-heart"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { parse, stringify } from "yaml"
import { testStudy } from "../../federation/test/members.js"
import { type FacilityFileInput, facilityFileSchema } from "../src/config/role-files.js"
import { type StudyFileInput, studyFileSchema, studyOf } from "../src/config/study-file.js"
import { formOf, mappingFileText, readMapping, schemaFileSchema } from "../src/config/table-files.js"
import { builtInForm } from "../src/config/table-form.js"
import { parseConfig } from "../src/config/yaml-file.js"
import { prepare, type RawRecords, readRecords } from "../src/local-records.js"
import { csvOf, NAMES, parquetOf, visitsOf } from "./table-visits.js"

let folder = ""
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "consilium-tables-"))
})
afterAll(() => rm(folder, { recursive: true, force: true }))
let files = 0
const save = async (kind: string, content: string | Uint8Array): Promise<string> => {
  const name = `${files++}.${kind}`
  await writeFile(join(folder, name), content)
  return name
}
const read = async (records: Omit<Extract<FacilityFileInput["records"], { format: "table" }>, "format">) =>
  readRecords(
    "clinic",
    join(folder, "facility.yaml"),
    facilityFileSchema.parse({ records: { format: "table", ...records } }),
  )
const said = async (work: () => unknown): Promise<string> => {
  try {
    await work()
  } catch (error) {
    if (error instanceof ConsiliumError) return String(error).replaceAll(folder, "FOLDER")
    throw error
  }
  throw new Error("nothing was thrown")
}
const rowsOf = ({ rows, columns, features, labels, patients }: LabelledRows): readonly string[] =>
  Array.from({ length: rows }, (_, i) =>
    [...features.subarray(i * columns, (i + 1) * columns), labels[i], patients[i]].join(),
  )

const VISITS = visitsOf("clinic", 240)
const CSV = csvOf(VISITS)

const FEATURES = CARDIOVASCULAR_FEATURES.map(({ name }) => name)
/** Columns that may be missing in rows that are kept. */
const KEPT = CARDIOVASCULAR_SCHEMA.columns.filter(({ missing }) => missing.rule === "keep").length
const participants: StudyFileInput["participants"] = [
  { name: "leader", role: "leader" },
  { name: "fog", role: "fog", parent: "leader" },
  ...["a", "b", "c", "d"].map((name) => ({ name, role: "facility" as const, parent: "fog" })),
]
const studyWith = (change: Partial<StudyFileInput>): Study =>
  studyOf(
    studyFileSchema.parse({
      name: "events",
      nonce: "00".repeat(32),
      model: { kind: "logistic-regression", features: FEATURES },
      training: { steps: 10 },
      server: {},
      rounds: 5,
      protection: "shamir",
      participants,
      ...change,
    }),
  )
/** The figures that the built-in schema declares for a feature. */
const declared = (feature: string) => {
  const { names, means, deviations } = CARDIOVASCULAR_DECLARED_STANDARDISER
  const at = names.indexOf(feature)
  return { mean: means[at] as number, deviation: deviations[at] as number }
}
const data = (missing: "drop" | "impute" | "indicator") => ({ schema: "cardiovascular", missing })

describe("a facility's table", () => {
  it("is read as CSV and as Parquet, with the same rows and the same split", async () => {
    const csv = await read({ schema: "cardiovascular", file: await save("csv", CSV) })
    const parquet = await read({
      schema: "cardiovascular",
      file: await save("parquet", parquetOf(VISITS)),
    })
    const sides = ({ train, holdOut, independent }: RawRecords) =>
      [train, holdOut, independent.train, independent.holdOut].map(rowsOf)
    expect(sides(parquet)).toEqual(sides(csv))
    expect(csv.train.rows + csv.holdOut.rows).toBe(240)
    expect(csv.warnings).toEqual([expect.stringContaining("the rows are synthetic and describe no patient")])
    expect(csv.preparation).toBe("declared")
  })

  it("may lack origin and patient; then each row is a patient and nothing says synthetic", async () => {
    const text = csvText(
      NAMES.slice(2),
      VISITS.map((visit) => visit.slice(2).map((value) => value ?? "NA")),
    )
    const raw = await read({ schema: "cardiovascular", file: await save("csv", text) })
    expect(raw.warnings).toEqual([])
    expect(new Set([...raw.train.patients, ...raw.holdOut.patients]).size).toBe(240)
  })

  it("keeps all visits of a patient on one side, in both splits, wherever values are missing", async () => {
    const raw = await read({ schema: "cardiovascular", file: await save("csv", CSV) })
    for (const { train, holdOut } of [raw, raw.independent]) {
      const trained = new Set(train.patients)
      expect([...holdOut.patients].some((patient) => trained.has(patient))).toBe(false)
      expect(holdOut.rows).toBeGreaterThan(30)
    }
    expect([...raw.train.features].some((value) => Number.isNaN(value))).toBe(true)
  })

  it("has its rows in the independent split on a side that nobody else decides", async () => {
    const lines = CSV.trimEnd().split("\n")
    const before = (await read({ schema: "cardiovascular", file: await save("csv", CSV) })).independent
    const shorter = [lines[0], ...lines.slice(61)].join("\n")
    const after = (await read({ schema: "cardiovascular", file: await save("csv", shorter) })).independent
    const values = (rows: LabelledRows) => rowsOf({ ...rows, patients: new Uint32Array(rows.rows) })
    const held = new Set(values(before.holdOut))
    expect(values(after.holdOut).every((row) => held.has(row))).toBe(true)
  })

  it("goes through its mapping", async () => {
    const header = NAMES.map((name) => (name === "total_cholesterol" ? "CHOL_MMOL" : name))
    const at = NAMES.indexOf("total_cholesterol")
    const text = csvText(
      header,
      VISITS.map((visit) =>
        visit.map((value, i) =>
          value === null ? (i === at ? "k.A." : "NA") : i === at ? String(Number(value) / 38.67) : value,
        ),
      ),
    )
    const mapping = await save(
      "yaml",
      mappingFileText({
        columns: [{ column: "total_cholesterol", from: "chol_mmol", unit: "mmol/L", missing: ["k.A."] }],
      }),
    )
    const plain = await read({ schema: "cardiovascular", file: await save("csv", CSV) })
    const mapped = await read({ schema: "cardiovascular", file: await save("csv", text), mapping })
    for (const [i, value] of plain.train.features.entries())
      if (!Number.isNaN(value)) expect(mapped.train.features[i]).toBeCloseTo(value, 9)
    expect(mapped.train.features.map(Number.isNaN as never)).toEqual(
      plain.train.features.map(Number.isNaN as never),
    )
  })
})

describe("what a study says of missing values", () => {
  const raw = async (): Promise<RawRecords> =>
    read({ schema: "cardiovascular", file: await save("csv", CSV) })

  it("nothing: rows that lack a value are left out", async () => {
    const records = await raw()
    const prepared = prepare(records, {
      ...testStudy(),
      model: { kind: "logistic-regression", features: FEATURES },
    })
    const complete = rowsOf(records.train).filter((row) => !row.includes("NaN"))
    expect(prepared.train.rows).toBe(complete.length)
    expect(complete.length).toBeLessThan(records.train.rows)
    expect(prepare(records).train.rows).toBe(complete.length)
  })

  it("drop, impute and indicator, in the same patients", async () => {
    const records = await raw()
    const drop = prepare(records, studyWith({ data: data("drop") }))
    const impute = prepare(records, studyWith({ data: data("impute") }))
    const features = preparedFeatures(CARDIOVASCULAR_SCHEMA, CARDIOVASCULAR_FEATURES, "indicator")
    const model = { kind: "logistic-regression" as const, features: [...features] }
    const indicator = prepare(records, studyWith({ data: data("indicator"), model }))
    expect(drop.train.rows).toBeLessThan(impute.train.rows)
    expect(impute.train.rows).toBe(records.train.rows)
    expect(indicator.train).toMatchObject({ rows: records.train.rows, columns: features.length })
    expect(features.length).toBe(FEATURES.length + KEPT)
    expect(indicator.featureNames).toEqual(features)
  })

  it("keeps held-out rows in their own units beside the scaled ones", async () => {
    const records = await raw()
    const { holdOut, holdOutRaw } = prepare(records, studyWith({ data: data("impute") }))
    expect([holdOutRaw.rows, holdOutRaw.names]).toEqual([holdOut.rows, FEATURES])
    const ages = holdOutRaw.features.filter((_, i) => i % FEATURES.length === 0)
    expect(ages.every((age) => age >= 18 && age <= 110)).toBe(true)
    expect([...holdOutRaw.labels]).toEqual([...holdOut.labels])
    expect([...records.holdOut.labels]).toEqual([...holdOut.labels])
  })

  it("may train on some of the schema's features, in its own order", async () => {
    const features = ["smoking=current", "age"]
    const model = { kind: "logistic-regression" as const, features }
    const { featureNames, train } = prepare(await raw(), studyWith({ data: data("impute"), model }))
    expect([featureNames, train.columns]).toEqual([features, 2])
  })

  it("with differential privacy: declared constants alone, and the independent split", async () => {
    const records = await raw()
    const study = studyWith({
      data: data("impute"),
      quantisation: { weights: "equal" },
      privacy: { epsilon: 4 },
    })
    const { means, deviations } = CARDIOVASCULAR_DECLARED_STANDARDISER
    expect(study.privacy?.standardise.map(({ mean }) => mean)).toEqual([...means])
    const prepared = prepare(records, study)
    expect(prepared.preparation).toBe("declared")
    const age = (records.independent.train.features[0] as number) - (means[0] as number)
    expect(prepared.train.features[0]).toBeCloseTo(age / (deviations[0] as number), 8)
  })
})

describe("records and study that do not belong together", () => {
  const table = async (): Promise<RawRecords> =>
    read({ schema: "cardiovascular", file: await save("csv", CSV) })

  it("features that the schema does not give", async () => {
    const records = await table()
    const model = { kind: "logistic-regression" as const, features: ["age", "chol"] }
    expect(await said(() => prepare(records, { ...testStudy(), model }))).toContain(
      'records/bad-preparation: The study trains on "chol"; the schema "cardiovascular" gives age, ',
    )
  })

  it("another schema, or another version of it", async () => {
    const records = await table()
    const study = studyWith({
      data: { schema: "ward", schema_digest: "ab".repeat(32), missing: "drop" },
    })
    expect(
      (await said(() => prepare(records, study))).replace(/\([0-9a-f]{16}\)\./, "(...)."),
    ).toMatchInlineSnapshot(`
      "config/invalid: The study's tables follow the schema ward (abababababababab); this facility reads its file under cardiovascular (...).
        remedy: Use the study's schema file in records.schema, unchanged, or for a built-in schema run the same version everywhere.
        see: docs/reference/errors.md#configinvalid"
    `)
  })

  it("a heart file where the study prepares tables", async () => {
    const file = await save(
      "csv",
      syntheticHeart({ profile: "clinic", rows: 60, random: insecureSeededRandom("h") }),
    )
    const heart = await readRecords(
      "clinic",
      join(folder, "facility.yaml"),
      facilityFileSchema.parse({ records: { format: "heart-csv", file } }),
    )
    expect(await said(() => prepare(heart, studyWith({ data: data("drop") })))).toMatchInlineSnapshot(`
      "config/invalid: The study prepares tables of the schema cardiovascular; this facility's records are no such table.
        remedy: Name the file in facility.yaml with \`format: table\` and the study's schema.
        see: docs/reference/errors.md#configinvalid"
    `)
  })

  it("features that a heart file does not give", async () => {
    const file = await save(
      "csv",
      syntheticHeart({ profile: "clinic", rows: 60, random: insecureSeededRandom("h") }),
    )
    const heart = await readRecords(
      "clinic",
      join(folder, "facility.yaml"),
      facilityFileSchema.parse({ records: { format: "heart-csv", file } }),
    )
    expect(await said(() => prepare(heart, studyWith({})))).toContain("this facility's records give age, sex")
  })

  it("no row that has every value", async () => {
    const text = csvText(
      NAMES,
      VISITS.map((visit) => visit.map((value, i) => (NAMES[i] === "bmi" ? "NA" : (value ?? "NA")))),
    )
    const records = await read({ schema: "cardiovascular", file: await save("csv", text) })
    const message = await said(() => prepare(records, studyWith({ data: data("drop") })))
    expect(message.replace(/\d+ rows/, "N rows")).toMatchInlineSnapshot(`
      "records/nothing-left: All N rows to train on lack a value of the study's features.
        remedy: Fill in the missing values at their source, check the mapping, or let the study declare \`data.missing: impute\`.
        see: docs/reference/errors.md#recordsnothing-left"
    `)
    expect(prepare(records, studyWith({ data: data("impute") })).train.rows).toBeGreaterThan(100)
  })
})

describe("data in study.yaml", () => {
  it("has constants for a built-in schema, which a study may change", () => {
    const study = studyWith({
      data: { ...data("impute"), constants: { bmi: 27, smoking: "former", diabetes: true } },
    })
    expect(study.data?.constants).toContainEqual({
      type: "number",
      column: "albumin",
      value: declared("albumin").mean,
    })
    expect(study.data?.constants).toContainEqual({ type: "number", column: "bmi", value: 27 })
    expect(study.data?.constants).toContainEqual({ type: "code", column: "smoking", code: "former" })
    expect(study.data?.constants).toContainEqual({ type: "code", column: "ecg", code: "normal" })
    expect(study.data?.constants).toContainEqual({ type: "number", column: "diabetes", value: 1 })
    expect(study.data?.constants).toHaveLength(KEPT)
    expect(toHex(study.data?.schemaDigest as Uint8Array)).toBe(
      toHex(builtInForm("cardiovascular")?.digest as Uint8Array),
    )
    expect(checkStudy(study, 4)).toBeUndefined()
  })

  it("is null where nothing is said", () => {
    expect(studyWith({}).data).toBeNull()
    expect(studyWith({ data: { schema: "cardiovascular" } }).data).toMatchObject({
      missing: "drop",
      constants: [],
    })
  })

  it.each<readonly [string, Partial<StudyFileInput>, string]>([
    [
      "a feature of another schema",
      { data: data("impute"), model: { kind: "logistic-regression", features: ["age", "chol"] } },
      "records/bad-preparation",
    ],
    [
      "a constant out of range",
      { data: { ...data("impute"), constants: { bmi: 500 } } },
      "records/bad-preparation",
    ],
    [
      "a constant of no column",
      { data: { ...data("impute"), constants: { weight: 70 } } },
      "records/bad-preparation",
    ],
    [
      "constants for rows that are left out",
      { data: { ...data("drop"), constants: { bmi: 27 } } },
      "round/bad-study",
    ],
    ["a schema that is not built in, without its digest", { data: { schema: "ward" } }, "config/invalid"],
  ])("is refused: %s", async (_, change, code) => {
    expect(await said(() => studyWith(change))).toMatch(new RegExp(`^${code}: `))
  })

  it("knows declared constants to standardise with, of the schema that it names", () => {
    const features = ["age", "bmi", "bmi=missing"]
    const model = { kind: "logistic-regression" as const, features }
    const private_ = { quantisation: { weights: "equal" as const }, privacy: { epsilon: 4 } }
    const named = studyWith({ model, ...private_, data: data("indicator") })
    expect(named.privacy?.standardise).toEqual([
      declared("age"),
      declared("bmi"),
      { mean: 0.1, deviation: 0.3 },
    ])
    // age is a feature of the heart schema as well, with another mean
    const heart = studyWith({ model: { ...model, features: ["age"] }, ...private_ })
    expect(heart.privacy?.standardise).toEqual([{ mean: 55, deviation: 10 }])
    const known = studyWith({ model: { ...model, features: ["age", "bmi"] }, ...private_ })
    expect(known.privacy?.standardise[0]).toEqual(declared("age"))
  })
})

const WARD = `
name: ward
patient: id
target: { column: died, positive: [1] }
columns:
  - { name: id, type: identifier, description: Patient }
  - { name: age, type: number, unit: years, range: [0, 120], description: Age, missing: drop-row }
  - name: sodium
    type: number
    unit: mmol/L
    range: [90, 200]
    description: Sodium in serum
    missing: keep
    spellings: ["", -1]
  - name: ward
    type: category
    description: Ward
    codes:
      - { code: 10, meaning: medicine }
      - { code: 20, meaning: surgery }
  - name: died
    type: category
    description: Died in hospital
    codes: [{ code: 0, meaning: no }, { code: 1, meaning: yes }]
`
const WARD_ROWS = Array.from(
  { length: 60 },
  (_, i) =>
    `p${i % 40},${40 + (i % 50)},${i % 9 === 0 ? -1 : 130 + (i % 20)},${i % 2 === 0 ? 10 : 20},${i % 3 === 0 ? 1 : 0}`,
)

describe("a schema file", () => {
  const wardFile = async (text = WARD): Promise<string> => save("yaml", text)
  const wardRows = async (): Promise<string> =>
    save("csv", ["id,age,sodium,ward,died", ...WARD_ROWS].join("\n"))

  it("says what a table holds, and every number, truth value and code becomes a feature", async () => {
    const records = await read({ schema: await wardFile(), file: await wardRows() })
    expect(records.train.names).toEqual(["age", "sodium", "ward=20"])
    expect(records.form?.schema.name).toBe("ward")
    const study: Study = {
      ...testStudy(),
      model: { kind: "logistic-regression", features: ["sodium", "sodium=missing", "ward=20"] },
      data: {
        schema: "ward",
        schemaDigest: records.form?.digest as Uint8Array,
        missing: "indicator",
        constants: [{ type: "number", column: "sodium", value: 140 }],
      },
    }
    expect(checkStudy(study, 4)).toBeUndefined()
    const { train, holdOut } = prepare(records, study)
    expect([train.rows + holdOut.rows, train.columns]).toEqual([60, 3])
  })

  it("may name its features", async () => {
    const schema = await wardFile(`${WARD}features: [{ name: surgical, column: ward, equals: 20 }]\n`)
    expect((await read({ schema, file: await wardRows() })).train.names).toEqual(["surgical"])
  })

  it.each<readonly [string, string, string]>([
    ["an unknown key", `${WARD}colour: red\n`, "config/invalid"],
    ["no YAML", "name: [", "config/invalid"],
    ["no target", WARD.replace(/^target.*$/m, ""), "config/invalid"],
    ["a target that is no column", WARD.replace("column: died,", "column: dead,"), "schema/invalid"],
    ["a range the wrong way round", WARD.replace("[90, 200]", "[200, 90]"), "schema/invalid"],
    ["a feature that does not fit", `${WARD}features: [{ name: x, column: weight }]\n`, "schema/invalid"],
    [
      "a target that may be missing",
      WARD.replace("Died in hospital", "Died in hospital\n    missing: keep"),
      "schema/invalid",
    ],
  ])("is refused: %s", async (_, text, code) => {
    const schema = await wardFile(text)
    const message = await said(async () => read({ schema, file: await wardRows() }))
    expect(message).toMatch(new RegExp(`^${code}: `))
  })

  it("that is not there, and mappings and records that are not there, are told apart", async () => {
    const [schema, file] = [await wardFile(), await wardRows()]
    expect(await said(() => read({ schema: "none.yaml", file }))).toContain("config/unreadable")
    expect(await said(() => read({ schema, file, mapping: "none.yaml" }))).toContain("config/unreadable")
    expect(await said(() => read({ schema, file: "none.csv" }))).toContain("records/unreadable")
    expect(await said(() => read({ schema, file: "none.csv", mapping: "none.yaml" }))).toContain(
      "records/unreadable",
    )
  })

  it("a mapping that does not fit it is refused before the file is read", async () => {
    const mapping = await save("yaml", stringify({ columns: [{ column: "weight", from: "Gewicht" }] }))
    const schema = await wardFile()
    expect(await said(async () => read({ schema, file: await wardRows(), mapping }))).toMatch(
      /^records\/bad-mapping: .*"weight" is not in the schema "ward"/,
    )
  })

  it("a file called .parquet that is none is refused as such", async () => {
    const [schema, file] = [await wardFile(), await save("parquet", "id,age\n")]
    expect(await said(() => read({ schema, file }))).toContain("parquet/malformed")
  })

  it("takes codes and spellings however YAML reads them", () => {
    const { schema } = formOf(
      schemaFileSchema.parse({
        name: "x",
        target: { column: "t" },
        columns: [
          { name: "t", type: "boolean", yes: "y", no: "n", description: "t" },
          {
            name: "c",
            type: "category",
            description: "c",
            spellings: [9, true, ""],
            codes: [
              { code: 1, meaning: "one" },
              { code: "b", meaning: "two" },
            ],
          },
        ],
      }),
    )
    expect(schema.columns[1]).toMatchObject({
      missing: { rule: "refuse", tokens: ["9", "true", ""] },
      categories: [
        { code: "1", meaning: "one" },
        { code: "b", meaning: "two" },
      ],
    })
  })
})

describe("the files on the page for hospitals", () => {
  /** Indented blocks of the page that begin so, without their indent. */
  const block = async (beginning: string): Promise<string> => {
    const page = await readFile(new URL("../../../docs/how-to/prepare-your-data.md", import.meta.url), "utf8")
    const blocks = page.split(/\n\n(?=\S)|\n\n(?= {4}\S)/).filter((text) => text.startsWith("    "))
    const found = blocks.find((text) => text.startsWith(`    ${beginning}`))
    if (found === undefined) throw new Error(`no block that begins with ${beginning}`)
    return found.replace(/^ {4}/gm, "")
  }

  it("are a schema, a mapping, a facility's records and a study's data as they are read", async () => {
    const schema = parseConfig(schemaFileSchema, "page", await block("name: ward"))
    expect(formOf(schema).features.map(({ name }) => name)).toEqual(["age", "sodium", "ward=sur"])
    const mapping = await save("yaml", await block("columns:"))
    const read_ = await readMapping(mapping, join(folder, "x"), CARDIOVASCULAR_SCHEMA)
    expect(read_.columns.map(({ column }) => column)).toEqual(["total_cholesterol", "sex", "diabetes"])
    expect(parseConfig(facilityFileSchema, "page", await block("records:")).records.format).toBe("table")
    const study = parse((await block("model:")).replace(", ...", "")) as { data: StudyFileInput["data"] }
    expect(studyWith({ data: study.data ?? null }).data).toMatchObject({ missing: "impute" })
  })
})
