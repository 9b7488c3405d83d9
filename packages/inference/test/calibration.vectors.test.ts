import { readFileSync } from "node:fs"
import { sigmoid } from "@consilium/learning/math"
import { describe, expect, it } from "vitest"
import { calibratedProbability } from "../src/calibration/calibration.js"
import { fitIsotonic } from "../src/calibration/isotonic.js"
import { fitPlatt } from "../src/calibration/platt.js"
import { fitTemperature } from "../src/calibration/temperature.js"

interface Case {
  readonly name: string
  readonly logits: readonly number[]
  readonly labels: readonly number[]
  readonly platt: { readonly slope: number; readonly offset: number }
  readonly smoothed: { readonly slope: number; readonly offset: number }
  readonly temperature: number
  readonly isotonic: readonly number[]
}
const { cases } = JSON.parse(
  readFileSync(new URL("./vectors/calibration.json", import.meta.url), "utf8"),
) as { readonly cases: readonly Case[] }

const within = (found: number, expected: number, relative: number) =>
  expect(Math.abs(found - expected)).toBeLessThanOrEqual(relative * Math.max(1, Math.abs(expected)))

describe.each(cases)("as scikit-learn calibrates: $name", (given) => {
  const holdOut = { logits: Float64Array.from(given.logits), labels: Uint8Array.from(given.labels) }

  it("Platt scaling is logistic regression on the logit", () => {
    const { slope, offset } = fitPlatt(holdOut)
    within(slope, given.platt.slope, 1e-9)
    within(offset, given.platt.offset, 1e-9)
  })

  it("Platt scaling towards smoothed targets, to what its solver reaches", () => {
    const { slope, offset } = fitPlatt(holdOut, "smoothed")
    within(slope, given.smoothed.slope, 1e-4)
    within(offset, given.smoothed.offset, 1e-4)
  })

  it("temperature scaling, to what its solver reaches", () => {
    within(fitTemperature(holdOut), given.temperature, 1e-4)
  })

  it("isotonic regression, to the last digits", () => {
    const steps = { type: "isotonic" as const, ...fitIsotonic(holdOut, 1) }
    for (const [i, expected] of given.isotonic.entries())
      within(calibratedProbability(steps, holdOut.logits[i]!), expected, 1e-15)
  })

  it("each fit is a change that matters here", () => {
    const before = sigmoid(holdOut.logits[0]!)
    const platt = { type: "platt" as const, ...fitPlatt(holdOut) }
    expect(Math.abs(calibratedProbability(platt, holdOut.logits[0]!) - before)).toBeGreaterThan(1e-3)
  })
})
