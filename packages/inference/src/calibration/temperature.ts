import { sigmoid } from "@consilium/learning/math"
import { checkHoldOut, type HoldOut, refuseHoldOut } from "./hold-out.js"
import { affineLoss, targetsOf } from "./targets.js"

const MOST_DOUBLINGS = 100

/** The derivative of the mean loss of z / T with respect to 1 / T; it rises with 1 / T. */
const derivative = (logits: Float64Array, targets: Float64Array, inverse: number): number => {
  let sum = 0
  for (let i = 0; i < logits.length; i++) {
    const z = logits[i] as number
    sum += (sigmoid(inverse * z) - (targets[i] as number)) * z
  }
  return sum / logits.length
}

/**
 * Temperature scaling: the one number by which all logits are divided with the least cross-entropy on held-out patients.
 * It moves no decision at one half.
 *
 * Math:   argmin over T > 0 of the mean cross-entropy of z / T: the zero of its derivative in 1 / T, by bisection down to
 *         neighbouring floats
 * Shape:  one logit and one label a patient; result dimensionless
 * Error:  the loss is at most that of T = 1; same bits in every engine
 * Source: Guo, Pleiss, Sun and Weinberger 2017, arXiv:1706.04599
 * @throws {ConsiliumError} "inference/bad-hold-out" on fewer than 5 patients of a label, logits whose signs say no more
 *   than chance, and logits whose signs are right for every patient
 */
export const fitTemperature = (holdOut: HoldOut): number => {
  checkHoldOut(holdOut)
  const { logits } = holdOut
  const targets = targetsOf(holdOut.labels, "labels")
  if (!(derivative(logits, targets, 0) < 0))
    refuseHoldOut(
      "The signs of the model's logits say no more about the disease than chance, so no temperature helps.",
      "Check that label 1 means disease; if the model ranks well but is shifted, use Platt scaling, which moves the offset too.",
    )
  let low = 0
  let high = 1
  let doublings = 0
  while (derivative(logits, targets, high) <= 0 && doublings++ < MOST_DOUBLINGS) {
    low = high
    high *= 2
  }
  if (doublings > MOST_DOUBLINGS || logits.every((z, i) => z === 0 || z > 0 === (targets[i] === 1)))
    refuseHoldOut(
      "The sign of the logit is right for every hold-out patient, so the colder the better without end.",
      'Hold out more patients, or use Platt scaling with targets "smoothed".',
    )
  for (;;) {
    const middle = low + (high - low) / 2
    if (middle <= low || middle >= high) break
    if (derivative(logits, targets, middle) < 0) low = middle
    else high = middle
  }
  const temperature = 1 / high
  return affineLoss(logits, targets, 1 / temperature, 0) < affineLoss(logits, targets, 1, 0) ? temperature : 1
}
