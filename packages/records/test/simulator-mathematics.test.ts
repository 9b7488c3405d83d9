import { isConsiliumError } from "@consilium/base/errors"
import { insecureSeededRandom } from "@consilium/base/testing"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { choleskyFactor } from "../src/simulator/cholesky.js"
import { type CodeMarginal, type Marginal, momentsOf, transformOf } from "../src/simulator/marginal.js"
import { drawNormal, normalDensity, normalQuantile, normalShare } from "../src/simulator/normal.js"
import { gradeExpansion, latentCorrelation, rankCorrelation } from "../src/simulator/rank-correlation.js"

const thrownCode = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    return isConsiliumError(error) ? error.code : "another error"
  }
  return "nothing"
}

describe("the standard normal", () => {
  // by mpmath with 40 digits, rounded to doubles
  it.each([
    [0.5, 0],
    [0.6, 0.2533471031357997],
    [0.075, -1.439531470938456],
    [0.925, 1.4395314709384561],
    [0.975, 1.9599639845400538],
    [0.001, -3.0902323061678136],
    [1e-10, -6.361340902404057],
    [1e-15, -7.941345326170997],
    [2 ** -54, -8.292361075813595],
  ])("has the quantile of %s", (share, z) => {
    expect(Math.abs(normalQuantile(share) - z)).toBeLessThanOrEqual(4e-16 * Math.abs(z))
  })

  it.each([
    [0, 0.5],
    [0.5, 0.6914624612740131],
    [-1.5, 0.06680720126885807],
    [1.96, 0.9750021048517795],
    [3, 0.9986501019683699],
    [-5, 2.866515718791939e-7],
    [-8, 6.220960574271784e-16],
    [-9, 0],
    [9, 1],
  ])("has the share below %s", (z, share) => {
    expect(Math.abs(normalShare(z) - share)).toBeLessThan(1e-15)
  })

  it("takes its quantile back, and 0 and 1 to the ends", () => {
    fc.assert(
      fc.property(fc.double({ min: -6, max: 6, noNaN: true }), (z) => {
        const back = normalQuantile(normalShare(z))
        // an error of the share is one of z by the density
        expect(Math.abs(back - z)).toBeLessThan(1e-14 + 4e-16 / normalDensity(z))
      }),
    )
    expect([normalQuantile(0), normalQuantile(1)]).toEqual([-Infinity, Infinity])
  })

  it("is drawn finite from the ends of a uniform", () => {
    const lowest = { bytes: (length: number) => new Uint8Array(length) }
    const highest = { bytes: (length: number) => new Uint8Array(length).fill(255) }
    expect(drawNormal(lowest)).toBeCloseTo(-8.29, 2)
    expect(drawNormal(highest)).toBeCloseTo(8.21, 2)
  })
})

describe("marginals", () => {
  /** Mean and deviation of what a transform makes of a standard normal, by the trapezoid rule. */
  const integrated = (transform: (z: number) => number) => {
    const step = 1 / 256
    let [mass, sum, squares] = [0, 0, 0]
    for (let z = -8; z <= 8; z += step) {
      const value = transform(z)
      mass += normalDensity(z) * step
      sum += value * normalDensity(z) * step
      squares += value * value * normalDensity(z) * step
    }
    return { mean: sum / mass, deviation: Math.sqrt(squares / mass - (sum / mass) ** 2) }
  }

  it.each([
    { distribution: "normal", mean: 74, deviation: 11 },
    { distribution: "lognormal", mean: 165, deviation: 105 },
    { distribution: "lognormal", mean: 120, deviation: 42, floor: 70 },
    { distribution: "truncated-normal", mean: 66, deviation: 8, low: 40, high: 90 },
    { distribution: "truncated-normal", mean: 20, deviation: 30, low: 18, high: 60 },
  ] as const)("$distribution $mean $deviation has the moments that it states", (marginal) => {
    const stated = momentsOf(marginal)
    const found = integrated(transformOf(marginal))
    expect(found.mean / stated.mean).toBeCloseTo(1, 5)
    expect(found.deviation / stated.deviation).toBeCloseTo(1, 4)
  })

  it("codes come with their shares", () => {
    const place = transformOf({ distribution: "categorical", shares: [0.6, 0.3, 0.1] })
    expect([-9, normalQuantile(0.599), normalQuantile(0.601), normalQuantile(0.899), 9].map(place)).toEqual([
      0, 0, 1, 1, 2,
    ])
    const yes = transformOf({ distribution: "bernoulli", share: 0.25 })
    expect([normalQuantile(0.749), normalQuantile(0.751)].map(yes)).toEqual([0, 1])
  })

  it("cut marginals keep to their bounds", () => {
    const value = transformOf({ distribution: "truncated-normal", mean: 66, deviation: 8, low: 40, high: 90 })
    expect(value(-40)).toBeCloseTo(40, 9)
    expect(value(40)).toBeCloseTo(90, 9)
    fc.assert(
      fc.property(fc.double({ min: -40, max: 40, noNaN: true }), (z) => value(z) >= 40 && value(z) <= 90),
    )
  })
})

describe("rank correlations", () => {
  const number = gradeExpansion({ distribution: "normal", mean: 0, deviation: 1 })
  const codes = (...shares: number[]): CodeMarginal => ({ distribution: "categorical", shares })

  it("of numbers are Pearson's (6 / pi) arcsin(r / 2)", () => {
    fc.assert(
      fc.property(fc.double({ min: -0.9, max: 0.9, noNaN: true }), (r) => {
        expect(rankCorrelation(number, number, r)).toBeCloseTo((6 / Math.PI) * Math.asin(r / 2), 9)
      }),
    )
  })

  it("of halves are those of the quadrant, (2 / pi) arcsin r", () => {
    const half = gradeExpansion({ distribution: "bernoulli", share: 0.5 })
    for (const r of [-0.7, 0.2, 0.9])
      expect(rankCorrelation(half, half, r)).toBeCloseTo((2 / Math.PI) * Math.asin(r), 6)
  })

  it("do not depend on how numbers are distributed", () => {
    expect(gradeExpansion({ distribution: "lognormal", mean: 5, deviation: 4 })).toEqual(number)
  })

  it("of codes are those of many pairs, counted", () => {
    const random = insecureSeededRandom("pairs")
    const a: Marginal = codes(0.5, 0.3, 0.2)
    const b: Marginal = { distribution: "bernoulli", share: 0.1 }
    const middles = (marginal: CodeMarginal, shares: readonly number[]) => {
      const place = transformOf(marginal)
      const ranks = shares.map((share, at) => shares.slice(0, at).reduce((x, y) => x + y, 0) + share / 2)
      return (z: number) => (ranks[place(z)] as number) - 0.5
    }
    const [rankA, rankB] = [middles(a, [0.5, 0.3, 0.2]), middles(b, [0.9, 0.1])]
    const r = 0.6
    let [ab, aa, bb] = [0, 0, 0]
    for (let i = 0; i < 200_000; i++) {
      const first = drawNormal(random)
      const second = r * first + Math.sqrt(1 - r * r) * drawNormal(random)
      const [x, y] = [rankA(first), rankB(second)]
      ab += x * y
      aa += x * x
      bb += y * y
    }
    // standard error about 0.002; a fresh seed would miss by 0.01 once in a million times
    expect(
      Math.abs(ab / Math.sqrt(aa * bb) - rankCorrelation(gradeExpansion(a), gradeExpansion(b), r)),
    ).toBeLessThan(0.01)
  })

  it("are found again from the normals' correlation", () => {
    const share = fc.double({ min: 0.2, max: 0.8, noNaN: true })
    fc.assert(
      fc.property(share, share, fc.double({ min: -0.8, max: 0.8, noNaN: true }), (p, q, r) => {
        const a = gradeExpansion(codes(p, 1 - p))
        const b = gradeExpansion(codes(q / 2, q / 2, 1 - q))
        const wanted = rankCorrelation(a, b, r)
        expect(rankCorrelation(a, b, latentCorrelation(a, b, wanted))).toBeCloseTo(wanted, 9)
      }),
    )
    expect(latentCorrelation(number, number, 0)).toBe(0)
  })

  it("stronger than the shares allow are refused", () => {
    const rare = gradeExpansion({ distribution: "bernoulli", share: 0.05 })
    expect(thrownCode(() => latentCorrelation(rare, number, 0.6))).toBe("records/bad-profile")
  })
})

describe("Cholesky's factor", () => {
  it("times its transpose is the matrix", () => {
    const matrix = Float64Array.of(1, 0.5, -0.2, 0.5, 1, 0.3, -0.2, 0.3, 1)
    const l = choleskyFactor(matrix, 3)
    for (let i = 0; i < 3; i++)
      for (let j = 0; j < 3; j++) {
        let sum = 0
        for (let k = 0; k < 3; k++) sum += (l[i * 3 + k] as number) * (l[j * 3 + k] as number)
        expect(sum).toBeCloseTo(matrix[i * 3 + j] as number, 15)
      }
    expect([l[1], l[2], l[5]]).toEqual([0, 0, 0])
  })

  it("of correlations that contradict each other is refused", () => {
    const impossible = Float64Array.of(1, 0.9, -0.9, 0.9, 1, 0.9, -0.9, 0.9, 1)
    expect(thrownCode(() => choleskyFactor(impossible, 3))).toBe("records/bad-profile")
    expect(thrownCode(() => choleskyFactor(Float64Array.of(1, 1, 1, 1), 2))).toBe("records/bad-profile")
    expect(thrownCode(() => choleskyFactor(Float64Array.of(1, NaN, NaN, 1), 2))).toBe("records/bad-profile")
  })
})
