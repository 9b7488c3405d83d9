import {
  composedEvent,
  type DpEvent,
  discreteLaplaceEvent,
  dpSgdEvent,
  epsilonDeltaEvent,
  gaussianEvent,
  laplaceEvent,
  nonPrivateEvent,
  noOpEvent,
  poissonSampledEvent,
  randomizedResponseEvent,
  sampledWithoutReplacementEvent,
  selfComposedEvent,
  treeAggregationEvent,
  unsupportedEvent,
} from "@consilium/privacy/events"
import { gaussianEpsilon } from "@consilium/privacy/gaussian-analytic"
import { RdpAccountant } from "@consilium/privacy/rdp"
import {
  discreteLaplaceRdp,
  laplaceRdp,
  logPoissonExcess,
  pureRdp,
  randomizedResponseRdp,
} from "@consilium/privacy/rdp-divergence"
import { poissonGaussianRdp } from "@consilium/privacy/rdp-sampled-gaussian"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { SAMPLED_GAUSSIAN } from "./sampled-gaussian-reference.js"

const between = (low: number, high: number) =>
  fc.double({ min: Math.log(low), max: Math.log(high), noNaN: true }).map(Math.exp)

describe("against slow references", () => {
  it("the sampled Gaussian is never below its integral, and equal to it at whole orders", () => {
    for (const [sigma, q, alpha, truth] of SAMPLED_GAUSSIAN) {
      const [own, below, above] = poissonGaussianRdp(sigma, q, [alpha, Math.floor(alpha), Math.ceil(alpha)])
      expect(own, `sigma ${sigma}, q ${q}, alpha ${alpha}`).toBeGreaterThanOrEqual(truth)
      expect(own).toBeLessThan(truth * 2)
      // the divergence rises with the order
      if (alpha > 2) expect(below).toBeLessThan(truth * (1 + 1e-9))
      expect(above).toBeGreaterThan(truth)
    }
  })

  /** Simpson's rule on A = E[(mixture / base)^alpha] over the base, and on the other direction. */
  const bySimpson = (sigma: number, q: number, alpha: number): readonly [number, number] => {
    const from = -12 * sigma
    const to = alpha + 1 + 12 * sigma
    const parts = 20_000
    const h = (to - from) / parts
    let forward = 0
    let backward = 0
    for (let i = 0; i <= parts; i++) {
      const x = from + i * h
      const weight = (i === 0 || i === parts ? 1 : i % 2 === 1 ? 4 : 2) * (h / 3)
      const density = Math.exp((-x * x) / (2 * sigma * sigma)) / Math.sqrt(2 * Math.PI) / sigma
      const ratio = 1 - q + q * Math.exp((2 * x - 1) / (2 * sigma * sigma))
      forward += weight * density * ratio ** alpha
      backward += weight * density * ratio ** (1 - alpha)
    }
    return [Math.log(forward) / (alpha - 1), Math.log(backward) / (alpha - 1)]
  }
  it("the sampled Gaussian covers both directions of the integral", () => {
    for (const sigma of [0.4, 1, 2.5])
      for (const q of [0.02, 0.3, 0.9])
        for (const alpha of [1.3, 2, 3, 4.6, 8]) {
          const [forward, backward] = bySimpson(sigma, q, alpha)
          const own = poissonGaussianRdp(sigma, q, [alpha])[0] as number
          expect(own).toBeGreaterThan(forward * (1 - 1e-9))
          expect(own).toBeGreaterThan(backward * (1 - 1e-9))
          if (Number.isInteger(alpha)) expect(own / forward).toBeCloseTo(1, 8)
        }
  })

  it("Laplace is its integral", () => {
    for (const b of [0.3, 1, 7])
      for (const alpha of [1.1, 2.5, 20]) {
        let sum = 0
        const parts = 100_000
        for (let i = 0; i < parts; i++) {
          const x = -40 * b + ((i + 0.5) * (80 * b + 1)) / parts
          sum += Math.exp((-alpha * Math.abs(x) + (alpha - 1) * Math.abs(x - 1)) / b) / (2 * b)
        }
        const truth = Math.log((sum * (80 * b + 1)) / parts) / (alpha - 1)
        expect(laplaceRdp(b, alpha) / truth).toBeCloseTo(1, 4)
      }
  })

  it("discrete Laplace is its sum", () => {
    for (const [scale, sensitivity] of [
      [0.7, 1],
      [3, 2],
      [10, 25],
    ] as const)
      for (const alpha of [1.1, 2.5, 20]) {
        let sum = 0
        let norm = 0
        for (let x = -2000; x <= 2000; x++) {
          norm += Math.exp(-Math.abs(x) / scale)
          sum += Math.exp((-alpha * Math.abs(x) + (alpha - 1) * Math.abs(x - sensitivity)) / scale)
        }
        const truth = Math.log(sum / norm) / (alpha - 1)
        expect(discreteLaplaceRdp(scale, sensitivity)(alpha) / truth).toBeCloseTo(1, 8)
      }
  })

  it("randomised response is its sum, and any mechanism of its epsilon costs at most as much as on one bit", () => {
    for (const [probability, buckets] of [
      [0.5, 2],
      [0.1, 5],
      [0.9, 3],
    ] as const)
      for (const alpha of [1.1, 2.5, 20]) {
        const other = probability / buckets
        const own = 1 - probability + other
        const sum =
          own ** alpha * other ** (1 - alpha) + other ** alpha * own ** (1 - alpha) + other * (buckets - 2)
        const truth = Math.log(sum) / (alpha - 1)
        expect(randomizedResponseRdp(probability, buckets, alpha) / truth).toBeCloseTo(1, 8)
        expect(pureRdp(Math.log(own / other), alpha)).toBeGreaterThan(truth * (1 - 1e-9))
      }
  })

  it("Poisson-sampled Laplace is its integral at whole orders, in both directions", () => {
    for (const b of [0.5, 2])
      for (const q of [0.1, 0.6])
        for (const alpha of [2, 5]) {
          let forward = 0
          let backward = 0
          const parts = 60_000
          const width = 60 * b + 1
          for (let i = 0; i < parts; i++) {
            const x = -30 * b + ((i + 0.5) * width) / parts
            const base = Math.exp(-Math.abs(x) / b) / (2 * b)
            const ratio = 1 - q + q * Math.exp((Math.abs(x) - Math.abs(x - 1)) / b)
            forward += base * ratio ** alpha
            backward += base * ratio ** (1 - alpha)
          }
          const own = new RdpAccountant({ orders: [alpha] }).compose(poissonSampledEvent(q, laplaceEvent(b)))
            .rdp[0] as number
          const truth = Math.log((forward * width) / parts) / (alpha - 1)
          expect(own / truth).toBeCloseTo(1, 4)
          expect(own).toBeGreaterThan(Math.log((backward * width) / parts) / (alpha - 1))
        }
  })

  it("sampling without replacement covers a sample of one from two rows exactly enumerated", () => {
    // randomised response of the drawn row's bit: the answer's law is the mixture over which row was drawn
    const other = 0.2
    const mixture = (bits: readonly number[]): number =>
      bits.reduce((sum, bit) => sum + (bit === 1 ? 1 - other : other), 0) / bits.length
    for (const alpha of [2, 3, 6]) {
      const one = mixture([1, 0, 0, 0])
      const none = mixture([0, 0, 0, 0])
      const truth =
        Math.log(one ** alpha * none ** (1 - alpha) + (1 - one) ** alpha * (1 - none) ** (1 - alpha)) /
        (alpha - 1)
      const own = new RdpAccountant({ orders: [alpha], relation: "replace-one" }).compose(
        sampledWithoutReplacementEvent(4, 1, randomizedResponseEvent(0.4, 2)),
      ).rdp[0] as number
      expect(own).toBeGreaterThan(truth)
      expect(own).toBeLessThan(pureRdp(Math.log(4), alpha))
    }
  })
})

const sgd = fc.record({
  sigma: between(0.3, 30),
  q: between(1e-5, 1),
  steps: fc.integer({ min: 1, max: 5000 }),
})

describe("laws", () => {
  it("more steps, less noise, more sampling or less delta never make epsilon smaller", () => {
    fc.assert(
      fc.property(
        sgd,
        between(1e-12, 0.1),
        fc.double({ min: 1.05, max: 3, noNaN: true }),
        (x, delta, factor) => {
          const epsilon = (sigma: number, q: number, steps: number, at: number) =>
            new RdpAccountant().compose(dpSgdEvent(sigma, q, steps)).getEpsilon(at)
          const base = epsilon(x.sigma, x.q, x.steps, delta)
          // fractional orders are bounds of different tightness, so a little room
          const least = base * (1 - 0.01)
          expect(epsilon(x.sigma, x.q, Math.ceil(x.steps * factor), delta)).toBeGreaterThanOrEqual(base)
          expect(epsilon(x.sigma, x.q, x.steps, delta / factor)).toBeGreaterThanOrEqual(base)
          expect(epsilon(x.sigma / factor, x.q, x.steps, delta)).toBeGreaterThanOrEqual(least)
          expect(epsilon(x.sigma, Math.min(1, x.q * factor), x.steps, delta)).toBeGreaterThanOrEqual(least)
        },
      ),
      { numRuns: 12, seed: 11 },
    )
  })

  it("without sampling it is above the exact Gaussian, and close to it", () => {
    fc.assert(
      fc.property(
        between(0.2, 50),
        fc.integer({ min: 1, max: 100 }),
        between(1e-12, 1e-3),
        (sigma, steps, delta) => {
          const own = new RdpAccountant().compose(gaussianEvent(sigma), steps).getEpsilon(delta)
          const exact = gaussianEpsilon(sigma / Math.sqrt(steps), delta)
          expect(own).toBeGreaterThanOrEqual(exact)
          expect(own).toBeLessThan(exact * 1.35 + 0.02)
        },
      ),
      { numRuns: 60, seed: 12 },
    )
  })

  const leaf: fc.Arbitrary<DpEvent> = fc.oneof(
    between(0.5, 20).map(gaussianEvent),
    between(0.5, 20).map(laplaceEvent),
    between(0.5, 20).map((scale) => discreteLaplaceEvent(scale, 3)),
    between(1e-3, 1).map((q) => poissonSampledEvent(q, gaussianEvent(1.3))),
    fc.constant(epsilonDeltaEvent(0.3, 1e-7)),
    fc.integer({ min: 1, max: 40 }).map((steps) => treeAggregationEvent(4, steps)),
    fc.constant(noOpEvent),
  )
  const orders = [1.5, 2, 4.5, 8, 32, Infinity]
  it("composition commutes, and the three ways of composing agree", () => {
    fc.assert(
      fc.property(
        fc.array(leaf, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 0, max: 5 }),
        (events, count) => {
          const empty = new RdpAccountant({ orders })
          const together = empty.compose(selfComposedEvent(composedEvent(events), count))
          const apart = [...events]
            .reverse()
            .reduce<RdpAccountant>((sum, event) => sum.compose(event, count), empty)
          const single = events.reduce<RdpAccountant>((sum, event) => {
            let next = sum
            for (let i = 0; i < count; i++) next = next.compose(event)
            return next
          }, empty)
          for (const other of [apart, single]) {
            const [a, b] = [together.getEpsilon(1e-4), other.getEpsilon(1e-4)]
            if (a !== b) expect(a / b).toBeCloseTo(1, 9)
          }
          expect(empty.getEpsilon(1e-4)).toBe(0)
        },
      ),
      { numRuns: 60, seed: 13 },
    )
  })

  it("delta and epsilon are each other's inverse", () => {
    fc.assert(
      fc.property(between(0.5, 10), between(1e-9, 1e-2), (sigma, delta) => {
        const spent = new RdpAccountant({ orders: [2, 3, 5, 9, 17, 33, 65] }).compose(gaussianEvent(sigma))
        const epsilon = spent.getEpsilon(delta)
        if (epsilon > 0) expect(spent.getDelta(epsilon) / delta).toBeLessThan(1 + 1e-9)
      }),
      { numRuns: 60, seed: 14 },
    )
  })

  it("sampling costs at most what no sampling does, and the bound for any mechanism covers the special ones", () => {
    fc.assert(
      fc.property(between(1e-6, 0.999), between(0.3, 10), (q, b) => {
        const orders = [1.5, 2, 3, 6, 10.5]
        const plain = new RdpAccountant({ orders }).compose(laplaceEvent(b)).rdp
        const sampled = new RdpAccountant({ orders }).compose(poissonSampledEvent(q, laplaceEvent(b))).rdp
        // two events on one sample: the bound for any mechanism
        const two = new RdpAccountant({ orders }).compose(
          poissonSampledEvent(q, composedEvent([laplaceEvent(b), noOpEvent])),
        ).rdp
        orders.forEach((_, i) => {
          expect(sampled[i]).toBeLessThanOrEqual(plain[i] as number)
          expect(two[i]).toBeGreaterThanOrEqual(sampled[i] as number)
          expect(two[i]).toBeLessThanOrEqual(plain[i] as number)
        })
        const laplace = (order: number) => laplaceRdp(b, order)
        expect(logPoissonExcess(q, 6, false, laplace)).toBeGreaterThan(logPoissonExcess(q, 6, true, laplace))
      }),
      { numRuns: 40, seed: 15 },
    )
  })

  it("Gaussians on one sample are one Gaussian", () => {
    const both = poissonSampledEvent(
      0.02,
      composedEvent([gaussianEvent(2), selfComposedEvent(gaussianEvent(4), 2)]),
    )
    const one = poissonSampledEvent(0.02, gaussianEvent(1 / Math.sqrt(1 / 4 + 2 / 16)))
    const epsilon = (event: DpEvent) => new RdpAccountant().compose(event, 500).getEpsilon(1e-5)
    expect(epsilon(both) / epsilon(one)).toBeCloseTo(1, 12)
    expect(epsilon(poissonSampledEvent(0.1, poissonSampledEvent(0.2, gaussianEvent(2))))).toBe(
      epsilon(poissonSampledEvent(0.1 * 0.2, gaussianEvent(2))),
    )
  })
})

describe("what is not known is infinite", () => {
  const unknown = { type: "shuffled", rows: 3 } as unknown as DpEvent
  it.each([
    ["unsupported", unsupportedEvent("histogram")],
    ["non-private", nonPrivateEvent],
    ["of no known type", unknown],
    ["no noise", gaussianEvent(0)],
    ["no Laplace noise", laplaceEvent(0)],
    ["within a composition", composedEvent([gaussianEvent(1), unsupportedEvent("x")])],
    ["within a repetition", selfComposedEvent(unsupportedEvent("x"), 2)],
    ["on a sample", poissonSampledEvent(0.1, unsupportedEvent("x"))],
    ["on an empty sample", poissonSampledEvent(0, composedEvent([unsupportedEvent("x")]))],
    ["sampled for the other relation", sampledWithoutReplacementEvent(10, 2, gaussianEvent(1))],
    ["local answers under adding and removing", randomizedResponseEvent(0.5, 2)],
    ["a sampled event that can fail", poissonSampledEvent(0.1, composedEvent([epsilonDeltaEvent(1, 0.1)]))],
  ])("%s", (_, event) => {
    const spent = new RdpAccountant().compose(gaussianEvent(10)).compose(event)
    expect(spent.getEpsilon(1e-5)).toBe(Infinity)
    expect(spent.getDelta(1)).toBe(1)
    expect(spent.getDelta(Infinity)).toBe(1)
    expect(new RdpAccountant().compose(event, 0).getEpsilon(1e-5)).toBe(0)
  })
  it("Poisson sampling under replacement of a row", () => {
    const spent = new RdpAccountant({ relation: "replace-one" })
    expect(spent.compose(dpSgdEvent(1, 0.1, 1)).getEpsilon(0.1)).toBe(Infinity)
    expect(spent.compose(dpSgdEvent(1, 1, 1)).getEpsilon(0.1)).toBeLessThan(5)
  })
})
