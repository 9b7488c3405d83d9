import { cosPi, sincosPi } from "@consilium/learning/circle"
import { ADAM, checkOptimiser, type Optimiser } from "@consilium/learning/network/optimiser"
import { checkSchedule, learningRate, type Schedule } from "@consilium/learning/network/schedule"
import { describe, expect, it } from "vitest"

const rates = (schedule: Schedule, steps: readonly number[]): number[] => {
  checkSchedule(schedule)
  return steps.map((step) => learningRate(schedule, step))
}

describe("learning rates", () => {
  it("constant", () => expect(rates({ kind: "constant", rate: 0.3 }, [0, 7, 1e9])).toEqual([0.3, 0.3, 0.3]))
  it("step", () =>
    expect(rates({ kind: "step", rate: 8, every: 10, factor: 0.5 }, [0, 9, 10, 19, 20, 35])).toEqual([
      8, 8, 4, 4, 2, 1,
    ]))
  it("cosine", () => {
    const found = rates({ kind: "cosine", rate: 3, floor: 1, steps: 12 }, [0, 3, 4, 6, 8, 12, 100])
    const expected = [3, 2 + Math.SQRT1_2, 2.5, 2, 1.5, 1, 1]
    found.forEach((rate, i) => {
      expect(Math.abs(rate - expected[i]!)).toBeLessThan(1e-15)
    })
  })
  it("warm-up", () =>
    expect(
      rates(
        { kind: "warm-up", steps: 4, next: { kind: "step", rate: 2, every: 3, factor: 0.5 } },
        [0, 1, 3, 4, 6, 7],
      ),
    ).toEqual([0.5, 1, 2, 2, 2, 1]))

  it.each([
    [{ kind: "constant", rate: 0 }, "The learning rate is 0"],
    [{ kind: "constant", rate: NaN }, "The learning rate is NaN"],
    [{ kind: "step", rate: 1, every: 0, factor: 1 }, "between changes of the learning rate is 0"],
    [{ kind: "cosine", rate: 1, floor: 2, steps: 3 }, "The lowest learning rate is 2"],
    [{ kind: "warm-up", steps: 0, next: { kind: "constant", rate: 1 } }, "steps of a warm-up is 0"],
    [
      { kind: "warm-up", steps: 1, next: { kind: "warm-up", steps: 1, next: { kind: "constant", rate: 1 } } },
      "of no known kind",
    ],
    [{ kind: "cyclic" }, "of no known kind"],
  ] as const)("refuses %o", (schedule, message) => {
    expect(() => checkSchedule(schedule as never)).toThrowError(message)
  })
})

it.each([
  [{ kind: "momentum", decay: 1 }, "The decay of a momentum is 1"],
  [{ ...ADAM, decay2: -0.1 }, "The second decay of Adam is -0.1"],
  [{ ...ADAM, epsilon: 0 }, "The epsilon of Adam is 0"],
  [{ kind: "lbfgs" }, '"lbfgs" is no optimiser.'],
] as const)("refuses the optimiser %o", (optimiser, message) => {
  expect(() => checkOptimiser(optimiser as Optimiser)).toThrowError(message)
})

describe("sine and cosine", () => {
  it("are within 2^-51 of the engine's own where those are exact enough to tell", () => {
    for (let i = -5000; i <= 5000; i++) {
      const t = i / 20_000
      const { sin, cos } = sincosPi(t)
      expect(Math.abs(sin - Math.sin(Math.PI * t))).toBeLessThanOrEqual(2 ** -51)
      expect(Math.abs(cos - Math.cos(Math.PI * t))).toBeLessThanOrEqual(2 ** -51)
    }
  })
  it("turn as they should", () => {
    for (let i = -300; i <= 300; i++) {
      const t = i / 256
      const { sin, cos } = sincosPi(t)
      expect(sincosPi(t + 0.5)).toEqual({ sin: cos, cos: -sin })
      expect(sincosPi(t + 6)).toEqual({ sin, cos })
    }
  })
  it("are exact at whole and half turns", () => {
    expect([0, 0.5, 1, 1.5, 2, -0.5, -1].map(cosPi).map((x) => x + 0)).toEqual([1, 0, -1, 0, 1, 0, -1])
    expect([0, 0.5, 1, 1.5, -0.5].map((t) => sincosPi(t).sin + 0)).toEqual([0, 1, 0, -1, -1])
    expect([NaN, Infinity].map(cosPi)).toEqual([NaN, NaN])
  })
})
