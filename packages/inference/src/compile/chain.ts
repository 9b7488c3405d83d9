import type { SlotLayer, SlotNetwork } from "../model/integer-model.js"
import type { ModelLayer } from "../model/model.js"
import { type FlatLayer, networkIntervals } from "../training/intervals.js"
import { doublesOff, type UnitAffine } from "./fold.js"
import { noPlan } from "./refusal.js"

/** A dense layer and its activation: y^2, or y^3 + slope y. */
export interface ChainLayer {
  readonly weights: readonly (readonly number[])[]
  readonly biases: readonly number[]
  readonly degree: 2 | 3
  /** 0 where the activation is a square. */
  readonly slope: number
  /** How far roundings of doubles take what goes into each activation from the model's, at most. */
  readonly offs: readonly number[]
}

/** A network of unit values whose activations have no other coefficients: those are in the layers around them. */
export interface Chain {
  readonly layers: readonly ChainLayer[]
  readonly weights: readonly number[]
  readonly bias: number
  /** The same for the logit. */
  readonly off: number
}

/** shape y = x + shift; the activation is factor (y^degree + slope y) + rest. */
interface Activation extends Pick<ChainLayer, "degree" | "slope"> {
  readonly shift: number
  readonly factor: number
  readonly rest: number
  /** The sizes of what the rest is a difference of. */
  readonly restSize: number
}

/**
 * A polynomial of degree two as a square, one of degree three without its square.
 *
 * Math: c_2 x^2 + c_1 x + c_0 = c_2 y^2 + r, y = x + c_1 / (2 c_2); c_3 x^3 + ... = c_3 (y^3 + p y) + r, y = x + c_2 / (3 c_3),
 *       p = c_1 / c_3 - 3 t^2
 */
const activationOf = (layer: ModelLayer, name: string): Activation => {
  const given = layer.kind === "square" ? [0, 0, 1] : layer.kind === "polynomial" ? layer.coefficients : []
  const degree = given.reduce((most, c, k) => (c === 0 ? most : k), 0)
  const [c0 = 0, c1 = 0, c2 = 0, c3 = 0] = given
  if (degree === 2) {
    const shift = c1 / (2 * c2)
    const squared = c2 * shift * shift
    return {
      degree,
      slope: 0,
      shift,
      factor: c2,
      rest: c0 - squared,
      restSize: Math.abs(c0) + Math.abs(squared),
    }
  }
  if (degree === 3) {
    const shift = c2 / (3 * c3)
    const slope = c1 / c3 - 3 * shift * shift
    const sizes = Math.abs(c3) * (shift * shift + Math.abs(slope)) * Math.abs(shift)
    return {
      degree,
      slope,
      shift,
      factor: c3,
      rest: c0 - c3 * (shift * shift + slope) * shift,
      restSize: Math.abs(c0) + sizes,
    }
  }
  return noPlan(`${name}: on encrypted patients activations are polynomials of degree two or three.`)
}

type Dense = Extract<ModelLayer, { kind: "dense" }>

/**
 * A network as a chain.
 * @throws {ConsiliumError} "inference/no-plan" with the layer unless dense layers and activations take turns
 */
export const chainOf = (
  layers: readonly ModelLayer[],
  fold: (weights: readonly number[], bias: number) => UnitAffine,
): Chain => {
  const name = (i: number): string => `Layer ${i + 1} (${layers[i]?.kind})`
  layers.forEach((layer, i) => {
    if ((layer.kind === "dense") !== (i % 2 === 0))
      noPlan(`${name(i)}: dense layers and activations must take turns.`)
  })
  if (layers.length < 3 || layers.length % 2 === 0)
    noPlan(
      `Layer ${layers.length}: a network begins and ends with a dense layer, with an activation between.`,
    )
  const hidden: ChainLayer[] = []
  let before: Activation | null = null
  const affineOf = (layer: Dense, shift: number): readonly UnitAffine[] =>
    layer.weights.map((row, o) => {
      const bias = (layer.biases[o] as number) + shift
      const own = Math.abs(bias) + Math.abs(shift)
      if (before === null) {
        const { off, ...folded } = fold(row, bias)
        return { ...folded, off: off + doublesOff(0, own) }
      }
      const { factor, rest, restSize } = before
      return {
        weights: row.map((w) => w * factor),
        bias: row.reduce((sum, w) => sum + w * rest, bias),
        off: doublesOff(
          row.length,
          row.reduce((sum, w) => sum + Math.abs(w) * restSize, own),
        ),
      }
    })
  for (let i = 0; i + 2 < layers.length; i += 2) {
    const activation = activationOf(layers[i + 1] as ModelLayer, name(i + 1))
    const units = affineOf(layers[i] as Dense, activation.shift)
    hidden.push({
      weights: units.map(({ weights }) => weights),
      biases: units.map(({ bias }) => bias),
      degree: activation.degree,
      slope: activation.slope,
      offs: units.map(({ off }) => off),
    })
    before = activation
  }
  const [last] = affineOf(layers[layers.length - 1] as Dense, 0) as [UnitAffine]
  return { layers: hidden, ...last }
}

/** The cube root, by Newton's method: + - * / only, so the same bits in every engine. */
export const cubeRoot = (value: number): number => {
  const size = Math.abs(value)
  if (size === 0) return 0
  let root = 1
  while (root * root * root < size) root *= 2
  while (root * root * root > 8 * size) root /= 2
  for (let i = 0; i < 8; i++) root -= (root - size / (root * root)) / 3
  return value < 0 ? -root : root
}

/** The factors of the last hidden layer's units that make the logit a plain sum; imaginary ones where squares are subtracted. */
const lastFactors = ({ layers, weights }: Chain): readonly number[] =>
  layers[layers.length - 1]?.degree === 2
    ? weights.map((w) => Math.sqrt(Math.abs(w)))
    : weights.map((w) => cubeRoot(w))

/** Zero without a sign: a negative one has no encoding. */
const plain = (value: number): number => value + 0

/**
 * The chain as it is evaluated in slots: the last layer's weights are in the last hidden layer, as roots, so the logit is a sum.
 *
 * Math: w y^2 = (a y)^2 with a = sqrt(w), imaginary for w < 0; w (y^3 + p y) = (a y)^3 + a^2 p (a y) with a the cube root of w
 */
export const slotNetwork = (chain: Chain): SlotNetwork => {
  const { layers, weights, bias } = chain
  const factors = lastFactors(chain)
  const square = layers[layers.length - 1]?.degree === 2
  return {
    kind: "slots",
    layers: layers.map((layer, l): SlotLayer => {
      const factor = (o: number): number => (l === layers.length - 1 ? (factors[o] as number) : 1)
      return {
        weights: layer.weights.map((row, o) => Float64Array.from(row, (w) => plain(w * factor(o)))),
        biases: Float64Array.from(layer.biases, (b, o) => plain(b * factor(o))),
        slopes:
          layer.degree === 2
            ? new Float64Array(0)
            : Float64Array.from(layer.biases, (_, o) => plain(layer.slope * factor(o) * factor(o))),
      }
    }),
    imaginary: weights.map((w) => square && w < 0),
    bias: plain(bias),
  }
}

/** Where the numbers of a chain lie, over all unit values from -1 to 1. */
export interface ChainReach {
  /** What goes into each activation. */
  readonly inputs: readonly { readonly low: Float64Array; readonly high: Float64Array }[]
  /** What comes out of it. */
  readonly outputs: readonly { readonly low: Float64Array; readonly high: Float64Array }[]
  /** The same for what goes into activations, as it is evaluated in slots: sizes only. */
  readonly sizes: readonly Float64Array[]
  /** How far roundings of doubles take it from the model's there. */
  readonly offs: readonly Float64Array[]
  /** The same for the logit. */
  readonly off: number
  readonly low: number
  readonly high: number
}

const flat = (weights: readonly (readonly number[])[], biases: readonly number[]): FlatLayer => {
  const [outputs, inputs] = [biases.length, weights[0]?.length ?? 0]
  const all = Float64Array.from({ length: inputs * outputs }, (_, at) => {
    const i = Math.floor(at / outputs)
    return weights[at - i * outputs]?.[i] as number
  })
  return { kind: "dense", inputs, outputs, weights: all, biases }
}

/** Interval arithmetic over a chain. */
export const chainReach = (chain: Chain): ChainReach => {
  const { layers, weights, bias } = chain
  const columns = layers[0]?.weights[0]?.length ?? 0
  const steps = networkIntervals(
    [
      ...layers.flatMap((layer): readonly FlatLayer[] => [
        flat(layer.weights, layer.biases),
        { kind: "polynomial", coefficients: layer.degree === 2 ? [0, 0, 1] : [0, layer.slope, 0, 1] },
      ]),
      flat([weights], [bias]),
    ],
    { low: new Float64Array(columns).fill(-1), high: new Float64Array(columns).fill(1) },
  )
  const factors = lastFactors(chain)
  const factor = (l: number, o: number): number =>
    l === layers.length - 1 ? Math.abs(factors[o] as number) : 1
  const activations = steps.filter((_, i) => i % 2 === 1)
  const logit = steps[steps.length - 1]?.output
  return {
    inputs: activations.map(({ input }) => input),
    outputs: activations.map(({ output }) => output),
    sizes: activations.map(({ input: { low, high } }, l) =>
      Float64Array.from(low, (least, o) => {
        const size = Math.max(Math.abs(least), Math.abs(high[o] as number))
        return size * factor(l, o)
      }),
    ),
    offs: layers.map(({ offs }, l) => Float64Array.from(offs, (off, o) => off * factor(l, o))),
    off: chain.off,
    low: logit?.low[0] as number,
    high: logit?.high[0] as number,
  }
}
