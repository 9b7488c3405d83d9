import { describe, expect, it } from "vitest"
import { discreteLaplaceEvent, epsilonDeltaEvent, poissonSampledEvent } from "../src/events.js"
import { PldAccountant } from "../src/pld.js"
import { RdpAccountant } from "../src/rdp.js"
import { discreteLaplaceRdp, pureRdp } from "../src/rdp-divergence.js"

const mass = (x: number, scale: number): number => {
  const decay = Math.exp(-1 / scale)
  return ((1 - decay) / (1 + decay)) * Math.exp(-Math.abs(x) / scale)
}
/** What the vector of these moves and one number that moves by their sum give away, on a sample, in both directions. */
const hockeySticks = (moves: readonly [number, number], scale: number, q: number, epsilon: number) => {
  const reach = Math.ceil(30 * scale)
  const total = moves[0] + moves[1]
  const parts = { vector: [0, 0], number: [0, 0] }
  const note = (to: number[], shifted: number, plain: number): void => {
    const mixed = q * shifted + (1 - q) * plain
    to[0] = (to[0] as number) + Math.max(0, mixed - Math.exp(epsilon) * plain)
    to[1] = (to[1] as number) + Math.max(0, plain - Math.exp(epsilon) * mixed)
  }
  for (let x = -reach; x <= reach + total; x++) {
    note(parts.number, mass(x - total, scale), mass(x, scale))
    for (let y = -reach; y <= reach + total; y++)
      note(
        parts.vector,
        mass(x - moves[0], scale) * mass(y - moves[1], scale),
        mass(x, scale) * mass(y, scale),
      )
  }
  return parts
}

describe("Laplace noise on a vector that moves by s in L1", () => {
  it("gives away no more than on one number that moves by s, at every epsilon, on samples too", () => {
    for (const moves of [
      [1, 1],
      [2, 1],
      [4, 3],
    ] as const)
      for (const q of [1, 0.4])
        for (const share of [0, 0.1, 0.3, 0.6, 0.9, 0.99]) {
          const scale = 3
          const epsilon = (share * (moves[0] + moves[1])) / scale
          const { vector, number } = hockeySticks(moves, scale, q, epsilon)
          for (const side of [0, 1])
            expect(vector[side] as number).toBeLessThanOrEqual((number[side] as number) + 1e-10)
        }
  })

  it("is pure where every row takes part", () => {
    const event = discreteLaplaceEvent(2 * 700, 700)
    expect(new RdpAccountant().compose(event, 3).getEpsilon(0)).toBeCloseTo(1.5, 12)
    expect(new RdpAccountant().compose(event, 90).getEpsilon(1e-5)).toBeLessThan(0.9 * 45)
  })

  it("on samples: loss distributions lie below the Renyi bound, and that below pure differential privacy", () => {
    const law = poissonSampledEvent(0.1, discreteLaplaceEvent(3 * 350, 350))
    const pure = poissonSampledEvent(0.1, epsilonDeltaEvent(1 / 3))
    for (const count of [1, 60]) {
      const pld = new PldAccountant().compose(law, count).getEpsilon(1e-5)
      const rdp = new RdpAccountant().compose(law, count).getEpsilon(1e-5)
      expect(pld).toBeLessThanOrEqual(rdp * (1 + 1e-9))
      expect(rdp).toBeLessThanOrEqual(new RdpAccountant().compose(pure, count).getEpsilon(1e-5) * (1 + 1e-9))
    }
  })
})

describe("the divergence of a long loss law in pieces", () => {
  const exactly = (scale: number, s: number, alpha: number): number => {
    let sum = 0
    for (let x = -60 * scale; x <= s + 60 * scale; x++)
      sum += mass(x, scale) * Math.exp((alpha * (Math.abs(x) - Math.abs(x - s))) / scale)
    return Math.log(sum) / (alpha - 1)
  }
  it("is above the exact one, by less than 1e-4 of it, and below that of pure differential privacy", () => {
    for (const [scale, s] of [
      [800, 801],
      [500, 1500],
      [9000, 2500],
    ] as const)
      for (const alpha of [1.5, 2, 8, 60]) {
        const got = discreteLaplaceRdp(scale, s)(alpha)
        const exact = exactly(scale, s, alpha)
        expect(got / exact).toBeGreaterThan(1 - 1e-8)
        expect(got / exact).toBeLessThan(1 + 1e-4 * Math.max(1, s / scale) ** 2)
        expect(got).toBeLessThanOrEqual(pureRdp(s / scale, alpha))
      }
  })
  it("goes on where cutting begins, and ends where laws are too long", () => {
    const [before, after] = [128, 130].map((s) => discreteLaplaceRdp(2 * s, s)(3)) as [number, number]
    expect(Math.abs(after / before - 1)).toBeLessThan(1e-3)
    expect(discreteLaplaceRdp(2 ** 22, 2 ** 21)(3)).toBe(pureRdp(0.5, 3))
  })
})
