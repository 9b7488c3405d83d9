import { isConsiliumError } from "@consilium/base/errors"
import { metricsOfLogits } from "@consilium/learning/metrics"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { evaluateEncrypted } from "../src/evaluation/evaluation.js"
import { evaluationText } from "../src/evaluation/evaluation-text.js"
import type { Measurements } from "../src/evaluation/measurements.js"

/** Five patients, one request each; the encrypted answer of the fourth is on the other side of one half. */
const five: Measurements = {
  plainLogits: Float64Array.of(-2, -1, 0.5, -0.001, 3),
  encryptedLogits: Float64Array.of(-2, -1.0005, 0.501, 0.0005, 3.00025),
  labels: Uint8Array.of(0, 0, 1, 1, 1),
  requests: [7, 3, 5, 4, 90].map((latencyMs, i) => ({ latencyMs, upBytes: 13_800 + i, downBytes: 13_824 })),
  keyBytes: 0,
}
const platt = { type: "platt" as const, slope: 1, offset: 0 }

describe("five patients by hand", () => {
  const found = evaluateEncrypted(five, platt)

  it("compares logits and answers", () => {
    expect(found.n).toBe(5)
    expect(found.requests).toBe(5)
    expect(found.classAgreement).toBe(4 / 5)
    expect(found.maxLogitError).toBeCloseTo(0.0015, 12)
    expect(found.meanLogitError).toBeCloseTo((0.0005 + 0.001 + 0.0015 + 0.00025) / 5, 12)
  })

  it("scores both ways by the labels", () => {
    expect(found.plain.accuracy).toBe(4 / 5)
    expect(found.encrypted.accuracy).toBe(1)
    expect(found.plain.auc).toBe(1)
    const p = [-2, -1, 0.5, -0.001, 3].map((z) => 1 / (1 + Math.exp(-z)))
    const y = [0, 0, 1, 1, 1]
    expect(found.plain.brier).toBeCloseTo(p.reduce((sum, value, i) => sum + (value - y[i]!) ** 2, 0) / 5, 12)
    // every patient is alone in its bin of a tenth
    expect(found.plain.expectedCalibrationError).toBeCloseTo(
      p.reduce((sum, value, i) => sum + Math.abs(value - y[i]!), 0) / 5,
      12,
    )
  })

  it("times by nearest rank, sizes by the largest", () => {
    expect(found.latencyMs).toEqual({ p50: 5, p95: 90 })
    expect(found.bytes).toEqual({ up: 13_804, down: 13_824, keys: 0 })
    const twenty = {
      ...five,
      plainLogits: new Float64Array(20),
      encryptedLogits: new Float64Array(20),
      labels: Uint8Array.from({ length: 20 }, (_, i) => i % 2),
      requests: Array.from({ length: 20 }, (_, i) => ({ latencyMs: 20 - i, upBytes: 1, downBytes: 1 })),
    }
    expect(evaluateEncrypted(twenty, null).latencyMs).toEqual({ p50: 10, p95: 19 })
  })

  it("is plain JSON with the names that scripts rely on", () => {
    expect(JSON.parse(JSON.stringify(found))).toEqual(found)
    expect(Object.keys(found)).toEqual(
      expect.arrayContaining([
        "n",
        "classAgreement",
        "maxLogitError",
        "meanLogitError",
        "plain",
        "encrypted",
        "latencyMs",
        "bytes",
      ]),
    )
    expect(found.calibration).toBe("platt")
    expect(found.warnings).toEqual([])
  })

  it("prints as a table", () => {
    expect(evaluationText(found)).toMatchInlineSnapshot(`
      "5 patients                  plain  encrypted
      accuracy                   0.8000     1.0000
      AUC (ranking of patients)  1.0000     1.0000
      Brier score                0.0963     0.0962
      calibration error (ECE)    0.2627     0.2625

      same answer both ways             4 of 5
      largest logit error               1.5e-3
      mean logit error                  6.5e-4
      requests                               5
      time of a request, half at most  5.00 ms
      time of a request, 95 % at most    90 ms
      sent per request                 13.8 kB
      received per request             13.8 kB
      keys sent once                      none
      calibration                        platt"
    `)
  })
})

it("decides by the calibrated probability, and ranks by the logit", () => {
  // with the offset of -1 only the last patient is called ill
  const found = evaluateEncrypted(five, { type: "platt", slope: 1, offset: -1 })
  expect(found.plain.accuracy).toBe(3 / 5)
  expect(found.classAgreement).toBe(1)
  expect(found.plain.auc).toBe(1)
})

describe("warnings", () => {
  const withLogits = (logits: readonly number[], labels: readonly number[]): Measurements => ({
    ...five,
    plainLogits: Float64Array.from(logits),
    encryptedLogits: Float64Array.from(logits),
    labels: Uint8Array.from(labels),
    requests: five.requests.slice(0, 1),
  })
  const codes = (measurements: Measurements, calibration: Parameters<typeof evaluateEncrypted>[1] = platt) =>
    evaluateEncrypted(measurements, calibration).warnings.map(({ code }) => code)

  it("a model without calibration", () => {
    expect(codes(five, null)).toEqual(["not-calibrated"])
  })

  it("more than a fifth of probabilities under .01 or over .99, and not a fifth", () => {
    const logits = [4.59, 4.6, -4.6, 1, 0, -1, 2, -2, 3, -3] // sigmoid(4.595) = .99
    const labels = [1, 1, 0, 1, 0, 0, 1, 0, 1, 0]
    expect(codes(withLogits(logits, labels))).toEqual([])
    expect(codes(withLogits([4.6, ...logits.slice(1)], labels))).toEqual(["extreme-probabilities"])
    expect(codes(withLogits([-4.6, ...logits.slice(1)], labels))).toEqual(["extreme-probabilities"])
    // what counts is what the asker is shown
    expect(codes(withLogits(logits, labels), { type: "temperature", temperature: 0.5 })).toEqual([
      "extreme-probabilities",
    ])
  })

  it("patients of one class, whose AUC is null", () => {
    const found = evaluateEncrypted(withLogits([1, 2], [1, 1]), platt)
    expect(found.warnings.map(({ message }) => message)).toMatchInlineSnapshot(`
      [
        "All 2 patients are ill, so there is no AUC. Evaluate on patients of both kinds.",
      ]
    `)
    expect(found.plain.auc).toBe(null)
    expect(evaluationText(found)).toMatch(/AUC \(ranking of patients\) +- +-/)
  })
})

it.each<readonly [string, Partial<Measurements>]>([
  ["nobody", { labels: new Uint8Array(0) }],
  ["a patient less", { plainLogits: new Float64Array(4) }],
  ["an answer less", { encryptedLogits: new Float64Array(4) }],
  ["an answer that is not a number", { encryptedLogits: Float64Array.of(0, 0, NaN, 0, 0) }],
  ["an infinite logit", { plainLogits: Float64Array.of(0, 0, Infinity, 0, 0) }],
  ["a label 2", { labels: Uint8Array.of(0, 1, 2, 0, 1) }],
  ["no request", { requests: [] }],
  ["more requests than patients", { requests: [...five.requests, five.requests[0]!] }],
  ["a time before now", { requests: [{ latencyMs: -1, upBytes: 1, downBytes: 1 }] }],
  ["half a byte", { requests: [{ latencyMs: 1, upBytes: 0.5, downBytes: 1 }] }],
  ["keys of no size", { keyBytes: -1 }],
])("refuses %s", (_, change) => {
  const run = () => evaluateEncrypted({ ...five, ...change }, null)
  expect(run).toThrow()
  try {
    run()
  } catch (error) {
    expect(isConsiliumError(error, "inference/bad-measurements")).toBe(true)
  }
})

it("equal logits: full agreement, no error, and the figures of the learning package", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.double({ min: -20, max: 20, noNaN: true }), fc.integer({ min: 0, max: 1 })), {
        minLength: 1,
        maxLength: 40,
      }),
      (rows) => {
        const logits = Float64Array.from(rows, ([logit]) => logit)
        const labels = Uint8Array.from(rows, ([, label]) => label)
        const found = evaluateEncrypted(
          {
            ...five,
            plainLogits: logits,
            encryptedLogits: logits,
            labels,
            requests: five.requests.slice(0, 1),
          },
          null,
        )
        expect([found.classAgreement, found.maxLogitError, found.meanLogitError]).toEqual([1, 0, 0])
        expect(found.encrypted).toEqual(found.plain)
        const { accuracy, auc, brier, calibration } = metricsOfLogits(logits, labels)
        expect(found.plain).toEqual({
          accuracy,
          auc,
          brier,
          expectedCalibrationError: calibration.expectedCalibrationError,
        })
      },
    ),
    { numRuns: 60 },
  )
})
