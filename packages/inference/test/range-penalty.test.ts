import { PrfStream, SecretKey, uniformUnit } from "@consilium/base/random"
import type { LayerDescription } from "@consilium/learning/network/description"
import { initialNetwork, type Network } from "@consilium/learning/network/network"
import { describe, expect, it } from "vitest"
import { SIGMOID_CUBIC, SQUARE_ACTIVATION } from "../src/training/activations.js"
import type { Intervals } from "../src/training/intervals.js"
import { encryptableLayers } from "../src/training/network-layers.js"
import { rangePenalty } from "../src/training/range-penalty.js"

const random = (label: string) => new PrfStream(new SecretKey(new Uint8Array(32).fill(7)), label)

const penaltyOf = (
  network: Network,
  parameters: Float64Array,
  inputs: Intervals,
  activation: number,
  logit: number,
) => rangePenalty(encryptableLayers(network, parameters), parameters.length, inputs, { activation, logit })

const box = (columns: number, label: string): Intervals => {
  const stream = random(label)
  const low = Float64Array.from({ length: columns }, () => -3 * uniformUnit(stream))
  return { low, high: low.map((value) => value + 4 * uniformUnit(stream)) }
}

const dense = (outputs: number): LayerDescription => ({ kind: "dense", outputs })
const square = SQUARE_ACTIVATION.layer
const cubic = SIGMOID_CUBIC.layer
/** Turns within the intervals that it meets, so that extremes lie between their ends. */
const hilly: LayerDescription = { kind: "polynomial", coefficients: [0.2, -1.5, 0.1, 0.5] }

describe("the gradient of the range penalty is the slope of differences", () => {
  it.each<readonly [string, readonly LayerDescription[], number, number]>([
    ["linear", [dense(1)], 1, 0.5],
    ["a square layer", [dense(6), square, dense(1)], 0.7, 0.5],
    ["a cubic layer", [dense(6), cubic, dense(1)], 0.7, 0.1],
    ["a layer with extremes inside", [dense(6), hilly, dense(1)], 0.4, 0.3],
    ["two layers", [dense(5), square, dense(4), cubic, dense(1)], 0.5, 0.2],
    ["two layers with extremes inside", [dense(5), hilly, dense(4), square, dense(1)], 0.5, 0.2],
    ["the logit alone", [dense(6), square, dense(1)], 1e9, 0.5],
    ["the activation alone", [dense(6), square, dense(1)], 0.3, 1e9],
  ])("%s", (name, layers, activation, logit) => {
    const network = initialNetwork(
      { input: [4], layers, loss: "sigmoid-cross-entropy" },
      random(`weights of ${name}`),
      "glorot",
    )
    const stream = random(`biases of ${name}`)
    const parameters = Float64Array.from(network.parameters, (w) => (w === 0 ? uniformUnit(stream) - 0.5 : w))
    const inputs = box(4, name)
    const { value, gradient } = penaltyOf(network, parameters, inputs, activation, logit)
    expect(value).toBeGreaterThan(0)
    const scale = Math.max(...gradient.map(Math.abs))
    expect(scale).toBeGreaterThan(1e-3)
    const step = 1e-6
    for (let j = 0; j < parameters.length; j++) {
      const moved = (by: number) => {
        const other = parameters.slice()
        other[j]! += by
        return penaltyOf(network, other, inputs, activation, logit).value
      }
      const slope = (moved(step) - moved(-step)) / (2 * step)
      expect(Math.abs(gradient[j]! - slope)).toBeLessThan(1e-6 * scale)
    }
  })
})

it("costs nothing within the limits, and half the square of what passes them", () => {
  const network: Network = {
    description: { input: [1], layers: [dense(1), square, dense(1)], loss: "sigmoid-cross-entropy" },
    // z = 2 x - 1 on [-2, 3] lies in [-5, 5]; z^2 in [0, 25]; logit = -z^2 / 5 + 1 in [-4, 1]
    parameters: Float32Array.of(2, -1, Math.fround(-0.2), 1),
  }
  const inputs = { low: Float64Array.of(-2), high: Float64Array.of(3) }
  const at = (activation: number, logit: number) =>
    penaltyOf(network, Float64Array.from(network.parameters), inputs, activation, logit)
  expect(at(5.0001, 4.0001).value).toBe(0)
  expect(Array.from(at(5.0001, 4.0001).gradient)).toEqual([0, 0, 0, 0])
  expect(at(4, 4.0001).value).toBeCloseTo(1, 6) // both ends pass by 1
  expect(at(5.0001, 3).value).toBeCloseTo(0.5, 6) // the lower end does
  expect(at(5.0001, 0.5).value).toBeCloseTo((3.5 ** 2 + 0.5 ** 2) / 2, 6)
})
