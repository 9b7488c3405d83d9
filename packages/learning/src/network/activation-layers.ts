import { type Layer, NO_NEEDS, WITHOUT_PARAMETERS } from "./layer.js"

/** max(x, 0); the slope at 0 is 0. Works in the place of its input: the sign of the output tells what it needs. */
export const reluLayer = (size: number): Layer => ({
  ...WITHOUT_PARAMETERS,
  needs: { ...NO_NEEDS, inPlace: true },
  forward: (kernel, { x, y }, rows) => kernel.relu(rows * size, x, y),
  backwardInput(kernel, { y, dx, dy }, rows) {
    if (dx !== 0) kernel.reluBackward(rows * size, y, dy, dx)
  },
})

/** x^2: an activation that encrypted inference can compute. */
export const squareLayer = (size: number): Layer => ({
  ...WITHOUT_PARAMETERS,
  needs: NO_NEEDS,
  forward: (kernel, { x, y }, rows) => kernel.multiply(rows * size, x, x, y),
  backwardInput(kernel, { x, dx, dy }, rows) {
    if (dx === 0) return
    kernel.scale(rows * size, 2, x, dx)
    kernel.multiply(rows * size, dx, dy, dx)
  },
})

/** A fixed polynomial, by Horner's rule. */
export const polynomialLayer = (size: number, coefficients: readonly number[]): Layer => {
  const degree = coefficients.length - 1
  const slopes = degree === 0 ? [0] : coefficients.slice(1).map((value, i) => Math.fround(value) * (i + 1))
  return {
    ...WITHOUT_PARAMETERS,
    needs: { ...NO_NEEDS, constants: [...coefficients, ...slopes] },
    forward: (kernel, { x, y, constants }, rows) => kernel.polynomial(rows * size, x, constants, degree, y),
    backwardInput(kernel, { x, dx, dy, constants }, rows) {
      if (dx === 0) return
      kernel.polynomial(rows * size, x, constants + 4 * coefficients.length, slopes.length - 1, dx)
      kernel.multiply(rows * size, dx, dy, dx)
    },
  }
}

/** Another shape for the same numbers. */
export const flattenLayer = (): Layer => ({
  ...WITHOUT_PARAMETERS,
  needs: { ...NO_NEEDS, inPlace: true },
  forward: () => undefined,
  backwardInput: () => undefined,
})

/** x times a mask that is drawn for every batch; x itself outside training. */
export const dropoutLayer = (size: number): Layer => ({
  ...WITHOUT_PARAMETERS,
  needs: { ...NO_NEEDS, mask: true },
  forward(kernel, { x, y, mask }, rows) {
    if (mask === 0) kernel.copy(rows * size, x, y)
    else kernel.multiply(rows * size, x, mask, y)
  },
  backwardInput(kernel, { dx, dy, mask }, rows) {
    if (dx !== 0) kernel.multiply(rows * size, dy, mask, dx)
  },
})
