import { execFile } from "node:child_process"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { insecureSeededRandom } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import { attackedStudy, trainedIntegers, trainedUpdate } from "../src/audit/attacked-training.js"
import { auditCanaries, type Trained } from "../src/audit/canary-section.js"
import { isChance, withinPrivacy } from "../src/audit/figures.js"
import { heartRows, pick } from "../src/audit/heart-rows.js"
import { inversionSection } from "../src/audit/inversion-section.js"
import { pictureSection } from "../src/audit/picture-section.js"
import { type AuditOptions, allHold, type Section } from "../src/audit/section.js"
import { SumAmongFacilities } from "../src/audit/sum-among-facilities.js"

// seeded, so that no run fails by chance
const seeded = (seed: number): AuditOptions => ({
  data: process.env.CONSILIUM_DATA === undefined ? null : join(process.env.CONSILIUM_DATA, "heart-uci"),
  seed,
  trials: 200,
  random: (purpose) => insecureSeededRandom(seed, "audit", purpose),
  progress: () => undefined,
})
const row = ({ rows }: Section, id: string) => {
  const found = rows.find((one) => one.id === id)
  if (found === undefined) throw new Error(`No row is called ${id}.`)
  return found
}
const failing = ({ rows }: Section) => rows.filter(({ holds }) => holds === false).map(({ id }) => id)

describe("records and pictures out of updates", () => {
  it("[S25] without protection every feature is found to 1e-3; with noise no record is", async () => {
    const section = await inversionSection(seeded(1))
    expect(failing(section)).toEqual([])
    expect(Number(row(section, "inversion/unprotected").value)).toBeLessThan(1e-9)
    expect(row(section, "inversion/rounded").value).toContain("60 of 60")
    expect(Number(row(section, "inversion/private-error").value)).toBeGreaterThan(1)
    expect(row(section, "inversion/sum")).toMatchObject({ bound: null, holds: null })
  })

  it("[S25] pictures are found to the last shade without protection, and none with noise", async () => {
    const section = await pictureSection(seeded(2))
    expect(failing(section)).toEqual([])
    expect(row(section, "pictures/unprotected").value).toContain("20 of 20")
  })
})

/** The shipped training with another noise than the study declares. */
const withNoise =
  (share: number): Trained =>
  ({ study, ...work }) =>
    trainedUpdate({
      ...work,
      study: {
        ...study,
        privacy: { ...study.privacy, noiseMultiplier: share * study.privacy.noiseMultiplier },
      } as typeof study,
    })

describe("one training run with canaries", () => {
  it("[S25] betrays no more than is claimed", async () => {
    const section = await auditCanaries(seeded(3))
    expect(failing(section)).toEqual([])
    const bound = Number(row(section, "canaries/one-run").value)
    expect(bound).toBeGreaterThan(0.2)
    expect(bound).toBeLessThan(2)
  })

  it("[S25] betrays everything where the noise is switched off, and every row says so", async () => {
    const section = await auditCanaries(seeded(4), withNoise(1e-3))
    expect(failing(section)).toEqual(section.rows.map(({ id }) => id))
    expect(Number(row(section, "canaries/one-run").value)).toBeGreaterThan(4)
  })

  it("[S25] shows that half of the noise is missing", async () => {
    const found = failing(await auditCanaries(seeded(5), withNoise(0.5)))
    expect(found).toEqual(expect.arrayContaining(["canaries/profile", "canaries/noise"]))
  })
})

describe("what the leader holds", () => {
  it("is what facilities send: messages of other lengths for other protections, never the same twice", async () => {
    const random = insecureSeededRandom(6, "leader")
    const { names, examples } = await heartRows(null, random)
    const lengths = (["plain", "shamir", "masked", "ckks", "bfv"] as const).map((protection) => {
      const study = attackedStudy(
        { features: names, steps: 1, learningRate: 1, privacy: null, protection, facilities: 3 },
        random,
      )
      const values = trainedIntegers({ study, examples: pick(examples, [0]), random })
      const sums = new SumAmongFacilities(study, 3, random)
      const [one, other] = [sums.messageOf(values), sums.messageOf(values)]
      expect(one.length).toBe(other.length)
      expect(one.every((byte, i) => byte === other[i])).toBe(protection === "plain")
      return one.length
    })
    expect(Math.min(...lengths)).toBeGreaterThanOrEqual(4 * 14)
  })
})

describe("verdicts", () => {
  it("chance is shown by a narrow interval around 1/2, and by nothing else", () => {
    const of = (auc: number, low: number, high: number) =>
      isChance({ id: "x", what: "" }, { auc, interval: { low, high } }).holds
    expect(of(0.51, 0.42, 0.6)).toBe(true)
    expect(of(0.6, 0.52, 0.68)).toBe(false)
    expect(of(0.4, 0.32, 0.48)).toBe(false)
    expect(of(0.5, 0.2, 0.8)).toBe(false)
  })

  it("a rate holds as it was judged, and a section of told figures holds", () => {
    const verdict = {
      truePositiveRate: 0.3,
      falsePositiveRate: 0.2,
      atMost: 0.4,
      allowed: 0.35,
      holds: false,
    }
    expect(withinPrivacy({ id: "x", what: "" }, verdict)).toMatchObject({
      value: "TPR 0.300 (< 0.400) at FPR 0.200",
      bound: "<= 0.350",
      holds: false,
      confidence: 0.95,
    })
    const told = { id: "x", what: "", value: "1", bound: null, holds: null }
    expect(allHold([{ title: "", rows: [told] }])).toBe(true)
    expect(allHold([{ title: "", rows: [told, { ...told, holds: false }] }])).toBe(false)
  })
})

describe("consilium privacy audit", () => {
  const bin = fileURLToPath(new URL("../bin/consilium.js", import.meta.url))
  const audit = (...words: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
    new Promise((resolve) => {
      execFile(process.execPath, [bin, "privacy", "audit", ...words], (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
      )
    })

  it("refuses too few tries, which would show nothing, and a folder without data, before it attacks anything", async () => {
    const few = await audit("--trials", "5")
    expect(few).toMatchObject({ code: 2, stdout: "" })
    expect(few.stderr).toContain("A whole number from 200 on was expected.")
    const nowhere = await audit("--data", "/nowhere")
    expect(nowhere).toMatchObject({ stdout: "" })
    expect(nowhere.code).toBeGreaterThan(1)
    expect(nowhere.stderr).toContain("processed.cleveland.data is not there.")
  })
})
