import { join, resolve } from "node:path"
import { utf8 } from "@consilium/base/platform"
import { insecureSeededRandom } from "@consilium/base/testing"
import {
  type Calibration,
  calibratedProbability,
  fitCalibration,
} from "@consilium/inference/calibration/calibration"
import { type Quality, qualityOf } from "@consilium/inference/evaluation/evaluation"
import {
  TRAINED_MODEL_FORMAT,
  type TrainedModelFile,
  trainedModelToJson,
} from "@consilium/inference/files/trained-model-file"
import type { Reach } from "@consilium/inference/training/within-limits"
import { makePrivateFolder, storeError } from "@consilium/node/store/files"
import type { LabelledRows } from "@consilium/records/rows"
import { splitByPatient } from "@consilium/records/split"
import { columns, type Format, print } from "../commands/printed.js"
import { writeReport } from "../commands/report-file.js"
import { calibrationText, QUALITY_HEADS, qualityCells } from "./figures-text.js"
import { checkFree } from "./free-files.js"
import { type HeartData, type HeartSource, heartData } from "./heart-data.js"
import { HEART_INPUTS, HEART_SCALING } from "./heart-model.js"
import { MODEL_FILE } from "./model-source.js"
import { TRAINING_WORDS, type Trained, trainLinear, trainNetworks, type Written } from "./training.js"

interface TrainArguments extends HeartSource {
  readonly model: "lr" | "nn"
  readonly out: string
  readonly calibrate: Calibration["type"] | "none"
  readonly freely: boolean
  readonly name: string
  readonly modelVersion: string
  readonly force: boolean
  readonly format: Format
}

/** Share of patients held out for the figures, where the file comes without a published split. */
const TEST_SHARE = 0.34
/** Share of the other patients kept for the calibration. */
const CALIBRATION_SHARE = 0.25
const CONTAINER = "model.consilium"

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

interface TrainingReport {
  readonly training: Trained["training"]
  readonly written: boolean
  readonly reach: Reach | null
  readonly figures: Quality
}

const number = (value: number | undefined): string => (value === undefined ? "-" : value.toPrecision(3))

const trainingLines = (
  reports: readonly TrainingReport[],
  calibrated: Quality | null,
  calibration: Calibration | null,
): readonly string[] =>
  columns(
    ["  on the test patients", ...QUALITY_HEADS, "reach inside", "reach of logits"],
    [
      ...reports.map(({ training, written, reach, figures }) => [
        `  ${written ? "*" : " "} ${TRAINING_WORDS[training]}`,
        ...qualityCells(figures),
        training === "logistic" ? "-" : number(reach?.activation),
        number(reach?.logit),
      ]),
      ...(calibrated === null
        ? []
        : [[`  * the same, calibrated (${calibration?.type})`, ...qualityCells(calibrated)]]),
    ],
  )

/** Trains a model on heart records, reports how well it does on patients it has not seen, and writes it. */
export const inferTrain = async (options: TrainArguments): Promise<void> => {
  const { seed, out, calibrate, freely, force } = options
  const folder = resolve(out)
  const files = [MODEL_FILE, CONTAINER]
  if (!force)
    await checkFree(folder, files, "Choose another folder with --out, or give --force to write over it.")
  const data = await heartData(options, "train")
  const { fitted, calibration: kept, test } = sidesOf(data, seed, calibrate !== "none")
  const trainings = options.model === "lr" ? [trainLinear(fitted, seed)] : trainNetworks(fitted, seed)
  const wanted = options.model === "lr" ? "logistic" : freely ? "freely" : "encryption-friendly"
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
    version: options.modelVersion,
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
  await makePrivateFolder(folder).catch((error) => {
    throw storeError(error, `make the folder ${folder}`)
  })
  const flags = data.synthetic ? ["synthetic-data"] : []
  await writeReport(join(folder, MODEL_FILE), utf8(trainedModelToJson(trained)), force)
  await writeReport(join(folder, CONTAINER), container(options.name, flags), force)
  const rows = { fitted: fitted.rows, calibration: kept?.rows ?? 0, test: test.rows }
  const { name, version } = trained
  print(
    options.format,
    {
      folder,
      files,
      name,
      version,
      data: data.source,
      synthetic: data.synthetic,
      seed,
      rows,
      trainings: reports,
      calibration: calibration?.type ?? null,
      calibrated,
      warnings: data.warnings,
    },
    [
      `${name}, version ${version}, trained on ${data.source}`,
      ...(data.synthetic
        ? ["The rows are synthetic: nothing clinical may be concluded from the model."]
        : []),
      ...data.warnings.map((warning) => `Note: ${warning}`),
      kept === null
        ? `${rows.fitted} rows fitted the model, ${rows.test} are for the figures; no patient is on both sides.`
        : `${rows.fitted} rows fitted the model, ${rows.calibration} (a quarter of those not for the figures) its calibration, ${rows.test} are for the figures; no patient is on two sides.`,
      "",
      ...trainingLines(reports, calibrated, calibration),
      "",
      `Calibration   ${calibrationText(calibration)}`,
      "Scaling       declared constants: nothing of any facility's patients is in the columns",
      `Written (*)   ${folder}: ${files.join(", ")}`,
      `Next:         consilium infer compile --model ${out} --out compiled`,
    ],
  )
}
