import { sigmoid } from "@consilium/learning/math"
import { checkDirection, checkHoldOut, type HoldOut, isSeparated, refuseHoldOut } from "./hold-out.js"
import { affineLoss, type Targets, targetsOf } from "./targets.js"

/** Another slope and another offset for the logit. The slope is above 0, so the ranking of patients stays. */
export interface PlattScaling {
  readonly slope: number
  readonly offset: number
}

const MOST_STEPS = 500
const FIRST_DAMPING = 1e-3
const MOST_DAMPING = 1e15

/** First and second derivatives of the mean loss. */
const curvature = (x: Float64Array, targets: Float64Array, slope: number, offset: number) => {
  let [gSlope, gOffset, hSlope, hMixed, hOffset] = [0, 0, 0, 0, 0]
  for (let i = 0; i < x.length; i++) {
    const xi = x[i] as number
    const p = sigmoid(slope * xi + offset)
    const excess = p - (targets[i] as number)
    const weight = p * (1 - p)
    gSlope += excess * xi
    gOffset += excess
    hSlope += weight * xi * xi
    hMixed += weight * xi
    hOffset += weight
  }
  const n = x.length
  return {
    gSlope: gSlope / n,
    gOffset: gOffset / n,
    hSlope: hSlope / n,
    hMixed: hMixed / n,
    hOffset: hOffset / n,
  }
}

/**
 * Damped Newton steps from 0, where the loss is round; every step lowers the loss, or the derivative of a loss that is as low
 * as it gets. Steps from the model's own slope would zigzag for ever where that is far too steep.
 */
const descend = (x: Float64Array, targets: Float64Array): PlattScaling => {
  let slope = 0
  let offset = 0
  let loss = affineLoss(x, targets, slope, offset)
  let at = curvature(x, targets, slope, offset)
  let damping = FIRST_DAMPING
  for (let step = 0; step < MOST_STEPS && damping < MOST_DAMPING; step++) {
    const a = at.hSlope + damping
    const c = at.hOffset + damping
    const determinant = a * c - at.hMixed * at.hMixed
    const nextSlope = slope - (c * at.gSlope - at.hMixed * at.gOffset) / determinant
    const nextOffset = offset - (a * at.gOffset - at.hMixed * at.gSlope) / determinant
    if (nextSlope === slope && nextOffset === offset) break
    const nextLoss = affineLoss(x, targets, nextSlope, nextOffset)
    const next = curvature(x, targets, nextSlope, nextOffset)
    const noise = 1e-14 * loss
    const flatter =
      next.gSlope * next.gSlope + next.gOffset * next.gOffset <
      at.gSlope * at.gSlope + at.gOffset * at.gOffset
    if (nextLoss < loss - noise || (nextLoss <= loss + noise && flatter)) {
      slope = nextSlope
      offset = nextOffset
      loss = nextLoss
      at = next
      damping /= 10
    } else damping *= 10
  }
  return { slope, offset }
}

/**
 * Platt scaling: the slope and offset of the logit with the least cross-entropy on held-out patients.
 *
 * Math:   argmin over (a, b) of mean of t softplus(-(a z + b)) + (1 - t) softplus(a z + b), a > 0; strictly convex, solved
 *         by damped Newton steps (at most 500) in standardised logits
 * Shape:  one logit and one label a patient
 * Error:  the loss is at most that of the logits as they are; same bits in every engine
 * Source: Platt 1999; Lin, Lin and Weng 2007 (the form without overflow)
 * @throws {ConsiliumError} "inference/bad-hold-out" on fewer than 5 patients of a label, logits that are all the same or do
 *   not rise with the disease, and, with targets `labels`, on labels that a threshold parts
 */
export const fitPlatt = (holdOut: HoldOut, targets: Targets = "labels"): PlattScaling => {
  checkHoldOut(holdOut)
  checkDirection(holdOut)
  if (targets === "labels" && isSeparated(holdOut))
    refuseHoldOut(
      "A threshold parts the hold-out patients with the disease from those without, so the steeper the better without end.",
      'Hold out more patients, or fit with targets "smoothed".',
    )
  const { logits, labels } = holdOut
  const mean = logits.reduce((sum, z) => sum + z, 0) / logits.length
  const spread = Math.sqrt(logits.reduce((sum, z) => sum + (z - mean) * (z - mean), 0) / logits.length)
  const goals = targetsOf(labels, targets)
  const standardised = logits.map((z) => (z - mean) / spread)
  const found = descend(standardised, goals)
  const slope = found.slope / spread
  const offset = found.offset - slope * mean + 0
  const better = affineLoss(logits, goals, slope, offset) < affineLoss(logits, goals, 1, 0)
  return better && slope > 0 ? { slope, offset } : { slope: 1, offset: 0 }
}
