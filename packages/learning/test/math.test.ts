import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { sigmoid, softplus } from "@consilium/learning/math"
import { describe, expect, it } from "vitest"

const view = new DataView(new ArrayBuffer(8))
const place = (x: number): bigint => {
  view.setFloat64(0, x)
  const bits = view.getBigInt64(0)
  return bits < 0n ? -(bits & 0x7fffffffffffffffn) : bits
}
/** How many doubles lie between two. */
const ulps = (a: number, b: number): number => Math.abs(Number(place(a) - place(b)))

const worst = (
  points: Iterable<number>,
  own: (x: number) => number,
  other: (x: number) => number,
): number => {
  let most = 0
  for (const x of points) most = Math.max(most, ulps(own(x), other(x)))
  return most
}
const grid = function* (from: number, to: number, count: number): Generator<number> {
  for (let i = 0; i <= count; i++) yield from + ((to - from) * i) / count
}

describe("against the engine's own functions", () => {
  it("sigmoid and softplus", () => {
    const other = (x: number) => (x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x)))
    // the reference is itself up to 2 units off
    expect(worst(grid(-745, 745, 100_003), softplus, other)).toBeLessThanOrEqual(4)
    expect(worst(grid(-40, 40, 100_003), softplus, other)).toBeLessThanOrEqual(4)
    const logistic = (x: number) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)))
    expect(worst(grid(-745, 745, 100_003), sigmoid, logistic)).toBeLessThanOrEqual(2)
    expect(worst(grid(-40, 40, 100_003), sigmoid, logistic)).toBeLessThanOrEqual(2)
  })
})

describe("against whole-number arithmetic of 220 binary places", () => {
  const PLACES = 220n
  const ONE = 1n << PLACES
  const fixed = (x: number): bigint => {
    view.setFloat64(0, x)
    const bits = view.getBigUint64(0)
    const field = Number((bits >> 52n) & 0x7ffn)
    const whole = (bits & ((1n << 52n) - 1n)) | (field === 0 ? 0n : 1n << 52n)
    const shift = PLACES + BigInt(Math.max(field, 1) - 1075)
    const size = shift >= 0n ? whole << shift : whole >> -shift
    return bits >> 63n ? -size : size
  }
  const slowExp = (x: bigint): bigint => {
    const r = x >> 10n
    let sum = ONE
    let term = ONE
    for (let n = 1n; term !== 0n && term !== -1n; n++) {
      term = ((term * r) >> PLACES) / n
      sum += term
    }
    for (let i = 0; i < 10; i++) sum = (sum * sum) >> PLACES
    return sum
  }
  const inUlps = (difference: bigint, of: number): number => {
    view.setFloat64(0, Math.abs(of))
    const exponent = Math.max(view.getUint16(0) >> 4, 1) - 1075
    return Math.abs(Number(difference >> 60n) / 2 ** 160) / 2 ** exponent
  }

  it("sigmoid and softplus are off by at most 2 ulp", () => {
    let most = 0
    for (const x of grid(-36, 36, 2999)) {
      const e = slowExp(fixed(x))
      most = Math.max(most, inUlps((e << PLACES) / (ONE + e) - fixed(sigmoid(x)), sigmoid(x)))
      const y = softplus(x)
      const left = (((ONE + e) * slowExp(-fixed(y))) >> PLACES) - ONE
      most = Math.max(most, inUlps(left - ((left * left) >> (PLACES + 1n)), y))
    }
    expect(most).toBeLessThan(2)
  })
})

describe("at the edges", () => {
  it.each([
    [
      "sigmoid",
      sigmoid,
      [
        [0, 0.5],
        [-0, 0.5],
        [Infinity, 1],
        [-Infinity, 0],
        [NaN, NaN],
        [800, 1],
        [-800, 0],
      ],
    ],
    [
      "softplus",
      softplus,
      [
        [0, Math.LN2],
        [-0, Math.LN2],
        [Infinity, Infinity],
        [-Infinity, 0],
        [NaN, NaN],
        [1000, 1000],
        [-800, 0],
        [-50, 1.9287498479639178e-22],
      ],
    ],
  ] as const)("%s", (_, own, pairs) => {
    for (const [x, y] of pairs)
      if (Number.isFinite(y) && y !== 0)
        expect(ulps(own(x), y)).toBeLessThanOrEqual(x === 709.782712893384 ? 1 : 0)
      else expect(own(x)).toBe(y)
  })
})

it("no source file uses a function that the language leaves to the engine", () => {
  const folder = join(import.meta.dirname, "..", "src")
  const exact = /\bMath\.(?!(sqrt|floor|ceil|trunc|abs|min|max|sign|fround|LN2|LOG2E|SQRT2|PI)\b)\w+| \*\* /
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".ts")) continue
    const code = readFileSync(join(folder, name), "utf8")
      .split("\n")
      .filter((line) => !/^\s*(\*|\/\*|\/\/)/.test(line))
      .join("\n")
    expect(`${name}: ${exact.exec(code)?.[0] ?? "exact"}`).toBe(`${name}: exact`)
  }
})
