import { type RandomSource, uniformUnit } from "@consilium/base/random"
import { insecureSeededRandom } from "@consilium/base/testing"
import type { ColumnScaling, ModelLayer, TrainedModel } from "@consilium/inference/model/model"
import { columnsOf, type InputField, type InputSchema } from "@consilium/inference/schema/fields"
import type { Patient } from "@consilium/inference/schema/patient"

const codes = (from: number, ...names: readonly string[]) =>
  names.map((name, i) => ({ name, value: from + i }))

/** The thirteen fields of the heart disease data. */
export const HEART_FIELDS: readonly InputField[] = [
  { name: "age", type: "number", unit: "years", range: [0, 120] },
  { name: "sex", type: "category", categories: codes(0, "female", "male") },
  { name: "cp", type: "category", categories: codes(1, "typical", "atypical", "other", "asymptomatic") },
  { name: "trestbps", type: "number", unit: "mm Hg", range: [0, 300] },
  { name: "chol", type: "number", unit: "mg/dl", range: [0, 1000] },
  { name: "fbs", type: "boolean" },
  { name: "restecg", type: "category", categories: codes(0, "normal", "ST-T", "hypertrophy") },
  { name: "thalach", type: "number", unit: "beats per minute", range: [0, 300] },
  { name: "exang", type: "boolean" },
  { name: "oldpeak", type: "number", unit: "mm", range: [-10, 10] },
  { name: "slope", type: "category", categories: codes(1, "up", "flat", "down") },
  { name: "ca", type: "number", unit: "vessels", range: [0, 3] },
  { name: "thal", type: "category", categories: [...codes(3, "normal"), ...codes(6, "fixed", "reversible")] },
]
export const HEART: InputSchema = { fields: HEART_FIELDS, columns: columnsOf(HEART_FIELDS) }

/** Round figures near those of the published data. */
export const HEART_SCALING: ColumnScaling = {
  source: "study",
  means: [54, 0.68, 3.2, 132, 247, 0.15, 1, 149, 0.33, 1, 1.6, 0.67, 4.7],
  deviations: [9, 0.47, 0.96, 18, 52, 0.36, 1, 23, 0.47, 1.2, 0.6, 0.94, 1.9],
}

/** A logistic regression such as training gives. */
export const HEART_LINEAR: TrainedModel = {
  kind: "linear",
  weights: [-0.11, 0.68, 0.55, 0.42, 0.25, -0.31, 0.24, -0.47, 0.41, 0.38, 0.34, 1.12, 0.68],
  bias: -0.21,
}

export const testRandom = (label: string): RandomSource => insecureSeededRandom(label)

const between = (random: RandomSource, low: number, high: number): number =>
  low + (high - low) * uniformUnit(random)

/** A network of one hidden layer with small random weights. */
export const squareNetwork = (
  random: RandomSource,
  columns: number,
  hidden: number,
  size = 0.3,
): TrainedModel => {
  const numbers = (count: number, most: number) =>
    Array.from({ length: count }, () => between(random, -most, most))
  return {
    kind: "network",
    layers: [
      {
        kind: "dense",
        weights: Array.from({ length: hidden }, () => numbers(columns, size)),
        biases: numbers(hidden, size),
      },
      { kind: "square" },
      { kind: "dense", weights: [numbers(hidden, size)], biases: numbers(1, size) },
    ],
  }
}

/** A network of dense layers of these widths, with one activation between each two; weights as large as the square root of what comes in. */
export const denseNetwork = (
  random: RandomSource,
  widths: readonly number[],
  activations: readonly ModelLayer[],
  size = 0.5,
): TrainedModel => ({
  kind: "network",
  layers: widths.slice(1).flatMap((width, l): readonly ModelLayer[] => {
    const from = widths[l] as number
    const most = size / Math.sqrt(from)
    const dense: ModelLayer = {
      kind: "dense",
      weights: Array.from({ length: width }, () =>
        Array.from({ length: from }, () => between(random, -most, most)),
      ),
      biases: Array.from({ length: width }, () => between(random, -size, size)),
    }
    const activation = activations[l]
    return activation === undefined ? [dense] : [dense, activation]
  }),
})

const pick = <T>(random: RandomSource, from: readonly T[]): T =>
  from[Math.floor(uniformUnit(random) * from.length)] as T

/** A patient anywhere in the declared ranges. */
export const randomPatient = (random: RandomSource, { fields }: InputSchema = HEART): Patient =>
  Object.fromEntries(
    fields.map((field) => {
      if (field.type === "number") return [field.name, between(random, ...field.range)]
      if (field.type === "boolean") return [field.name, uniformUnit(random) < 0.5]
      return [field.name, pick(random, field.categories).name]
    }),
  )

/** A patient at the ends of all ranges; one bit of `corner` a field. */
export const extremePatient = (corner: number, { fields }: InputSchema = HEART): Patient =>
  Object.fromEntries(
    fields.map((field, i) => {
      const high = ((corner >> i) & 1) === 1
      if (field.type === "number") return [field.name, field.range[high ? 1 : 0]]
      if (field.type === "boolean") return [field.name, high]
      const sorted = [...field.categories].sort((a, b) => a.value - b.value)
      return [field.name, (sorted.at(high ? -1 : 0) as (typeof sorted)[number]).name]
    }),
  )
