import type { Calibration } from "@consilium/inference/calibration/calibration"
import type { Quality } from "@consilium/inference/evaluation/evaluation"

export const QUALITY_HEADS: readonly string[] = ["AUC", "accuracy", "Brier", "ECE"]

/** The cells under those heads. */
export const qualityCells = ({
  auc,
  accuracy,
  brier,
  expectedCalibrationError,
}: Quality): readonly string[] =>
  [auc, accuracy, brier, expectedCalibrationError].map((value) => (value === null ? "-" : value.toFixed(3)))

/** A calibration in one line. */
export const calibrationText = (calibration: Calibration | null): string => {
  switch (calibration?.type) {
    case undefined:
      return "none: probabilities rank patients but cannot be taken at their word"
    case "platt":
      return `platt: logit times ${calibration.slope.toFixed(3)}, ${calibration.offset < 0 ? "less" : "plus"} ${Math.abs(calibration.offset).toFixed(3)}`
    case "temperature":
      return `temperature: logit over ${calibration.temperature.toFixed(3)}`
    case "isotonic":
      return `isotonic: ${calibration.probabilities.length} steps`
  }
}
