import { isConsiliumError } from "@consilium/base/errors"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { ModelLayer } from "../src/model/model.js"
import { activationBounds, largestSize } from "../src/training/activation-bounds.js"
import { polynomialRange } from "../src/training/polynomial-range.js"

/** Slightly outside is allowed: ends are moved outwards by what rounding could do. */
const expectInterval = (found: readonly [number, number], expected: readonly [number, number]) => {
  for (const side of [0, 1] as const) {
    expect(found[side]).toBeCloseTo(expected[side], 9)
    expect(side === 0 ? found[0] <= expected[0] : found[1] >= expected[1]).toBe(true)
  }
}

const powerSum = (coefficients: readonly number[], x: number): number =>
  coefficients.reduce((sum, c, k) => sum + c * x ** k, 0)

/** Multiples of 2^-50, whose products need twice the digits of a double and still are whole numbers below. */
const onGrid = (x: number): number => Math.round(x * 2 ** 50) / 2 ** 50
const ONE = 1n << 500n
const exact = (x: number): bigint => BigInt(x * 2 ** 500)

describe("the range of a polynomial", () => {
  it.each<readonly [readonly number[], readonly [number, number], readonly [number, number]]>([
    [[3], [-1, 1], [3, 3]],
    [
      [1, 2],
      [-1, 4],
      [-1, 9],
    ],
    [
      [0, 0, 1],
      [-2, 3],
      [0, 9],
    ],
    [
      [0, 0, 1],
      [1, 3],
      [1, 9],
    ],
    [
      [0, 0, 1],
      [-3, -2],
      [4, 9],
    ],
    // x^3 - 3 x: 2 at -1, -2 at 1
    [
      [0, -3, 0, 1],
      [-1.5, 1.5],
      [-2, 2],
    ],
    [
      [0, -3, 0, 1],
      [-3, 0.5],
      [-18, 2],
    ],
    // x^4 - 2 x^2 has two lowest places and a hill between them
    [
      [0, 0, -2, 0, 1],
      [-1.25, 1],
      [-1, 0],
    ],
  ])("%j on %j", (coefficients, [low, high], expected) => {
    const found = polynomialRange(coefficients, low, high)
    expectInterval([found.low, found.high], expected)
  })

  it("is what a fine grid finds, and never less", () => {
    const coefficient = fc.double({ min: -2, max: 2, noNaN: true })
    fc.assert(
      fc.property(
        fc.array(coefficient, { minLength: 1, maxLength: 8 }),
        fc.double({ min: -3, max: 3, noNaN: true }),
        fc.double({ min: 0, max: 3, noNaN: true }),
        (coefficients, low, width) => {
          const found = polynomialRange(coefficients, low, low + width)
          let least = Infinity
          let most = -Infinity
          for (let k = 0; k <= 400; k++) {
            const value = powerSum(coefficients, Math.min(low + (k / 400) * width, low + width))
            least = Math.min(least, value)
            most = Math.max(most, value)
          }
          expect(found.low).toBeLessThanOrEqual(least)
          expect(found.high).toBeGreaterThanOrEqual(most)
          // between two places of the grid it moves by at most the size of its second derivative times step^2 / 8
          const bend = coefficients.reduce(
            (sum, c, k) => sum + k * (k - 1) * Math.abs(c) * 6 ** Math.max(k - 2, 0),
            0,
          )
          const room = (bend * (width / 400) ** 2) / 8 + 1e-6
          expect(least - found.low).toBeLessThanOrEqual(room)
          expect(found.high - most).toBeLessThanOrEqual(room)
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe("bounds of a network", () => {
  const layers: readonly ModelLayer[] = [
    {
      kind: "dense",
      weights: [
        [1, -2],
        [0.5, 0],
      ],
      biases: [1, -3],
    },
    { kind: "square" },
    { kind: "dense", weights: [[1, -1]], biases: [0.5] },
  ]

  it("by hand", () => {
    const found = activationBounds(layers, [
      [-1, 1],
      [0, 2],
    ])
    expect(found.map(({ kind }) => kind)).toEqual(["dense", "square", "dense"])
    const of = (layer: number, unit: number) => {
      const { low, high } = found[layer]!.output
      return [low[unit]!, high[unit]!] as const
    }
    expectInterval(of(0, 0), [-4, 2])
    expectInterval(of(0, 1), [-3.5, -2.5])
    expectInterval(of(1, 0), [0, 16])
    expectInterval(of(1, 1), [6.25, 12.25])
    expectInterval(of(2, 0), [-11.75, 10.25])
    expect(largestSize(found[1]!.input)).toBeCloseTo(4, 9)
    expect(found[1]!.input).toEqual(found[0]!.output)
  })

  const layerOf = (inputs: number, outputs: number) =>
    fc
      .record({
        weights: fc.array(
          fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: inputs, maxLength: inputs }),
          { minLength: outputs, maxLength: outputs },
        ),
        biases: fc.array(fc.double({ min: -2, max: 2, noNaN: true }), {
          minLength: outputs,
          maxLength: outputs,
        }),
      })
      .map((layer): ModelLayer => ({ kind: "dense", ...layer }))
  const activation = fc.constantFrom<ModelLayer>(
    { kind: "square" },
    { kind: "polynomial", coefficients: [0.5, 0.197, 0, -0.004] },
    { kind: "polynomial", coefficients: [0.1, -1, 0.3, 0.2] },
  )
  const networks = fc
    .tuple(layerOf(3, 4), activation, layerOf(4, 3), activation, layerOf(3, 1))
    .map((list): readonly ModelLayer[] => list)
  const ranges = fc.array(
    fc
      .tuple(fc.double({ min: -2, max: 2, noNaN: true }), fc.double({ min: 0, max: 3, noNaN: true }))
      .map(([low, width]) => [low, low + width] as const),
    { minLength: 3, maxLength: 3 },
  )

  it("no patient within the ranges gets anything outside the bounds, corners included", () => {
    const shares = fc.array(
      fc.array(fc.oneof(fc.constantFrom(0, 1), fc.double({ min: 0, max: 1, noNaN: true })), {
        minLength: 3,
        maxLength: 3,
      }),
      { minLength: 8, maxLength: 8 },
    )
    fc.assert(
      fc.property(networks, ranges, shares, (network, box, places) => {
        const bounds = activationBounds(network, box)
        for (const place of places) {
          let x = box.map(([low, high], j) => Math.min(high, low + place[j]! * (high - low)))
          for (const [at, layer] of network.entries()) {
            if (layer.kind === "dense")
              x = layer.weights.map((row, o) => row.reduce((sum, w, i) => sum + w * x[i]!, layer.biases[o]!))
            else if (layer.kind === "square") x = x.map((value) => value * value)
            else x = x.map((value) => powerSum(layer.coefficients, value))
            const { low, high } = bounds[at]!.output
            for (const [k, value] of x.entries()) {
              const rounding = 1e-12 * Math.max(Math.abs(low[k]!), Math.abs(high[k]!))
              expect(value).toBeGreaterThanOrEqual(low[k]! - rounding)
              expect(value).toBeLessThanOrEqual(high[k]! + rounding)
            }
          }
        }
      }),
      { numRuns: 200 },
    )
  })

  it("rounding is covered: bounds hold in exact arithmetic", () => {
    fc.assert(
      fc.property(layerOf(3, 4), ranges, (layer, box) => {
        const given = layer as Extract<ModelLayer, { kind: "dense" }>
        const dense = {
          weights: given.weights.map((row) => row.map(onGrid)),
          biases: given.biases.map(onGrid),
        }
        const network: readonly ModelLayer[] = [
          { kind: "dense", ...dense },
          { kind: "square" },
          { kind: "dense", weights: [[1, 1, 1, 1]], biases: [0] },
        ]
        const ends = box.map(([low, high]) => [onGrid(low), onGrid(high)] as const)
        const [first, second] = activationBounds(network, ends)
        for (const [o, row] of dense.weights.entries())
          for (const upper of [false, true]) {
            const corner = row.map((w, i) => exact(w) * exact(ends[i]![w > 0 === upper ? 1 : 0]))
            const sum = corner.reduce((total, part) => total + part, exact(dense.biases[o]!) * ONE)
            const { low, high } = first!.output
            expect(exact(low[o]!) * ONE <= sum && sum <= exact(high[o]!) * ONE).toBe(true)
          }
        for (const [k, high] of second!.input.high.entries()) {
          if (Math.abs(high) < 2 ** -100) continue // its square would lie below the whole numbers
          expect(exact(high) ** 2n <= exact(second!.output.high[k]!) * ONE).toBe(true)
        }
      }),
      { numRuns: 200 },
    )
  })

  it("the first layer's bounds are reached, at a corner each", () => {
    fc.assert(
      fc.property(networks, ranges, (network, box) => {
        const [first] = activationBounds(network, box)
        const dense = network[0] as Extract<ModelLayer, { kind: "dense" }>
        for (const [o, row] of dense.weights.entries()) {
          const at = (upper: boolean) =>
            row.reduce((sum, w, i) => sum + w * box[i]![w > 0 === upper ? 1 : 0], dense.biases[o]!)
          expectInterval(
            [first!.output.low[o]!, first!.output.high[o]!],
            [
              Math.min(at(false), first!.output.low[o]! + 1e-12),
              Math.max(at(true), first!.output.high[o]! - 1e-12),
            ],
          )
        }
      }),
      { numRuns: 50 },
    )
  })

  it.each<readonly [string, readonly ModelLayer[], readonly (readonly [number, number])[]]>([
    ["a range too few", layers, [[0, 1]]],
    [
      "a range turned round",
      layers,
      [
        [0, 1],
        [2, 1],
      ],
    ],
    [
      "a range without end",
      layers,
      [
        [0, 1],
        [0, Infinity],
      ],
    ],
    [
      "two outputs",
      layers.slice(0, 2),
      [
        [0, 1],
        [0, 1],
      ],
    ],
  ])("refuses %s", (_, network, box) => {
    try {
      activationBounds(network, box)
      expect.unreachable()
    } catch (error) {
      expect(isConsiliumError(error, "inference/bad-model")).toBe(true)
    }
  })
})
