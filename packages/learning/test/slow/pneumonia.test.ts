import { readFileSync } from "node:fs"
import { loadavg } from "node:os"
import { join } from "node:path"
import { nextBatch, startCursor } from "@consilium/learning/batches"
import { accuracy, auc, balancedAccuracy } from "@consilium/learning/metrics"
import { networkShape } from "@consilium/learning/network/description"
import { floatsHash, GOLDEN_CNN } from "@consilium/learning/network/golden"
import { initialNetwork, type Network } from "@consilium/learning/network/network"
import { ADAM } from "@consilium/learning/network/optimiser"
import { networkPredictions } from "@consilium/learning/network/predict"
import { NetworkTrainer } from "@consilium/learning/network/trainer"
import { publicStream } from "@consilium/learning/public-stream"
import { augment } from "@consilium/records/images/augment"
import { readIdxImages } from "@consilium/records/images/idx"
import type { LabelledImages } from "@consilium/records/images/images"
import { normalise } from "@consilium/records/images/normalise"
import { describe, expect, it } from "vitest"

/**
 * Chosen on the validation split, by the mean AUC of the seeds 42, 43 and 44, before the test split was looked at. Means
 * over the seeds of what was tried, all with Adam and a cosine down to 0:
 *
 *     rate .003, shifted by 2 pixels                             .9949
 *     rate .003, shifted by 2 pixels, turned by 10 degrees       .9947
 *     rate .01, shifted by 2 pixels, turned by 10 degrees        .9937
 *     rate .01, unchanged                                        .9927
 *     rate .001, shifted by 2 pixels, turned by 10 degrees       .9923
 *
 * and, with seed 42 only: unchanged, rate .001: .9940, rate .003: .9932, the same with weight decay .01: .9935; momentum
 * .9 at rate .05: .9947; rate .01, shifted by 2 pixels: .9949.
 */
const SEED = "42"
const EPOCHS = 30
const BATCH = 32
const RATE = 0.003
const SHIFT = 2
const SCALE = { means: [0.5], deviations: [0.25] }

const folder = process.env.CONSILIUM_DATA
const why = folder === undefined ? " (skipped: CONSILIUM_DATA names no data folder)" : ""

const load = (name: string): LabelledImages => {
  const file = (what: string): Uint8Array =>
    new Uint8Array(readFileSync(join(folder as string, "pneumoniamnist", `${name}-${what}-ubyte`)))
  const images = file("images.idx3")
  return readIdxImages({ name, images, labels: file("labels.idx1") }, ["normal", "pneumonia"])
}

const train = (images: LabelledImages): Network => {
  const random = publicStream(SEED, "batches")
  const moves = publicStream(SEED, "moves")
  const targets = Float32Array.from(images.labels)
  const moved = () => ({
    rows: images.count,
    inputs: normalise(augment(images, { shift: SHIFT }, moves), SCALE).pixels,
    targets,
  })
  const steps = Math.ceil(images.count / BATCH)
  const trainer = new NetworkTrainer({
    network: initialNetwork(GOLDEN_CNN, publicStream(SEED, "initial")),
    examples: moved(),
    batchSize: BATCH,
    optimiser: ADAM,
    schedule: { kind: "cosine", rate: RATE, floor: 0, steps: EPOCHS * steps },
  })
  let cursor = startCursor()
  for (let epoch = 0; epoch < EPOCHS; epoch++) {
    if (epoch > 0) trainer.replaceExamples(moved())
    for (let step = 0; step < steps; step++) {
      const batch = nextBatch(cursor, images.count, BATCH, random)
      cursor = batch.cursor
      trainer.step(batch.indices)
    }
  }
  return trainer.network()
}

const score = (network: Network, images: LabelledImages) => {
  const inputs = normalise(images, SCALE).pixels
  const predictions = Float64Array.from(networkPredictions(network, images.count, inputs))
  const labels = Uint8Array.from(images.labels)
  return {
    auc: auc(predictions, labels) as number,
    accuracy: accuracy(predictions, labels) as number,
    balanced: balancedAccuracy(predictions, labels) as number,
  }
}

describe.skipIf(folder === undefined)(`PneumoniaMNIST, pooled${why}`, () => {
  it("a network of 1,649 parameters reaches AUC .93 and accuracy .83 on the test images in 30 epochs", () => {
    expect(networkShape(GOLDEN_CNN).parameters).toBe(1649)
    const images = load("train")
    const began = performance.now()
    const cpuBegan = process.cpuUsage()
    const network = train(images)
    const seconds = (performance.now() - began) / 1000
    const { user, system } = process.cpuUsage(cpuBegan)
    const cpu = ((user + system) / 1e6).toFixed(1)
    const [validation, test] = [score(network, load("val")), score(network, load("test"))]
    const line = (name: string, found: typeof test): string =>
      `${name}: AUC ${found.auc.toFixed(4)}, accuracy ${found.accuracy.toFixed(4)}, balanced ${found.balanced.toFixed(4)}`
    process.stdout.write(
      `PneumoniaMNIST, ${EPOCHS} epochs in ${seconds.toFixed(1)} s (${cpu} s of processor time, load ${loadavg()[0]?.toFixed(1)}), ` +
        `${line("validation", validation)}; ${line("test", test)}; parameters ${floatsHash(network.parameters)}\n`,
    )
    expect(floatsHash(network.parameters)).toBe(
      "dad6ccae9efeb4de51c7218060ba6d1ee921a40efdf699ecf6c8a02117d28195",
    )
    expect(test.auc).toBeGreaterThanOrEqual(0.93)
    expect(test.accuracy).toBeGreaterThanOrEqual(0.83)
  })
})
