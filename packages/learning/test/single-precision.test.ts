import { exp, log, logOnePlus, sigmoid } from "@consilium/learning/kernel/reference-elementary"
import { expect, it } from "vitest"

const bits = new Int32Array(1)
const float = new Float32Array(bits.buffer)
const place = (x: number): number => {
  float[0] = x
  const pattern = bits[0]!
  return pattern < 0 ? -(pattern & 0x7fffffff) : pattern
}
/** The error of a float against a number in doubles, in units of the float's last place. */
const ulps = (found: number, exact: number): number => {
  float[0] = exact
  const exponent = Math.max((bits[0]! >>> 23) & 255, 1) - 150
  return Math.abs(found - exact) / 2 ** exponent
}
const worst = (
  from: number,
  to: number,
  own: (x: number) => number,
  exact: (x: number) => number,
): number => {
  let most = 0
  for (let i = 0; i <= 100_000; i++) {
    const x = Math.fround(from + ((to - from) * i) / 100_000)
    most = Math.max(most, ulps(own(x), exact(x)))
  }
  return most
}

it("exp is within 1 unit in the last place, and subnormal results within 1.5", () => {
  expect(worst(-87.3, 88.7, exp, Math.exp)).toBeLessThan(1)
  expect(worst(-1, 1, exp, Math.exp)).toBeLessThan(1)
  expect(worst(-103, -87.3, exp, Math.exp)).toBeLessThan(1.5)
})

it("log is within 1 unit in the last place", () => {
  expect(worst(0.5, 2, log, Math.log)).toBeLessThan(1)
  expect(worst(2 ** -126, 1000, log, Math.log)).toBeLessThan(1)
  expect(worst(2 ** -149, 2 ** -126, log, Math.log)).toBeLessThan(1)
  expect(worst(2 ** 60, 2 ** 127, log, Math.log)).toBeLessThan(1)
})

it("sigmoid and log(1 + t) are within 3 units in the last place", () => {
  const logistic = (x: number): number => 1 / (1 + Math.exp(-x))
  expect(worst(-87, 87, sigmoid, logistic)).toBeLessThan(3)
  expect(worst(-4, 4, sigmoid, logistic)).toBeLessThan(3)
  expect(worst(0, 1, logOnePlus, Math.log1p)).toBeLessThan(3)
  expect(worst(0, 1e-4, logOnePlus, Math.log1p)).toBeLessThan(3)
})

it("edges", () => {
  expect([0, -0, 200, -200, Infinity, -Infinity, NaN].map(exp)).toEqual([1, 1, Infinity, 0, Infinity, 0, NaN])
  expect([1, 0, -0, -1, Infinity, NaN].map(log)).toEqual([0, -Infinity, -Infinity, NaN, Infinity, NaN])
  expect([0, Infinity, -Infinity, NaN].map(sigmoid)).toEqual([0.5, 1, 0, NaN])
  expect(place(exp(-103.9))).toBe(1)
})
