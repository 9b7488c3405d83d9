import { insecureSeededRandom } from "@consilium/base/testing"
import { trainAdam } from "@consilium/learning/adam"
import { type Architecture, initialParameters } from "@consilium/learning/architecture"
import { evaluate } from "@consilium/learning/metrics"
import type { Sides } from "@consilium/node/local-records"
import type { LabelledRows } from "@consilium/records/rows"
import { joinRows } from "@consilium/records/rows"
import { fitStandardiser, standardise } from "@consilium/records/standardise"
import type { DemoSubject } from "./subjects.js"

/** The figures that are compared; null where one is undefined, such as the AUC of rows of one class. */
export interface Figures {
  readonly accuracy: number | null
  readonly balancedAccuracy: number | null
  readonly auc: number | null
}

export interface Row {
  readonly facilities: readonly ({ readonly name: string } & Figures)[]
  readonly mean: Figures
}

/** The mean over facilities, leaving out undefined figures. */
const meanOf = (values: readonly (number | null)[]): number | null => {
  const defined = values.filter((value) => value !== null)
  return defined.length === 0 ? null : defined.reduce((sum, value) => sum + value, 0) / defined.length
}

export const rowOf = (facilities: readonly ({ readonly name: string } & Figures)[]): Row => ({
  facilities: facilities.map(({ name, accuracy, balancedAccuracy, auc }) => ({
    name,
    accuracy,
    balancedAccuracy,
    auc,
  })),
  mean: {
    accuracy: meanOf(facilities.map((f) => f.accuracy)),
    balancedAccuracy: meanOf(facilities.map((f) => f.balancedAccuracy)),
    auc: meanOf(facilities.map((f) => f.auc)),
  },
})

/** What the federated model is compared with, computed where all rows are at hand: in a demo, and nowhere else. */
export interface Baselines {
  /** All rows in one place. For the heart study prepared as published: trained on one scale, tested on each centre's own. */
  readonly pooled: Row
  /** All rows in one place, trained and tested on one scale. */
  readonly pooledOneScale: Row
  /** Each facility by itself. */
  readonly localOnly: Row
  /** Answering the same for everyone: the label more frequent in the facility's training rows, or always "ill". */
  readonly constant: { readonly majority: Row; readonly positive: Row }
}

const EPOCHS = 50
const LEARNING_RATE = 0.001
const BATCH = 4

const train = (examples: LabelledRows, seed: number, label: string): Float64Array => {
  const architecture: Architecture = { kind: "logistic-regression", inputs: examples.columns }
  const random = insecureSeededRandom(seed, "baseline", label)
  return trainAdam({
    architecture,
    parameters: initialParameters(architecture, random),
    examples,
    epochs: EPOCHS,
    batchSize: BATCH,
    learningRate: LEARNING_RATE,
    random,
  }).parameters
}

const figures = (parameters: Float64Array, examples: LabelledRows): Figures => {
  const { accuracy, balancedAccuracy, auc } = evaluate(
    { kind: "logistic-regression", inputs: examples.columns },
    parameters,
    examples,
  )
  return { accuracy, balancedAccuracy, auc }
}

const constantFigures = (labels: Uint8Array, answer: 0 | 1): Figures => {
  const right = labels.filter((label) => label === answer).length
  const oneClass = right === labels.length || right === 0
  return {
    accuracy: right / labels.length,
    balancedAccuracy: oneClass ? null : 0.5,
    auc: oneClass ? null : 0.5,
  }
}

const positives = (labels: Uint8Array): number => labels.reduce((sum, label) => sum + label, 0)

/** What the same answer for everyone reaches. */
export const constantRows = (records: ReadonlyMap<string, Sides>): Baselines["constant"] => ({
  majority: rowOf(
    [...records].map(([name, { train: rows, holdOut }]) => ({
      name,
      ...constantFigures(holdOut.labels, 2 * positives(rows.labels) > rows.labels.length ? 1 : 0),
    })),
  ),
  positive: rowOf(
    [...records].map(([name, { holdOut }]) => ({ name, ...constantFigures(holdOut.labels, 1) })),
  ),
})

export const baselinesOf = (
  study: DemoSubject,
  records: ReadonlyMap<string, Sides>,
  seed: number,
): Baselines => {
  const facilities = [...records]
  const all = joinRows(facilities.map(([, { train: rows }]) => rows))
  const oneScale = fitStandardiser(all)
  const pooled = train(standardise(oneScale, all), seed, "pooled")
  const own = ({ train: rows, holdOut }: Sides) => {
    const scale = fitStandardiser(rows)
    return { rows: standardise(scale, rows), holdOut: standardise(scale, holdOut) }
  }
  const pooledOneScale = rowOf(
    facilities.map(([name, { holdOut }]) => ({ name, ...figures(pooled, standardise(oneScale, holdOut)) })),
  )
  return {
    pooled:
      study === "heart"
        ? rowOf(facilities.map(([name, raw]) => ({ name, ...figures(pooled, own(raw).holdOut) })))
        : pooledOneScale,
    pooledOneScale,
    localOnly: rowOf(
      facilities.map(([name, raw]) => {
        const { rows, holdOut } = own(raw)
        return { name, ...figures(train(rows, seed, name), holdOut) }
      }),
    ),
    constant: constantRows(records),
  }
}
