import { ConsiliumError } from "@consilium/base/errors"

/** The shape of one row as it passes between layers: a list of numbers, or an image of height, width and channels. */
export type RowShape = readonly [number] | readonly [number, number, number]

/** Height and width. */
export type Extent = readonly [number, number]

/**
 * One layer. Images are stored line by line with the channels of a pixel together. Windows of pooling layers lie wholly
 * inside the image: what is left over at the right and at the bottom is not looked at.
 */
export type LayerDescription =
  | { readonly kind: "dense"; readonly outputs: number }
  | {
      readonly kind: "conv2d"
      readonly channels: number
      readonly size: Extent
      readonly stride: Extent
      /** Lines and columns of zeros at the top, left, bottom and right. */
      readonly padding: readonly [number, number, number, number]
    }
  | { readonly kind: "max-pool"; readonly size: Extent; readonly stride: Extent }
  | { readonly kind: "average-pool"; readonly size: Extent; readonly stride: Extent }
  | { readonly kind: "group-norm"; readonly groups: number }
  | { readonly kind: "relu" }
  | { readonly kind: "square" }
  /** coefficients[0] + coefficients[1] x + coefficients[2] x^2 + ... */
  | { readonly kind: "polynomial"; readonly coefficients: readonly number[] }
  | { readonly kind: "flatten" }
  /** Sets each number to zero with probability `rate`, in training only, and scales the rest by 1 / (1 - rate). */
  | { readonly kind: "dropout"; readonly rate: number }

/**
 * What the outputs are compared with the targets by. Targets are, for each row: one number in [0, 1] an output
 * (sigmoid-cross-entropy), the number of one class (softmax-cross-entropy), one number an output (squared-error). The
 * loss of a row is the mean over its outputs for the first and the last.
 */
export type Loss = "sigmoid-cross-entropy" | "softmax-cross-entropy" | "squared-error"

/** What a network computes, apart from its parameters: plain data. */
export interface NetworkDescription {
  readonly input: RowShape
  readonly layers: readonly LayerDescription[]
  readonly loss: Loss
}

/** The largest number of parameters of a network, and of numbers in one row between two layers. */
export const MAX_SIZE = 1 << 26
const MAX_LAYERS = 256
const MAX_DEGREE = 16

const bad = (message: string): never => {
  throw new ConsiliumError("learning/bad-setting", message)
}
const size = (name: string, value: number, least = 1): void => {
  if (!Number.isSafeInteger(value) || value < least || value > MAX_SIZE)
    bad(`The ${name} is ${value}; a whole number from ${least} to ${MAX_SIZE} was expected.`)
}
const sizes = (name: string, values: readonly number[], count: number, least = 1): void => {
  if (!Array.isArray(values) || values.length !== count)
    bad(`The ${name} takes ${count} numbers, one after the other.`)
  for (const value of values) size(name, value, least)
}

/** How many numbers a row of a shape has. */
export const rowSize = (shape: RowShape): number =>
  shape.length === 1 ? shape[0] : shape[0] * shape[1] * shape[2]

/** How many windows fit, in one direction. */
const places = (name: string, length: number, extent: number, stride: number): number => {
  if (extent > length) bad(`A window of ${extent} in a ${name} does not fit an image of ${length}.`)
  return Math.floor((length - extent) / stride) + 1
}

const image = (name: string, shape: RowShape): readonly [number, number, number] =>
  shape.length === 3
    ? shape
    : bad(`A ${name} layer takes images, but its input is a list of ${shape[0]} numbers.`)

const outputOf = (layer: LayerDescription, input: RowShape): RowShape => {
  switch (layer.kind) {
    case "dense":
      size("number of outputs of a dense layer", layer.outputs)
      if (input.length !== 1) bad("A dense layer takes a list of numbers: put a flatten layer before it.")
      return [layer.outputs]
    case "conv2d": {
      const [height, width] = image("conv2d", input)
      size("number of channels of a conv2d layer", layer.channels)
      sizes("size of a conv2d layer", layer.size, 2)
      sizes("stride of a conv2d layer", layer.stride, 2)
      sizes("padding of a conv2d layer", layer.padding, 4, 0)
      const [top, left, bottom, right] = layer.padding
      return [
        places("conv2d layer", height + top + bottom, layer.size[0], layer.stride[0]),
        places("conv2d layer", width + left + right, layer.size[1], layer.stride[1]),
        layer.channels,
      ]
    }
    case "max-pool":
    case "average-pool": {
      const [height, width, channels] = image(layer.kind, input)
      sizes(`size of a ${layer.kind} layer`, layer.size, 2)
      sizes(`stride of a ${layer.kind} layer`, layer.stride, 2)
      return [
        places(`${layer.kind} layer`, height, layer.size[0], layer.stride[0]),
        places(`${layer.kind} layer`, width, layer.size[1], layer.stride[1]),
        channels,
      ]
    }
    case "group-norm": {
      const channels = input[input.length - 1] as number
      size("number of groups of a group-norm layer", layer.groups)
      if (channels % layer.groups !== 0)
        bad(`${channels} channels cannot be put into ${layer.groups} groups of one size.`)
      return input
    }
    case "polynomial": {
      const { coefficients } = layer
      if (!Array.isArray(coefficients) || coefficients.length < 1 || coefficients.length > MAX_DEGREE + 1)
        bad(`A polynomial takes 1 to ${MAX_DEGREE + 1} coefficients.`)
      if (coefficients.some((value) => !Number.isFinite(Math.fround(value))))
        bad("A coefficient of a polynomial is not a finite 32-bit number.")
      return input
    }
    case "dropout":
      if (!(layer.rate >= 0 && layer.rate < 1))
        bad(`The rate of a dropout layer is ${layer.rate}; it must lie in [0, 1).`)
      return input
    case "flatten":
      return [rowSize(input)]
    case "relu":
    case "square":
      return input
    default:
      return bad(`"${String((layer as { kind: unknown }).kind)}" is no layer.`)
  }
}

/** One named block of a layer's parameters; `fanIn` and `fanOut` are 0 where it is no matrix of weights. */
export interface ParameterBlock {
  readonly name: string
  readonly shape: readonly number[]
  readonly fanIn: number
  readonly fanOut: number
}

const blocksOf = (layer: LayerDescription, input: RowShape, at: number): readonly ParameterBlock[] => {
  const name = `${at}.${layer.kind}`
  const block = (part: string, shape: readonly number[], fanIn = 0, fanOut = 0): ParameterBlock => ({
    name: `${name}.${part}`,
    shape,
    fanIn,
    fanOut,
  })
  switch (layer.kind) {
    case "dense": {
      const inputs = rowSize(input)
      return [
        block("weights", [inputs, layer.outputs], inputs, layer.outputs),
        block("bias", [layer.outputs]),
      ]
    }
    case "conv2d": {
      const channels = input[2] as number
      const [height, width] = layer.size
      const pixels = height * width
      return [
        block(
          "weights",
          [height, width, channels, layer.channels],
          pixels * channels,
          pixels * layer.channels,
        ),
        block("bias", [layer.channels]),
      ]
    }
    case "group-norm": {
      const channels = input[input.length - 1] as number
      return [block("gamma", [channels]), block("beta", [channels])]
    }
    default:
      return []
  }
}

/** A layer in its place: shapes of its rows, and where its parameters lie in the flat array. */
export interface PlacedLayer {
  readonly layer: LayerDescription
  readonly input: RowShape
  readonly output: RowShape
  readonly blocks: readonly ParameterBlock[]
  readonly parameterStart: number
  readonly parameterCount: number
}

/** A checked network: its layers in place, and its totals. */
export interface NetworkShape {
  readonly layers: readonly PlacedLayer[]
  readonly inputs: number
  readonly outputs: number
  /** How many targets a row has: one class, or one number an output. */
  readonly targets: number
  readonly parameters: number
}

/**
 * Checks a description and works out the shape of everything in it.
 *
 * Shape: dense weights are inputs x outputs, conv2d weights height x width x channels in x channels out
 * @throws {ConsiliumError} "learning/bad-setting" on a layer, loss, shape or size that cannot be
 */
export const networkShape = (description: NetworkDescription): NetworkShape => {
  const { input, layers, loss } = description
  if (!["sigmoid-cross-entropy", "softmax-cross-entropy", "squared-error"].includes(loss))
    bad(`"${String(loss)}" is no loss.`)
  if (!Array.isArray(input) || (input.length !== 1 && input.length !== 3))
    bad("The input of a network has one size, or height, width and channels.")
  for (const value of input) size("input size", value)
  if (!Array.isArray(layers) || layers.length < 1 || layers.length > MAX_LAYERS)
    bad(`A network has 1 to ${MAX_LAYERS} layers.`)
  size("number of inputs", rowSize(input))
  let shape: RowShape = input
  let parameters = 0
  const placed = layers.map((layer: LayerDescription, at): PlacedLayer => {
    const output = outputOf(layer, shape)
    size("number of numbers between two layers", rowSize(output))
    const blocks = blocksOf(layer, shape, at)
    const count = blocks.reduce(
      (sum, block) => sum + block.shape.reduce((product, side) => product * side, 1),
      0,
    )
    const result = {
      layer,
      input: shape,
      output,
      blocks,
      parameterStart: parameters,
      parameterCount: count,
    }
    parameters += count
    shape = output
    return result
  })
  size("number of parameters", parameters)
  if (shape.length !== 1) bad("The last layer gives an image: put a flatten layer behind it.")
  const outputs = rowSize(shape)
  return {
    layers: placed,
    inputs: rowSize(input),
    outputs,
    targets: loss === "softmax-cross-entropy" ? 1 : outputs,
    parameters,
  }
}
