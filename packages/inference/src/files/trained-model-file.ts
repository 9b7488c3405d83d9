import { type Calibration, checkCalibration, MAX_STEPS } from "../calibration/calibration.js"
import { checkScaling } from "../compile/fold.js"
import type { Quality } from "../evaluation/evaluation.js"
import { type ColumnScaling, checkModel, type ModelLayer, type TrainedModel } from "../model/model.js"
import {
  checkSchema,
  type InputField,
  type InputSchema,
  LONGEST_LABEL,
  LONGEST_NAME,
  MOST_CATEGORIES,
  MOST_FIELDS,
} from "../schema/fields.js"
import type { Reach } from "../training/within-limits.js"
import {
  count,
  finite,
  flag,
  fromJson,
  type JsonReader,
  list,
  nullable,
  object,
  oneOf,
  pair,
  text,
  word,
} from "./json-reader.js"

/** On whom a model was trained and how well it did on patients whom it had not seen. */
export interface TrainingRecord {
  /** Where the rows come from, in words. */
  readonly data: string
  /** Rows the model was fitted on. */
  readonly rows: number
  /** Rows the calibration was fitted on; the model saw none of them. */
  readonly calibrationRows: number
  /** Rows for the figures: neither model nor calibration saw any of them. */
  readonly holdOutRows: number
  readonly seed: string
  /** True if no row is a patient. */
  readonly synthetic: boolean
  readonly figures: TrainingFigures
}

export interface TrainingFigures {
  /** Probabilities as they come from the logits. */
  readonly uncalibrated: Quality
  /** Calibrated ones; null if there is no calibration, or another than that of the training. */
  readonly calibrated: Quality | null
  /** How far the numbers inside go over the declared ranges. */
  readonly reach: Reach
}

/** A trained model with all that it takes to compile it. */
export interface TrainedModelFile {
  readonly format: typeof TRAINED_MODEL_FORMAT
  readonly name: string
  readonly version: string
  readonly model: TrainedModel
  readonly schema: InputSchema
  readonly scaling: ColumnScaling | null
  readonly calibration: Calibration | null
  /** Null where nothing is known of it. */
  readonly training: TrainingRecord | null
}

export const TRAINED_MODEL_FORMAT = "consilium-trained-model/1"

const MOST_CHARACTERS = 2 ** 26
const MOST_LAYERS = 64
const MOST_WIDTH = 2 ** 16
const MOST_COEFFICIENTS = 64

const name = text(LONGEST_NAME)
const numbers = list(finite, MOST_WIDTH)

const layer: JsonReader<ModelLayer> = oneOf("kind", {
  dense: object({ kind: word("dense"), weights: list(numbers, MOST_WIDTH), biases: numbers }),
  square: object({ kind: word("square") }),
  polynomial: object({ kind: word("polynomial"), coefficients: list(finite, MOST_COEFFICIENTS) }),
})

const model: JsonReader<TrainedModel> = oneOf("kind", {
  linear: object({ kind: word("linear"), weights: numbers, bias: finite }),
  network: object({ kind: word("network"), layers: list(layer, MOST_LAYERS) }),
})

const label = { label: text(LONGEST_LABEL) }
const field: JsonReader<InputField> = oneOf("type", {
  number: object({ name, type: word("number"), unit: name, range: pair }, label),
  boolean: object({ name, type: word("boolean") }, label),
  category: object(
    { name, type: word("category"), categories: list(object({ name, value: finite }), MOST_CATEGORIES) },
    label,
  ),
})

const schema: JsonReader<InputSchema> = object({
  fields: list(field, MOST_FIELDS),
  columns: list(object({ field: name, equals: nullable(name) }), MOST_FIELDS),
})

const scaling: JsonReader<ColumnScaling> = object({
  source: word("study", "declared"),
  means: list(finite, MOST_FIELDS),
  deviations: list(finite, MOST_FIELDS),
})

const steps: JsonReader<Float64Array> = (value, at) => Float64Array.from(list(finite, MAX_STEPS)(value, at))
const calibration: JsonReader<Calibration> = oneOf("type", {
  platt: object({ type: word("platt"), slope: finite, offset: finite }),
  temperature: object({ type: word("temperature"), temperature: finite }),
  isotonic: object({ type: word("isotonic"), thresholds: steps, probabilities: steps }),
})

const share = nullable(finite)
const quality: JsonReader<Quality> = object({
  accuracy: share,
  auc: share,
  brier: share,
  expectedCalibrationError: share,
})

const training: JsonReader<TrainingRecord> = object({
  data: text(LONGEST_LABEL),
  rows: count,
  calibrationRows: count,
  holdOutRows: count,
  seed: text(LONGEST_LABEL),
  synthetic: flag,
  figures: object({
    uncalibrated: quality,
    calibrated: nullable(quality),
    reach: object({ activation: finite, logit: finite }),
  }),
})

const file: JsonReader<TrainedModelFile> = object({
  format: word(TRAINED_MODEL_FORMAT),
  name,
  version: name,
  model,
  schema,
  scaling: nullable(scaling),
  calibration: nullable(calibration),
  training: nullable(training),
})

const checkParts = ({ model, schema, scaling, calibration }: TrainedModelFile): void => {
  checkSchema(schema)
  checkModel(model, schema.columns.length)
  checkScaling(scaling, schema.columns.length)
  if (calibration !== null) checkCalibration(calibration)
}

/**
 * The text of a model's file; the same model gives the same text.
 * @throws {ConsiliumError} as `trainedModelFromJson`: nothing is written that would not be read
 */
export const trainedModelToJson = (trained: TrainedModelFile): string => {
  const json = `${JSON.stringify(trained, (_, value) => (ArrayBuffer.isView(value) ? [...(value as Float64Array)] : value), 1)}\n`
  trainedModelFromJson(json)
  return json
}

/**
 * The model of a file's text.
 * @param source what messages call the file
 * @throws {ConsiliumError} "inference/bad-file" with the place in the file; "inference/bad-schema", "inference/bad-model",
 *   "inference/bad-calibration" if its parts contradict themselves or each other
 */
export const trainedModelFromJson = (json: string, source = "file"): TrainedModelFile => {
  const trained = fromJson(json, source, MOST_CHARACTERS, file)
  checkParts(trained)
  return trained
}
