import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { epsilonAfter, isPrivate } from "@consilium/federation/privacy-plan"
import { prepare, sidesOf } from "@consilium/node/local-records"
import { seededRoundSecret } from "@consilium/node/roles/round-secrets"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { trainDirectly } from "../../apps/cli/src/demo/direct-training.js"
import { type ImageModels, imageModels } from "../../apps/cli/src/demo/image-baselines.js"
import { imageReport, imageReportText } from "../../apps/cli/src/demo/image-report.js"
import { type DemoPlan, layOutInProcess } from "../../apps/cli/src/demo/layout.js"
import { type Records, recordsOf } from "../../apps/cli/src/demo/records.js"

/** The study of `demo --study pneumonia`, computed in one go: the same integers, sums and models as among processes. */
const data = process.env.CONSILIUM_DATA
const why = data === undefined ? " (skipped: CONSILIUM_DATA names no data folder)" : ""
const SEED = 42

let folder = ""
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "consilium-pneumonia-"))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const images = join(data ?? "", "pneumoniamnist")
const planOf = (epsilon: number | null): DemoPlan => ({
  study: "pneumonia",
  data: images,
  facilities: 5,
  fogs: 1,
  rounds: 20,
  seed: SEED,
  strategy: "fedavg",
  learningRate: undefined,
  fineTuneSteps: 0,
  protection: "ckks",
  epsilon,
})

let networks: ImageModels | null = null
const run = async (epsilon: number | null) => {
  const layout = await layOutInProcess(join(folder, String(epsilon)), planOf(epsilon))
  const { study } = layout
  const records: Records = await recordsOf(layout)
  const { parameters } = trainDirectly(
    study,
    [...records].map(([name, raw]) => ({ name, ...prepare(raw, study) })),
    (facility, round) => seededRoundSecret(study.name, SEED, facility, round),
  )
  const sides = new Map([...records].map(([name, raw]) => [name, sidesOf(raw, study)]))
  networks ??= imageModels(study, sides, SEED)
  const report = await imageReport(study, images, sides, networks, new Map([[study.rounds, parameters]]))
  process.stdout.write(`${imageReportText(report).join("\n")}\n`)
  return { study, report }
}

describe.skipIf(data === undefined)(`PneumoniaMNIST among five hospitals${why}`, () => {
  it("comes within 1.5 points of AUC of all images in one place, and beats hospitals by themselves", async () => {
    const { report } = await run(null)
    const { federated, pooled, localOnly } = report.test
    // the deal is as unlike as it was asked for: one hospital has over nine tenths of one class
    const shares = report.partition.map(
      ({ train: { normal, pneumonia } }) => Math.max(normal, pneumonia) / (normal + pneumonia),
    )
    expect(Math.max(...shares)).toBeGreaterThan(0.9)
    expect(report.partition.reduce((sum, { train }) => sum + train.normal + train.pneumonia, 0)).toBe(4708)
    expect(federated.auc).toBeGreaterThanOrEqual(0.93)
    expect(federated.accuracy).toBeGreaterThanOrEqual(0.83)
    expect(federated.auc as number).toBeGreaterThanOrEqual((pooled.auc as number) - 0.015)
    expect(federated.auc as number).toBeGreaterThan((localOnly.mean.auc as number) + 0.03)
  }, 900_000)

  it("reaches AUC .90 with epsilon 2 at each hospital", async () => {
    const { study, report } = await run(2)
    if (!isPrivate(study)) throw new Error("The study has no noise.")
    expect(epsilonAfter(study, study.rounds)).toBeLessThanOrEqual(2)
    expect(report.test.federated.auc).toBeGreaterThanOrEqual(0.9)
  }, 900_000)
})
