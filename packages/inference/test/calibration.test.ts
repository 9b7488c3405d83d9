import { decode, encode } from "@consilium/base/encoding"
import { isConsiliumError } from "@consilium/base/errors"
import { describe, expect, it } from "vitest"
import {
  type Calibration,
  calibratedProbability,
  calibrationCodec,
  fitCalibration,
} from "../src/calibration/calibration.js"
import type { HoldOut } from "../src/calibration/hold-out.js"
import { fitIsotonic, poolAdjacentViolators } from "../src/calibration/isotonic.js"
import { fitPlatt } from "../src/calibration/platt.js"
import { fitTemperature } from "../src/calibration/temperature.js"

/** Groups of [logit, patients, ill ones among them]. */
const patients = (...groups: readonly (readonly [number, number, number])[]): HoldOut => ({
  logits: Float64Array.from(groups.flatMap(([logit, rows]) => Array.from({ length: rows }, () => logit))),
  labels: Uint8Array.from(
    groups.flatMap(([, rows, ill]) => Array.from({ length: rows }, (_, i) => (i < ill ? 1 : 0))),
  ),
})
const refusal = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    if (isConsiliumError(error)) return `${error.code}: ${error.message} ${error.remedy}`
    throw error
  }
  return "nothing was refused"
}
const ln3 = 1.0986122886681098

describe("answers that a pencil finds", () => {
  it("Platt: the line through the log odds of two groups", () => {
    // odds 3 at logit 1 and 1/3 at logit -1
    const middle = fitPlatt(patients([-1, 20, 5], [1, 20, 15]))
    expect(middle.slope).toBeCloseTo(ln3, 12)
    expect(middle.offset).toBeCloseTo(0, 12)
    // odds 1 at logit 2 and 1/3 at logit -2: slope ln 3 / 4, offset -ln 3 / 2
    const shifted = fitPlatt(patients([-2, 20, 5], [2, 20, 10]))
    expect(shifted.slope).toBeCloseTo(ln3 / 4, 12)
    expect(shifted.offset).toBeCloseTo(-ln3 / 2, 12)
  })

  it("temperature: what turns a logit of 2 into odds of 3", () => {
    expect(fitTemperature(patients([-2, 20, 5], [2, 20, 15]))).toBeCloseTo(2 / ln3, 14)
    expect(fitTemperature(patients([-0.5, 20, 5], [0.5, 20, 15]))).toBeCloseTo(0.5 / ln3, 14)
  })

  it("isotonic: neighbours that fall are pooled, backwards as far as need be", () => {
    // shares .2, .6, .5, .3, .9: .6 and .5 and .3 pool to .4667
    const holdOut = patients([-2, 10, 2], [-1, 10, 6], [0, 10, 5], [1, 10, 3], [2, 10, 9])
    expect(poolAdjacentViolators(holdOut)).toEqual([
      { lowestLogit: -2, highestLogit: -2, rows: 10, positives: 2 },
      { lowestLogit: -1, highestLogit: 1, rows: 30, positives: 14 },
      { lowestLogit: 2, highestLogit: 2, rows: 10, positives: 9 },
    ])
    expect(fitIsotonic(holdOut)).toEqual({
      thresholds: Float64Array.of(-1.5, 1.5),
      probabilities: Float64Array.of(0.2, 14 / 30, 0.9),
    })
  })

  it("isotonic: no step stands on fewer patients than asked", () => {
    // shares 0, .5, 1 on 10, 2, 10 patients: the two join the lower block, which is as near as the upper one
    const holdOut = patients([-1, 10, 0], [0, 2, 1], [1, 10, 10])
    expect(fitIsotonic(holdOut, 1).probabilities).toEqual(Float64Array.of(0, 0.5, 1))
    expect(fitIsotonic(holdOut)).toEqual({
      thresholds: Float64Array.of(0.5),
      probabilities: Float64Array.of(1 / 12, 1),
    })
  })

  it("steps include their lower end", () => {
    const steps: Calibration = {
      type: "isotonic",
      thresholds: Float64Array.of(-1, 2),
      probabilities: Float64Array.of(0.1, 0.4, 0.8),
    }
    const at = [-1e9, -1.0000001, -1, 1.9999999, 2, Infinity].map((z) => calibratedProbability(steps, z))
    expect(at).toEqual([0.1, 0.1, 0.4, 0.4, 0.8, 0.8])
  })

  it("without a calibration a probability is the sigmoid of the logit", () => {
    expect(calibratedProbability(null, ln3)).toBeCloseTo(0.75, 15)
    expect(calibratedProbability({ type: "platt", slope: 2, offset: -ln3 }, ln3)).toBeCloseTo(0.75, 15)
    expect(calibratedProbability({ type: "temperature", temperature: 2 }, 2 * ln3)).toBeCloseTo(0.75, 15)
  })
})

it("gives the same bits everywhere", () => {
  const holdOut = patients([-1.5, 20, 3], [-0.25, 20, 9], [0.5, 20, 8], [1.75, 20, 17])
  const bytes = (["platt", "temperature", "isotonic"] as const).map((kind) =>
    Buffer.from(encode(calibrationCodec, fitCalibration(holdOut, { kind }))).toString("hex"),
  )
  expect(bytes).toMatchInlineSnapshot(`
    [
      "003feea15bd2b56fc1bfd41c21d7c9ebc3",
      "013ff173cc9f6d45e2",
      "0200000002bfec0000000000003ff2000000000000000000033fc33333333333333fdb3333333333333feb333333333333",
    ]
  `)
})

describe("patients that allow no calibration", () => {
  it.each<readonly [string, HoldOut]>([
    ["one label", patients([-1, 20, 0], [1, 20, 0])],
    ["four of a label", patients([-1, 20, 1], [1, 20, 3])],
    ["other numbers of labels", { logits: new Float64Array(3), labels: new Uint8Array(4) }],
    ["a label 2", { logits: new Float64Array(12), labels: new Uint8Array(12).fill(2) }],
    [
      "a logit that is not a number",
      { ...patients([-1, 20, 5], [1, 20, 15]), logits: new Float64Array(40).fill(NaN) },
    ],
    [
      "an infinite logit",
      { ...patients([-1, 20, 5], [1, 20, 15]), logits: new Float64Array(40).fill(Infinity) },
    ],
    ["one logit for all", patients([0.5, 40, 20])],
    ["logits that fall with the disease", patients([-1, 20, 15], [1, 20, 5])],
  ])("%s", (_, holdOut) => {
    for (const kind of ["platt", "temperature", "isotonic"] as const)
      expect(refusal(() => fitCalibration(holdOut, { kind }))).toMatch(/^inference\/bad-hold-out/)
  })

  it("labels that a threshold parts, unless the targets are smoothed", () => {
    const parted = patients([-1, 10, 0], [2, 10, 10])
    expect(refusal(() => fitPlatt(parted))).toMatchInlineSnapshot(
      `"inference/bad-hold-out: A threshold parts the hold-out patients with the disease from those without, so the steeper the better without end. Hold out more patients, or fit with targets "smoothed"."`,
    )
    expect(refusal(() => fitPlatt(patients([-1, 10, 0], [0, 4, 2], [2, 10, 10])))).toContain(
      "A threshold parts",
    )
    expect(refusal(() => fitTemperature(parted))).toMatchInlineSnapshot(
      `"inference/bad-hold-out: The sign of the logit is right for every hold-out patient, so the colder the better without end. Hold out more patients, or use Platt scaling with targets "smoothed"."`,
    )
    // 10 of 10 count as 11 of 12: log odds of 11 at logit 2, of 1/11 at logit -1
    const { slope, offset } = fitPlatt(parted, "smoothed")
    expect(slope).toBeCloseTo((2 * Math.log(11)) / 3, 10)
    expect(offset).toBeCloseTo(-Math.log(11) / 3, 10)
  })

  it("a temperature where the ranking is right but every sign is the same", () => {
    const shifted = patients([3, 20, 2], [5, 20, 10])
    expect(refusal(() => fitTemperature(shifted))).toContain("Platt scaling")
    expect(fitPlatt(shifted).slope).toBeGreaterThan(0)
  })

  it("unknown kinds and steps of no patients", () => {
    const holdOut = patients([-1, 20, 5], [1, 20, 15])
    expect(refusal(() => fitCalibration(holdOut, { kind: "beta" as "platt" }))).toContain(
      "learning/bad-setting",
    )
    expect(refusal(() => fitIsotonic(holdOut, 0))).toContain("learning/bad-setting")
    expect(refusal(() => calibratedProbability(null, NaN))).toContain("learning/bad-predictions")
  })

  it("no message holds a logit", () => {
    const secret = {
      logits: Float64Array.from({ length: 12 }, () => 1e9 + 8675309),
      labels: new Uint8Array(12),
    }
    expect(refusal(() => fitPlatt(secret))).not.toContain("8675309")
  })
})

describe("stored with a plan", () => {
  const hex = (calibration: Calibration) => Buffer.from(encode(calibrationCodec, calibration)).toString("hex")

  it("has one form, and comes back as it was", () => {
    const all: readonly Calibration[] = [
      { type: "platt", slope: 0.5, offset: -2 },
      { type: "temperature", temperature: 1.5 },
      { type: "isotonic", thresholds: Float64Array.of(0.25), probabilities: Float64Array.of(0, 1) },
    ]
    expect(all.map(hex)).toMatchInlineSnapshot(`
      [
        "003fe0000000000000c000000000000000",
        "013ff8000000000000",
        "02000000013fd00000000000000000000200000000000000003ff0000000000000",
      ]
    `)
    for (const calibration of all)
      expect(decode(calibrationCodec, encode(calibrationCodec, calibration))).toEqual(calibration)
  })

  it.each<readonly [string, Calibration]>([
    ["a slope of 0", { type: "platt", slope: 0, offset: 0 }],
    ["a falling slope", { type: "platt", slope: -1, offset: 0 }],
    ["an offset that is not a number", { type: "platt", slope: 1, offset: NaN }],
    ["a temperature of 0", { type: "temperature", temperature: 0 }],
    [
      "steps that fall",
      { type: "isotonic", thresholds: Float64Array.of(0), probabilities: Float64Array.of(0.5, 0.4) },
    ],
    [
      "steps in disorder",
      { type: "isotonic", thresholds: Float64Array.of(1, 0), probabilities: Float64Array.of(0, 0.1, 0.2) },
    ],
    [
      "a probability of 2",
      { type: "isotonic", thresholds: Float64Array.of(0), probabilities: Float64Array.of(0.5, 2) },
    ],
    [
      "a step too few",
      { type: "isotonic", thresholds: Float64Array.of(0), probabilities: Float64Array.of(0.5) },
    ],
    ["no step", { type: "isotonic", thresholds: new Float64Array(0), probabilities: new Float64Array(0) }],
    ["an unknown kind", { type: "beta" } as unknown as Calibration],
  ])("refuses %s", (_, calibration) => {
    expect(refusal(() => encode(calibrationCodec, calibration))).toMatch(/^inference\/bad-calibration/)
  })

  it("refuses the bytes of a falling slope", () => {
    const bytes = encode(calibrationCodec, { type: "platt", slope: 0.5, offset: -2 })
    bytes[1]! |= 0x80
    expect(refusal(() => decode(calibrationCodec, bytes))).toMatch(/^encoding\/malformed/)
  })
})
