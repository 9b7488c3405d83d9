import type { Network } from "@consilium/learning/network/network"
import { largestSize } from "./activation-bounds.js"
import { type Intervals, type LayerIntervals, networkIntervals, SQUARE } from "./intervals.js"
import { type EncryptableLayer, encryptableLayers } from "./network-layers.js"
import type { RangeLimits } from "./range-penalty.js"

/** How far numbers inside a network can go, whatever the sign. */
export interface Reach {
  /** What goes into an activation. */
  readonly activation: number
  readonly logit: number
}

const sizeAt = ({ low, high }: Intervals, k: number): number =>
  Math.max(Math.abs(low[k] as number), Math.abs(high[k] as number))

const intervalsWithin = (layers: readonly EncryptableLayer[], inputs: Intervals): readonly LayerIntervals[] =>
  networkIntervals(
    layers.map(({ flat }) => flat),
    inputs,
  )

/**
 * How far a network goes over the declared ranges of its inputs.
 * @throws {ConsiliumError} "inference/bad-model" on a network that cannot be computed on encrypted numbers
 */
export const networkReach = (network: Network, inputs: Intervals): Reach => {
  const intervals = intervalsWithin(encryptableLayers(network, network.parameters), inputs)
  const activations = intervals.filter(({ layer }) => layer.kind === "polynomial")
  return {
    activation: activations.reduce((most, { input }) => Math.max(most, largestSize(input)), 0),
    logit: largestSize((intervals.at(-1) as LayerIntervals).output),
  }
}

/** Room for the rounding of scaled weights to 32 bits. */
const MARGIN = 1 - 2 ** -18

const scaleUnit = (
  parameters: Float32Array,
  { flat, weightsAt, biasesAt }: EncryptableLayer,
  unit: number,
  by: number,
) => {
  if (flat.kind !== "dense") return
  for (let i = 0; i < flat.inputs; i++) {
    const at = weightsAt + i * flat.outputs + unit
    parameters[at] = (parameters[at] as number) * by
  }
  parameters[biasesAt + unit] = (parameters[biasesAt + unit] as number) * by
}

/**
 * The network with units made smaller where they could leave the limits. What a square unit loses, the weights behind it
 * make up for; units of other polynomials and the logit change what the network says, and the penalty in training is there
 * to leave little of that.
 *
 * Math: unit k before an activation: (w_k, b_k) <- f (w_k, b_k), f = limit / reach; after a square: v_k <- v_k / f^2
 */
export const withinLimits = (
  network: Network,
  inputs: Intervals,
  limits: RangeLimits,
): { readonly network: Network; readonly scaled: number } => {
  const parameters = network.parameters.slice()
  const layers = encryptableLayers(network, parameters)
  let scaled = 0
  const last = layers.length - 1
  for (const [at, dense] of layers.entries()) {
    if (dense.flat.kind !== "dense") continue
    const next = layers[at + 1]?.flat
    const behind = layers[at + 2]
    const limit = at === last ? limits.logit : limits.activation
    if (at !== last && next?.kind !== "polynomial") continue
    const { output } = intervalsWithin(layers, inputs)[at] as LayerIntervals
    for (let unit = 0; unit < output.low.length; unit++) {
      const size = sizeAt(output, unit)
      if (size <= limit) continue
      const by = (limit / size) * MARGIN
      scaleUnit(parameters, dense, unit, by)
      scaled++
      if (next?.kind !== "polynomial" || next.coefficients !== SQUARE || behind?.flat.kind !== "dense")
        continue
      const { outputs } = behind.flat
      for (let o = 0; o < outputs; o++) {
        const place = behind.weightsAt + unit * outputs + o
        parameters[place] = (parameters[place] as number) / (by * by)
      }
    }
  }
  return { network: { description: network.description, parameters }, scaled }
}
