import type { Extent } from "./description.js"
import { type Layer, NO_NEEDS, WITHOUT_PARAMETERS } from "./layer.js"

/** A pooling in its place. */
export interface Pooling {
  readonly height: number
  readonly width: number
  readonly channels: number
  readonly size: Extent
  readonly stride: Extent
  readonly outHeight: number
  readonly outWidth: number
}

/** The largest number of each window; its gradient goes to the first place that had it. */
export const maxPoolLayer = (place: Pooling): Layer => {
  const { height, width, channels, size, stride, outHeight, outWidth } = place
  return {
    ...WITHOUT_PARAMETERS,
    needs: { ...NO_NEEDS, kept: outHeight * outWidth * channels },
    forward: (kernel, { x, y, kept }, rows) =>
      kernel.maxPool(
        rows,
        height,
        width,
        channels,
        size[0],
        size[1],
        stride[0],
        stride[1],
        outHeight,
        outWidth,
        x,
        y,
        kept,
      ),
    backwardInput(kernel, { dx, dy, kept }, rows) {
      if (dx === 0) return
      kernel.maxPoolBackward(
        rows,
        height,
        width,
        channels,
        size[0],
        size[1],
        stride[0],
        stride[1],
        outHeight,
        outWidth,
        dy,
        kept,
        dx,
      )
    },
  }
}

/** The mean of each window. */
export const averagePoolLayer = (place: Pooling): Layer => {
  const { height, width, channels, size, stride, outHeight, outWidth } = place
  const factor = 1 / (size[0] * size[1])
  return {
    ...WITHOUT_PARAMETERS,
    needs: NO_NEEDS,
    forward: (kernel, { x, y }, rows) =>
      kernel.averagePool(
        rows,
        height,
        width,
        channels,
        size[0],
        size[1],
        stride[0],
        stride[1],
        outHeight,
        outWidth,
        x,
        factor,
        y,
      ),
    backwardInput(kernel, { dx, dy }, rows) {
      if (dx === 0) return
      kernel.averagePoolBackward(
        rows,
        height,
        width,
        channels,
        size[0],
        size[1],
        stride[0],
        stride[1],
        outHeight,
        outWidth,
        dy,
        factor,
        dx,
      )
    },
  }
}
