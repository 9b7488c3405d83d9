import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { insecureSeededRandom } from "@consilium/base/testing"
import { HEART_DECLARED_STANDARDISER, HEART_FEATURES } from "@consilium/records/heart-schema"
import type { LabelledRows } from "@consilium/records/rows"
import { syntheticHeart } from "@consilium/records/synthetic-heart"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { testStudy } from "../../federation/test/members.js"
import { type FacilityFileInput, facilityFileSchema } from "../src/config/role-files.js"
import { studyPrivacyOf, studyPrivacySchema } from "../src/config/study-privacy.js"
import { prepare, readRecords } from "../src/local-records.js"

const features = HEART_FEATURES.map(({ name }) => name)
const study = {
  model: { kind: "logistic-regression" as const, features },
  data: null,
  privacy: studyPrivacyOf(
    studyPrivacySchema.parse({ epsilon: 1, noise_multiplier: 10, calibrate: false }),
    testStudy(4, { model: { features }, training: { steps: 1 }, rounds: 1 }),
  ),
}
const SYNTHETIC = syntheticHeart({ profile: "clinic", rows: 300, random: insecureSeededRandom("rows") })

let folder = ""
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "consilium-records-"))
})
afterAll(() => rm(folder, { recursive: true, force: true }))
let files = 0
const read = async (text: string, options: Partial<FacilityFileInput["records"]> = {}) => {
  const file = `${files++}.csv`
  await writeFile(join(folder, file), text)
  const records = { format: "heart-csv" as const, file, ...options } as FacilityFileInput["records"]
  return readRecords("clinic", join(folder, "facility.yaml"), facilityFileSchema.parse({ records }))
}
/** Each row with its label, as text. */
const rowsOf = ({ rows, columns, features: values, labels }: LabelledRows): readonly string[] =>
  Array.from({ length: rows }, (_, i) =>
    [...values.subarray(i * columns, (i + 1) * columns), labels[i]].join(),
  )

describe("rows for a study with differential privacy", () => {
  it("are scaled by the declared constants alone", async () => {
    const raw = await read(SYNTHETIC)
    const prepared = prepare(raw, study)
    const { means, deviations } = HEART_DECLARED_STANDARDISER
    const age = (raw.independent.train.features[0] as number) - (means[0] as number)
    expect(prepared.train.features[0]).toBeCloseTo(age / (deviations[0] as number), 8)
    expect(prepared).toMatchObject({ preparation: "declared", patients: raw.independent.train.patients })
    expect(prepare(raw).preparation).toBe("own-statistics")
  })

  it("have every patient on a side that nobody else decides", async () => {
    const before = (await read(SYNTHETIC)).independent
    const lines = SYNTHETIC.trimEnd().split("\n")
    // without the first 50 patients the others stay where they are
    const after = (await read([lines[0], ...lines.slice(51)].join("\n"))).independent
    const held = new Set(rowsOf(before.holdOut))
    const trained = new Set(rowsOf(before.train))
    expect(rowsOf(after.holdOut).every((row) => held.has(row))).toBe(true)
    expect(rowsOf(after.train).every((row) => trained.has(row))).toBe(true)
    expect([...held].some((row) => trained.has(row))).toBe(false)
    expect(before.train.rows + before.holdOut.rows).toBe(300)
    // 34 % of 300, within five standard deviations
    expect(Math.abs(before.holdOut.rows - 102)).toBeLessThan(41)
    const shuffled = new Set(rowsOf((await read(SYNTHETIC)).holdOut))
    const reshuffled = rowsOf((await read([lines[0], ...lines.slice(51)].join("\n"))).holdOut)
    expect(reshuffled.every((row) => shuffled.has(row))).toBe(false)
  })

  it("may not come from a file whose coding was judged from all rows; told codings may", async () => {
    const lines = SYNTHETIC.trimEnd().split("\n")
    const real = lines.map((line) => line.slice(line.indexOf(",") + 1)).join("\n")
    expect(prepare(await read(real), study).preparation).toBe("own-statistics")
    expect(prepare(await read(real, { coding: "uci" }), study).preparation).toBe("own-statistics")
    expect(prepare(await read(real, { coding: "uci", target: "disease" }), study).preparation).toBe(
      "declared",
    )
  })
})
