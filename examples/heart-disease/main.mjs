// Four hospitals look at all of their patients together, train a model, and test it on all of them, without showing a row.
// Run it with `npm run example -- heart-disease`, or with `-- --data DIR` on the public heart data.
import { join } from "node:path"
import { parseArgs } from "node:util"
import { toHex } from "@consilium/base/bytes"
import { systemRandom } from "@consilium/base/random"
import { insecureSeededRandom } from "@consilium/base/testing"
import { DEFAULT_POLICY } from "@consilium/federation/policy"
import { studyFileSchema, studyOf } from "@consilium/node/config/study-file"
import { runInProcess } from "@consilium/node/in-process/federation"
import { readRecords } from "@consilium/node/local-records"
import { HEART_FILES } from "@consilium/records/heart"
import { loadHeartCsv } from "@consilium/records/heart-csv"
import { HEART_FEATURES } from "@consilium/records/heart-schema"
import { splitByPatient } from "@consilium/records/split"
import { syntheticHeart } from "@consilium/records/synthetic-heart"

const { data } = parseArgs({ options: { data: { type: "string" } } }).values
const CENTRES = ["cleveland", "hungarian", "switzerland", "va"]
const say = (line = "") => process.stdout.write(`${line}\n`)
const figure = (value) => (value === null ? "    -" : value.toFixed(3))

/** Made-up rows of the same form; nobody is described by them. */
const madeUp = (name, i) => {
  const random = insecureSeededRandom(name, "example")
  const profile = ["hospital", "clinic", "research-centre", "hospital"][i]
  const file = syntheticHeart({ profile, rows: [260, 180, 110, 150][i], random })
  const { rows } = loadHeartCsv(`${name}.csv`, file)
  const { train, test: holdOut } = splitByPatient(rows, { testShare: 0.34, random })
  const sides = { train, holdOut }
  return { ...sides, independent: sides, preparation: "declared", warnings: [], form: null }
}
const published = (name) => {
  const records = { format: "uci-heart", centre: name, file: join(data, HEART_FILES[name].file) }
  return readRecords(name, join(data, "none"), { records })
}

say(
  data === undefined
    ? "The patients are MADE UP. With --data DIR the same runs on the public heart data (Cleveland, Hungarian, Switzerland, VA)."
    : `The public heart data from ${data}.`,
)
const hospitals = new Map()
for (const [i, name] of CENTRES.entries())
  hospitals.set(name, data === undefined ? madeUp(name, i) : await published(name))
for (const [name, { train, holdOut }] of hospitals)
  say(
    `   ${name.padEnd(12)} ${String(train.rows).padStart(4)} rows to train on, ${String(holdOut.rows).padStart(4)} held out`,
  )

const study = studyOf(
  studyFileSchema.parse({
    name: "heart-disease",
    nonce: toHex(systemRandom.bytes(32)),
    model: { kind: "logistic-regression", features: HEART_FEATURES.map(({ name }) => name) },
    training: { learning_rate: 0.003162, steps: 100, batch_size: 4 },
    server: { strategy: "fedyogi", learning_rate: 0.01 },
    statistics: { bins: 24 },
    evaluation: { bins: 100, every: 1, stop: { patience: 4, margin: 0.0005 } },
    rounds: 25,
    protection: "ckks",
    synthetic_data: data === undefined,
    deadlines: { collect: 3600, answer: 3600 },
    participants: [
      { name: "leader", role: "leader" },
      ...CENTRES.map((name) => ({ name, role: "facility", parent: "leader" })),
    ],
  }),
)
const { outcome } = await runInProcess({
  study,
  places: [
    { name: "leader", role: "leader", parent: null },
    ...CENTRES.map((name) => ({ name, role: "facility", parent: "leader" })),
  ],
  facilities: new Map([...hospitals].map(([name, records]) => [name, { records, policy: DEFAULT_POLICY }])),
  narrate: () => undefined,
  stop: new AbortController().signal,
})
const { statistics, evaluations } = outcome.figures

say("\n1. All training patients together, before anything is trained: only the sum over the four was opened")
say(`   ${statistics.rows} rows, ${statistics.positives} with heart disease`)
say("   feature        mean   deviation   median")
for (const { feature, mean, deviation, quartiles } of statistics.features.slice(0, 8))
  say(
    `   ${feature.padEnd(10)} ${mean.toFixed(2).padStart(8)} ${deviation.toFixed(2).padStart(11)} ${quartiles[1].toFixed(1).padStart(8)}`,
  )

say("\n2. Rounds, and the model on all held-out patients together after each")
say("   round   AUC (± binning)   accuracy   Brier")
for (const { round, auc, aucError, accuracy, brier } of evaluations)
  say(
    `   ${String(round).padStart(5)}   ${figure(auc)} ± ${figure(aucError)}   ${figure(accuracy)}      ${figure(brier)}`,
  )
say(`   ${outcome.reason ?? "All rounds were needed."}`)

say("\n3. The last model's probabilities, beside what happened")
for (const { predicted, observed, rows } of evaluations.at(-1).calibration)
  say(
    `   says ${(100 * predicted).toFixed(0).padStart(3)} %   true for ${(100 * observed).toFixed(0).padStart(3)} % of ${rows} patients`,
  )

say("\n4. What the same figures say when all rows are looked at in one place")
const joined = [...hospitals.values()].reduce((sum, { train }) => sum + train.rows, 0)
const age = [...hospitals.values()].flatMap(({ train }) =>
  Array.from({ length: train.rows }, (_, row) => train.features[row * train.columns]),
)
const mean = age.reduce((sum, value) => sum + value, 0) / age.length
const same = joined === statistics.rows && Math.abs(mean - statistics.features[0].mean) < 1e-2
say(`   ${joined} rows, mean age ${mean.toFixed(2)}: ${same ? "the same" : "ANOTHER FIGURE"}`)
process.exitCode = same && outcome.complete ? 0 : 1
