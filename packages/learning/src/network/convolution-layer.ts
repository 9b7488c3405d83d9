import type { Address, Kernel } from "../kernel/kernel.js"
import { GEMM_SCRATCH } from "../kernel/kernel.js"
import type { Extent } from "./description.js"
import { type Layer, type LayerFrame, NO_NEEDS } from "./layer.js"

/** A convolution in its place. */
export interface Convolution {
  readonly height: number
  readonly width: number
  readonly channels: number
  readonly size: Extent
  readonly stride: Extent
  readonly padding: readonly [number, number, number, number]
  readonly outHeight: number
  readonly outWidth: number
  readonly outChannels: number
}

/**
 * A two-dimensional convolution, as the product of a matrix of windows and a matrix of weights, one image at a time: the
 * windows of one image stay in a near cache, and are made anew on the way back rather than kept.
 *
 * Math:  one image's gradient is windows^T dy; clipping keeps these, and sums them weighted without a second product
 * Shape: x: rows x height x width x channels; W: (kernel height x kernel width x channels) x outChannels
 */
export const convolutionLayer = (place: Convolution): Layer => {
  const { height, width, channels, outHeight, outWidth, outChannels } = place
  const patch = place.size[0] * place.size[1] * channels
  const positions = outHeight * outWidth
  const weights = patch * outChannels
  const count = weights + outChannels
  const imageBytes = 4 * height * width * channels
  const outBytes = 4 * positions * outChannels
  // windows of one pixel at every place are the image itself
  const direct =
    patch === channels &&
    place.stride[0] === 1 &&
    place.stride[1] === 1 &&
    place.padding.every((lines) => lines === 0)

  const windowsOf = (kernel: Kernel, image: Address, scratch: Address): Address => {
    if (direct) return image
    kernel.imageToColumns(
      height,
      width,
      channels,
      place.size[0],
      place.size[1],
      place.stride[0],
      place.stride[1],
      place.padding[0],
      place.padding[1],
      outHeight,
      outWidth,
      image,
      scratch + GEMM_SCRATCH,
    )
    return scratch + GEMM_SCRATCH
  }
  /** windows^T dy of one image, added to `start`. */
  const product = (
    kernel: Kernel,
    { x, dy, scratch }: LayerFrame,
    row: number,
    out: Address,
    start: Address,
  ): void => {
    const windows = windowsOf(kernel, x + row * imageBytes, scratch)
    const slopes = dy + row * outBytes
    kernel.gemm(
      patch,
      outChannels,
      positions,
      windows,
      1,
      patch,
      slopes,
      outChannels,
      1,
      out,
      outChannels,
      start,
      outChannels,
      scratch,
    )
  }

  return {
    needs: {
      ...NO_NEEDS,
      rowGradients: "clipping",
      scratch: (rows) => GEMM_SCRATCH + Math.max(4 * positions * patch, 4 * rows),
    },
    forward(kernel, { x, y, parameters, scratch }, rows) {
      for (let row = 0; row < rows; row++) {
        const windows = windowsOf(kernel, x + row * imageBytes, scratch)
        kernel.gemm(
          positions,
          outChannels,
          patch,
          windows,
          patch,
          1,
          parameters,
          outChannels,
          1,
          y + row * outBytes,
          outChannels,
          parameters + 4 * weights,
          0,
          scratch,
        )
      }
    },
    backwardInput(kernel, { dx, dy, parameters, scratch }, rows) {
      if (dx === 0) return
      for (let row = 0; row < rows; row++) {
        const image = dx + row * imageBytes
        const windows = direct ? image : scratch + GEMM_SCRATCH
        kernel.gemm(
          positions,
          patch,
          outChannels,
          dy + row * outBytes,
          outChannels,
          1,
          parameters,
          1,
          outChannels,
          windows,
          patch,
          0,
          0,
          scratch,
        )
        if (!direct)
          kernel.columnsToImage(
            height,
            width,
            channels,
            place.size[0],
            place.size[1],
            place.stride[0],
            place.stride[1],
            place.padding[0],
            place.padding[1],
            outHeight,
            outWidth,
            windows,
            image,
          )
      }
    },
    weightGradient(kernel, frame, rows) {
      const { gradient, dy } = frame
      for (let row = 0; row < rows; row++) product(kernel, frame, row, gradient, row === 0 ? 0 : gradient)
      kernel.columnSums(rows * positions, outChannels, dy, outChannels, gradient + 4 * weights)
    },
    perExampleSquaredNorm(kernel, frame, rows, out) {
      const { dy, rowGradients, scratch } = frame
      for (let row = 0; row < rows; row++) {
        const own = rowGradients + 4 * row * count
        product(kernel, frame, row, own, 0)
        kernel.columnSums(positions, outChannels, dy + row * outBytes, outChannels, own + 4 * weights)
      }
      kernel.rowSquaredNorms(rows, count, rowGradients, count, scratch + GEMM_SCRATCH)
      kernel.add(rows, out, scratch + GEMM_SCRATCH, out)
    },
    scaledWeightGradient(kernel, { gradient, rowGradients }, rows, factors) {
      kernel.vectorMatrix(rows, count, factors, rowGradients, count, gradient)
    },
  }
}
