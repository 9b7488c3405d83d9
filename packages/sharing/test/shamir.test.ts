import { insecureSeededRandom } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import { FieldVector } from "../src/field.js"
import { type PointShare, reconstructShamir, shareShamir } from "../src/shamir.js"
import { sumOfShares } from "../src/verified.js"
import { EDGES, elementsOf, tapeOf, vectorOf } from "./exchange.js"
import { chiSquareOfTwo, highBits, lowBits, paired } from "./statistics.js"
import { evaluate, interpolate, P } from "./vectors/reference.mjs"

const code = (code: string) => expect.objectContaining({ name: "ConsiliumError", code })
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1)

const shared = (secret: FieldVector, threshold: number, points: readonly number[], seed = 1): PointShare[] =>
  shareShamir(secret, { threshold, points, random: insecureSeededRandom(seed) }).map((vector, i) => ({
    point: points[i] as number,
    vector,
  }))

describe("Shamir sharing", () => {
  it.each([0, 1, 14, 1000, 100_000])("opens %d values from t shares, and from all of them", (length) => {
    const secret = FieldVector.fromIntegers(Array.from({ length }, (_, i) => (i % 2 ? i : -i) * 54_321))
    const shares = shared(secret, 5, upTo(7))
    expect(reconstructShamir(shares.slice(1, 6), 5).equals(secret)).toBe(true)
    expect(reconstructShamir(shares, 5).equals(secret)).toBe(true)
    expect(shares.every(({ vector }) => vector.length === length)).toBe(true)
  })

  it("opens the extremes of the field and of the integers", () => {
    const secret = vectorOf(EDGES)
    const shares = shared(secret, 3, [65_535, 1, 65_534, 2])
    expect(elementsOf(reconstructShamir(shares, 3))).toEqual(EDGES)
    const integers = [2 ** 53 - 1, 1 - 2 ** 53, 0]
    const opened = reconstructShamir(shared(FieldVector.fromIntegers(integers), 2, [9, 4]), 2)
    expect([...opened.toIntegers()]).toEqual(integers)
  })

  it("serves the largest study: 43 of 64", () => {
    const secret = FieldVector.fromIntegers([7, -8, 9])
    const shares = shared(secret, 43, upTo(64))
    expect(reconstructShamir(shares, 43).equals(secret)).toBe(true)
    expect(reconstructShamir(shares.slice(21), 43).equals(secret)).toBe(true)
  })

  it("leaves the secret alone, and the sum shares no memory with a share", () => {
    const secret = FieldVector.fromIntegers([1, 2])
    const shares = shared(secret, 2, [1, 2])
    const sum = sumOfShares([(shares[0] as PointShare).vector])
    for (const { vector } of shares) vector.erase()
    expect([...secret.toIntegers()]).toEqual([1, 2])
    expect(elementsOf(sum)).not.toEqual([0n, 0n])
  })
})

describe("shares that must be refused", () => {
  const secret = FieldVector.fromIntegers([10, -20, 30])
  const shares = shared(secret, 3, upTo(5))

  it("a tampered one among more than t, whichever it is and in whichever entry", () => {
    for (let tampered = 0; tampered < 5; tampered++)
      for (let entry = 0; entry < 3; entry++)
        for (const change of [1n, P - 1n, 2n ** 32n, 2n ** 60n]) {
          const difference = [0n, 0n, 0n]
          difference[entry] = change
          const given = shares.map((share, i) =>
            i === tampered ? { ...share, vector: share.vector.add(vectorOf(difference)) } : share,
          )
          expect(() => reconstructShamir(given, 3)).toThrow(code("sharing/inconsistent"))
          // exactly t shares hold nothing to compare
          const three = [...given.slice(tampered), ...given].slice(0, 3)
          expect(reconstructShamir(three, 3).equals(secret)).toBe(false)
        }
    expect(() =>
      reconstructShamir([...shares].slice(0, 4).concat({ ...(shares[4] as PointShare), point: 6 }), 3),
    ).toThrowErrorMatchingInlineSnapshot(
      `[ConsiliumError: 5 shares do not lie on one polynomial of degree 2: at least one is false.]`,
    )
  })

  it("those of a polynomial of higher degree than declared", () => {
    expect(() => reconstructShamir(shares, 2)).toThrow(code("sharing/inconsistent"))
  })

  it("too few, a point twice, a point out of range, different lengths", () => {
    const [a, b, c] = shares as [PointShare, PointShare, PointShare]
    expect(() => reconstructShamir([], 2)).toThrow(code("sharing/too-few-shares"))
    expect(() => reconstructShamir([a, b], 3)).toThrow(code("sharing/too-few-shares"))
    expect(() => reconstructShamir([a, b, a], 3)).toThrow(code("sharing/bad-parameters"))
    expect(() => reconstructShamir([a, b, c, { ...a }], 3)).toThrow(code("sharing/bad-parameters"))
    for (const point of [0, -1, 1.5, 65_536, Number.NaN])
      expect(() => reconstructShamir([a, b, { ...c, point }], 3)).toThrow(code("sharing/bad-parameters"))
    expect(() => reconstructShamir([a, b, { ...c, vector: FieldVector.zero(2) }], 3)).toThrow(
      code("sharing/shape"),
    )
    expect(() => sumOfShares([])).toThrow(code("sharing/too-few-shares"))
    expect(() => sumOfShares([a.vector, FieldVector.zero(2)])).toThrow(code("sharing/shape"))
  })

  it("parameters under which nothing would be secret or nobody could open, before any randomness is drawn", () => {
    const random = tapeOf([])
    const bad = (threshold: number, points: readonly number[]) =>
      expect(() => shareShamir(secret, { threshold, points, random })).toThrow(code("sharing/bad-parameters"))
    for (const threshold of [1, 0, -1, 2.5, Number.NaN, 65_536]) bad(threshold, upTo(5))
    for (const points of [[], [1], [1, 1], [0, 1], [1, -1], [1, 1.5], [1, 65_536], [1, Number.NaN]])
      bad(2, points)
    expect(() => reconstructShamir(shares, 1)).toThrow(code("sharing/bad-parameters"))
  })
})

describe("[S2] t - 1 shares say nothing about the secret", () => {
  const points = [1, 2, 3, 4]
  const threshold = 3

  it("exactly: for every pair of recipients and every other secret there is randomness with the same shares", () => {
    const tape = [11n, P - 1n, 2n ** 60n, 4n] // c_1 of both entries, then c_2
    const shares = shareShamir(vectorOf([42n, P - 42n]), { threshold, points, random: tapeOf(tape) }).map(
      elementsOf,
    )
    for (const other of EDGES)
      for (const i of [0, 1, 2, 3])
        for (const j of [0, 1, 2, 3].filter((place) => place !== i)) {
          // the one polynomial through the other secret and the two shares, entry by entry
          const polynomials = [0, 1].map((entry) =>
            interpolate([
              [0, other],
              [points[i] as number, shares[i]?.[entry] as bigint],
              [points[j] as number, shares[j]?.[entry] as bigint],
            ]),
          )
          const explained = [1, 2].flatMap((degree) => polynomials.map((c) => c[degree] as bigint))
          const again = shareShamir(vectorOf([other, other]), {
            threshold,
            points,
            random: tapeOf(explained),
          })
          expect(elementsOf(again[i] as FieldVector)).toEqual(shares[i])
          expect(elementsOf(again[j] as FieldVector)).toEqual(shares[j])
        }
  })

  it("by buckets of one share, of two jointly, and of neighbouring entries (false alarm 8e-9 for a fresh seed)", () => {
    const draws = 40_000
    const view = (value: number, seed: string) => {
      const secret = FieldVector.fromIntegers(new Array<number>(draws).fill(value))
      return shareShamir(secret, { threshold, points, random: insecureSeededRandom(seed) })
    }
    const [a, b] = [view(0, "zero"), view(2 ** 53 - 1, "large")]
    const samples: readonly ((shares: readonly FieldVector[]) => readonly number[])[] = [
      (shares) => lowBits(shares[0] as FieldVector, 6),
      (shares) => highBits(shares[0] as FieldVector, 6),
      (shares) => lowBits(shares[3] as FieldVector, 6),
      (shares) => highBits(shares[3] as FieldVector, 6),
      (shares) => paired(lowBits(shares[1] as FieldVector, 3), lowBits(shares[2] as FieldVector, 3), 3),
      (shares) => paired(highBits(shares[1] as FieldVector, 3), highBits(shares[2] as FieldVector, 3), 3),
      (shares) => {
        const share = shares[0] as FieldVector
        return lowBits(share.slice(1, draws).subtract(share.slice(0, draws - 1)), 6)
      },
      (shares) => {
        const share = shares[0] as FieldVector
        return highBits(share.slice(1, draws).subtract(share.slice(0, draws - 1)), 6)
      },
    ]
    for (const sample of samples) {
      const { statistic, limit } = chiSquareOfTwo(sample(a), sample(b), 64)
      expect(statistic).toBeLessThan(limit)
    }
    // a positive control: t shares opened give the secret, and the same test sees it at once
    const opened = (shares: readonly FieldVector[]) =>
      reconstructShamir(
        shares.slice(0, 3).map((vector, i) => ({ point: points[i] as number, vector })),
        threshold,
      )
    const control = chiSquareOfTwo(lowBits(opened(a), 6), lowBits(opened(b), 6), 64)
    expect(control.statistic).toBeGreaterThan(control.limit)
  })

  it("neighbouring entries of one share are unrelated even for one secret: their differences are uniform", () => {
    const draws = 40_000
    const share = shareShamir(FieldVector.zero(draws + 1), {
      threshold,
      points,
      random: insecureSeededRandom("differences"),
    })[0] as FieldVector
    const difference = share.slice(1, draws + 1).subtract(share.slice(0, draws))
    const uniform = FieldVector.uniform(draws, insecureSeededRandom("uniform"))
    for (const buckets of [lowBits, highBits]) {
      const { statistic, limit } = chiSquareOfTwo(buckets(difference, 6), buckets(uniform, 6), 64)
      expect(statistic).toBeLessThan(limit)
    }
  })

  it("shares are points of the polynomial whose coefficients were drawn, in the documented order", () => {
    const [first] = shareShamir(vectorOf([5n, 6n]), {
      threshold,
      points: [7, 8, 9],
      random: tapeOf([1n, 2n, 3n, 4n]),
    })
    expect(elementsOf(first as FieldVector)).toEqual([evaluate([5n, 1n, 3n], 7), evaluate([6n, 2n, 4n], 7)])
  })
})
