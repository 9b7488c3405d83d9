import { insecureSeededRandom } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import { LaneCodec } from "../../src/ring/lane-codec.js"
import { ERROR_PAIRS } from "../../src/ring/ring.js"
import { WideGaussian } from "../../src/sums/wide-gaussian.js"
import { chooseSumParameters } from "../../src/threshold/choose-parameters.js"
import { errorBound } from "../../src/threshold/flooding-bound.js"
import { type ThresholdLiteral, ThresholdParameters } from "../../src/threshold/threshold-parameters.js"
import { contextOf, SCHEMES, vectorsOf, wholeSum } from "../sum-schemes.js"
import { sumVectors } from "../vectors/sums.js"

describe.each(Object.entries(SCHEMES))("%s", (_, make) => {
  it("gives exact sums of a million values", () => {
    const demand = { facilities: 10, threshold: 7, values: 1_000_000, largest: 32_767 }
    const scheme = make(demand, "million")
    for (const kind of ["random", "extreme"] as const) {
      const { vectors, sum } = vectorsOf(10, 1_000_000, 32_767, kind, `million ${kind}`)
      const cohort = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
      const context = contextOf({ attempt: kind === "random" ? 1 : 2 })
      expect(wholeSum(scheme, context, cohort, [10, 2, 3, 4, 5, 6, 8], vectors)).toEqual(sum)
    }
  })
})

it("the plain kernels give the known bytes", () => {
  expect(sumVectors({ kernel: "plain" })).toEqual(sumVectors({}))
})

it("64 facilities, 43 of whom open: exact at two lanes, extreme values", () => {
  const scheme = SCHEMES["threshold ckks"] as (typeof SCHEMES)[string]
  const made = scheme({ facilities: 64, threshold: 43, values: 8192, largest: 131_071 }, "64")
  const cohort = Array.from({ length: 64 }, (_, i) => i + 1)
  const { vectors, sum } = vectorsOf(64, 8192, 131_071, "extreme", "64")
  expect(wholeSum(made, contextOf(), cohort, cohort.slice(21), vectors)).toEqual(sum)
})

/**
 * 10,000 openings of one polynomial of 4096, in the coefficients alone: errors of n facilities less floodings of t. The
 * bound is passed by a coefficient with probability 2^-49, so by any of 4.1 * 10^7 with 2^-24.
 */
it("the noise of 10,000 openings stays below its bound, and is as wide as it should be", () => {
  const facilities = 10
  const threshold = 7
  const { literal } = chooseSumParameters({
    facilities,
    threshold,
    values: 4096,
    largest: 1000,
    degree: 4096,
  })
  const { ring, floodSigma, noise } = ThresholdParameters.of(literal as ThresholdLiteral)
  const flooding = new WideGaussian(floodSigma)
  const random = insecureSeededRandom("noise")
  const codec = new LaneCodec(ring, {
    lanes: 1,
    laneBits: 15,
    deltaBits: (literal as ThresholdLiteral).deltaBits,
  })
  const wide = new BigInt64Array(4096)
  const total = new BigInt64Array(4096)
  let [largest, squares, largestError] = [0n, 0, 0]
  for (let run = 0; run < 10_000; run++) {
    total.fill(0n)
    for (let party = 0; party < threshold; party++) {
      flooding.sample(random, wide)
      for (let i = 0; i < 4096; i++) total[i] = (total[i] as bigint) - (wide[i] as bigint)
    }
    const errors = new Int32Array(4096)
    for (let party = 0; party < facilities; party++) {
      const one = ring.centredBinomial(random, ERROR_PAIRS)
      for (let i = 0; i < 4096; i++) errors[i] = (errors[i] as number) + (one[i] as number)
    }
    for (let i = 0; i < 4096; i++) {
      total[i] = (total[i] as bigint) + BigInt(errors[i] as number)
      largestError = Math.max(largestError, Math.abs(errors[i] as number))
      squares += (Number(total[i]) / Number(floodSigma)) ** 2
    }
    const { remainder, values } = codec.decode(ring.fromWide(total))
    if (values.some((value) => value !== 0)) throw new Error(`run ${run}: a value was changed`)
    if (remainder > largest) largest = remainder
  }
  expect(largest < noise).toBe(true)
  // some coefficient of 4.1 * 10^7 lies beyond five deviations
  expect(largest > (noise * 5n) / 8n).toBe(true)
  expect(BigInt(largestError) < errorBound(facilities)).toBe(true)
  expect(Math.sqrt(squares / 40_960_000 / threshold)).toBeCloseTo(1, 2)
})
