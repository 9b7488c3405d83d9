/**
 * Encrypted inference, one thread, without a network: medians in milliseconds, and bytes.
 *
 *     npm run build
 *     npx rolldown packages/inference/bench/answers.ts --platform node --format esm --dir .consilium/bench
 *     node .consilium/bench/answers.js              (from the root of the tree; add --json for one line a number)
 */
import { insecureSeededRandom } from "@consilium/base/testing"
import { Asker } from "@consilium/inference/client/asker"
import { type CompiledModel, compile } from "@consilium/inference/compile/compile"
import type { ModelLayer, TrainedModel } from "@consilium/inference/model/model"
import { columnsOf, type InputField } from "@consilium/inference/schema/fields"
import type { Patient } from "@consilium/inference/schema/patient"
import { ModelServer } from "@consilium/inference/server/model-server"

const asJson = process.argv.includes("--json")
const random = insecureSeededRandom("bench")
const report = (id: string, value: number, unit: string): void => {
  if (asJson) console.log(JSON.stringify({ id, value, unit }))
  else console.log(`${id.padEnd(46)} ${value.toPrecision(4).padStart(12)} ${unit}`)
}
const median = <T>(id: string, work: () => T, runs = 101): T => {
  for (let i = 0; i < runs / 3; i++) work()
  let result = work()
  const times = Array.from({ length: runs }, () => {
    const start = performance.now()
    result = work()
    return performance.now() - start
  }).sort((a, b) => a - b)
  report(id, times[runs >> 1] as number, "ms")
  return result
}

const COLUMNS = 13
const HIDDEN = 16
const fields = Array.from(
  { length: COLUMNS },
  (_, i): InputField => ({ name: `f${i}`, type: "number", unit: "", range: [0, 100 * (i + 1)] }),
)
const schema = { fields, columns: columnsOf(fields) }
const scaling = {
  source: "declared",
  means: fields.map((_, i) => 50 * (i + 1)),
  deviations: fields.map((_, i) => 20 * (i + 1)),
} as const
const wave = (i: number): number => ((i * 37) % 23) / 23 - 0.5
const linear: TrainedModel = { kind: "linear", weights: fields.map((_, i) => wave(i)), bias: 0.1 }
const network: TrainedModel = {
  kind: "network",
  layers: [
    {
      kind: "dense",
      weights: Array.from({ length: HIDDEN }, (_, o) => fields.map((_, i) => wave(o * COLUMNS + i))),
      biases: Array.from({ length: HIDDEN }, (_, o) => wave(o)),
    },
    { kind: "square" },
    { kind: "dense", weights: [Array.from({ length: HIDDEN }, (_, o) => wave(o + 5))], biases: [0.1] },
  ],
}
/** As large as training within a range of 5 at activations makes them. */
const layerOf = (outputs: number, inputs: number, size: number): ModelLayer => ({
  kind: "dense",
  weights: Array.from({ length: outputs }, (_, o) =>
    Array.from({ length: inputs }, (_, i) => size * wave(o * inputs + i + 3)),
  ),
  biases: Array.from({ length: outputs }, (_, o) => wave(o + 7)),
})
const square: ModelLayer = { kind: "square" }
const deep: TrainedModel = {
  kind: "network",
  layers: [layerOf(16, COLUMNS, 0.4), square, layerOf(8, 16, 0.3), square, layerOf(1, 8, 2)],
}
const patientOf = (p: number): Patient =>
  Object.fromEntries(fields.map(({ name }, i) => [name, ((p * 31 + i * 17) % 100) * (i + 1)]))

const measure = (name: string, compiled: CompiledModel, count: number, runs: number): void => {
  const id = (what: string): string => `inference.${name}.${count}.${what}`
  const asker = new Asker(compiled.plan)
  const server = new ModelServer(compiled)
  const nonce = new Uint8Array(32)
  const { takesKey } = asker.prepared
  const key = takesKey ? median(id("new-key"), () => asker.newKey(nonce, random), runs) : undefined
  const upload = key?.upload
  const given =
    upload === undefined ? {} : { key: median(id("read-key"), () => server.readKey(nonce, upload), runs) }
  const patients = Array.from({ length: count }, (_, p) => patientOf(p))
  const options = key === undefined ? { random } : { key, random }
  const question = median(id("ask"), () => asker.ask(patients, options), runs)
  const answer = median(id("server"), () => server.answer(question.bytes, { ...given, random }), runs)
  // a key of one use opens once: so many pairs are made beforehand
  const pairs = Array.from({ length: 2 * runs }, () => {
    const made = asker.ask(patients, options)
    const reply = server.answer(made.bytes, { ...given, random })
    return () => made.open(reply)
  })
  median(id("open"), () => (pairs.pop() as () => unknown)(), runs)
  report(id("bytes-up"), question.bytes.length, "B")
  report(id("bytes-down"), answer.length, "B")
  if (upload !== undefined) report(id("bytes-key"), upload.length, "B")
  report(id("error-bound"), compiled.plan.errorBound, "logits")
}

const named = { model: "bench", version: "1", scaling }
const shared = compile(linear, schema, named)
measure("linear-shared", shared, 1, 301)
measure("linear-shared", shared, 128, 101)
measure("linear-kept", compile(linear, schema, { ...named, weights: "kept" }), 1, 101)
const squares = compile(network, schema, named)
measure("network", squares, 1, 21)
measure("network", squares, 2048, 21)
measure("features", compile(network, schema, { ...named, packing: "slots-by-feature" }), 1, 21)
const layers = compile(deep, schema, named)
measure("features-deep", layers, 1, 21)
measure("features-deep", layers, layers.plan.patients, 21)
median("inference.linear-shared.compile", () => compile(linear, schema, named), 11)
median("inference.network.compile", () => compile(network, schema, named), 5)
median("inference.features-deep.compile", () => compile(deep, schema, named), 5)
