import { softplus } from "@consilium/learning/math"
import type { HoldOut } from "./hold-out.js"

/**
 * What the calibrated probabilities are drawn towards. `labels`: 0 and 1, the maximum of the likelihood, which does not
 * exist where the labels are parted by a threshold. `smoothed`: a little inside, which always has an answer and is more
 * careful on few patients.
 */
export type Targets = "labels" | "smoothed"

/**
 * One target a patient.
 *
 * Math:   smoothed: (n1 + 1) / (n1 + 2) for label 1 and 1 / (n0 + 2) for label 0, with n1 and n0 patients of each
 * Source: Platt 1999 (smoothed)
 */
export const targetsOf = (labels: Uint8Array, targets: Targets): Float64Array => {
  if (targets === "labels") return Float64Array.from(labels)
  const positives = labels.reduce((sum, label) => sum + label, 0)
  const high = (positives + 1) / (positives + 2)
  const low = 1 / (labels.length - positives + 2)
  return Float64Array.from(labels, (label) => (label === 1 ? high : low))
}

/**
 * The mean cross-entropy of slope z + offset against targets in [0, 1].
 *
 * Math:  mean of t softplus(-u) + (1 - t) softplus(u), u = slope z + offset
 * Units: nats per patient
 */
export const affineLoss = (
  logits: HoldOut["logits"],
  targets: Float64Array,
  slope: number,
  offset: number,
): number => {
  let sum = 0
  for (let i = 0; i < logits.length; i++) {
    const u = slope * (logits[i] as number) + offset
    const t = targets[i] as number
    // a product with 0 would turn an infinite loss of the other label into NaN
    if (t > 0) sum += t * softplus(-u)
    if (t < 1) sum += (1 - t) * softplus(u)
  }
  return sum / logits.length
}
