/**
 * Samples per second of the engine, one thread, as one line of JSON a number.
 *
 *     npm run build
 *     node packages/learning/bench/engine.mjs [--quick]
 *
 * Each figure is the median of 7 rounds after a warm-up; plain and clipped training take turns, so that a busy machine
 * slows both. Batches are drawn from examples in the engine's memory; the copying of rows is part of the time.
 */

import { GEMM_SCRATCH } from "@consilium/learning/kernel/kernel"
import { wasmKernel } from "@consilium/learning/kernel/wasm-kernel"
import { arbitraryExamples, GOLDEN_CNN, GOLDEN_LR, GOLDEN_MLP } from "@consilium/learning/network/golden"
import { initialNetwork } from "@consilium/learning/network/network"
import { NetworkTrainer } from "@consilium/learning/network/trainer"
import { publicStream } from "@consilium/learning/public-stream"

const quick = process.argv.includes("--quick")
const WARM_UP = quick ? 200 : 3000
const ROUND = quick ? 60 : 500
const ROUNDS = 7

const report = (id, value, unit) => process.stdout.write(`${JSON.stringify({ id, value, unit })}\n`)
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1]
const timed = (milliseconds, run) => {
  const start = performance.now()
  let count = 0
  while (performance.now() - start < milliseconds) {
    run()
    count++
  }
  return (1000 * count) / (performance.now() - start)
}
/** Runs per second of each, in turns. */
const rates = (runs) => {
  for (const run of runs) timed(WARM_UP, run)
  const found = runs.map(() => [])
  for (let round = 0; round < ROUNDS; round++)
    runs.forEach((run, i) => {
      found[i].push(timed(ROUND, run))
    })
  return found.map(median)
}

const stepOf = (description, batchSize, clipNorm) => {
  const rows = batchSize * 16
  const network = initialNetwork(description, publicStream("bench", "initial"))
  const trainer = new NetworkTrainer({
    network,
    examples: arbitraryExamples(description, rows, publicStream("bench", "rows")),
    batchSize,
    optimiser: { kind: "sgd" },
    schedule: { kind: "constant", rate: 0.001 },
    ...(clipNorm === undefined ? {} : { clipNorm }),
  })
  const batches = Array.from({ length: 16 }, (_, b) =>
    Uint32Array.from({ length: batchSize }, (_, i) => (i * 7919 * 16 + b * 31) % rows),
  )
  let next = 0
  return () => trainer.step(batches[next++ % 16])
}

for (const [name, description, batchSize] of [
  ["lr-64", GOLDEN_LR, 256],
  ["mlp-64-64-32-1", GOLDEN_MLP, 256],
  ["cnn-28x28", GOLDEN_CNN, 64],
]) {
  const [plain, clipped] = rates([stepOf(description, batchSize), stepOf(description, batchSize, 1)])
  report(`learning.${name}.sgd`, plain * batchSize, "samples/s")
  report(`learning.${name}.clipped`, clipped * batchSize, "samples/s")
  report(`learning.${name}.clipping-cost`, plain / clipped, "times SGD")
}

for (const [m, n, k] of [
  [64, 64, 64],
  [256, 256, 256],
  [121, 16, 72],
]) {
  const kernel = wasmKernel(4 * (m * k + k * n + m * n) + GEMM_SCRATCH + 1024)
  const a = 64
  const b = a + 4 * m * k
  const c = b + 4 * k * n
  const scratch = c + 4 * m * n
  kernel.floats.fill(0.5, 16, scratch / 4)
  const [perSecond] = rates([() => kernel.gemm(m, n, k, a, k, 1, b, n, 1, c, n, 0, 0, scratch)])
  report(`learning.gemm.${m}x${n}x${k}`, 2e-9 * m * n * k * perSecond, "Gop/s")
}
{
  const size = 256
  const kernel = wasmKernel(2 * 4 * size * size + 4 * size * size + 1024)
  const [perSecond] = rates([
    () =>
      kernel.integerGemm(
        size,
        size,
        size,
        64,
        size,
        1,
        64,
        size,
        1,
        64 + 2 * size * size,
        size,
        64 + 6 * size * size,
      ),
  ])
  report(`learning.integer-gemm.${size}`, 2e-9 * size ** 3 * perSecond, "Gop/s")
}
