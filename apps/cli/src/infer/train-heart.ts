import { insecureSeededRandom } from "@consilium/base/testing"
import {
  type Calibration,
  calibratedProbability,
  fitCalibration,
} from "@consilium/inference/calibration/calibration"
import { type Quality, qualityOf } from "@consilium/inference/evaluation/evaluation"
import { TRAINED_MODEL_FORMAT, type TrainedModelFile } from "@consilium/inference/files/trained-model-file"
import type { Reach } from "@consilium/inference/training/within-limits"
import type { LabelledRows } from "@consilium/records/rows"
import { splitByPatient } from "@consilium/records/split"
import type { HeartData } from "./heart-data.js"
import { HEART_INPUTS, HEART_SCALING } from "./heart-model.js"
import { type Trained, trainLinear, trainNetworks, type Written } from "./training.js"

/** Logistic regression, or a network of 13-16-1 with squares. */
export type HeartModelKind = "lr" | "nn"

export interface HeartTraining {
  readonly kind: HeartModelKind
  readonly data: HeartData
  readonly seed: number
  readonly calibrate: Calibration["type"] | "none"
  /** Of a network: without the range penalty. */
  readonly freely: boolean
  readonly name: string
  readonly version: string
}

/** Share of patients held out for the figures, where the file comes without a published split. */
const TEST_SHARE = 0.34
/** Share of the other patients kept for the calibration. */
const CALIBRATION_SHARE = 0.25

interface Sides {
  readonly fitted: LabelledRows
  readonly calibration: LabelledRows | null
  readonly test: LabelledRows
}

/** Divides patients by what they are for; nobody is on two sides. */
const sidesOf = ({ rows, published }: HeartData, seed: number, calibrate: boolean): Sides => {
  const random = (purpose: string) => insecureSeededRandom(seed, "infer", purpose)
  const { train, test } =
    published ?? splitByPatient(rows, { testShare: TEST_SHARE, random: random("split") })
  if (!calibrate) return { fitted: train, calibration: null, test }
  const kept = splitByPatient(train, { testShare: CALIBRATION_SHARE, random: random("calibration") })
  return { fitted: kept.train, calibration: kept.test, test }
}

const qualityOn = (
  logits: Float64Array,
  { labels }: LabelledRows,
  calibration: Calibration | null,
): Quality =>
  qualityOf(
    logits,
    logits.map((logit) => calibratedProbability(calibration, logit)),
    labels,
  )

/** One way to train, and how it does on the test patients before calibration. */
export interface TrainingReport {
  readonly training: Trained["training"]
  readonly written: boolean
  readonly reach: Reach | null
  readonly figures: Quality
}

/** A model of heart records, and who it was fitted on, calibrated on and may be tested on. */
export interface TrainedHeart {
  readonly trained: TrainedModelFile
  readonly container: Written["container"]
  /** Each way to train, one of which was written. */
  readonly trainings: readonly TrainingReport[]
  readonly calibrated: Quality | null
  readonly fitted: LabelledRows
  readonly kept: LabelledRows | null
  readonly test: LabelledRows
}

/** Trains a model on one side of the records, calibrates it on another and tests it on the third. */
export const trainHeart = (options: HeartTraining): TrainedHeart => {
  const { kind, data, seed, calibrate, freely } = options
  const { fitted, calibration: kept, test } = sidesOf(data, seed, calibrate !== "none")
  const trainings = kind === "lr" ? [trainLinear(fitted, seed)] : trainNetworks(fitted, seed)
  const wanted = kind === "lr" ? "logistic" : freely ? "freely" : "encryption-friendly"
  const chosen = trainings.find(({ training }) => training === wanted) as Trained & {
    readonly written: Written
  }
  const { model, reach, container } = chosen.written
  const calibration =
    kept === null || calibrate === "none"
      ? null
      : fitCalibration({ logits: chosen.logits(kept), labels: kept.labels }, { kind: calibrate })
  const reports = trainings.map(
    ({ training, logits, written }): TrainingReport => ({
      training,
      written: training === wanted,
      reach: written?.reach ?? null,
      figures: qualityOn(logits(test), test, null),
    }),
  )
  const uncalibrated = (reports.find(({ written }) => written) as TrainingReport).figures
  const calibrated = calibration === null ? null : qualityOn(chosen.logits(test), test, calibration)
  const trained: TrainedModelFile = {
    format: TRAINED_MODEL_FORMAT,
    name: options.name,
    version: options.version,
    model,
    schema: HEART_INPUTS,
    scaling: HEART_SCALING,
    calibration,
    training: {
      data: data.source,
      rows: fitted.rows,
      calibrationRows: kept?.rows ?? 0,
      holdOutRows: test.rows,
      seed: String(seed),
      synthetic: data.synthetic,
      figures: { uncalibrated, calibrated, reach },
    },
  }
  return { trained, container, trainings: reports, calibrated, fitted, kept, test }
}
