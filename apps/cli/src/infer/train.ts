import { join, resolve } from "node:path"
import { utf8 } from "@consilium/base/platform"
import type { Calibration } from "@consilium/inference/calibration/calibration"
import type { Quality } from "@consilium/inference/evaluation/evaluation"
import { trainedModelToJson } from "@consilium/inference/files/trained-model-file"
import { makePrivateFolder, storeError } from "@consilium/node/store/files"
import { columns, type Format, print } from "../commands/printed.js"
import { writeReport } from "../commands/report-file.js"
import { calibrationText, QUALITY_HEADS, qualityCells } from "./figures-text.js"
import { checkFree } from "./free-files.js"
import { type HeartSource, heartData } from "./heart-data.js"
import { MODEL_FILE } from "./model-source.js"
import { type HeartModelKind, type TrainingReport, trainHeart } from "./train-heart.js"
import { TRAINING_WORDS } from "./training.js"

interface TrainArguments extends HeartSource {
  readonly model: HeartModelKind
  readonly out: string
  readonly calibrate: Calibration["type"] | "none"
  readonly freely: boolean
  readonly name: string
  readonly modelVersion: string
  readonly force: boolean
  readonly format: Format
}

const CONTAINER = "model.consilium"

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
  const { seed, out, force } = options
  const folder = resolve(out)
  const files = [MODEL_FILE, CONTAINER]
  if (!force)
    await checkFree(folder, files, "Choose another folder with --out, or give --force to write over it.")
  const data = await heartData(options, "train")
  const { trained, container, trainings, calibrated, fitted, kept, test } = trainHeart({
    ...options,
    kind: options.model,
    data,
    version: options.modelVersion,
  })
  const { calibration } = trained
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
      trainings,
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
      ...trainingLines(trainings, calibrated, calibration),
      "",
      `Calibration   ${calibrationText(calibration)}`,
      "Scaling       declared constants: nothing of any facility's patients is in the columns",
      `Written (*)   ${folder}: ${files.join(", ")}`,
      `Next:         consilium infer compile --model ${out} --out compiled`,
    ],
  )
}
