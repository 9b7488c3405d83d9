import { type Calibration, calibratedProbability } from "@consilium/inference/calibration/calibration"
import type { Prediction } from "@consilium/inference/client/asker"
import type { InferencePlan } from "@consilium/inference/plan/plan"
import { roughText } from "../format.js"

/** What is shown of one answer. Probabilities are in thousandths: finer digits of an answer carry traces of the key. */
export interface Risk {
  readonly rounded: number
  /** Where the model's own probability lies for certain: what rounding and encrypted computing can change, rounded outwards. */
  readonly low: number
  readonly high: number
}

const THOUSANDTHS = 1000
const within = (p: number): number => Math.min(1, Math.max(0, p))

/**
 * Math: [f(z - b), f(z + b)] in thousandths, outwards; f the calibration, z the logit, b the plan's proven bound of its error
 */
export const riskOf = (
  { calibration, errorBound }: Pick<InferencePlan, "calibration" | "errorBound">,
  { logit, rounded }: Prediction,
): Risk => {
  const at = (z: number): number => calibratedProbability(calibration, z) * THOUSANDTHS
  return {
    rounded,
    low: within(Math.floor(at(logit - errorBound)) / THOUSANDTHS),
    high: within(Math.ceil(at(logit + errorBound)) / THOUSANDTHS),
  }
}

/** A probability in percent with one decimal, without the sign: the digits that may be passed on. */
export const percent = (p: number): string => (p * 100).toFixed(1)

/** "Risk 58.3 %". */
export const riskText = ({ rounded }: Risk): string => `${percent(rounded)} %`

export const rangeText = ({ low, high }: Risk): string => `between ${percent(low)} % and ${percent(high)} %`

/** What the range beside a risk is, and what it is not. */
export const rangeMeaning = (errorBound: number): string =>
  `The range is what rounding and computing on encrypted numbers can change, which is proven (at most ${roughText(errorBound)} of the logit). ` +
  "It does not say how sure the model is of this patient: a model of this kind gives no such figure."

const NAMES: Readonly<Record<Calibration["type"], string>> = {
  platt: "Platt scaling",
  temperature: "temperature scaling",
  isotonic: "isotonic steps",
}

/** Whether a risk may be taken at its word, with the exact term. */
export const meaningOf = (
  calibration: Calibration | null,
  { rounded }: Pick<Risk, "rounded">,
): { readonly plain: string; readonly term: string } => {
  if (calibration === null)
    return {
      plain:
        "A score for ranking, not a true probability: a patient with a higher score is more likely to be ill, but nobody has checked how likely.",
      term: "no calibration; sigmoid of the logit",
    }
  const of100 = Math.round(rounded * 100)
  return {
    plain: `Of 100 patients with this number, about ${of100} should be ill, if your patients are like those on whom the numbers were fitted.`,
    term: `calibrated on held-out patients by ${NAMES[calibration.type]}`,
  }
}

export const calibrationName = (calibration: Calibration | null): string =>
  calibration === null ? "none" : NAMES[calibration.type]
