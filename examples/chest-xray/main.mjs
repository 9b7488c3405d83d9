// Five hospitals train one network on X-ray images that none of them shows. Run it with `npm run example -- chest-xray`, or
// with `-- --data DIR` on PneumoniaMNIST.
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { toHex } from "@consilium/base/bytes"
import { newSecretKey, systemRandom } from "@consilium/base/random"
import { insecureSeededRandom } from "@consilium/base/testing"
import { startLocalState } from "@consilium/federation/local-state"
import { initialModel, modelParameters } from "@consilium/federation/model"
import { DEFAULT_POLICY } from "@consilium/federation/policy"
import { fineTune, measure } from "@consilium/federation/training"
import { studyFileSchema, studyOf } from "@consilium/node/config/study-file"
import { scaledPixels } from "@consilium/node/image-records"
import { runInProcess } from "@consilium/node/in-process/federation"
import { dealByClass } from "@consilium/records/deal-by-class"
import { readIdxImages } from "@consilium/records/images/idx"
import { selectImages } from "@consilium/records/images/images"

const { data } = parseArgs({ options: { data: { type: "string" } } }).values
const CLASSES = ["normal", "pneumonia"]
const HOSPITALS = ["north", "south", "east", "west", "centre"]
const say = (line) => process.stdout.write(`${line}\n`)

/** PneumoniaMNIST as published: 28 x 28 grey pixels. */
const published = (part) => {
  const file = (what) => new Uint8Array(readFileSync(join(data, `${part}-${what}-ubyte`)))
  const files = { name: part, images: file("images.idx3"), labels: file("labels.idx1") }
  return readIdxImages(files, CLASSES)
}

/** Made-up pictures: two dark fields on grey, one of them clouded where the label says so. No lung looks like this. */
const madeUp = (part, count, side = 16) => {
  const random = insecureSeededRandom(part, "pictures")
  const draw = () => random.bytes(1)[0] / 255
  const labels = Uint16Array.from({ length: count }, () => (draw() < 0.6 ? 1 : 0))
  const pixels = new Float32Array(count * side * side)
  for (let i = 0; i < count; i++) {
    const cloud = { x: 2 + draw() * 11, y: 5 + draw() * 8, thick: labels[i] * (0.15 + 0.35 * draw()) }
    for (let at = 0; at < side * side; at++) {
      const [x, y] = [at % side, Math.floor(at / side)]
      const field = y > 2 && y < 14 && ((x > 1 && x < 7) || (x > 8 && x < 14))
      const near = Math.max(0, 1 - Math.hypot(x - cloud.x, y - cloud.y) / 4)
      pixels[i * side * side + at] = (field ? 0.25 : 0.6) + cloud.thick * near + 0.3 * (draw() - 0.5)
    }
  }
  const patients = Uint32Array.from({ length: count }, (_, i) => i)
  return { count, height: side, width: side, channels: 1, pixels, classes: CLASSES, labels, patients }
}

const train = data === undefined ? madeUp("train", 400) : published("train")
const held = data === undefined ? madeUp("val", 150) : published("val")
const test = data === undefined ? madeUp("test", 300) : published("test")
say(
  data === undefined
    ? "The pictures are MADE UP: they show nobody, and the figures say nothing of X-rays. With --data DIR the same runs on PneumoniaMNIST."
    : `PneumoniaMNIST from ${data}.`,
)

say("\n1. Who has what: each hospital its own mixture, as a Dirichlet distribution deals it")
const dealt = dealByClass({
  labels: [...train.labels, ...held.labels],
  facilities: HOSPITALS.length,
  alpha: 0.5,
  random: insecureSeededRandom(42, "partition"),
})
const rowsOf = ({ height, width, channels, ...images }) => ({
  names: [],
  columns: height * width * channels,
  rows: images.count,
  features: Float64Array.from(images.pixels),
  labels: Uint8Array.from(images.labels),
  patients: images.patients,
})
const { height, width } = train
const hospitals = new Map(
  HOSPITALS.map((name, i) => {
    const own = selectImages(
      train,
      dealt[i].filter((at) => at < train.count),
    )
    const apart = selectImages(
      held,
      dealt[i].flatMap((at) => (at < train.count ? [] : [at - train.count])),
    )
    const ill = own.labels.filter((label) => label === 1).length
    say(
      `   ${name.padEnd(8)} ${String(own.count).padStart(5)} images, ${String(ill).padStart(5)} with pneumonia`,
    )
    return [name, { train: rowsOf(own), holdOut: rowsOf(apart) }]
  }),
)

say("\n2. The study, as its study.yaml would say it: what is trained, and under which rules")
const study = studyOf(
  studyFileSchema.parse({
    name: "chest-xray",
    nonce: toHex(systemRandom.bytes(32)),
    model: { kind: "network", images: { height, width, classes: CLASSES }, layers: "cnn-small" },
    training: {
      optimiser: "adam",
      learning_rate: 0.003,
      steps: data === undefined ? 15 : 40,
      batch_size: 16,
      fine_tune_steps: data === undefined ? 150 : 600,
      fine_tune_learning_rate: 0.003,
    },
    server: { strategy: "fedavg" },
    quantisation: { clip_norm: 8, fraction_bits: 11, largest_weight: 4096 },
    rounds: 10,
    protection: "ckks",
    synthetic_data: data === undefined,
    deadlines: { collect: 3600, answer: 3600 },
    participants: [
      { name: "leader", role: "leader" },
      ...HOSPITALS.map((name) => ({ name, role: "facility", parent: "leader" })),
    ],
  }),
)
const parameters = initialModel(study)
say(
  `   cnn-small on ${height} x ${width} pixels: ${parameters.length} parameters, ${study.rounds} rounds of ${study.training.steps} steps, sums under ${study.protection}`,
)

say("\n3. Ten rounds: every hospital trains, encrypts its update, and only the sum of all is opened")
const images = { height, width, channels: 1, classes: CLASSES }
const run = await runInProcess({
  study,
  places: [
    { name: "leader", role: "leader", parent: null },
    ...HOSPITALS.map((name) => ({ name, role: "facility", parent: "leader" })),
  ],
  facilities: new Map(
    [...hospitals].map(([name, sides]) => [
      name,
      {
        records: { ...sides, independent: sides, preparation: "declared", warnings: [], form: null, images },
        policy: { ...DEFAULT_POLICY, metrics: "exact" },
      },
    ]),
  ),
  narrate: (line) => {
    if (/closed/.test(line)) say(`   ${line}`)
  },
  stop: new AbortController().signal,
})

say(`\n4. On ${test.count} images that nobody was dealt: AUC, and accuracy`)
const rows = scaledPixels(rowsOf(test), study)
const tested = (label, model) => {
  const { auc, accuracy } = measure(study, model, rows)
  say(`   ${label.padEnd(24)} ${auc.toFixed(3)}   ${accuracy.toFixed(3)}`)
  return auc
}
const together = tested("all five together", modelParameters(study, run.model))
/** As many steps as in the study, from the same beginning, on one hospital's images. */
const alone = (name) =>
  fineTune({
    study,
    spec: { round: 1, attempt: 1, model: new Uint8Array(32) },
    parameters,
    examples: scaledPixels(hospitals.get(name).train, study),
    local: startLocalState(),
    secret: newSecretKey(),
  })
const apart = HOSPITALS.map((name) => tested(`${name} by itself`, alone(name)))
const mean = apart.reduce((sum, auc) => sum + auc, 0) / apart.length
say(`\n   Together ${together.toFixed(3)}, by themselves ${mean.toFixed(3)} in the mean.`)
