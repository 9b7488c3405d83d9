import { meanOfSum } from "./quantise.js"
import { type Study, updateLength } from "./study.js"
import { sendsGradients } from "./sum-noise.js"

/**
 * The update that an opened sum stands for. Leader, audit and simulations all take it from here.
 *
 * Math:   (sum_i w_i u_i) / (sum_i w_i) / 2^f; where facilities send sums of gradients, one step along their mean over the
 *         declared number of patients: learningRate sum / (2^f cohort patients)
 * Shape:  as `meanOfSum`
 * @throws {ConsiliumError} "round/out-of-bound" if the total weight is impossible
 */
export const meanUpdate = (study: Study, sum: Float64Array, cohort: number): Float64Array => {
  const { weights, largestWeight, fractionBits } = study.quantisation
  const mean = meanOfSum(sum.subarray(0, updateLength(study)), weights, cohort, largestWeight, fractionBits)
  if (study.privacy === null || !sendsGradients(study)) return mean
  const factor = study.training.learningRate / study.privacy.patients
  return mean.map((value) => value * factor)
}
