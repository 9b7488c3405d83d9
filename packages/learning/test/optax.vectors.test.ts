import type { NetworkDescription } from "@consilium/learning/network/description"
import { ADAM, adamW, type Optimiser } from "@consilium/learning/network/optimiser"
import { learningRate, type Schedule } from "@consilium/learning/network/schedule"
import { NetworkTrainer } from "@consilium/learning/network/trainer"
import { describe, expect, it } from "vitest"

/** Numbers of optax 0.2.8 (with jax 0.10.2, in doubles). */
const DESCRIPTION: NetworkDescription = {
  input: [3],
  layers: [{ kind: "dense", outputs: 1 }],
  loss: "sigmoid-cross-entropy",
}
const EXAMPLES = {
  rows: 4,
  inputs: Float32Array.of(0.5, -1, 0.25, 1.5, 0.75, -0.5, -0.25, 2, 1, -1.25, -0.5, 0.125),
  targets: Float32Array.of(1, 0, 1, 0),
}
const ALL = Uint32Array.of(0, 1, 2, 3)

const trainerOf = (optimiser: Optimiser, clipNorm?: number): NetworkTrainer =>
  new NetworkTrainer({
    network: { description: DESCRIPTION, parameters: Float32Array.of(0.3, -0.2, 0.1, 0.05) },
    examples: EXAMPLES,
    batchSize: 4,
    optimiser,
    schedule: { kind: "constant", rate: 0.05 },
    ...(clipNorm === undefined ? {} : { clipNorm }),
  })
const expectClose = (found: ArrayLike<number>, expected: readonly number[], within: number): void => {
  expect(found.length).toBe(expected.length)
  for (const [i, value] of expected.entries())
    expect(Math.abs((found[i] as number) - value)).toBeLessThan(within)
}

describe("25 steps of a logistic regression, to 1e-5", () => {
  it.each<[string, Optimiser, readonly number[]]>([
    ["adamw(.05, weight_decay=.1)", adamW(0.1), [0.317953106, 0.126133153, 1.194574098, -0.327164119]],
    ["adam(.05)", ADAM, [0.339025508, 0.129146096, 1.27280701, -0.346278529]],
    [
      "sgd(.05, momentum=.9)",
      { kind: "momentum", decay: 0.9 },
      [0.148883436, 0.174313572, 1.547250898, -0.217442683],
    ],
  ])("%s", (_, optimiser, expected) => {
    const trainer = trainerOf(optimiser)
    for (let step = 0; step < 25; step++) trainer.step(ALL)
    expectClose(trainer.network().parameters, expected, 1e-5)
  })
})

it("per_example_global_norm_clip at .8: two of four rows are clipped, and the sum is the same to 1e-6", () => {
  const trainer = trainerOf({ kind: "sgd" }, 0.8)
  trainer.accumulate(ALL)
  expectClose(trainer.gradientSum(), [-0.079908553, -0.180354273, -0.566312326, 0.123753474], 1e-6)
})

describe("schedules, to 1e-11", () => {
  const cosine = { kind: "cosine", rate: 0.2, floor: 0.01, steps: 40 } as const
  it.each<[string, Schedule, readonly (readonly [step: number, rate: number])[]]>([
    [
      "cosine_decay_schedule(.2, 40, alpha=.05)",
      cosine,
      [
        [0, 0.2],
        [1, 0.199707146705],
        [7, 0.186000815614],
        [20, 0.105],
        [33, 0.023999184386],
        [39, 0.010292853295],
        [40, 0.01],
        [55, 0.01],
      ],
    ],
    [
      "exponential_decay(.2, 10, .5, staircase=True)",
      { kind: "step", rate: 0.2, every: 10, factor: 0.5 },
      [
        [0, 0.2],
        [7, 0.2],
        [20, 0.05],
        [33, 0.025],
        [40, 0.0125],
        [55, 0.00625],
      ],
    ],
    [
      "linear_schedule from .025 to .2 over 7 steps, then the cosine",
      { kind: "warm-up", steps: 8, next: cosine },
      [
        [0, 0.025],
        [1, 0.05],
        [7, 0.2],
        [8, 0.2],
        [20, 0.160839598968],
        [33, 0.068645073925],
        [47, 0.010292853295],
        [48, 0.01],
        [60, 0.01],
      ],
    ],
  ])("%s", (_, schedule, expected) => {
    for (const [step, rate] of expected)
      expect(Math.abs(learningRate(schedule, step) - rate)).toBeLessThan(1e-11)
  })
})
