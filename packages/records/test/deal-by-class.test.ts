import { insecureSeededRandom } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import { dealByClass } from "../src/deal-by-class.js"

const labels = Uint8Array.from({ length: 300 }, (_, i) => (i % 3 === 0 ? 1 : 0))
const deal = (alpha: number, seed: number, facilities = 5) =>
  dealByClass({ labels, facilities, alpha, random: insecureSeededRandom(seed, "deal") })
/** The largest share of one class that one facility has, over many deals. */
const largestShare = (alpha: number): number => {
  let sum = 0
  for (let seed = 0; seed < 40; seed++) {
    const counts = deal(alpha, seed).map((places) => places.filter((at) => labels[at] === 1).length)
    sum += Math.max(...counts) / 100
  }
  return sum / 40
}

describe("dealByClass", () => {
  it("deals every record once, the same way for the same stream", () => {
    const dealt = deal(0.5, 42)
    expect(dealt).toHaveLength(5)
    expect(dealt.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 300 }, (_, i) => i))
    expect(dealt).toEqual(deal(0.5, 42))
    expect(dealt).not.toEqual(deal(0.5, 43))
    for (const places of dealt) expect(places).toEqual([...places].sort((a, b) => a - b))
  })

  it("makes facilities alike when the concentration is large, and unlike when it is small", () => {
    expect(largestShare(1e6)).toBeLessThan(0.3)
    expect(largestShare(0.5)).toBeGreaterThan(0.4)
    expect(largestShare(0.01)).toBeGreaterThan(0.9)
  })

  it("has the mean and the variance of Dirichlet shares", () => {
    // shares of Dirichlet(1/2, x 5): mean 1/5, variance (1/5)(4/5)/(5/2 + 1); of 100 drawn: 0.2, 0.0457 + 0.0016 (1 - 1/3.5)
    const shares = Array.from({ length: 2000 }, (_, seed) => {
      const [first = []] = dealByClass({
        labels: new Uint8Array(100),
        facilities: 5,
        alpha: 0.5,
        random: insecureSeededRandom(seed, "moments"),
      })
      return first.length / 100
    })
    const mean = shares.reduce((a, b) => a + b, 0) / shares.length
    const variance = shares.reduce((sum, share) => sum + (share - 0.2) ** 2, 0) / shares.length
    // five deviations of either estimate: one false alarm in a million
    expect(Math.abs(mean - 0.2)).toBeLessThan(0.025)
    expect(Math.abs(variance - 0.0469)).toBeLessThan(0.012)
  })

  it.each([
    [0, 5],
    [Number.NaN, 5],
    [Number.POSITIVE_INFINITY, 5],
    [1, 0],
    [1, 1.5],
  ])("refuses a concentration of %s among %s", (alpha, facilities) => {
    expect(() => deal(alpha, 1, facilities)).toThrow(/concentration|facilities/)
  })

  it("deals nothing where there is nothing", () => {
    expect(
      dealByClass({ labels: [], facilities: 2, alpha: 1, random: insecureSeededRandom(1, "x") }),
    ).toEqual([[], []])
  })
})
