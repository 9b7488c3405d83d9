import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import type { Study } from "@consilium/federation/study"
import { CARDIOVASCULAR_FEATURES } from "@consilium/records/cardiovascular/features"
import { CARDIOVASCULAR_SCHEMA } from "@consilium/records/cardiovascular/schema"
import { preparedFeatures } from "@consilium/records/missing"
import { afterAll, beforeAll, expect, it } from "vitest"
import { facilityFileSchema, policyOf } from "../src/config/role-files.js"
import { seededNonce, studyFileSchema, studyOf } from "../src/config/study-file.js"
import { mappingFileText } from "../src/config/table-files.js"
import { runInProcess } from "../src/in-process/federation.js"
import { readRecords } from "../src/local-records.js"
import { csvOf, NAMES, parquetOf, type Visit, visitsOf } from "./table-visits.js"

// A whole study on tables: however each hospital's file says it, the model is the same to the last bit.

let folder = ""
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "consilium-table-study-"))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const SITES = ["north", "south", "east"] as const
const VISITS = new Map(SITES.map((site) => [site, visitsOf(site, 90)]))

const file = studyFileSchema.parse({
  name: "events",
  nonce: seededNonce("events", 1),
  model: {
    kind: "logistic-regression",
    features: [...preparedFeatures(CARDIOVASCULAR_SCHEMA, CARDIOVASCULAR_FEATURES, "indicator")],
  },
  training: { steps: 20, learning_rate: 0.05 },
  server: {},
  rounds: 2,
  protection: "plain",
  deadlines: { collect: 3600, answer: 3600 },
  data: { schema: "cardiovascular", missing: "indicator" },
  insecure_seed: 1,
  synthetic_data: true,
  participants: [
    { name: "leader", role: "leader" },
    { name: "fog", role: "fog", parent: "leader" },
    ...SITES.map((name) => ({ name, role: "facility" as const, parent: "fog" })),
  ],
})
const STUDY = studyOf(file)

type Source = { readonly file: string; readonly mapping: string | null }
const save = async (name: string, content: string | Uint8Array): Promise<string> => {
  await writeFile(join(folder, name), content)
  return name
}

/** The model of the study where each site's records are those. */
const modelOf = async (sources: ReadonlyMap<string, Source>, study: Study = STUDY) => {
  const facilities = new Map(
    await Promise.all(
      [...sources].map(async ([name, source]) => {
        const config = facilityFileSchema.parse({
          records: { format: "table", schema: "cardiovascular", ...source },
          policy: { protections: ["plain"], insecure_seed: true, metrics: "exact" },
        })
        const records = await readRecords(name, join(folder, "facility.yaml"), config)
        return [name, { records, policy: policyOf(config) }] as const
      }),
    ),
  )
  const { outcome, model } = await runInProcess({
    study,
    places: file.participants,
    facilities,
    narrate: () => undefined,
    stop: new AbortController().signal,
  })
  return {
    complete: outcome.complete,
    rounds: outcome.rounds.map(({ participants }) => participants),
    model: toHex(model),
  }
}

/** A site's own export: other names, other codes, another word for what is missing, and a column nobody asked for. */
const ownWords = async (visits: readonly Visit[]): Promise<Source> => {
  const codes = { Frau: "female", Mann: "male" }
  const at = { sex: NAMES.indexOf("sex"), event: NAMES.indexOf("event") }
  const header = [...NAMES.map((name) => (name === "origin" ? name : `X_${name.toUpperCase()}`)), "Station"]
  const rows = visits.map((visit) => [
    ...visit.map((value, i) => {
      if (i === at.sex) return value === "female" ? "Frau" : "Mann"
      if (i === at.event) return value === "1" ? "J" : "N"
      return value ?? "k. A."
    }),
    "3B",
  ])
  const columns = NAMES.filter((name) => name !== "origin").map((column) => ({
    column,
    from: `x_${column}`,
    ...(column === "sex" ? { codes } : {}),
    ...(column === "event" ? { codes: { J: "yes", N: "no" } } : {}),
    missing: ["k. A."],
  }))
  return {
    file: await save("own.csv", csvOf(rows, header)),
    mapping: await save("own.yaml", mappingFileText({ columns })),
  }
}

it("trains on tables whose values are missing, and on the same model whatever a site's file looks like", async () => {
  const visits = (site: (typeof SITES)[number]): readonly Visit[] => VISITS.get(site) as readonly Visit[]
  const plain = new Map<string, Source>()
  for (const site of SITES)
    plain.set(site, { file: await save(`${site}.csv`, csvOf(visits(site))), mapping: null })
  const mixed = new Map<string, Source>([
    ["north", await ownWords(visits("north"))],
    ["south", { file: await save("south.parquet", parquetOf(visits("south"))), mapping: null }],
    ["east", plain.get("east") as Source],
  ])
  const one = await modelOf(plain)
  expect(one).toMatchObject({ complete: true, rounds: [SITES, SITES].map((sites) => [...sites].sort()) })
  expect(await modelOf(mixed)).toEqual(one)
  // other constants are another study, and another model
  const constants = STUDY.data?.constants.map((one_) =>
    one_.type === "number" && one_.column === "bmi" ? { ...one_, value: 22 } : one_,
  )
  const other = await modelOf(plain, {
    ...STUDY,
    data: { ...(STUDY.data as NonNullable<Study["data"]>), constants: constants ?? [] },
  })
  expect(other.complete).toBe(true)
  expect(other.model).not.toBe(one.model)
})
