import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { insecureSeededRandom } from "@consilium/base/testing"
import { compile } from "@consilium/inference/compile/compile"
import { evaluateEncrypted } from "@consilium/inference/evaluation/evaluation"
import { PatientReader } from "@consilium/inference/schema/patient"
import { loadHeartCsv } from "@consilium/records/heart-csv"
import { syntheticHeart } from "@consilium/records/synthetic-heart"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { CORNERS, cornerPatients } from "../src/infer/corner-patients.js"
import { barsOf } from "../src/infer/evaluation-bars.js"
import { HEART_INPUTS, HEART_SCALING } from "../src/infer/heart-model.js"
import { patientsOfRows } from "../src/infer/row-patients.js"
import { consilium } from "./in-process.js"

const reader = new PatientReader(HEART_INPUTS)

describe("patients of an evaluation", () => {
  it("say of a row what the row says: their columns are the row's", () => {
    const csv = syntheticHeart({ profile: "hospital", rows: 200, random: insecureSeededRandom(3) })
    const { rows } = loadHeartCsv("heart.csv", csv)
    const patients = patientsOfRows(HEART_INPUTS, rows)
    expect(patients).toHaveLength(rows.rows)
    patients.forEach((patient, at) => {
      const row = rows.features.subarray(at * rows.columns, (at + 1) * rows.columns)
      expect(reader.columns(patient)).toEqual(row)
    })
  })

  it("stand at the ends of every declared range, all lowest and all highest among them", () => {
    const corners = cornerPatients(HEART_INPUTS)
    expect(corners).toHaveLength(CORNERS)
    const numeric = HEART_INPUTS.fields.flatMap(({ name, type }) => (type === "number" ? [name] : []))
    const places = HEART_INPUTS.columns.flatMap(({ field }, at) => (numeric.includes(field) ? [at] : []))
    const ends = corners.map((patient) => places.map((at) => reader.units(patient)[at]))
    expect(ends[0]).toEqual(places.map(() => -1))
    expect(ends[1]).toEqual(places.map(() => 1))
    for (const units of ends) for (const unit of units) expect(Math.abs(unit as number)).toBe(1)
    expect(new Set(corners.map((patient) => JSON.stringify(patient))).size).toBeGreaterThan(10)
    expect(cornerPatients(HEART_INPUTS)).toEqual(corners)
  })
})

describe("the bars", () => {
  const weights = HEART_INPUTS.columns.map((_, i) => 0.1 * i - 0.5)
  const { plan } = compile({ kind: "linear", weights, bias: 0.1 }, HEART_INPUTS, {
    model: "heart",
    version: "1",
    scaling: HEART_SCALING,
  })
  const evaluation = evaluateEncrypted(
    {
      plainLogits: Float64Array.of(-1, 1),
      encryptedLogits: Float64Array.of(-1 + 2 ** -20, 1),
      labels: Uint8Array.of(0, 1),
      requests: [{ latencyMs: 4, upBytes: 13_384, downBytes: 26_696 }],
      keyBytes: 0,
    },
    null,
  )
  const extremes = { n: 2, maxLogitError: 1e-6, classAgreement: 1 }
  const failing = (changed: object) =>
    barsOf({ plan, network: false, evaluation, extremes, timed: true, ...changed }).flatMap(
      ({ id, holds }) => (holds ? [] : [id]),
    )

  it("hold for a model that keeps them", () => {
    expect(failing({})).toEqual([])
  })
  it("count the extremes, and what the plan proves", () => {
    expect(failing({ extremes: { ...extremes, classAgreement: 0.5 } })).toEqual(["class-agreement"])
    expect(failing({ extremes: { ...extremes, maxLogitError: 0.002 } })).toEqual([
      "logit-error",
      "logit-error-proven",
    ])
    expect(failing({ evaluation: { ...evaluation, maxLogitError: 9e-4 } })).toEqual(["logit-error-proven"])
  })
  it("are about time only where that was measured as the bar says", () => {
    const slow = { ...evaluation, latencyMs: { p50: 5.1, p95: 9 } }
    expect(failing({ evaluation: slow })).toEqual(["latency-p50"])
    expect(failing({ evaluation: slow, network: true })).toEqual([])
    expect(failing({ evaluation: slow, timed: false })).toEqual([])
  })
  it("allow a plan without keys none, and no large request", () => {
    expect(failing({ evaluation: { ...evaluation, bytes: { up: 20_000, down: 1, keys: 1 } } })).toEqual([
      "upload",
      "keys",
    ])
  })
})

describe("consilium infer evaluate", () => {
  let folder = ""
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "consilium-evaluate-"))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it.each([
    [["--model", "lr"], "There are no rows to read."],
    [["--model", "lr", "--server", "https://x", "--simulate", "50"], "--model lr is trained here"],
    [["--model", "heart", "--models", "x", "--simulate", "50"], 'Nothing is known of "heart"'],
    [["--model", "nn", "--weights", "kept", "--simulate", "90"], "Weights of networks cannot be kept."],
    [["--model", "lr", "--simulate", "60", "--n", "50"], "50 patients are asked for; 20 are held out."],
    [["--model", "lr", "--ca", "ca.pem", "--simulate", "60"], "--token-file and --ca are for --server."],
    [
      ["--model", "h", "--trained", "m", "--server", "https://x", "--packets", "p", "--simulate", "60"],
      "What goes to a server elsewhere is not recorded.",
    ],
    [
      ["--model", "h", "--trained", "m", "--server", "https://x", "--answers", "9", "--simulate", "60"],
      "--answers is for a server that is started here.",
    ],
    [
      ["--model", "h", "--trained", "m", "--server", "u", "--models", "x", "--simulate", "60"],
      "--server and --models do not go together.",
    ],
    [
      ["--model", "h", "--trained", "m", "--models", "x", "--weights", "kept", "--simulate", "60"],
      "--weights and --packing are for a model that is compiled here.",
    ],
  ])("refuses %j before anything is started", async (words, message) => {
    const { code, stdout, stderr } = await consilium("infer", "evaluate", ...words)
    expect([code, stdout]).toEqual([2, ""])
    expect(stderr).toContain(message)
  })

  it("says where a model's file is not", async () => {
    const { code, stderr } = await consilium(
      ...["infer", "evaluate", "--model", "h", "--trained", join(folder, "none"), "--simulate", "60"],
    )
    expect([code, stderr.split(":")[0]]).toEqual([6, "inference/missing-file"])
  })
})
