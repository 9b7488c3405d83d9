import { describe, expect, it } from "vitest"
import { chiSquareTails, varianceRatioInterval } from "../src/audit/chi-square.js"

// scipy 1.17.1: stats.chi2.cdf(x, n), stats.chi2.sf(x, n); ppf(alpha / 2, n) / n, isf(alpha / 2, n) / n

describe("the chi-square distribution against foreign values", () => {
  it.each([
    [1, 3.84, 0.9499564787512949, 0.05004352124870519],
    [2, 0.1, 0.04877057549928599, 0.951229424500714],
    [60, 21.2, 8.134495344210578e-7, 0.9999991865504656],
    [60, 130, 0.9999995567847928, 4.432152071552426e-7],
    [249, 180, 0.00033154163761365087, 0.9996684583623864],
    [7600, 7200, 0.00048734758975772606, 0.9995126524102422],
    [7600, 8100, 0.9999648460127225, 3.5153987277484775e-5],
    [100000, 101500, 0.9995795450287304, 0.0004204549712696566],
    [100000, 98000, 3.3847542280794866e-6, 0.9999966152457719],
  ])("tails for %i degrees of freedom at %d", (degrees, x, lower, upper) => {
    const tails = chiSquareTails(x, degrees)
    expect(Math.abs(tails.lower / lower - 1)).toBeLessThan(1e-9)
    expect(Math.abs(tails.upper / upper - 1)).toBeLessThan(1e-9)
  })

  it.each([
    [60, 1e-6, 0.34484593616938886, 2.159548137065823],
    [249, 1e-8, 0.5684004084825472, 1.601552869998541],
    [7620, 1e-6, 0.9227473706062801, 1.0812642321876715],
  ])("the interval of a variance of %i degrees of freedom at %d", (degrees, error, low, high) => {
    const interval = varianceRatioInterval(degrees, error)
    expect(Math.abs(interval.low / low - 1)).toBeLessThan(1e-9)
    expect(Math.abs(interval.high / high - 1)).toBeLessThan(1e-9)
  })

  it("has both ends, and refuses what is no distribution or no error", () => {
    expect(chiSquareTails(0, 3)).toEqual({ lower: 0, upper: 1 })
    expect(chiSquareTails(Number.POSITIVE_INFINITY, 3)).toEqual({ lower: 1, upper: 0 })
    for (const [x, degrees] of [
      [-1, 3],
      [Number.NaN, 3],
      [1, 0],
      [1, 1.5],
    ] as const)
      expect(() => chiSquareTails(x, degrees)).toThrow("says nothing of")
    for (const error of [0, 1, Number.NaN])
      expect(() => varianceRatioInterval(3, error)).toThrow("no error probability")
  })
})
