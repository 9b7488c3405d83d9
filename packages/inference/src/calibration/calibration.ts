import { type Codec, f64, f64Array, record, variant } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { sigmoid } from "@consilium/learning/math"
import type { HoldOut } from "./hold-out.js"
import { fitIsotonic, type IsotonicSteps } from "./isotonic.js"
import { fitPlatt, type PlattScaling } from "./platt.js"
import type { Targets } from "./targets.js"
import { fitTemperature } from "./temperature.js"

/**
 * How the asker turns a logit into a probability that can be taken at its word: of patients with .3, three in ten are ill.
 * It is public and stored with the plan.
 */
export type Calibration =
  | ({ readonly type: "platt" } & PlattScaling)
  | { readonly type: "temperature"; readonly temperature: number }
  | ({ readonly type: "isotonic" } & IsotonicSteps)

/** The most steps of a staircase that is stored. */
export const MAX_STEPS = 4096

export interface CalibrationChoice {
  readonly kind: Calibration["type"]
  /** For Platt scaling; `labels` unless told. */
  readonly targets?: Targets
  /** For isotonic calibration: how many patients a step stands on, 5 unless told. */
  readonly fewest?: number
}

/**
 * Fits a calibration on held-out patients.
 * @throws {ConsiliumError} "inference/bad-hold-out" on patients that do not allow one; see `fitPlatt`, `fitTemperature`,
 *   `fitIsotonic`
 */
export const fitCalibration = (holdOut: HoldOut, choice: CalibrationChoice): Calibration => {
  switch (choice.kind) {
    case "platt":
      return { type: "platt", ...fitPlatt(holdOut, choice.targets) }
    case "temperature":
      return { type: "temperature", temperature: fitTemperature(holdOut) }
    case "isotonic":
      return { type: "isotonic", ...fitIsotonic(holdOut, choice.fewest) }
    default:
      throw new ConsiliumError(
        "learning/bad-setting",
        `"${String(choice.kind)}" is no calibration: choose platt, temperature or isotonic.`,
      )
  }
}

const isPositive = (value: number): boolean => Number.isFinite(value) && value > 0

const rises = (values: Float64Array): boolean =>
  values.every((value, k) => Number.isFinite(value) && (k === 0 || (values[k - 1] as number) < value))

/** What is wrong with a calibration, or null. */
const problemOf = (calibration: Calibration): string | null => {
  switch (calibration.type) {
    case "platt":
      return isPositive(calibration.slope) && Number.isFinite(calibration.offset)
        ? null
        : "The slope of a calibration is not above 0, or its offset is not finite."
    case "temperature":
      return isPositive(calibration.temperature) ? null : "The temperature of a calibration is not above 0."
    case "isotonic": {
      const { thresholds, probabilities } = calibration
      if (probabilities.length !== thresholds.length + 1 || probabilities.length > MAX_STEPS)
        return `${probabilities.length} probabilities of a calibration do not fit ${thresholds.length} thresholds, or are more than ${MAX_STEPS}.`
      return rises(thresholds) && rises(probabilities) && probabilities.every((p) => p >= 0 && p <= 1)
        ? null
        : "The thresholds or the probabilities of a calibration do not rise, or a probability lies outside 0 and 1."
    }
    default:
      return "A calibration is of no known kind."
  }
}

/**
 * Refuses a calibration that would turn the ranking of patients round or give no probability.
 * @throws {ConsiliumError} "inference/bad-calibration"
 */
export const checkCalibration = (calibration: Calibration): void => {
  const problem = problemOf(calibration)
  if (problem !== null) throw new ConsiliumError("inference/bad-calibration", problem)
}

/** How many thresholds are at most the logit. */
const stepOf = (thresholds: Float64Array, logit: number): number => {
  let low = 0
  let high = thresholds.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((thresholds[middle] as number) <= logit) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * The probability of a logit; without a calibration its sigmoid.
 *
 * Math:  platt: sigmoid(slope z + offset); temperature: sigmoid(z / T); isotonic: the step that z lies on
 * Error: rises with z, and is the same bits in every engine
 * @throws {ConsiliumError} "learning/bad-predictions" if the logit is not a number
 */
export const calibratedProbability = (calibration: Calibration | null, logit: number): number => {
  if (Number.isNaN(logit)) throw new ConsiliumError("learning/bad-predictions", "A logit is not a number.")
  switch (calibration?.type) {
    case undefined:
      return sigmoid(logit)
    case "platt":
      return sigmoid(calibration.slope * logit + calibration.offset)
    case "temperature":
      return sigmoid(logit / calibration.temperature)
    case "isotonic":
      return calibration.probabilities[stepOf(calibration.thresholds, logit)] as number
  }
}

const fields: Codec<Calibration> = variant({
  platt: record({ slope: f64, offset: f64 }),
  temperature: record({ temperature: f64 }),
  isotonic: record({ thresholds: f64Array(MAX_STEPS - 1), probabilities: f64Array(MAX_STEPS) }),
})

/** Canonical bytes of a calibration, as they stand in a plan: one byte string each, and none for one that is refused. */
export const calibrationCodec: Codec<Calibration> = {
  write(writer, value) {
    checkCalibration(value)
    fields.write(writer, value)
  },
  read(reader) {
    const value = fields.read(reader)
    const problem = problemOf(value)
    if (problem !== null) throw new ConsiliumError("encoding/malformed", problem)
    return value
  },
}
