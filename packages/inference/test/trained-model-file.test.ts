import { isConsiliumError } from "@consilium/base/errors"
import type { Calibration } from "@consilium/inference/calibration/calibration"
import {
  TRAINED_MODEL_FORMAT,
  type TrainedModelFile,
  trainedModelFromJson,
  trainedModelToJson,
} from "@consilium/inference/files/trained-model-file"
import { describe, expect, it } from "vitest"
import { HEART, HEART_LINEAR, HEART_SCALING, squareNetwork, testRandom } from "./heart.js"

const LINEAR: TrainedModelFile = {
  format: TRAINED_MODEL_FORMAT,
  name: "heart",
  version: "1",
  model: HEART_LINEAR,
  schema: HEART,
  scaling: HEART_SCALING,
  calibration: { type: "platt", slope: 0.9, offset: -0.1 },
  training: {
    data: "made-up rows",
    rows: 120,
    calibrationRows: 40,
    holdOutRows: 40,
    seed: "1",
    synthetic: true,
    figures: {
      uncalibrated: { accuracy: 0.8, auc: 0.9, brier: 0.15, expectedCalibrationError: 0.08 },
      calibrated: null,
      reach: { activation: 0, logit: 31.5 },
    },
  },
}
const network = squareNetwork(testRandom("network"), 13, 4)
if (network.kind !== "network") throw new Error("no network")
const NETWORK: TrainedModelFile = {
  ...LINEAR,
  model: {
    kind: "network",
    layers: [network.layers[0]!, { kind: "polynomial", coefficients: [0.5, 0.2, 0.1] }, network.layers[2]!],
  },
  schema: {
    ...HEART,
    fields: HEART.fields.map((field) => ({ ...field, label: `What ${field.name} is` })),
  },
  scaling: null,
  calibration: null,
  training: null,
}
const CALIBRATIONS: readonly Calibration[] = [
  { type: "temperature", temperature: 1.5 },
  {
    type: "isotonic",
    thresholds: Float64Array.of(-1, 1 / 3),
    probabilities: Float64Array.of(0.1, 0.5, 0.9),
  },
]

const HEART_LINEAR_WEIGHTS = HEART_LINEAR.kind === "linear" ? HEART_LINEAR.weights : []
const text = trainedModelToJson(LINEAR)
const refusal = (json: string): string => {
  try {
    trainedModelFromJson(json)
  } catch (error) {
    if (isConsiliumError(error)) return `${error.code}: ${error.message}`
    throw error
  }
  return "nothing was refused"
}
/** What is said of the file with another value at this place; undefined takes it out. */
const changed = (place: string, value?: unknown): string => {
  const file: unknown = JSON.parse(text)
  const names = place.split(".")
  const last = names.pop() as string
  const around = names.reduce((at, name) => (at as Record<string, unknown>)[name], file)
  Object.assign(around as object, { [last]: value })
  return refusal(JSON.stringify(file))
}

describe("the file of a trained model", () => {
  it.each<readonly [string, TrainedModelFile]>([
    ["linear", LINEAR],
    ["a network with labels, without the rest", NETWORK],
    ...CALIBRATIONS.map((calibration) => [calibration.type, { ...LINEAR, calibration }] as const),
  ])("%s: gives back the model, and the same text", (_, file) => {
    const json = trainedModelToJson(file)
    expect(trainedModelFromJson(json)).toEqual(file)
    expect(trainedModelToJson(trainedModelFromJson(json))).toBe(json)
  })

  it("numbers come back to the last bit, and a negative zero as zero", () => {
    const weights = [1e-320, Number.MAX_VALUE, 0.1 + 0.2, -0, ...HEART_LINEAR_WEIGHTS.slice(4)]
    const json = trainedModelToJson({ ...LINEAR, model: { kind: "linear", weights, bias: -1 / 3 } })
    const { model } = trainedModelFromJson(json.replace("   0,", "   -0,"))
    expect(model).toEqual({ kind: "linear", weights: weights.map((w) => w + 0), bias: -1 / 3 })
  })

  it("names the place, what was expected and the kind of what was found, never a weight", () => {
    expect([
      refusal(""),
      refusal("{"),
      refusal("[]"),
      refusal(" ".repeat(2 ** 26 + 1)),
      changed("version"),
      changed("training.synthetic"),
      changed("owner", "me"),
      refusal(text.replace('"kind": "linear"', '"__proto__": {}, "kind": "linear"')),
      changed("format", "consilium-trained-model/2"),
      changed("model.kind", "tree"),
      changed("model.weights.3", "0.42"),
      changed("model.weights.3", null),
      refusal(text.replace("0.42,", "1e999,")),
      changed("name", "x".repeat(65)),
      changed("schema.fields.0.range", [0]),
      changed("schema.fields.0.label", 5),
      changed("schema.fields.1.range", [0, 1]),
      changed("schema.fields", Array(513).fill(0)),
      changed("training.rows", 1.5),
      changed("scaling.source", "facility"),
      changed("calibration", { type: "isotonic", thresholds: [0], probabilities: {} }),
    ]).toMatchInlineSnapshot(`
      [
        "inference/bad-file: file: JSON was expected, not text that is none.",
        "inference/bad-file: file: JSON was expected, not text that is none.",
        "inference/bad-file: file: an object was expected, not a list of 0.",
        "inference/bad-file: file: a text of at most 67108864 characters was expected, not one of 67108865.",
        "inference/bad-file: file.version: a value was expected, not nothing.",
        "inference/bad-file: file.training.synthetic: a value was expected, not nothing.",
        "inference/bad-file: file: one of format, name, version, model, schema, scaling, calibration, training was expected, not "owner".",
        "inference/bad-file: file.model: one of kind, weights, bias was expected, not "__proto__".",
        "inference/bad-file: file.format: "consilium-trained-model/1" was expected, not a text of 25 characters.",
        "inference/bad-file: file.model.kind: "linear" or "network" was expected, not a text of 4 characters.",
        "inference/bad-file: file.model.weights[3]: a number was expected, not a text of 4 characters.",
        "inference/bad-file: file.model.weights[3]: a number was expected, not null.",
        "inference/bad-file: file.model.weights[3]: a finite number was expected, not one that is too large.",
        "inference/bad-file: file.name: a text of at most 64 characters was expected, not a text of 65 characters.",
        "inference/bad-file: file.schema.fields[0].range: a list of 2 was expected, not a list of 1.",
        "inference/bad-file: file.schema.fields[0].label: a text of at most 256 characters was expected, not a number.",
        "inference/bad-file: file.schema.fields[1]: one of name, type, categories, label was expected, not "range".",
        "inference/bad-file: file.schema.fields: a list of at most 512 was expected, not a list of 513.",
        "inference/bad-file: file.training.rows: a whole number of 0 or more was expected, not a number.",
        "inference/bad-file: file.scaling.source: "study" or "declared" was expected, not a text of 8 characters.",
        "inference/bad-file: file.calibration.probabilities: a list of at most 4096 was expected, not an object.",
      ]
    `)
  })

  it("parts that contradict each other are refused", () => {
    expect([
      changed("model.weights", HEART_LINEAR_WEIGHTS.slice(1)),
      changed("scaling.means", []),
      changed("schema.fields", HEART.fields.slice(1)),
      changed("calibration.slope", -1),
    ]).toMatchInlineSnapshot(`
      [
        "inference/bad-model: A linear model has 12 weights for 13 columns.",
        "inference/bad-model: There are 0 means and 13 deviations for 13 columns.",
        "inference/bad-schema: A column needs the field "age", which is not declared.",
        "inference/bad-calibration: The slope of a calibration is not above 0, or its offset is not finite.",
      ]
    `)
  })

  it("is not written where it could not be read", () => {
    const model = { kind: "linear" as const, weights: HEART_LINEAR_WEIGHTS.map(() => NaN), bias: 0 }
    expect(() => trainedModelToJson({ ...LINEAR, model })).toThrow("file.model.weights[0]")
    expect(() => trainedModelToJson({ ...LINEAR, version: "x".repeat(65) })).toThrow("file.version")
  })
})
