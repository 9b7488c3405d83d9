import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { facilityFileSchema, policyOf } from "@consilium/node/config/role-files"
import { runInProcess } from "@consilium/node/in-process/federation"
import { prepare, type RawRecords } from "@consilium/node/local-records"
import { seededRoundSecret } from "@consilium/node/roles/round-secrets"
import { afterAll, describe, expect, it } from "vitest"
import { type DirectResult, trainDirectly } from "../src/demo/direct-training.js"
import { type DemoPlan, layOutInProcess } from "../src/demo/layout.js"
import { recordsOf } from "../src/demo/records.js"

const SEED = 11
const folder = mkdtempSync(join(tmpdir(), "consilium-direct-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const planOf = (changes: Partial<DemoPlan>): DemoPlan => ({
  study: "synthetic-heart",
  data: null,
  facilities: 3,
  fogs: 1,
  rounds: 3,
  seed: SEED,
  strategy: "fedavg",
  learningRate: 0.01,
  fineTuneSteps: 0,
  protection: "shamir",
  epsilon: null,
  ...changes,
})

/** The same study among facilities, with all its messages, and in one go. */
const both = async (changes: Partial<DemoPlan>) => {
  const layout = await layOutInProcess(
    join(folder, JSON.stringify(changes).replace(/\W/g, "")),
    planOf(changes),
  )
  const records = await recordsOf(layout)
  const { outcome } = await runInProcess({
    study: layout.study,
    places: layout.places,
    facilities: new Map(
      [...layout.facilities].map(([name, { file }]) => [
        name,
        { records: records.get(name) as RawRecords, policy: policyOf(facilityFileSchema.parse(file)) },
      ]),
    ),
    narrate: () => undefined,
    stop: new AbortController().signal,
  })
  const direct = trainDirectly(
    layout.study,
    [...records].map(([name, raw]) => ({ name, ...prepare(raw, layout.study) })),
    (facility, round) => seededRoundSecret(layout.study.name, SEED, facility, round),
  )
  return { outcome, direct }
}

const figures = ({ metrics, personal }: DirectResult) =>
  new Map(
    metrics.facilities.map(({ name, ...global }, i) => {
      const { name: _, ...own } = personal?.facilities[i] ?? { name }
      return [name, { global, personal: personal === null ? null : own }]
    }),
  )

describe("a study computed in one go", () => {
  it.each([
    { strategy: "fedavg" },
    { strategy: "fedprox" },
    { strategy: "scaffold" },
    { strategy: "ditto" },
    { strategy: "fedavgm" },
    { strategy: "fedadam" },
    { strategy: "fedyogi" },
    { strategy: "fedadagrad" },
    { strategy: "fedavg", fineTuneSteps: 20 },
    { strategy: "fedavg", epsilon: 8 },
    { strategy: "scaffold", epsilon: 8 },
  ] as const)("is that of a federation to the last bit of model and figures: %j", async (changes) => {
    const { outcome, direct } = await both(changes)
    expect(outcome.complete).toBe(true)
    expect(toHex(direct.hash)).toBe(outcome.modelHash)
    const found = figures(direct)
    for (const { name, global, personal } of outcome.facilities) {
      expect(found.get(name)?.global).toEqual({
        accuracy: global?.accuracy,
        balancedAccuracy: global?.balancedAccuracy,
        auc: global?.auc,
      })
      const own = found.get(name)?.personal ?? null
      expect(own === null).toBe(personal === null)
      if (own !== null) expect(own).toMatchObject({ accuracy: personal?.accuracy, auc: personal?.auc })
    }
  })

  it("gives every strategy another model, but ditto that of averaging", async () => {
    const hash = async (strategy: DemoPlan["strategy"]) =>
      toHex((await both({ strategy, rounds: 2 })).direct.hash)
    const hashes = await Promise.all((["fedavg", "scaffold", "ditto"] as const).map(hash))
    expect(hashes[2]).toBe(hashes[0])
    expect(hashes[1]).not.toBe(hashes[0])
  })
})
