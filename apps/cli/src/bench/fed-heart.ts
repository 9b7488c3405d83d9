import { insecureSeededRandom } from "@consilium/base/testing"
import { initialModel } from "@consilium/federation/model"
import { architectureOf, measure } from "@consilium/federation/training"
import { cyclic } from "@consilium/learning/cyclic"
import { baselinesOf, type Row, rowOf } from "../demo/baselines.js"
import type { DemoStrategy } from "../demo/studies.js"
import { centresFor, type HeartCentres, heartStudy, readCentres, runSeeded } from "./heart-study.js"

/** One way of training, over all seeds. */
export interface Method {
  readonly id: string
  readonly name: string
  /** Mean accuracy over the four centres as published, and as a re-run in another program found it over 40 seeds. */
  readonly published: number | null
  readonly rerun: { readonly mean: number; readonly deviation: number } | null
  /** What the mean over the seeds has to lie between. */
  readonly bars: readonly Bar[]
  /** By seed. */
  readonly rows: readonly Row[]
}

export interface Bar {
  readonly what: string
  readonly least: number
  readonly most: number
  readonly value: number
  readonly holds: boolean
}

/** Seeds of the published table. */
export const PUBLISHED_SEEDS = [42, 43, 44, 45, 46] as const
const ROUNDS = 15
/** As many steps at each centre in all as the other strategies take; the rate is ours, since none is published. */
const CYCLIC = { visits: ROUNDS * 4, steps: 100, batchSize: 4, learningRate: 0.003162 }

type Recipe = Pick<Method, "id" | "name" | "published" | "rerun"> & {
  readonly accuracy?: readonly [number, number]
  /** Whether AUC and balanced accuracy have bars too. */
  readonly discriminates?: boolean
  readonly run: (centres: HeartCentres, seed: number) => Row
}

const strategy =
  (name: DemoStrategy, more: { learningRate?: number; fineTuneSteps?: number; own?: boolean } = {}) =>
  (centres: HeartCentres, seed: number): Row => {
    const { own = false, ...plan } = more
    const study = heartStudy(seed, { strategy: name, ...plan })
    const result = runSeeded(study, centresFor(centres, study), seed)
    return own && result.personal !== null ? result.personal : result.metrics
  }

const baseline =
  (pick: (found: ReturnType<typeof baselinesOf>) => Row) =>
  (centres: HeartCentres, seed: number): Row =>
    pick(baselinesOf("heart", new Map([...centres].map(([name, raw]) => [name, raw])), seed))

const inTurn = (centres: HeartCentres, seed: number): Row => {
  const study = heartStudy(seed, {})
  const facilities = centresFor(centres, study)
  const parameters = cyclic({
    ...CYCLIC,
    architecture: architectureOf(study),
    parameters: initialModel(study),
    facilities: facilities.map(({ train }) => train),
    order: "shuffled",
    random: insecureSeededRandom(seed, "cyclic"),
  })
  return rowOf(facilities.map(({ name, holdOut }) => ({ name, ...measure(study, parameters, holdOut) })))
}

/** Source: Ogier du Terrail et al. 2022, arXiv:2210.04620, Fed-Heart-Disease; the re-run: an independent program in numpy, 40 seeds. */
const RECIPES: readonly Recipe[] = [
  {
    id: "pooled",
    name: "pooled, as published",
    published: 0.7353,
    rerun: { mean: 0.7356, deviation: 0.0024 },
    run: baseline(({ pooled }) => pooled),
  },
  {
    id: "pooled-one-scale",
    name: "pooled, tested on the same scale",
    published: null,
    rerun: null,
    run: baseline(({ pooledOneScale }) => pooledOneScale),
  },
  {
    id: "local-only",
    name: "each centre by itself",
    published: null,
    rerun: null,
    run: baseline(({ localOnly }) => localOnly),
  },
  {
    id: "fedavg",
    name: "FedAvg",
    published: 0.685,
    rerun: { mean: 0.7014, deviation: 0.0352 },
    accuracy: [0.66, 0.74],
    run: strategy("fedavg"),
  },
  {
    id: "fedprox",
    name: "FedProx, mu .01",
    published: 0.685,
    rerun: { mean: 0.7013, deviation: 0.0352 },
    run: strategy("fedprox"),
  },
  {
    id: "scaffold",
    name: "SCAFFOLD",
    published: 0.684,
    rerun: { mean: 0.7014, deviation: 0.0352 },
    run: strategy("scaffold"),
  },
  { id: "fedavgm", name: "FedAvgM", published: null, rerun: null, run: strategy("fedavgm") },
  { id: "cyclic", name: "cyclic, 60 visits", published: 0.718, rerun: null, run: inTurn },
  {
    id: "fedadam",
    name: "FedAdam",
    published: 0.7255,
    rerun: { mean: 0.736, deviation: 0.0121 },
    accuracy: [0.72, 0.755],
    discriminates: true,
    run: strategy("fedadam"),
  },
  {
    id: "fedyogi",
    name: "FedYogi",
    published: 0.7314,
    rerun: { mean: 0.7367, deviation: 0.0107 },
    accuracy: [0.725, 0.755],
    discriminates: true,
    run: strategy("fedyogi"),
  },
  {
    id: "fedadagrad",
    name: "FedAdagrad",
    published: 0.7314,
    rerun: { mean: 0.7367, deviation: 0.0107 },
    run: strategy("fedadagrad"),
  },
  {
    id: "fedavg-tuned",
    name: "FedAvg .01, then 200 own steps",
    published: null,
    rerun: { mean: 0.8127, deviation: 0.0075 },
    accuracy: [0.8, 0.83],
    run: strategy("fedavg", { learningRate: 0.01, fineTuneSteps: 200, own: true }),
  },
  {
    id: "ditto",
    name: "Ditto, own models",
    published: null,
    rerun: null,
    run: strategy("ditto", { own: true }),
  },
  {
    id: "majority",
    name: "always the centre's usual answer",
    published: null,
    rerun: null,
    run: baseline(({ constant }) => constant.majority),
  },
  {
    id: "positive",
    name: 'always "ill"',
    published: null,
    rerun: null,
    run: baseline(({ constant }) => constant.positive),
  },
]

const over = (rows: readonly Row[], of: (row: Row) => number | null): number =>
  rows.reduce((sum, row) => sum + (of(row) ?? Number.NaN), 0) / rows.length

const bar = (what: string, value: number, least: number, most: number): Bar => ({
  what,
  least,
  most,
  value,
  holds: value >= least && value <= most,
})

/** Centres with patients of both kinds enough to rank them. */
const RANKED = ["cleveland", "hungarian", "va"]
const BALANCED = ["cleveland", "hungarian"]

const barsOf = ({ accuracy, discriminates, rerun }: Recipe, rows: readonly Row[]): readonly Bar[] => {
  const mean = over(rows, (row) => row.mean.accuracy)
  const bars: Bar[] = []
  if (accuracy !== undefined) bars.push(bar("mean accuracy", mean, ...accuracy))
  else if (rerun !== null) {
    const reach = (2 * rerun.deviation) / Math.sqrt(rows.length)
    bars.push(bar("mean accuracy, beside the re-run", mean, rerun.mean - reach, rerun.mean + reach))
  }
  if (discriminates === true) {
    const centre = (row: Row, name: string) => row.facilities.find((one) => one.name === name)
    const auc = over(
      rows,
      (row) => RANKED.reduce((sum, name) => sum + (centre(row, name)?.auc ?? Number.NaN), 0) / RANKED.length,
    )
    bars.push(bar(`mean AUC of ${RANKED.join(", ")}`, auc, 0.78, 1))
    for (const name of BALANCED)
      bars.push(
        bar(
          `balanced accuracy, ${name}`,
          over(rows, (row) => centre(row, name)?.balancedAccuracy ?? null),
          0.7,
          1,
        ),
      )
  }
  return bars
}

/** Trains every method with every seed, in this process: the models are those of the same studies among processes. */
export const fedHeart = async (
  folder: string,
  seeds: readonly number[],
  tell: (line: string) => void,
): Promise<readonly Method[]> => {
  const centres = await readCentres(folder)
  return RECIPES.map((recipe) => {
    tell(`fed-heart: ${recipe.name}`)
    const rows = seeds.map((seed) => recipe.run(centres, seed))
    const { id, name, published, rerun } = recipe
    return { id, name, published, rerun, bars: barsOf(recipe, rows), rows }
  })
}
