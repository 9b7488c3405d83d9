import { insecureSeededRandom } from "@consilium/base/testing"
import { isNetwork, networkExamplesOf, networkLogits } from "@consilium/federation/network-training"
import type { Study } from "@consilium/federation/study"
import { startCursor } from "@consilium/learning/batches"
import type { Examples } from "@consilium/learning/data"
import { metricsOfLogits } from "@consilium/learning/metrics"
import { initialNetwork } from "@consilium/learning/network/network"
import { ADAM } from "@consilium/learning/network/optimiser"
import { trainNetwork } from "@consilium/learning/network/train-network"
import { scaledPixels } from "@consilium/node/image-records"
import type { Sides } from "@consilium/node/local-records"
import { joinRows, type LabelledRows } from "@consilium/records/rows"
import { type Baselines, constantRows, type Figures, rowOf } from "./baselines.js"

const EPOCHS = 30
const BATCH = 32
const RATE = 0.003

/** Networks that were trained where their images are, to compare a study's with. */
export interface ImageModels {
  readonly pooled: Float64Array
  readonly localOnly: ReadonlyMap<string, Float64Array>
}

/** The study's network on some images in one place: 30 epochs by Adam, the rate going down to 0 along a cosine. */
const train = (study: Study, rows: LabelledRows, seed: number, label: string): Float64Array => {
  if (!isNetwork(study)) throw new TypeError("The study trains no network.")
  const examples = networkExamplesOf(scaledPixels(rows, study))
  const steps = EPOCHS * Math.ceil(rows.rows / BATCH)
  const { network } = trainNetwork({
    network: initialNetwork(study.model.description, insecureSeededRandom(seed, "baseline", "initial")),
    examples,
    steps,
    batchSize: BATCH,
    optimiser: ADAM,
    schedule: { kind: "cosine", rate: RATE, floor: 0, steps },
    cursor: startCursor(),
    random: insecureSeededRandom(seed, "baseline", label),
  })
  return Float64Array.from(network.parameters)
}

export const imageModels = (
  study: Study,
  records: ReadonlyMap<string, Sides>,
  seed: number,
): ImageModels => ({
  pooled: train(study, joinRows([...records.values()].map((sides) => sides.train)), seed, "pooled"),
  localOnly: new Map([...records].map(([name, sides]) => [name, train(study, sides.train, seed, name)])),
})

/** How a model of a study does on rows whose pixels are scaled. */
export const imageFigures = (study: Study, parameters: Float64Array, rows: Examples): Figures => {
  if (!isNetwork(study)) throw new TypeError("The study trains no network.")
  const { accuracy, balancedAccuracy, auc } = metricsOfLogits(
    networkLogits(study, parameters, rows),
    rows.labels,
  )
  return { accuracy, balancedAccuracy, auc }
}

/** What the federated network is compared with on each hospital's own held-out images. */
export const imageBaselines = (
  study: Study,
  records: ReadonlyMap<string, Sides>,
  { pooled, localOnly }: ImageModels,
): Baselines => {
  const on = (of: (name: string) => Float64Array) =>
    rowOf(
      [...records].map(([name, { holdOut }]) => ({
        name,
        ...imageFigures(study, of(name), scaledPixels(holdOut, study)),
      })),
    )
  const everywhere = on(() => pooled)
  return {
    pooled: everywhere,
    pooledOneScale: everywhere,
    localOnly: on((name) => localOnly.get(name) as Float64Array),
    constant: constantRows(records),
  }
}
