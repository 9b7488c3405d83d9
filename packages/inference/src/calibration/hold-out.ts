import { ConsiliumError } from "@consilium/base/errors"

/** Patients that the model was not trained on: the logit it gives each, and what was found (1 disease, 0 none). */
export interface HoldOut {
  readonly logits: Float64Array
  readonly labels: Uint8Array
}

/** A calibration is a figure about patients, so it stands on at least so many of either label. */
export const FEWEST_OF_A_LABEL = 5

/** No model that is of use gives larger ones, and below it no sum overflows. */
const LARGEST_LOGIT = 1e9

/** Logits that lie closer together say the same of everybody. */
const LEAST_SPREAD = 1e-6

/** Refuses to calibrate on these patients. */
export const refuseHoldOut = (message: string, remedy?: string): never => {
  throw new ConsiliumError("inference/bad-hold-out", message, remedy === undefined ? {} : { remedy })
}

/**
 * Refuses a hold-out set from which nothing can be fitted. The message gives counts, never a value.
 * @throws {ConsiliumError} "inference/bad-hold-out"
 */
export const checkHoldOut = ({ logits, labels }: HoldOut): void => {
  if (logits.length !== labels.length)
    refuseHoldOut(`${logits.length} logits came with ${labels.length} labels.`, "Give one label per logit.")
  for (const logit of logits)
    if (!(Math.abs(logit) <= LARGEST_LOGIT))
      refuseHoldOut(
        `A logit is no finite number of at most ${LARGEST_LOGIT} in size.`,
        "Check that the model's features are scaled as in training, and that logits rather than probabilities are infinite nowhere.",
      )
  const lowest = logits.reduce((least, z) => Math.min(least, z), Infinity)
  const highest = logits.reduce((most, z) => Math.max(most, z), -Infinity)
  if (highest - lowest < LEAST_SPREAD)
    refuseHoldOut(
      "The model gives all hold-out patients the same logit.",
      "Check that the model was trained, and that its features are scaled as in training.",
    )
  let positives = 0
  for (const label of labels) {
    if (label > 1) refuseHoldOut("A label is neither 0 nor 1.", "Give 1 for disease and 0 for none.")
    positives += label
  }
  const negatives = labels.length - positives
  if (Math.min(positives, negatives) < FEWEST_OF_A_LABEL)
    refuseHoldOut(
      `The hold-out set has ${positives} patients with and ${negatives} without the disease; ${FEWEST_OF_A_LABEL} of each are the fewest.`,
      "Hold out more patients, or use the model without calibration and say so.",
    )
}

const meanLogit = ({ logits, labels }: HoldOut, label: 0 | 1): number => {
  let sum = 0
  let count = 0
  for (let i = 0; i < logits.length; i++) {
    if (labels[i] !== label) continue
    sum += logits[i] as number
    count++
  }
  return sum / count
}

/**
 * Refuses logits that do not rise with the disease on average: a calibration would turn the model round.
 * @throws {ConsiliumError} "inference/bad-hold-out"
 */
export const checkDirection = (holdOut: HoldOut): void => {
  if (!(meanLogit(holdOut, 1) > meanLogit(holdOut, 0)))
    refuseHoldOut(
      "The model's logits are on average no higher for patients with the disease than for those without.",
      "Check that label 1 means disease, and that the model belongs to this data. A calibration cannot mend a model that ranks no better than chance.",
    )
}

/**
 * Whether some threshold parts the labels: every patient with the disease at or above it, every other at or below.
 */
export const isSeparated = ({ logits, labels }: HoldOut): boolean => {
  let highestNegative = -Infinity
  let lowestPositive = Infinity
  for (let i = 0; i < logits.length; i++) {
    const logit = logits[i] as number
    if (labels[i] === 1) lowestPositive = Math.min(lowestPositive, logit)
    else highestNegative = Math.max(highestNegative, logit)
  }
  return highestNegative <= lowestPositive
}
