import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { insecureSeededRandom } from "@consilium/base/testing"
import { facilityFileText } from "@consilium/node/config/role-files"
import { FACILITY_KINDS } from "@consilium/records/simulator/kinds"
import { syntheticHeart } from "@consilium/records/synthetic-heart"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { consilium } from "./in-process.js"

const refused = async (...args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await consilium(...args)
  expect(stdout).toBe("")
  return `${code} ${stderr.split(":")[0]?.trim()}`
}

let folder = ""
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "consilium-data-"))
})
afterAll(() => rm(folder, { recursive: true, force: true }))
const save = async (name: string, text: string): Promise<string> => {
  await writeFile(join(folder, name), text)
  return join(folder, name)
}

const SCHEMA = `
name: ward
patient: id
target: { column: died }
columns:
  - { name: id, type: identifier, description: Patient }
  - { name: age, type: number, unit: years, range: [0, 120], description: Age }
  - { name: sodium, type: number, unit: mmol/L, range: [90, 200], description: Sodium, missing: keep }
  - name: ward
    type: category
    description: Ward
    codes: [{ code: med, meaning: medicine }, { code: sur, meaning: surgery }, { code: icu, meaning: intensive care }]
  - { name: died, type: boolean, yes: died, no: lived, description: Died }
`
const MAPPING = `
columns:
  - { column: id, from: PID }
  - { column: ward, from: Station, codes: { M: med, C: sur, I: icu } }
`
const ROWS = [
  "PID,Age,Sodium,Station,Died,Name",
  ...Array.from({ length: 60 }, (_, i) =>
    [
      `p${i}`,
      30 + (i % 40),
      i % 6 === 0 ? "NA" : 130 + (i % 20),
      i < 3 ? "I" : i % 2 ? "M" : "C",
      i % 2,
      "CANARY",
    ].join(","),
  ),
].join("\n")

describe("consilium data profile", () => {
  const files = async (rows = ROWS) => [
    ...["--file", await save("rows.csv", rows)],
    ...["--schema", await save("schema.yaml", SCHEMA)],
    ...["--mapping", await save("mapping.yaml", MAPPING)],
  ]

  it("shows what a table holds, without small groups", async () => {
    const { code, stdout } = await consilium("data", "profile", ...(await files()))
    expect(code).toBe(0)
    expect(stdout.replace(/[0-9a-f]{64}/, "DIGEST")).toMatchInlineSnapshot(`
      "60 rows of 60 patients under the schema ward.
      * stands for 1 to 4 patients, or for what would tell how many those are. A quantile is a mean over 5 patients.

      column  rows  missing      values
      age     60    0 (0 %)      10 %: 32.8, 25 %: 37.2, 50 %: 44.8, 75 %: 54, 90 %: 63 years
      sodium  50    10 (16.7 %)  10 %: 132, 25 %: 135, 50 %: 140, 75 %: 145, 90 %: 147 mmol/L
      ward    60    0 (0 %)      med 29, sur *, icu *
      died    60    0 (0 %)      no 30, yes 30

      In study.yaml, data.schema is ward and data.schema_digest DIGEST.
      A study can train on: age, sodium, ward=sur, ward=icu
      With data.missing: indicator as well on: sodium=missing
      "
    `)
    expect(stdout).not.toContain("CANARY")
  })

  it("gives the same as one JSON value", async () => {
    const { code, stdout } = await consilium("data", "profile", ...(await files()), "--format", "json")
    expect(code).toBe(0)
    const profile = JSON.parse(stdout)
    expect(profile).toMatchObject({
      format: "consilium-data-profile/1",
      synthetic: false,
      schema: "ward",
      rows: 60,
      patients: 60,
      leftOut: 0,
      smallestGroup: 5,
      study: {
        schema: "ward",
        schemaDigest: expect.stringMatching(/^[0-9a-f]{64}$/),
        features: ["age", "sodium", "ward=sur", "ward=icu"],
        indicators: ["sodium=missing"],
      },
    })
    const ward = profile.columns.find(({ name }: { name: string }) => name === "ward")
    expect(ward.values.map(({ rows }: { rows: number | null }) => rows)).toEqual([29, null, null])
    expect(stdout).not.toContain(folder)
  })

  it("reads what a facility's configuration names, heart files as well", async () => {
    await files()
    const table = facilityFileText({
      records: { format: "table", schema: "schema.yaml", file: "rows.csv", mapping: "mapping.yaml" },
      policy: {},
    })
    expect(
      (await consilium("data", "profile", "--config", await save("facility.yaml", table))).stdout,
    ).toContain("60 rows of 60 patients under the schema ward.")
    await save("heart.csv", syntheticHeart({ profile: "clinic", rows: 80, random: insecureSeededRandom(1) }))
    const heart = facilityFileText({ records: { format: "heart-csv", file: "heart.csv" }, policy: {} })
    const { code, stdout } = await consilium("data", "profile", "--config", await save("heart.yaml", heart))
    expect([code, stdout.split("\n")[0]]).toEqual([0, "The rows are synthetic and describe no patient."])
  })

  it("refuses a file with an error by line, column and remedy, with exit code 3", async () => {
    const { code, stdout, stderr } = await consilium(
      "data",
      "profile",
      ...(await files(ROWS.replace(",130,", ",CANARY-130,"))),
    )
    expect([code, stdout]).toEqual([3, ""])
    expect(stderr).toContain('column "sodium": is not a plain decimal number')
    expect(stderr).not.toContain("CANARY")
  })

  it("refuses too few patients, and words that do not go together", async () => {
    const few = ROWS.split("\n").slice(0, 5).join("\n")
    expect(await refused("data", "profile", ...(await files(few)))).toBe("3 records/too-few")
    expect(await refused("data", "profile")).toBe("2 cli/usage")
    expect(await refused("data", "profile", "--file", "x.csv")).toBe("2 cli/usage")
    expect(await refused("data", "profile", "--config", "f.yaml", "--file", "x.csv")).toBe("2 error")
    expect(await refused("data", "profile", "--config", join(folder, "none.yaml"))).toBe(
      "2 config/unreadable",
    )
    expect(await refused("data", "profile", "--file", "none.csv", "--schema", "cardiovascular")).toBe(
      "3 records/unreadable",
    )
  })
})

describe("consilium data simulate", () => {
  const simulate = (out: string, ...more: readonly string[]) =>
    consilium("data", "simulate", "--rows", "120", "--seed", "7", "--out", join(folder, out), ...more)

  it.each(FACILITY_KINDS)(
    "%s: writes a site's file, the mapping that reads it, and what it is",
    async (kind) => {
      const { code, stdout } = await simulate(`site-${kind}`, "--kind", kind)
      expect(code).toBe(0)
      expect(stdout).toContain("They are synthetic and describe nobody.")
      const out = join(folder, `site-${kind}`)
      expect((await readdir(out)).sort()).toEqual(["README.md", "mapping.yaml", "records.csv"])
      expect(await readFile(join(out, "README.md"), "utf8")).toContain("it describes no patient")
      const table = ["--file", join(out, "records.csv"), "--schema", "cardiovascular"]
      const profile = await consilium("data", "profile", ...table, "--mapping", join(out, "mapping.yaml"))
      expect([profile.code, profile.stdout.split("\n").slice(0, 2)]).toEqual([
        0,
        [
          "The rows are synthetic and describe no patient.",
          "120 rows of 120 patients under the schema cardiovascular.",
        ],
      ])
      // without its mapping the file says nothing that the schema knows
      expect(await refused("data", "profile", ...table)).toBe("3 csv/bad-header")
    },
  )

  it("canonical: a file that needs no mapping", async () => {
    const { stdout } = await simulate("canonical", "--coding", "canonical", "--format", "json")
    expect(JSON.parse(stdout)).toEqual({
      kind: "hospital",
      rows: 120,
      seed: 7,
      coding: "canonical",
      folder: join(folder, "canonical"),
      files: ["records.csv", "mapping.yaml", "README.md"],
    })
    const file = join(folder, "canonical", "records.csv")
    expect((await consilium("data", "profile", "--file", file, "--schema", "cardiovascular")).code).toBe(0)
  })

  it("the same seed writes the same bytes, another seed others", async () => {
    const bytes = (out: string) => readFile(join(folder, out, "records.csv"), "utf8")
    await simulate("one")
    await simulate("two")
    await simulate("three", "--seed", "8")
    expect(await bytes("two")).toBe(await bytes("one"))
    expect(await bytes("three")).not.toBe(await bytes("one"))
  })

  it("refuses a folder with a file in the way, and changes nothing", async () => {
    await mkdir(join(folder, "taken"))
    await save("taken/mapping.yaml", "mine")
    expect(await refused("data", "simulate", "--out", join(folder, "taken"))).toBe("2 config/exists")
    expect(await readdir(join(folder, "taken"))).toEqual(["mapping.yaml"])
    // other files are nobody's business
    await mkdir(join(folder, "shared"))
    await save("shared/notes.txt", "mine")
    expect((await simulate("shared")).code).toBe(0)
  })

  it("refuses words that are none of its", async () => {
    expect(await refused("data", "simulate", "--out", join(folder, "x"), "--rows", "0")).toBe("2 error")
    expect(await refused("data", "simulate", "--out", join(folder, "x"), "--kind", "spa")).toBe("2 error")
    expect(await refused("data", "simulate")).toBe("2 error")
  })
})
