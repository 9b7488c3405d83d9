import { ConsiliumError } from "@consilium/base/errors"
import type { Loss, NetworkShape } from "./description.js"

/** Rows to train on or to measure with: inputs and targets row by row, in 32-bit floats. */
export interface NetworkExamples {
  readonly rows: number
  readonly inputs: Float32Array
  /** What the loss says: a number in [0, 1] an output, one class a row, or a number an output. */
  readonly targets: Float32Array
}

const bad = (message: string): never => {
  throw new ConsiliumError("learning/bad-examples", message)
}

/**
 * Refuses inputs of the wrong length or with a value that is not finite. The message names columns, never a value.
 * @throws {ConsiliumError} "learning/bad-examples"
 */
export const checkInputs = (shape: NetworkShape, rows: number, inputs: Float32Array): void => {
  if (!Number.isSafeInteger(rows) || rows < 0) bad(`${rows} rows cannot be.`)
  if (inputs.length !== rows * shape.inputs)
    bad(`${rows} rows of ${shape.inputs} columns need ${rows * shape.inputs} inputs, not ${inputs.length}.`)
  const at = inputs.findIndex((value) => !Number.isFinite(value))
  if (at >= 0) bad(`An input in column ${at % shape.inputs} is not a finite number.`)
}

/**
 * Refuses examples that do not fit a network and its loss.
 * @throws {ConsiliumError} "learning/bad-examples"
 */
export const checkNetworkExamples = (shape: NetworkShape, loss: Loss, examples: NetworkExamples): void => {
  const { rows, inputs, targets } = examples
  checkInputs(shape, rows, inputs)
  if (targets.length !== rows * shape.targets)
    bad(`${rows} rows need ${rows * shape.targets} targets, not ${targets.length}.`)
  for (const target of targets) {
    if (!Number.isFinite(target)) bad("A target is not a finite number.")
    if (loss === "sigmoid-cross-entropy" && (target < 0 || target > 1)) bad("A target lies outside [0, 1].")
    if (
      loss === "softmax-cross-entropy" &&
      !(Number.isInteger(target) && target >= 0 && target < shape.outputs)
    )
      bad(`A target is no class from 0 to ${shape.outputs - 1}.`)
  }
}
