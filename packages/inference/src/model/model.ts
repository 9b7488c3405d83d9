import { ConsiliumError } from "@consilium/base/errors"

/** One layer of a network, with its numbers. */
export type ModelLayer =
  /** weights[o][i]: from input i to output o. */
  | {
      readonly kind: "dense"
      readonly weights: readonly (readonly number[])[]
      readonly biases: readonly number[]
    }
  | { readonly kind: "square" }
  /** coefficients[0] + coefficients[1] x + coefficients[2] x^2 + ... */
  | { readonly kind: "polynomial"; readonly coefficients: readonly number[] }

/** A trained model that gives one number, a logit, of some columns. */
export type TrainedModel =
  | { readonly kind: "linear"; readonly weights: readonly number[]; readonly bias: number }
  | { readonly kind: "network"; readonly layers: readonly ModelLayer[] }

/**
 * How columns were scaled before training, x' = (x - mean) / (deviation + 1e-9), and 0 where the deviation is 0. Only what the whole study
 * or a declaration says may be folded into a plan: means and deviations of one facility are its own statistics.
 */
export interface ColumnScaling {
  readonly source: "study" | "declared"
  readonly means: readonly number[]
  readonly deviations: readonly number[]
}

export const badModel = (message: string): never => {
  throw new ConsiliumError("inference/bad-model", message)
}

/** Refuses a model that contradicts itself, does not take so many columns, or gives more than one number. */
export const checkModel = (model: TrainedModel, columns: number): void => {
  if (model.kind === "linear") {
    if (model.weights.length !== columns)
      badModel(`A linear model has ${model.weights.length} weights for ${columns} columns.`)
    if (![...model.weights, model.bias].every(Number.isFinite))
      badModel("A weight of the linear model is not finite.")
    return
  }
  let width = columns
  model.layers.forEach((layer, i) => {
    const name = `Layer ${i + 1} (${layer.kind})`
    const numbers = layer.kind === "dense" ? [...layer.weights.flat(), ...layer.biases] : []
    if (layer.kind === "dense") {
      if (layer.weights.length !== layer.biases.length || layer.weights.length === 0)
        badModel(`${name} has ${layer.weights.length} rows of weights and ${layer.biases.length} biases.`)
      if (layer.weights.some((row) => row.length !== width))
        badModel(`${name} does not take ${width} numbers.`)
      width = layer.weights.length
    } else if (layer.kind === "polynomial") numbers.push(...layer.coefficients)
    if (!numbers.every(Number.isFinite)) badModel(`${name} has a number that is not finite.`)
  })
  if (width !== 1) badModel(`The network gives ${width} numbers; one logit is wanted.`)
}

/** The scaled columns. */
export const scaleColumns = (scaling: ColumnScaling | null, columns: ArrayLike<number>): Float64Array =>
  Float64Array.from(columns, (x, i) => {
    if (scaling === null) return x
    const deviation = scaling.deviations[i] as number
    return deviation === 0 ? 0 : (x - (scaling.means[i] as number)) / (deviation + SCALING_FLOOR)
  })
/** What is added to deviations, as where models are trained. */
export const SCALING_FLOOR = 1e-9

const dense = (weights: readonly (readonly number[])[], biases: readonly number[], x: Float64Array) =>
  Float64Array.from(weights, (row, o) =>
    row.reduce((sum, w, i) => sum + w * (x[i] as number), biases[o] as number),
  )

/**
 * The logit of the model as it was trained, on what is not encrypted.
 * Shape: columns: raw values, in the order of the schema
 */
export const plainLogit = (
  model: TrainedModel,
  scaling: ColumnScaling | null,
  columns: ArrayLike<number>,
): number => {
  let x = scaleColumns(scaling, columns)
  if (model.kind === "linear") return dense([model.weights], [model.bias], x)[0] as number
  for (const layer of model.layers) {
    if (layer.kind === "dense") x = dense(layer.weights, layer.biases, x)
    else if (layer.kind === "square") x = x.map((value) => value * value)
    else x = x.map((value) => layer.coefficients.reduceRight((sum, c) => sum * value + c, 0))
  }
  return x[0] as number
}
