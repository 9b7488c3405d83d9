import type { LayerDescription, NetworkDescription, RowShape } from "@consilium/learning/network/description"

/** What a dropout layer multiplies one row with. */
export type Masks = readonly (readonly number[] | undefined)[]

type Image = readonly [number, number, number]
const asImage = (shape: RowShape): Image => (shape.length === 1 ? [1, 1, shape[0]] : shape)

/** One row through one layer in doubles, by the definition, and the shape it has then. */
const through = (
  layer: LayerDescription,
  shape: RowShape,
  x: readonly number[],
  take: (count: number) => Float64Array,
  mask: readonly number[] | undefined,
): { shape: RowShape; y: number[] } => {
  const [h, w, channels] = asImage(shape)
  const pixel = (iy: number, ix: number, c: number): number =>
    iy < 0 || iy >= h || ix < 0 || ix >= w ? 0 : x[(iy * w + ix) * channels + c]!
  switch (layer.kind) {
    case "dense": {
      const weights = take(x.length * layer.outputs)
      const bias = take(layer.outputs)
      const y = Array.from(bias, (b, j) =>
        x.reduce((sum, value, i) => sum + value * weights[i * layer.outputs + j]!, b),
      )
      return { shape: [layer.outputs], y }
    }
    case "conv2d": {
      const { size, stride, padding } = layer
      const weights = take(size[0] * size[1] * channels * layer.channels)
      const bias = take(layer.channels)
      const oh = Math.floor((h + padding[0] + padding[2] - size[0]) / stride[0]) + 1
      const ow = Math.floor((w + padding[1] + padding[3] - size[1]) / stride[1]) + 1
      const y: number[] = []
      for (let oy = 0; oy < oh; oy++)
        for (let ox = 0; ox < ow; ox++)
          for (let o = 0; o < layer.channels; o++) {
            let sum = bias[o]!
            for (let ky = 0; ky < size[0]; ky++)
              for (let kx = 0; kx < size[1]; kx++)
                for (let c = 0; c < channels; c++)
                  sum +=
                    pixel(oy * stride[0] - padding[0] + ky, ox * stride[1] - padding[1] + kx, c) *
                    weights[((ky * size[1] + kx) * channels + c) * layer.channels + o]!
            y.push(sum)
          }
      return { shape: [oh, ow, layer.channels], y }
    }
    case "max-pool":
    case "average-pool": {
      const { size, stride } = layer
      const oh = Math.floor((h - size[0]) / stride[0]) + 1
      const ow = Math.floor((w - size[1]) / stride[1]) + 1
      const y: number[] = []
      for (let oy = 0; oy < oh; oy++)
        for (let ox = 0; ox < ow; ox++)
          for (let c = 0; c < channels; c++) {
            const window = Array.from({ length: size[0] * size[1] }, (_, k) =>
              pixel(oy * stride[0] + Math.floor(k / size[1]), ox * stride[1] + (k % size[1]), c),
            )
            y.push(
              layer.kind === "max-pool"
                ? Math.max(...window)
                : window.reduce((a, b) => a + b, 0) / window.length,
            )
          }
      return { shape: [oh, ow, channels], y }
    }
    case "group-norm": {
      const gamma = take(channels)
      const beta = take(channels)
      const size = channels / layer.groups
      const groups = Array.from({ length: layer.groups }, (_, g) => {
        const members = x.filter((_, i) => Math.floor((i % channels) / size) === g)
        const mean = members.reduce((a, b) => a + b, 0) / members.length
        const variance = members.reduce((a, b) => a + (b - mean) ** 2, 0) / members.length
        return { mean, deviation: Math.sqrt(variance + 1e-5) }
      })
      const y = x.map((value, i) => {
        const { mean, deviation } = groups[Math.floor((i % channels) / size)]!
        return ((value - mean) / deviation) * gamma[i % channels]! + beta[i % channels]!
      })
      return { shape, y }
    }
    case "relu":
      return { shape, y: x.map((value) => Math.max(value, 0)) }
    case "square":
      return { shape, y: x.map((value) => value * value) }
    case "polynomial":
      return {
        shape,
        y: x.map((value) => layer.coefficients.reduce((sum, c, i) => sum + Math.fround(c) * value ** i, 0)),
      }
    case "flatten":
      return { shape: [x.length], y: [...x] }
    case "dropout":
      return { shape, y: mask === undefined ? [...x] : x.map((value, i) => value * mask[i]!) }
  }
}

/** The outputs of one row, in doubles. */
export const referenceOutputs = (
  { input, layers }: NetworkDescription,
  parameters: Float64Array,
  row: readonly number[],
  masks: Masks = [],
): readonly number[] => {
  let at = 0
  const take = (count: number): Float64Array => {
    at += count
    return parameters.subarray(at - count, at)
  }
  let shape = input
  let x = [...row]
  layers.forEach((layer, i) => {
    const next = through(layer, shape, x, take, masks[i])
    shape = next.shape
    x = next.y
  })
  return x
}

/** The loss of one row, in doubles. */
export const referenceLoss = (
  description: NetworkDescription,
  parameters: Float64Array,
  row: readonly number[],
  targets: readonly number[],
  masks: Masks = [],
): number => {
  const z = referenceOutputs(description, parameters, row, masks)
  switch (description.loss) {
    case "sigmoid-cross-entropy":
      return (
        z.reduce((sum, value, j) => sum + Math.log1p(Math.exp(value)) - value * targets[j]!, 0) / z.length
      )
    case "softmax-cross-entropy":
      return Math.log(z.reduce((sum, value) => sum + Math.exp(value), 0)) - z[targets[0]!]!
    case "squared-error":
      return z.reduce((sum, value, j) => sum + (value - targets[j]!) ** 2, 0) / z.length
  }
}

/** The gradient of a function by central differences. */
export const differences = (
  f: (at: Float64Array) => number,
  at: Float64Array,
  width = 1e-5,
): Float64Array => {
  const place = Float64Array.from(at)
  return place.map((value, i) => {
    place[i] = value + width
    const above = f(place)
    place[i] = value - width
    const below = f(place)
    place[i] = value
    return (above - below) / (2 * width)
  })
}
