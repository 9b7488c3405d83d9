import { insecureSeededRandom } from "@consilium/base/testing"
import { signedSquares } from "@consilium/inference/compile/squares"
import { plainLogit, scaleColumns } from "@consilium/inference/model/model"
import type { Patient } from "@consilium/inference/schema/patient"
import { loadHeartCsv } from "@consilium/records/heart-csv"
import type { LabelledRows } from "@consilium/records/rows"
import { syntheticHeart } from "@consilium/records/synthetic-heart"
import { HEART_SCALING } from "../infer/heart-model.js"
import { patientsOfRows } from "../infer/row-patients.js"
import { type TrainedHeart, trainHeart } from "../infer/train-heart.js"

const TRAINED_ON = 900

/** The models and the made-up patients that are measured, the same every time. */
export interface MeasuredModels {
  readonly lr: TrainedHeart
  readonly nn: TrainedHeart
  readonly rows: LabelledRows
  readonly patients: readonly Patient[]
}

const madeUp = (rows: number, purpose: string): LabelledRows => {
  const random = insecureSeededRandom("bench", purpose)
  return loadHeartCsv(`${purpose}.csv`, syntheticHeart({ profile: "hospital", rows, random })).rows
}

export const measuredModels = (count: number): MeasuredModels => {
  const data = {
    source: `${TRAINED_ON} made-up rows`,
    rows: madeUp(TRAINED_ON, "train"),
    published: null,
    synthetic: true,
    warnings: [],
  }
  const settings = { data, seed: 1, calibrate: "platt", freely: false, version: "1" } as const
  const lr = trainHeart({ ...settings, kind: "lr", name: "lr" })
  const nn = trainHeart({ ...settings, kind: "nn", name: "nn" })
  const rows = madeUp(count, "ask")
  return { lr, nn, rows, patients: patientsOfRows(lr.trained.schema, rows) }
}

/** The plain logits of a model. */
export const logitsFor = (
  { trained }: TrainedHeart,
  { rows, columns, features }: LabelledRows,
): readonly number[] =>
  Array.from({ length: rows }, (_, row) =>
    plainLogit(trained.model, trained.scaling, features.subarray(row * columns, (row + 1) * columns)),
  )

/** The same models and patients in the numbers that a peer takes: scaled columns, and the network as a sum of signed squares. */
export const peerWorkload = ({ lr, nn, rows }: MeasuredModels) => {
  const [linear, network] = [lr.trained.model, nn.trained.model]
  if (linear.kind !== "linear" || network.kind !== "network")
    throw new TypeError("These models are of other kinds.")
  const { columns, features } = rows
  const squares = signedSquares(network.layers, (weights, bias) => ({ weights, bias, off: 0 }))
  return {
    rows: Array.from({ length: rows.rows }, (_, row) => [
      ...scaleColumns(HEART_SCALING, features.subarray(row * columns, (row + 1) * columns)),
    ]),
    linear: { weights: linear.weights, bias: linear.bias, logits: logitsFor(lr, rows) },
    network: { ...squares, logits: logitsFor(nn, rows) },
  }
}
