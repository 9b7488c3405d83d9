import { applyUpdate, type ServerOptimiser, startServer } from "@consilium/learning/server-optimiser"
import fc from "fast-check"
import { expect, it } from "vitest"
import { distance } from "./tables.js"

const value = fc.double({ min: -10, max: 10, noNaN: true })
const rounds = fc
  .integer({ min: 1, max: 5 })
  .chain((count) =>
    fc.tuple(
      fc.array(value, { minLength: count, maxLength: count }),
      fc.array(fc.array(value, { minLength: count, maxLength: count }), { minLength: 1, maxLength: 8 }),
    ),
  )
const rate = fc.double({ min: 1e-3, max: 2, noNaN: true })

const run = (
  optimiser: ServerOptimiser,
  start: readonly number[],
  updates: readonly (readonly number[])[],
): readonly Float64Array[] => {
  let parameters: Float64Array = Float64Array.from(start)
  let state = startServer(optimiser, start.length)
  return updates.map((update) => {
    const moved = applyUpdate(optimiser, state, parameters, Float64Array.from(update))
    parameters = moved.parameters
    state = moved.state
    return parameters
  })
}
const bits = (models: readonly Float64Array[]): readonly bigint[] =>
  models.flatMap(({ buffer }) => [...new BigUint64Array(buffer)])

it("FedAvgM with momentum 0 gives the bits of FedAvg", () => {
  fc.assert(
    fc.property(rounds, rate, ([start, updates], learningRate) => {
      const still = run({ kind: "fedavgm", learningRate, momentum: 0 }, start, updates)
      expect(bits(still)).toEqual(bits(run({ kind: "fedavg", learningRate }, start, updates)))
    }),
  )
})

it("FedAvgM is the sum of all updates so far, each weakened once more per round since", () => {
  const momentum = fc.double({ min: 0, max: 0.99, noNaN: true })
  fc.assert(
    fc.property(rounds, rate, momentum, ([start, updates], learningRate, beta) => {
      const found = run({ kind: "fedavgm", learningRate, momentum: beta }, start, updates)
      let expected = [...start]
      for (const [t, parameters] of found.entries()) {
        expected = expected.map((w, j) => {
          let velocity = 0
          for (let s = 0; s <= t; s++) velocity += beta ** (t - s) * updates[s]![j]!
          return w + learningRate * velocity
        })
        expect(distance(parameters, expected)).toBeLessThan(1e-12)
      }
    }),
  )
})
