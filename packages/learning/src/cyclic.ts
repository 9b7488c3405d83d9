import { ConsiliumError } from "@consilium/base/errors"
import { permutation, type RandomSource } from "@consilium/base/random"
import type { Architecture } from "./architecture.js"
import { type BatchCursor, startCursor } from "./batches.js"
import type { Examples } from "./data.js"
import { checkWhole } from "./settings.js"
import { trainLocally } from "./train.js"

export interface CyclicTraining {
  readonly architecture: Architecture
  readonly parameters: Float64Array
  /** Everybody's rows: they lie in one process, so this compares and protects nothing. */
  readonly facilities: readonly Examples[]
  /** Visits in all, each at one facility; as many as there are facilities go once through all of them. */
  readonly visits: number
  /** Steps of a visit. */
  readonly steps: number
  readonly batchSize: number
  readonly learningRate: number
  /** `shuffled`: a new order for every time through; `given`: always that of `facilities`. */
  readonly order: "shuffled" | "given"
  readonly random: RandomSource
}

/**
 * Cyclic weight transfer: the model itself goes from facility to facility, each trains it on its own rows and hands it on.
 * A baseline to compare with, and no protocol: everybody sees the model as the one before left it, which is that
 * facility's update unprotected. No input is written to.
 *
 * Math:   w <- `steps` steps of gradient descent from w on the rows of one facility, `visits` times
 * Shape:  parameters: parameterCount(architecture); every table: architecture.inputs columns
 * Source: Chang et al. 2018, Distributed deep learning networks among institutions for medical imaging, JAMIA 25(8)
 * @throws {ConsiliumError} "learning/no-examples" without facilities, or at one without rows; as `trainLocally` otherwise
 */
export const cyclic = (training: CyclicTraining): Float64Array => {
  const { architecture, facilities, visits, steps, batchSize, learningRate, order, random } = training
  checkWhole("number of visits", visits, 0)
  if (facilities.length === 0)
    throw new ConsiliumError("learning/no-examples", "There are no facilities to go through.")
  const cursors: BatchCursor[] = facilities.map(startCursor)
  const given = Uint32Array.from(facilities, (_, i) => i)
  let parameters: Float64Array = Float64Array.from(training.parameters)
  let round: Uint32Array = given
  for (let visit = 0; visit < visits; visit++) {
    const place = visit % facilities.length
    if (place === 0 && order === "shuffled") round = permutation(random, facilities.length)
    const at = round[place] as number
    const trained = trainLocally({
      architecture,
      parameters,
      examples: facilities[at] as Examples,
      steps,
      batchSize,
      learningRate,
      cursor: cursors[at] as BatchCursor,
      random,
    })
    parameters = trained.parameters
    cursors[at] = trained.cursor
  }
  return parameters
}
