import { insecureSeededRandom } from "@consilium/base/testing"
import { trainAdam } from "@consilium/learning/adam"
import { type Architecture, initialParameters } from "@consilium/learning/architecture"
import { startCursor } from "@consilium/learning/batches"
import type { Examples } from "@consilium/learning/data"
import { accuracy, auc, balancedAccuracy, evaluate } from "@consilium/learning/metrics"
import { applyUpdate, type ServerOptimiser, startServer } from "@consilium/learning/server-optimiser"
import { trainLocally } from "@consilium/learning/train"
import { beforeAll, describe, expect, it } from "vitest"
import { type Centre, loadCentres, scaleOf, standardised } from "./heart-centres.js"

const folder = process.env.CONSILIUM_DATA
const SEEDS = [42, 43, 44, 45, 46]
const ROUNDS = 15
const STEPS = 100
const BATCH = 4
const CLIP = 1
const architecture: Architecture = { kind: "logistic-regression", inputs: 13 }

interface Score {
  readonly accuracy: number
  readonly balanced: number
  readonly auc: number
}
interface Run {
  readonly scores: readonly Score[]
  readonly norms: readonly number[]
}
interface Plan {
  readonly name: string
  readonly learningRate: number
  readonly server: ServerOptimiser
  readonly fineTuning?: number
  readonly mu?: number
}

const adaptive = { beta1: 0.9, beta2: 0.999, tau: 1e-8 }
const FEDAVG: ServerOptimiser = { kind: "fedavg", learningRate: 1 }
const PLANS = {
  fedavg: { name: "FedAvg lr .001", learningRate: 1e-3, server: FEDAVG },
  fedprox: { name: "FedProx lr .001, mu .01", learningRate: 1e-3, server: FEDAVG, mu: 0.01 },
  fedavgm: {
    name: "FedAvgM lr .001, momentum .9",
    learningRate: 1e-3,
    server: { kind: "fedavgm", learningRate: 1, momentum: 0.9 },
  },
  fedadam: {
    name: "FedAdam",
    learningRate: 0.01,
    server: { kind: "fedadam", learningRate: 0.01, ...adaptive },
  },
  fedyogi: {
    name: "FedYogi",
    learningRate: 0.003162,
    server: { kind: "fedyogi", learningRate: 0.01, ...adaptive },
  },
  fedadagrad: {
    name: "FedAdagrad",
    learningRate: 0.003162,
    server: { kind: "fedadagrad", learningRate: 0.316228, ...adaptive },
  },
  fast: { name: "FedAvg lr .01", learningRate: 0.01, server: FEDAVG },
  personal: { name: "FedAvg lr .01 + fine-tuning", learningRate: 0.01, server: FEDAVG, fineTuning: 200 },
} satisfies Record<string, Plan>

const norm = (values: Float64Array): number => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0))
const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length
const deviation = (values: readonly number[]): number =>
  Math.sqrt(values.reduce((sum, x) => sum + (x - mean(values)) ** 2, 0) / (values.length - 1))
const quantile = (values: readonly number[], q: number): number =>
  [...values].sort((a, b) => a - b)[Math.round(q * (values.length - 1))]!

const score = (parameters: Float64Array, test: Examples): Score => {
  const found = evaluate(architecture, parameters, test)
  return { accuracy: found.accuracy!, balanced: found.balancedAccuracy!, auc: found.auc! }
}

/** The tables of a centre, standardised by its own training rows. */
const alone = ({ train, test }: Centre) => ({
  train: standardised(train, scaleOf(train)),
  test: standardised(test, scaleOf(train)),
})

/** One federated run without the protocol: plain averages of plain updates, weighted by training rows. */
const federate = (plan: Plan, centres: readonly Centre[], seed: number): Run => {
  const clients = centres.map((centre) => ({
    ...alone(centre),
    random: insecureSeededRandom(seed, "batches", centre.name),
    cursor: startCursor(),
  }))
  const work = (client: (typeof clients)[number], parameters: Float64Array, steps: number, mu = 0) => {
    const { train, random, cursor } = client
    const trained = trainLocally({
      architecture,
      parameters,
      examples: train,
      steps,
      batchSize: BATCH,
      learningRate: plan.learningRate,
      cursor,
      random,
      proximal: { mu, towards: parameters },
    })
    client.cursor = trained.cursor
    return trained.parameters
  }
  const total = clients.reduce((sum, { train }) => sum + train.rows, 0)
  const norms: number[] = []
  let parameters: Float64Array = initialParameters(
    architecture,
    insecureSeededRandom(seed, "initial parameters"),
  )
  let state = startServer(plan.server, parameters.length)
  for (let round = 0; round < ROUNDS; round++) {
    const meanUpdate = new Float64Array(parameters.length)
    for (const client of clients) {
      const update = work(client, parameters, STEPS, plan.mu).map((w, j) => w - parameters[j]!)
      norms.push(norm(update))
      const share = client.train.rows / total
      for (let j = 0; j < update.length; j++) meanUpdate[j] = meanUpdate[j]! + share * update[j]!
    }
    const moved = applyUpdate(plan.server, state, parameters, meanUpdate)
    parameters = moved.parameters
    state = moved.state
  }
  const scores = clients.map((client) =>
    score(plan.fineTuning ? work(client, parameters, plan.fineTuning) : parameters, client.test),
  )
  return { scores, norms }
}

/**
 * One model from all training rows together. The published figure trains on rows standardised by the pooled mean and
 * deviation and tests on rows standardised by each centre's own; the other two pooled models are tested as trained.
 */
const POOLED = {
  published: { name: "pooled, as published", train: "pooled", test: "own" },
  own: { name: "pooled, scales of each centre", train: "own", test: "own" },
  pooled: { name: "pooled, one scale", train: "pooled", test: "pooled" },
} as const

const pool = (kind: keyof typeof POOLED, centres: readonly Centre[], seed: number): Run => {
  const { train, test } = POOLED[kind]
  const everyone = scaleOf(centres.flatMap((centre) => centre.train))
  const scales = (which: "own" | "pooled", centre: Centre) =>
    which === "own" ? scaleOf(centre.train) : everyone
  const tables = centres.map((centre) => standardised(centre.train, scales(train, centre)))
  const { parameters } = trainAdam({
    architecture,
    parameters: initialParameters(architecture, insecureSeededRandom(seed, "initial parameters")),
    examples: {
      rows: tables.reduce((sum, { rows }) => sum + rows, 0),
      columns: architecture.inputs,
      features: Float64Array.from(tables.flatMap(({ features }) => [...features])),
      labels: Uint8Array.from(tables.flatMap(({ labels }) => [...labels])),
    },
    epochs: 50,
    batchSize: BATCH,
    learningRate: 1e-3,
    random: insecureSeededRandom(seed, "batches", "pooled"),
  })
  const scores = centres.map((centre) => score(parameters, standardised(centre.test, scales(test, centre))))
  return { scores, norms: [] }
}

const constant = (centres: readonly Centre[], answer: (train: Examples) => number): Run => ({
  norms: [],
  scores: centres.map((centre) => {
    const { train, test } = alone(centre)
    const p = new Float64Array(test.rows).fill(answer(train))
    return {
      accuracy: accuracy(p, test.labels)!,
      balanced: balancedAccuracy(p, test.labels)!,
      auc: auc(p, test.labels)!,
    }
  }),
})

const runMean = (run: Run, pick: (score: Score) => number, centres = [0, 1, 2, 3]): number =>
  mean(centres.map((c) => pick(run.scores[c]!)))
const overSeeds = (runs: readonly Run[], pick: (score: Score) => number, centres?: number[]): number =>
  mean(runs.map((run) => runMean(run, pick, centres)))
const accuracyOf = (found: Score): number => found.accuracy
const balancedOf = (found: Score): number => found.balanced
const aucOf = (found: Score): number => found.auc

const figure = (value: number): string => value.toFixed(4).replace(/^0/, "")
const tableRow = (name: string, runs: readonly Run[]): string =>
  [
    name.padEnd(28),
    `${figure(overSeeds(runs, accuracyOf))} ± ${runs.length > 1 ? figure(deviation(runs.map((r) => runMean(r, accuracyOf)))) : "-    "}`,
    ...[accuracyOf, balancedOf, aucOf].map((pick) =>
      [0, 1, 2, 3].map((c) => figure(overSeeds(runs, pick, [c]))).join(" "),
    ),
  ].join(" | ")
const normRow = (name: string, runs: readonly Run[]): string => {
  const norms = runs.flatMap((run) => run.norms)
  const above = [1, 2, 4]
    .map((clip) => `${norms.filter((length) => length > clip).length}`.padStart(3))
    .join(" ")
  const found = [0.5, 0.9, 0.99, 1].map((q) => quantile(norms, q).toFixed(3)).join(" ")
  return `${name.padEnd(28)} | ${found} | ${above} of ${norms.length}`
}

describe.skipIf(folder === undefined)(
  folder === undefined ? "Fed-Heart-Disease (skipped: CONSILIUM_DATA names no folder)" : "Fed-Heart-Disease",
  () => {
    let centres: readonly Centre[]
    const runs = {} as Record<keyof typeof PLANS | "majority" | "ill", readonly Run[]>
    const pooled = {} as Record<keyof typeof POOLED, readonly Run[]>

    beforeAll(() => {
      centres = loadCentres(folder!)
      for (const key of Object.keys(PLANS) as (keyof typeof PLANS)[])
        runs[key] = SEEDS.map((seed) => federate(PLANS[key], centres, seed))
      for (const key of Object.keys(POOLED) as (keyof typeof POOLED)[])
        pooled[key] = SEEDS.map((seed) => pool(key, centres, seed))
      runs.majority = [
        constant(centres, (train) => (2 * train.labels.reduce((sum, y) => sum + y, 0) > train.rows ? 1 : 0)),
      ]
      runs.ill = [constant(centres, () => 1)]

      const lines = [
        "accuracy: mean of the centres, then centres | balanced accuracy | AUC   (Cleveland Hungarian Switzerland VA)",
        ...Object.entries(PLANS).map(([key, plan]) => tableRow(plan.name, runs[key as keyof typeof PLANS])),
        ...Object.entries(POOLED).map(([key, plan]) =>
          tableRow(plan.name, pooled[key as keyof typeof POOLED]),
        ),
        tableRow("majority of each centre", runs.majority),
        tableRow("always ill", runs.ill),
        "",
        "L2 norm of a facility's update: median, 90 %, 99 %, largest | updates above 1, 2, 4",
        ...Object.entries(PLANS).map(([key, plan]) => normRow(plan.name, runs[key as keyof typeof PLANS])),
      ]
      console.log(lines.join("\n"))
    })

    it("has the published sizes, and a column without variance in Switzerland", () => {
      expect(
        centres.map(({ train, test }) => [
          train.length,
          test.length,
          train.filter(({ label }) => label === 1).length,
          test.filter(({ label }) => label === 1).length,
        ]),
      ).toEqual([
        [199, 104, 91, 48],
        [172, 89, 65, 33],
        [30, 16, 30, 15],
        [85, 45, 66, 35],
      ])
      const { features } = alone(centres[2]!).train
      expect(features.filter((_, at) => at % 13 === 3).every((x) => x === 0)).toBe(true)
    })

    it.each([
      ["fedyogi", 0.725, 0.755],
      ["fedavg", 0.66, 0.74],
      ["fedadam", 0.72, 0.755],
      ["personal", 0.8, 0.83],
    ] as const)("%s: mean accuracy between %f and %f", (key, low, high) => {
      const found = overSeeds(runs[key], accuracyOf)
      expect(found).toBeGreaterThanOrEqual(low)
      expect(found).toBeLessThanOrEqual(high)
    })

    // bounds: 2 standard errors of a mean of 5 seeds around the mean of 40 seeds of an independent program
    it("pooled as published: mean accuracy within two standard errors of .7356", () => {
      const found = overSeeds(pooled.published, accuracyOf)
      expect(Math.abs(found - 0.7356)).toBeLessThanOrEqual((2 * 0.0024) / Math.sqrt(5))
    })

    // the deviation over seeds is that of the same program's FedAvg, from which it differs in the fourth digit
    it("fedprox: mean accuracy within two standard errors of .7013", () => {
      const found = overSeeds(runs.fedprox, accuracyOf)
      expect(Math.abs(found - 0.7013)).toBeLessThanOrEqual((2 * 0.0352) / Math.sqrt(5))
    })

    it("fedprox: the term is there and small, as published: the figures of FedAvg, from other models", () => {
      const [averaged, held] = [runs.fedavg, runs.fedprox].map((of) => of.map(({ norms }) => norms))
      expect(held).not.toEqual(averaged)
      expect(overSeeds(runs.fedprox, accuracyOf)).toBeCloseTo(overSeeds(runs.fedavg, accuracyOf), 2)
    })

    it("fedavgm: momentum makes up for the small rate, without leaving the range of the adaptive rules", () => {
      expect(overSeeds(runs.fedavgm, accuracyOf)).toBeGreaterThan(overSeeds(runs.fedavg, accuracyOf))
      expect(overSeeds(runs.fedavgm, accuracyOf)).toBeLessThanOrEqual(0.755)
    })

    it("fedadagrad: mean accuracy within two standard errors of .7367", () => {
      const found = overSeeds(runs.fedadagrad, accuracyOf)
      expect(Math.abs(found - 0.7367)).toBeLessThanOrEqual((2 * 0.0107) / Math.sqrt(5))
    })

    it("no update of any of these runs is as long as the clipping bound of 1", () => {
      for (const key of Object.keys(PLANS) as (keyof typeof PLANS)[])
        for (const run of runs[key]) expect(Math.max(...run.norms)).toBeLessThan(CLIP)
    })

    it.each(["fedadam", "fedyogi"] as const)(
      "%s: tells ill from well, which accuracy alone does not show",
      (key) => {
        expect(overSeeds(runs[key], aucOf, [0, 1, 3])).toBeGreaterThanOrEqual(0.78)
        expect(overSeeds(runs[key], balancedOf, [0])).toBeGreaterThanOrEqual(0.7)
        expect(overSeeds(runs[key], balancedOf, [1])).toBeGreaterThanOrEqual(0.7)
      },
    )

    it("constant answers reach the accuracies they are known for and tell nothing", () => {
      expect(overSeeds(runs.majority, accuracyOf)).toBeCloseTo(0.7206, 3)
      expect(overSeeds(runs.ill, accuracyOf)).toBeCloseTo(0.637, 3)
      for (const key of ["majority", "ill"] as const)
        for (const found of runs[key][0]!.scores) expect([found.balanced, found.auc]).toEqual([0.5, 0.5])
    })
  },
)
