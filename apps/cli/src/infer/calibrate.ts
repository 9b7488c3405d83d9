import { ConsiliumError } from "@consilium/base/errors"
import { utf8 } from "@consilium/base/platform"
import {
  type Calibration,
  calibratedProbability,
  fitCalibration,
} from "@consilium/inference/calibration/calibration"
import { qualityOf } from "@consilium/inference/evaluation/evaluation"
import { type TrainedModelFile, trainedModelToJson } from "@consilium/inference/files/trained-model-file"
import { storeError, writeFileAtomic } from "@consilium/node/store/files"
import { columns, type Format, print } from "../commands/printed.js"
import { calibrationText, QUALITY_HEADS, qualityCells } from "./figures-text.js"
import { type HeartSource, heartData } from "./heart-data.js"
import { HEART_INPUTS, logitsOf } from "./heart-model.js"
import { readTrainedModel } from "./model-source.js"

interface CalibrateArguments extends HeartSource {
  readonly model: string
  readonly kind: Calibration["type"]
  readonly modelVersion?: string
  readonly format: Format
}

const checkAsksHeart = ({ schema }: TrainedModelFile, path: string): void => {
  if (JSON.stringify(schema.columns) !== JSON.stringify(HEART_INPUTS.columns))
    throw new ConsiliumError(
      "inference/bad-model",
      `${path} is asked with ${schema.columns.length} columns that are not the ${HEART_INPUTS.columns.length} of heart records.`,
      { remedy: "Give a model that `infer train` wrote." },
    )
}

/** Fits the calibration of a model again and writes the model over. */
export const inferCalibrate = async (options: CalibrateArguments): Promise<void> => {
  const { kind, modelVersion, format } = options
  const { path, trained } = await readTrainedModel(options.model)
  checkAsksHeart(trained, path)
  const { rows, source, synthetic, warnings } = await heartData(options, "calibrate")
  const logits = logitsOf(trained.model, trained.scaling, rows)
  const calibration = fitCalibration({ logits, labels: rows.labels }, { kind })
  const figuresOf = (one: Calibration | null) =>
    qualityOf(
      logits,
      logits.map((logit) => calibratedProbability(one, logit)),
      rows.labels,
    )
  const { training } = trained
  const changed: TrainedModelFile = {
    ...trained,
    version: modelVersion ?? trained.version,
    calibration,
    // what was measured after the training was measured with another calibration
    training: training && {
      ...training,
      calibrationRows: rows.rows,
      figures: { ...training.figures, calibrated: null },
    },
  }
  await writeFileAtomic(path, utf8(trainedModelToJson(changed))).catch((error) => {
    throw storeError(error, `write ${path}`)
  })
  const before = { calibration: trained.calibration?.type ?? null, figures: figuresOf(trained.calibration) }
  const after = { calibration: calibration.type, figures: figuresOf(calibration) }
  const { name, version } = changed
  print(
    format,
    { file: path, name, version, data: source, synthetic, rows: rows.rows, before, after, warnings },
    [
      `${name}, version ${version}, calibrated on ${rows.rows} rows of ${source}`,
      ...(synthetic
        ? ["The rows are synthetic: nothing clinical may be concluded from the probabilities."]
        : []),
      ...warnings.map((warning) => `Note: ${warning}`),
      "",
      ...columns(
        ["  on these same patients", ...QUALITY_HEADS],
        [
          [`  before (${before.calibration ?? "none"})`, ...qualityCells(before.figures)],
          [`  after (${after.calibration})`, ...qualityCells(after.figures)],
        ],
      ),
      "",
      `Calibration   ${calibrationText(calibration)}`,
      `Written       ${path}. A calibration is part of the plan: compile the model again.`,
    ],
  )
}
