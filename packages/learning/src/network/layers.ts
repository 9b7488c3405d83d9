import { dropoutLayer, flattenLayer, polynomialLayer, reluLayer, squareLayer } from "./activation-layers.js"
import { convolutionLayer } from "./convolution-layer.js"
import { denseLayer } from "./dense-layer.js"
import { type PlacedLayer, rowSize } from "./description.js"
import { groupNormLayer } from "./group-norm-layer.js"
import type { Layer } from "./layer.js"
import { averagePoolLayer, maxPoolLayer } from "./pooling-layer.js"

/** The layer that a checked description asks for. */
export const layerOf = ({ layer, input, output }: PlacedLayer): Layer => {
  const [height, width = 1, channels = 1] = input
  const [outHeight, outWidth = 1, outChannels = 1] = output
  switch (layer.kind) {
    case "dense":
      return denseLayer(height, layer.outputs)
    case "conv2d": {
      const { size, stride, padding } = layer
      return convolutionLayer({
        height,
        width,
        channels,
        size,
        stride,
        padding,
        outHeight,
        outWidth,
        outChannels,
      })
    }
    case "max-pool":
    case "average-pool": {
      const { size, stride } = layer
      const place = { height, width, channels, size, stride, outHeight, outWidth }
      return layer.kind === "max-pool" ? maxPoolLayer(place) : averagePoolLayer(place)
    }
    case "group-norm":
      return input.length === 1
        ? groupNormLayer(1, height, layer.groups)
        : groupNormLayer(height * width, channels, layer.groups)
    case "relu":
      return reluLayer(rowSize(input))
    case "square":
      return squareLayer(rowSize(input))
    case "polynomial":
      return polynomialLayer(rowSize(input), layer.coefficients)
    case "flatten":
      return flattenLayer()
    case "dropout":
      return dropoutLayer(rowSize(input))
  }
}
