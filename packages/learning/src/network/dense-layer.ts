import { GEMM_SCRATCH } from "../kernel/kernel.js"
import { type Layer, NO_NEEDS } from "./layer.js"

/**
 * y = x W + b.
 *
 * Math:   gradient of row i: (x_i, 1) dy_i^T, so its squared norm is (|x_i|^2 + 1) |dy_i|^2 and no gradient of a single
 *         row is ever made
 * Shape:  x: rows x inputs; W: inputs x outputs; b: outputs
 * Source: Goodfellow 2015, arXiv:1510.01799 (the norms)
 */
export const denseLayer = (inputs: number, outputs: number): Layer => {
  const weights = 4 * inputs * outputs
  const layer: Layer = {
    needs: { ...NO_NEEDS, scratch: (rows) => GEMM_SCRATCH + 8 * rows },
    forward(kernel, { x, y, parameters, scratch }, rows) {
      const bias = parameters + weights
      if (outputs === 1) kernel.matrixVector(rows, inputs, x, inputs, parameters, y, bias)
      else
        kernel.gemm(rows, outputs, inputs, x, inputs, 1, parameters, outputs, 1, y, outputs, bias, 0, scratch)
    },
    backwardInput(kernel, { dx, dy, parameters, scratch }, rows) {
      if (dx === 0) return
      kernel.gemm(rows, inputs, outputs, dy, outputs, 1, parameters, 1, outputs, dx, inputs, 0, 0, scratch)
    },
    weightGradient(kernel, { x, dy, gradient, scratch }, rows) {
      if (outputs === 1) kernel.vectorMatrix(rows, inputs, dy, x, inputs, gradient)
      else kernel.gemm(inputs, outputs, rows, x, 1, inputs, dy, outputs, 1, gradient, outputs, 0, 0, scratch)
      kernel.columnSums(rows, outputs, dy, outputs, gradient + weights)
    },
    perExampleSquaredNorm(kernel, { x, dy, squares, scratch }, rows, out) {
      const ofInputs = scratch + GEMM_SCRATCH
      const ofSlopes = ofInputs + 4 * rows
      const known = squares !== 0
      if (!known) kernel.rowSquaredNorms(rows, inputs, x, inputs, ofInputs)
      if (outputs === 1) kernel.multiply(rows, dy, dy, ofSlopes)
      else kernel.rowSquaredNorms(rows, outputs, dy, outputs, ofSlopes)
      kernel.addOuterNorms(rows, known ? squares : ofInputs, ofSlopes, out)
    },
    scaledWeightGradient(kernel, frame, rows, factors) {
      if (outputs === 1) kernel.multiply(rows, frame.dy, factors, frame.dy)
      else kernel.scaleRows(rows, outputs, frame.dy, outputs, factors)
      layer.weightGradient(kernel, frame, rows)
    },
  }
  return layer
}
