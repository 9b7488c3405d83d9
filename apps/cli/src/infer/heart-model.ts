import {
  type ColumnScaling,
  plainLogit,
  scaleColumns,
  type TrainedModel,
} from "@consilium/inference/model/model"
import { columnRange } from "@consilium/inference/schema/fields"
import { inputSchemaOf } from "@consilium/node/inference/input-schema"
import {
  HEART_DECLARED_STANDARDISER,
  HEART_FEATURES,
  UCI_HEART_SCHEMA,
} from "@consilium/records/heart-schema"
import type { LabelledRows } from "@consilium/records/rows"

/** What heart models are asked with: ten fields, thirteen columns. */
export const HEART_INPUTS = inputSchemaOf(UCI_HEART_SCHEMA, HEART_FEATURES)

/** Declared constants: nothing of any facility's patients goes into a plan with them. */
export const HEART_SCALING: ColumnScaling = {
  source: "declared",
  means: [...HEART_DECLARED_STANDARDISER.means],
  deviations: [...HEART_DECLARED_STANDARDISER.deviations],
}

/** Where the scaled columns lie. */
export const scaledRanges = (): readonly (readonly [number, number])[] => {
  const ranges = HEART_INPUTS.columns.map((column) => columnRange(HEART_INPUTS, column))
  const [low, high] = [0, 1].map((end) =>
    scaleColumns(
      HEART_SCALING,
      ranges.map((range) => range[end as 0 | 1]),
    ),
  ) as [Float64Array, Float64Array]
  return ranges.map((_, i) => [low[i] as number, high[i] as number])
}

/** The logits that a model gives rows as they are in their file. */
export const logitsOf = (
  model: TrainedModel,
  scaling: ColumnScaling | null,
  { rows, columns, features }: LabelledRows,
): Float64Array =>
  Float64Array.from({ length: rows }, (_, row) =>
    plainLogit(model, scaling, features.subarray(row * columns, (row + 1) * columns)),
  )
