import { type Layer, NO_NEEDS } from "./layer.js"

/** Added to variances, so that a constant group has a deviation; as in torch.nn.GroupNorm. */
const EPSILON = 1e-5

/**
 * Normalises each row over groups of its channels, then scales and shifts each channel. No row sees another, which is
 * what differential privacy needs and batch normalisation breaks.
 *
 * Math:   y = (x - mean) / sqrt(variance + 1e-5) gamma + beta, mean and variance over positions and channels of a group
 * Shape:  x: rows x positions x channels; gamma, beta: channels
 * Source: Wu and He 2018, arXiv:1803.08494
 */
export const groupNormLayer = (positions: number, channels: number, groups: number): Layer => {
  const inverseCount = 1 / (positions * (channels / groups))
  return {
    needs: {
      ...NO_NEEDS,
      kept: 2 * channels,
      rowGradients: "always",
      scratch: (rows) => 4 * Math.max(2 * channels, rows),
    },
    forward: (kernel, { x, y, parameters, kept }, rows) =>
      kernel.groupNorm(
        rows,
        positions,
        channels,
        groups,
        x,
        parameters,
        parameters + 4 * channels,
        inverseCount,
        EPSILON,
        y,
        kept,
      ),
    backwardInput: (kernel, { x, dx, dy, parameters, kept, rowGradients, scratch }, rows) =>
      kernel.groupNormBackward(
        rows,
        positions,
        channels,
        groups,
        x,
        kept,
        parameters,
        inverseCount,
        dy,
        rowGradients,
        dx,
        scratch,
      ),
    weightGradient: (kernel, { gradient, rowGradients }, rows) =>
      kernel.columnSums(rows, 2 * channels, rowGradients, 2 * channels, gradient),
    perExampleSquaredNorm(kernel, { rowGradients, scratch }, rows, out) {
      kernel.rowSquaredNorms(rows, 2 * channels, rowGradients, 2 * channels, scratch)
      kernel.add(rows, out, scratch, out)
    },
    scaledWeightGradient: (kernel, { gradient, rowGradients }, rows, factors) =>
      kernel.vectorMatrix(rows, 2 * channels, factors, rowGradients, 2 * channels, gradient),
  }
}
