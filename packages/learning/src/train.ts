import { ConsiliumError } from "@consilium/base/errors"
import type { RandomSource } from "@consilium/base/random"
import { type Architecture, checkFit, checkParameters } from "./architecture.js"
import { type BatchCursor, checkCursor, nextBatch } from "./batches.js"
import { addCorrection, type Correction, checkCorrection } from "./correction.js"
import { checkExamples, type Examples } from "./data.js"
import { gradient } from "./logistic.js"
import { addProximalGradient, checkProximal, type Proximal } from "./proximal.js"
import { checkPositive, checkWhole } from "./settings.js"

export interface LocalTraining {
  readonly architecture: Architecture
  readonly parameters: Float64Array
  readonly examples: Examples
  readonly steps: number
  readonly batchSize: number
  readonly learningRate: number
  readonly cursor: BatchCursor
  readonly random: RandomSource
  /** Keeps the steps near a model; none if absent. */
  readonly proximal?: Proximal
  /** Corrects the drift of the steps; none if absent. */
  readonly correction?: Correction
}

export interface LocalResult {
  readonly parameters: Float64Array
  readonly cursor: BatchCursor
  /** Steps taken: what a privacy ledger charges. */
  readonly steps: number
}

/**
 * Refuses parameters that left the finite numbers; a negative zero becomes zero, so that equal models have equal bytes.
 * Adding to an infinity or NaN never makes it finite again, so one look after the last step is enough.
 * @throws {ConsiliumError} "learning/diverged"
 */
export const settled = (parameters: Float64Array): Float64Array => {
  for (let j = 0; j < parameters.length; j++) {
    const value = parameters[j] as number
    if (!Number.isFinite(value))
      throw new ConsiliumError("learning/diverged", "A parameter is no longer finite.")
    parameters[j] = value + 0
  }
  return parameters
}

/**
 * A facility's part of a round: plain mini-batch gradient descent from the given parameters. No input is written to.
 * Zero steps give back the parameters and the cursor as they were, with any number of rows; one row, one class or a
 * constant column need no special care and get none.
 *
 * Math:  w <- w - learningRate * (mean gradient of the batch + mu (w - towards) + (common - own)), `steps` times; mu = 0
 *        without a proximal term, and gives the same bits as none
 * Shape: parameters: parameterCount(architecture); examples.columns = architecture.inputs
 * Cost:  steps * batchSize * 2 columns multiplications, and one look over all examples and the cursor
 * @throws {ConsiliumError} "learning/no-examples" if there are steps to take but no rows; "learning/diverged" if a
 *   parameter overflows; "learning/bad-setting", "learning/bad-parameters", "learning/bad-examples",
 *   "learning/bad-cursor" on input that does not fit
 */
export const trainLocally = (training: LocalTraining): LocalResult => {
  const { architecture, examples, steps, batchSize, learningRate, random, proximal, correction } = training
  checkWhole("number of steps", steps, 0)
  checkWhole("batch size", batchSize, 1)
  checkPositive("learning rate", learningRate)
  checkParameters(architecture, training.parameters)
  checkExamples(examples)
  checkFit(architecture, examples)
  checkCursor(training.cursor, examples.rows)
  if (proximal !== undefined) checkProximal(architecture, proximal)
  if (correction !== undefined) checkCorrection(correction, training.parameters.length)

  const parameters = Float64Array.from(training.parameters)
  const slope = new Float64Array(parameters.length)
  let cursor = training.cursor
  for (let step = 0; step < steps; step++) {
    const batch = nextBatch(cursor, examples.rows, batchSize, random)
    cursor = batch.cursor
    gradient(parameters, examples, batch.indices, slope)
    if (proximal !== undefined) addProximalGradient(slope, parameters, proximal)
    if (correction !== undefined) addCorrection(slope, correction)
    for (let j = 0; j < parameters.length; j++)
      parameters[j] = (parameters[j] as number) - learningRate * (slope[j] as number)
  }
  return { parameters: settled(parameters), cursor, steps }
}
