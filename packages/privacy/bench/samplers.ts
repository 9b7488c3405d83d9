/**
 * Samples per second of the exact samplers, one thread, median of 7; and whether the time of the fast one tells anything
 * of what it draws, beside a sampler that is known to leak.
 *
 *     npm run build
 *     npx rolldown packages/privacy/bench/samplers.ts --platform node --format esm --dir .consilium/bench
 *     node .consilium/bench/samplers.js          (from the root of the tree; add --json for one line a number)
 */
import { execFileSync } from "node:child_process"
import { fromHex } from "@consilium/base/bytes"
import { newSecretKey, PrfStream } from "@consilium/base/random"
import { discreteGaussian } from "@consilium/privacy/discrete-gaussian"
import { discreteLaplace } from "@consilium/privacy/discrete-laplace"
import { DpOptimizer } from "@consilium/privacy/dp-optimizer"
import { FastDiscreteGaussian } from "@consilium/privacy/fast-discrete-gaussian"
import { halfGaussianTables } from "@consilium/privacy/half-gaussian-table"
import { compileWasm, instantiateWasm } from "@consilium/privacy/platform"
import { rational } from "@consilium/privacy/rational"
import { RdpAccountant } from "@consilium/privacy/rdp"
import { skellam } from "@consilium/privacy/skellam"
import { sumRelease } from "@consilium/privacy/sum-release"

const asJson = process.argv.includes("--json")
const report = (id: string, value: number, unit: string): void => {
  if (asJson) console.log(JSON.stringify({ id, value, unit }))
  else console.log(`${id.padEnd(46)} ${value.toPrecision(4).padStart(12)} ${unit}`)
}
const random = (): PrfStream => new PrfStream(newSecretKey(), "bench")

const rate = (id: string, count: number, draw: (count: number) => unknown): void => {
  draw(count)
  const rates = Array.from({ length: 7 }, () => {
    const start = performance.now()
    draw(count)
    return count / ((performance.now() - start) / 1000)
  }).sort((a, b) => a - b)
  report(id, rates[3] as number, "samples/s")
}

for (const sigma of [1.7, 40, 1024, 1e6]) {
  const name = sigma === 1e6 ? "1e6" : String(sigma)
  const fast = new FastDiscreteGaussian(sigma * sigma, random())
  rate(`privacy.discrete-gaussian.${name}`, 500_000, (count) => fast.numbers(count))
  rate(`privacy.discrete-gaussian-reference.${name}`, 20_000, (count) =>
    discreteGaussian(sigma * sigma, count, random()),
  )
}
const integers = new FastDiscreteGaussian(2 ** 20, random())
rate("privacy.discrete-gaussian-integers.1024", 500_000, (count) => integers.samples(count))
rate("privacy.discrete-laplace.1024", 20_000, (count) => discreteLaplace(1024, count, random()))
rate("privacy.skellam.1024", 50_000, (count) => skellam(2 ** 20, count, random()))

const start = performance.now()
for (let i = 0; i < 100; i++) new FastDiscreteGaussian(2 ** 20 + i, random())
report("privacy.discrete-gaussian.set-up", (performance.now() - start) / 100, "ms")

const dimension = 1649
const rows = Array.from({ length: 64 }, (_, r) =>
  Float64Array.from({ length: dimension }, (_, i) => Math.sin(r * dimension + i)),
)
const optimizer = new DpOptimizer({
  noiseMultiplier: 1.1,
  maxGradNorm: 1,
  sampleRate: 1,
  datasetSize: rows.length,
  dimension,
  learningRate: 0.1,
  random: random(),
  accountant: new RdpAccountant(),
})
rate("privacy.dp-sgd.noisy-clipped-rows", 64 * 50, (count) => {
  for (let i = 0; i < count / 64; i++) {
    optimizer.nextBatch()
    optimizer.noisyClippedSum(rows)
  }
})

// clipping alone, without noise: what it costs to bound a row and put it on the grid
const flatRows = { noiseMultiplier: 1.1, maxGradNorm: 1, dimension }
const layers = [
  { size: 1600, maxNorm: 0.8 },
  { size: 49, maxNorm: 0.6 },
]
const rule = { targetQuantile: 0.5, learningRate: 0.2, minimum: 0.01, maximum: 100 }
for (const [name, release] of [
  ["flat", sumRelease(flatRows)],
  ["per-layer", sumRelease({ ...flatRows, clipping: { type: "per-layer", layers } })],
  ["adaptive", sumRelease({ ...flatRows, clipping: { type: "adaptive", rule, countSigma: 5 } })],
  ["l1", sumRelease({ ...flatRows, mechanism: "laplace" })],
] as const)
  rate(`privacy.clipping.${name}`, 64 * 50, (count) => {
    for (let i = 0; i < count / 64; i++) release.sum(rows, 1)
  })

/**
 * Timing, after Reparaz, Balasch and Verbauwhede 2017 ("dude, is my code constant time?"): two classes of input are run in
 * random order, and Welch's t of their times, slowest tenth cut off, says whether they differ. Above 10 they surely do. Of three runs the
 * smallest counts: what the machine's other work does to one run does not come again.
 */
interface Timed {
  readonly memory: { readonly buffer: ArrayBuffer }
  tablePointer(): number
  nextStream(): number
  configure(...numbers: readonly (number | bigint)[]): void
  replay(random: number, times: number): number
  leakyReplay(random: number, times: number): bigint
}
const never = (): never => {
  throw new Error("a draw of the timing bench lies on a boundary")
}
const control = instantiateWasm<Timed>(
  compileWasm(
    fromHex(
      execFileSync("node", ["packages/privacy/assembly/build.mjs", "--print", "leaky-control.ts"], {
        encoding: "utf8",
      }),
    ),
  ),
  { "discrete-gaussian": { refineBase: never, refineAccept: never } },
)
const sigma0Squared = rational(16n)
const all = halfGaussianTables(sigma0Squared)(64).thresholds.filter((t) => t < (1n << 64n) - (1n << 20n))
const thresholds = all.slice(0, all.length - (all.length % 2))
new BigUint64Array(control.memory.buffer, control.tablePointer(), thresholds.length).set(thresholds)
const farthest = ((thresholds.at(-2) as bigint) + (thresholds.at(-1) as bigint)) / 2n
// k = 256, sigma = 1,024
control.configure(thresholds.length, 256n, 0n, ((1n << 72n) - 1n) / 256n, 8n, (1n << 66n) / 16n, 3, 64n)

const stream = control.nextStream()
const words = new BigUint64Array(control.memory.buffer, stream, 128)
/** Every class of input does the same work before it is timed, so that no class finds the caches as another left them. */
const noise = random()
const candidates = (draw?: bigint, uniform?: bigint, coin?: bigint) => (): void => {
  const fresh = new DataView(noise.bytes(1024).buffer)
  for (let i = 0; i < 128; i += 4) {
    const [a, b, c] = [0, 8, 16].map((at) => fresh.getBigUint64(8 * i + at)) as [bigint, bigint, bigint]
    // none at or beyond the end of the table, where draws would be refined
    words.set([draw ?? a % farthest, uniform ?? b, coin ?? c, 0n], i)
  }
}
const small = candidates(1000n, 0n, 1n << 20n)
const large = candidates(farthest, (1n << 64n) - 1n, 1n << 20n)
const mixed = candidates()
const refused = candidates(farthest, (1n << 64n) - 1n, (1n << 64n) - 2n)

const onceWelch = (run: () => unknown, first: () => void, second: () => void): number => {
  const times: [number[], number[]] = [[], []]
  const order = new PrfStream(newSecretKey(), "order").bytes(8000)
  for (const byte of order) {
    const which = (byte & 1) as 0 | 1
    ;[first, second][which]?.()
    const before = performance.now()
    run()
    times[which].push(performance.now() - before)
  }
  const moments = times.map((all) => {
    const kept = all
      .slice(200)
      .sort((a, b) => a - b)
      .slice(0, Math.floor(0.9 * (all.length - 200)))
    const mean = kept.reduce((sum, x) => sum + x, 0) / kept.length
    const variance = kept.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (kept.length - 1)
    return { mean, error: variance / kept.length }
  }) as [{ mean: number; error: number }, { mean: number; error: number }]
  return Math.abs(moments[0].mean - moments[1].mean) / Math.sqrt(moments[0].error + moments[1].error)
}
const welch = (run: () => unknown, first: () => void, second: () => void): number =>
  Math.min(...[1, 2, 3].map(() => onceWelch(run, first, second)))
const kernel = (): number => control.replay(stream, 10)
report("privacy.timing.small-against-large", welch(kernel, small, large), "t, is silent below 10")
report("privacy.timing.kept-against-refused", welch(kernel, large, refused), "t, is silent below 10")
report("privacy.timing.large-against-random", welch(kernel, large, mixed), "t, is silent below 10")
report("privacy.timing.same-against-same", welch(kernel, small, small), "t, is silent below 10")
report(
  "privacy.timing.leaky-control",
  welch(() => control.leakyReplay(stream, 10), small, large),
  "t, must be above 10",
)
