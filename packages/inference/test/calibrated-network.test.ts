import { calibration as binsOf, brier } from "@consilium/learning/metrics"
import { networkOutputs } from "@consilium/learning/network/predict"
import { selectRows } from "@consilium/records/rows"
import { expect, it } from "vitest"
import { calibratedProbability, fitCalibration } from "../src/calibration/calibration.js"
import { evaluateEncrypted } from "../src/evaluation/evaluation.js"
import { SQUARE_ACTIVATION } from "../src/training/activations.js"
import { trainedFreely } from "./encryption-training.js"
import { syntheticRows } from "./heart-rows.js"

/** A network that has learned its rows by heart, and two halves of patients that it has not seen. */
const { train, test } = syntheticRows(200, "calibrated")
const network = trainedFreely(train, SQUARE_ACTIVATION, "a")
const half = (odd: 0 | 1) => {
  const rows = selectRows(
    test,
    Array.from({ length: test.rows / 2 }, (_, k) => 2 * k + odd),
  )
  const logits = Float64Array.from(networkOutputs(network, rows.rows, Float32Array.from(rows.features)))
  return { logits, labels: rows.labels }
}
const fitted = half(0)
const others = half(1)

const errors = (probabilities: Float64Array) => ({
  brier: brier(probabilities, others.labels)!,
  expected: binsOf(probabilities, others.labels).expectedCalibrationError!,
})

it.each(["platt", "temperature", "isotonic"] as const)(
  "%s mends a network that is too sure, on patients that neither saw",
  (kind) => {
    const calibration = fitCalibration(fitted, { kind })
    const before = errors(others.logits.map((z) => calibratedProbability(null, z)))
    const after = errors(others.logits.map((z) => calibratedProbability(calibration, z)))
    expect(after.brier).toBeLessThan(before.brier)
    expect(after.expected).toBeLessThan(before.expected / 1.5)
  },
)

it("the evaluation warns of it before, and not after", () => {
  const measurements = {
    plainLogits: others.logits,
    encryptedLogits: others.logits,
    labels: others.labels,
    requests: [{ latencyMs: 1, upBytes: 1, downBytes: 1 }],
    keyBytes: 0,
  }
  const codes = (calibration: Parameters<typeof evaluateEncrypted>[1]) =>
    evaluateEncrypted(measurements, calibration).warnings.map(({ code }) => code)
  expect(codes(null)).toEqual(["not-calibrated", "extreme-probabilities"])
  expect(codes(fitCalibration(fitted, { kind: "platt" }))).toEqual([])
})
