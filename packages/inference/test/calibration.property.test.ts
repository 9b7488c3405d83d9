import { isConsiliumError } from "@consilium/base/errors"
import { crossEntropy } from "@consilium/learning/logistic"
import fc from "fast-check"
import { expect, it } from "vitest"
import { type Calibration, calibratedProbability } from "../src/calibration/calibration.js"
import type { HoldOut } from "../src/calibration/hold-out.js"
import { fitIsotonic, poolAdjacentViolators } from "../src/calibration/isotonic.js"
import { fitPlatt } from "../src/calibration/platt.js"
import { affineLoss, targetsOf } from "../src/calibration/targets.js"
import { fitTemperature } from "../src/calibration/temperature.js"

const holdOutOf = (rows: readonly (readonly [number, number])[]): HoldOut => ({
  logits: Float64Array.from(rows, ([logit]) => logit),
  labels: Uint8Array.from(rows, ([, label]) => label),
})

/** Patients whose labels lean on the logit, with a scale from tiny to huge. */
const grid = (most: number) => fc.integer({ min: -1000, max: 1000 }).map((k) => (k / 1000) * most)
const leaning = fc
  .tuple(
    fc.array(fc.tuple(grid(3), grid(4)), { minLength: 30, maxLength: 80 }),
    fc.constantFrom(1e-3, 0.1, 1, 30, 1e4, 1e7),
    grid(2),
  )
  .map(([rows, scale, shift]) =>
    holdOutOf(rows.map(([x, noise]) => [scale * (x + shift), x + noise > 0 ? 1 : 0] as const)),
  )

/** Runs where the patients allow a fit. */
const where = <T>(holdOut: HoldOut, fit: (holdOut: HoldOut) => T, check: (fitted: T) => void) => {
  let fitted: T
  try {
    fitted = fit(holdOut)
  } catch (error) {
    if (isConsiliumError(error, "inference/bad-hold-out")) fc.pre(false)
    throw error
  }
  check(fitted)
}

const rising = (calibration: Calibration, { logits }: HoldOut): boolean => {
  const sorted = Float64Array.from(logits).sort()
  const probabilities = Array.from(sorted, (z) => calibratedProbability(calibration, z))
  return probabilities.every((p, i) => p >= 0 && p <= 1 && (i === 0 || probabilities[i - 1]! <= p))
}

it("Platt scaling: never a larger loss, nothing left to gain, rising, and nothing to do a second time", () => {
  fc.assert(
    fc.property(leaning, fc.constantFrom("labels" as const, "smoothed" as const), (holdOut, targets) =>
      where(
        holdOut,
        (given) => fitPlatt(given, targets),
        ({ slope, offset }) => {
          const goals = targetsOf(holdOut.labels, targets)
          const loss = (a: number, b: number) => affineLoss(holdOut.logits, goals, a, b)
          const found = loss(slope, offset)
          expect(found).toBeLessThanOrEqual(loss(1, 0))
          // at the lowest place: every step of a thousandth of the spread goes up
          const spread = Math.max(...holdOut.logits.map(Math.abs))
          for (const [a, b] of [
            [1, 0],
            [-1, 0],
            [0, 1],
            [0, -1],
            [1, -1],
            [-1, 1],
          ] as const)
            expect(loss(slope + (1e-3 * a) / spread, offset + 1e-3 * b)).toBeGreaterThanOrEqual(found - 1e-15)
          expect(rising({ type: "platt", slope, offset }, holdOut)).toBe(true)
          if (targets === "smoothed") return
          const fitted = holdOut.logits.map((z) => slope * z + offset)
          const again = fitPlatt({ ...holdOut, logits: fitted })
          expect(affineLoss(fitted, goals, again.slope, again.offset)).toBeLessThanOrEqual(
            affineLoss(fitted, goals, 1, 0),
          )
          expect(again.slope).toBeCloseTo(1, 4)
          expect(again.offset).toBeCloseTo(0, 4)
        },
      ),
    ),
    { numRuns: 150 },
  )
})

it("Platt scaling moves with the logits: shifted and stretched ones get the same probabilities", () => {
  fc.assert(
    fc.property(leaning, fc.double({ min: 0.5, max: 2, noNaN: true }), (holdOut, stretch) =>
      where(holdOut, fitPlatt, (fitted) => {
        const other = { ...holdOut, logits: holdOut.logits.map((z) => stretch * z + 1) }
        const again = fitPlatt(other)
        for (const [i, z] of holdOut.logits.entries())
          expect(calibratedProbability({ type: "platt", ...again }, other.logits[i]!)).toBeCloseTo(
            calibratedProbability({ type: "platt", ...fitted }, z),
            5,
          )
      }),
    ),
    { numRuns: 60 },
  )
})

it("temperature: never a larger loss, nothing left to gain, same decisions, and 1 a second time", () => {
  fc.assert(
    fc.property(leaning, (holdOut) =>
      where(holdOut, fitTemperature, (temperature) => {
        const { logits, labels } = holdOut
        const loss = (t: number) =>
          crossEntropy(
            logits.map((z) => z / t),
            labels,
          )
        expect(loss(temperature)).toBeLessThanOrEqual(loss(1))
        for (const factor of [0.999, 1.001])
          expect(loss(temperature * factor)).toBeGreaterThanOrEqual(loss(temperature) - 1e-15)
        const calibration: Calibration = { type: "temperature", temperature }
        for (const z of logits)
          expect(calibratedProbability(calibration, z) > 0.5).toBe(
            z / temperature > 0 && calibratedProbability(calibration, z) !== 0.5,
          )
        expect(rising(calibration, holdOut)).toBe(true)
        expect(fitTemperature({ labels, logits: logits.map((z) => z / temperature) })).toBeCloseTo(1, 6)
      }),
    ),
    { numRuns: 150 },
  )
})

/** The least squared error of all rising staircases: every way of cutting the sorted patients into steps is tried. */
const bruteForce = (values: readonly number[]): number => {
  let best = Infinity
  const cut = (from: number, least: number, error: number): void => {
    if (from === values.length) best = Math.min(best, error)
    for (let to = from + 1; to <= values.length; to++) {
      const part = values.slice(from, to)
      const mean = part.reduce((sum, y) => sum + y, 0) / part.length
      if (mean < least) continue
      cut(to, mean, error + part.reduce((sum, y) => sum + (y - mean) ** 2, 0))
    }
  }
  cut(0, -Infinity, 0)
  return best
}

it("isotonic: of all rising staircases the one with the least squared error", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 1, maxLength: 12 }), (labels) => {
      const blocks = poolAdjacentViolators(holdOutOf(labels.map((label, i) => [i, label] as const)))
      let error = 0
      for (const { rows, positives } of blocks) {
        const p = positives / rows
        error += positives * (1 - p) ** 2 + (rows - positives) * p ** 2
      }
      expect(error).toBeCloseTo(bruteForce(labels), 10)
      const shares = blocks.map(({ positives, rows }) => positives / rows)
      expect(shares.every((p, k) => k === 0 || shares[k - 1]! < p)).toBe(true)
    }),
    { numRuns: 300 },
  )
})

it("isotonic: rising, the overall share kept, on no fewer patients than asked, and the same a second time", () => {
  const tied = fc
    .array(fc.tuple(fc.integer({ min: -8, max: 8 }), fc.integer({ min: -6, max: 6 })), {
      minLength: 20,
      maxLength: 90,
    })
    .map((rows) => holdOutOf(rows.map(([x, noise]) => [x / 4, x + noise > 0 ? 1 : 0] as const)))
  fc.assert(
    fc.property(fc.oneof(leaning, tied), fc.integer({ min: 1, max: 9 }), (holdOut, fewest) =>
      where(
        holdOut,
        (given) => fitIsotonic(given, fewest),
        (steps) => {
          const calibration: Calibration = { type: "isotonic", ...steps }
          const { logits, labels } = holdOut
          expect(rising(calibration, holdOut)).toBe(true)
          const probabilities = logits.map((z) => calibratedProbability(calibration, z))
          const sum = (values: ArrayLike<number>) => Array.from(values).reduce((total, x) => total + x, 0)
          expect(sum(probabilities)).toBeCloseTo(sum(labels), 8)
          const counts = new Map<number, number>()
          for (const p of probabilities) counts.set(p, (counts.get(p) ?? 0) + 1)
          expect(counts.size).toBe(steps.probabilities.length)
          expect(Math.min(...counts.values())).toBeGreaterThanOrEqual(Math.min(fewest, logits.length))
          if (steps.probabilities.length === 1) return
          const again = fitIsotonic({ labels, logits: probabilities }, fewest)
          expect(again.probabilities).toEqual(steps.probabilities)
        },
      ),
    ),
    { numRuns: 200 },
  )
})

it("the order of the patients does not matter to isotonic steps", () => {
  fc.assert(
    fc.property(leaning, (holdOut) =>
      where(
        holdOut,
        (given) => fitIsotonic(given),
        (steps) => {
          const turned = {
            logits: holdOut.logits.slice().reverse(),
            labels: holdOut.labels.slice().reverse(),
          }
          expect(fitIsotonic(turned)).toEqual(steps)
        },
      ),
    ),
    { numRuns: 60 },
  )
})
