import { badModel, checkModel, type ModelLayer } from "../model/model.js"
import { type FlatLayer, type Intervals, networkIntervals, SQUARE } from "./intervals.js"

/** Where the numbers before and after a layer lie. */
export interface LayerBounds {
  readonly kind: ModelLayer["kind"]
  readonly input: Intervals
  readonly output: Intervals
}

const flat = (layer: ModelLayer): FlatLayer => {
  if (layer.kind === "square") return { kind: "polynomial", coefficients: SQUARE }
  if (layer.kind === "polynomial") return layer
  const outputs = layer.biases.length
  const inputs = layer.weights[0]?.length ?? 0
  const weights = new Float64Array(inputs * outputs)
  for (const [o, row] of layer.weights.entries())
    for (const [i, weight] of row.entries()) weights[i * outputs + o] = weight
  return { kind: "dense", inputs, outputs, weights, biases: layer.biases }
}

/** Refuses ranges that are none. */
export const intervalsOf = (ranges: readonly (readonly [number, number])[]): Intervals => {
  for (const [at, [low, high]] of ranges.entries())
    if (!(Number.isFinite(low) && Number.isFinite(high) && low <= high))
      badModel(`The range of column ${at + 1} is empty or not finite.`)
  return {
    low: Float64Array.from(ranges, ([low]) => low),
    high: Float64Array.from(ranges, ([, high]) => high),
  }
}

/**
 * Where every number inside a network can lie, for all that its columns are declared to hold: what an activation's fitted
 * interval, or the room above a scale, is compared with.
 *
 * Math:  `networkIntervals`
 * Shape: one range a column, as the network takes it (scaled); one result a layer
 * Units: dimensionless
 * @throws {ConsiliumError} "inference/bad-model"
 */
export const activationBounds = (
  layers: readonly ModelLayer[],
  ranges: readonly (readonly [number, number])[],
): readonly LayerBounds[] => {
  checkModel({ kind: "network", layers }, ranges.length)
  return networkIntervals(layers.map(flat), intervalsOf(ranges)).map(({ input, output }, at) => ({
    kind: (layers[at] as ModelLayer).kind,
    input,
    output,
  }))
}

/** The largest size, whatever the sign, that numbers in these intervals can have. */
export const largestSize = ({ low, high }: Intervals): number => {
  let most = 0
  for (let k = 0; k < low.length; k++)
    most = Math.max(most, Math.abs(low[k] as number), Math.abs(high[k] as number))
  return most
}
