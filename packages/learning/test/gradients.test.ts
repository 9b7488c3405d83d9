import { networkShape, rowSize } from "@consilium/learning/network/description"
import type { NetworkExamples } from "@consilium/learning/network/examples"
import { networkOutputs } from "@consilium/learning/network/predict"
import { NetworkTrainer, type TrainerSettings } from "@consilium/learning/network/trainer"
import { describe, expect, it } from "vitest"
import { differences, type Masks, referenceLoss, referenceOutputs } from "./network-reference.js"
import { EVERY_LAYER, examplesFor, networkFor, seeded } from "./networks.js"

const ROWS = 5

const rowOf = ({ inputs, targets, rows }: NetworkExamples, row: number): [number[], number[]] => {
  const cut = (values: Float32Array): number[] => {
    const size = values.length / rows
    return [...values.subarray(row * size, (row + 1) * size)]
  }
  return [cut(inputs), cut(targets)]
}

const largest = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((most, value) => Math.max(most, Math.abs(value)), 0)

const gap = (found: ArrayLike<number>, expected: ArrayLike<number>): number => {
  expect(found.length).toBe(expected.length)
  return largest(Array.from(found, (value, i) => value - expected[i]!))
}

const cases = Object.entries(EVERY_LAYER).map(([name, description]) => {
  const network = networkFor(description, seeded(name, "parameters"))
  const examples = examplesFor(description, ROWS, seeded(name, "rows"))
  const settings: TrainerSettings = {
    network,
    examples,
    batchSize: ROWS,
    optimiser: { kind: "sgd" },
    schedule: { kind: "constant", rate: 1 },
    dropout: seeded(name, "masks"),
  }
  return { name, description, network, examples, settings }
})

/** The masks that a trainer draws for a batch, read from the same stream as its documentation says. */
const masksOf = ({ name, description }: (typeof cases)[0]): readonly Masks[] => {
  const random = seeded(name, "masks")
  const { layers } = networkShape(description)
  const drawn = layers.map(({ layer, output }) => {
    if (layer.kind !== "dropout") return undefined
    const size = rowSize(output)
    const view = new DataView(random.bytes(4 * ROWS * size).buffer)
    return Array.from({ length: ROWS }, (_, row) =>
      Array.from({ length: size }, (_, i) =>
        view.getUint32(4 * (row * size + i), true) / 2 ** 32 < layer.rate ? 0 : 1 / (1 - layer.rate),
      ),
    )
  })
  return Array.from({ length: ROWS }, (_, row) => drawn.map((mask) => mask?.[row]))
}

const ALL = Uint32Array.from({ length: ROWS }, (_, i) => i)

describe.each(cases)("$name", (one) => {
  const { description, network, examples, settings } = one
  const masks = masksOf(one)
  const parameters = Float64Array.from(network.parameters)

  it("the outputs are those of the definition in doubles", () => {
    const found = networkOutputs(network, ROWS, examples.inputs)
    const expected = Array.from({ length: ROWS }, (_, row) =>
      referenceOutputs(description, parameters, rowOf(examples, row)[0]),
    ).flat()
    expect(gap(found, expected)).toBeLessThan(5e-6 * Math.max(1, largest(expected)))
  })

  it("the gradient is that of finite differences in doubles", () => {
    const trainer = new NetworkTrainer(settings)
    const total = (at: Float64Array): number =>
      Array.from({ length: ROWS }, (_, row) =>
        referenceLoss(description, at, ...rowOf(examples, row), masks[row]),
      ).reduce((a, b) => a + b, 0)
    const loss = trainer.accumulate(ALL)
    expect(Math.abs(loss - total(parameters) / ROWS)).toBeLessThan(2e-6 * Math.max(1, loss))
    const expected = differences(total, parameters)
    expect(largest(expected)).toBeGreaterThan(0.01)
    expect(gap(trainer.gradientSum(), expected)).toBeLessThan(1e-5 * Math.max(1, largest(expected)))
  })

  it("clipped gradients are those of a loop over single rows", () => {
    // between the shortest and the longest row, so that some are clipped and some are not
    const dropout = masks.some((row) => row.some((mask) => mask !== undefined))
    const rows = Array.from({ length: ROWS }, (_, row) => {
      if (dropout)
        return differences(
          (at) => referenceLoss(description, at, ...rowOf(examples, row), masks[row]),
          parameters,
        )
      const alone = new NetworkTrainer(settings)
      alone.accumulate(Uint32Array.of(row))
      return Float64Array.from(alone.gradientSum())
    })
    const norms = rows.map((row) => Math.sqrt(row.reduce((sum, g) => sum + g * g, 0)))
    const clipNorm = ([...norms].sort((a, b) => a - b)[2] as number) * 0.999
    const expected = new Float64Array(parameters.length)
    rows.forEach((row, i) => {
      const factor = Math.min(1, clipNorm / norms[i]!)
      row.forEach((g, j) => {
        expected[j]! += factor * g
      })
    })
    const clipped = new NetworkTrainer({ ...settings, clipNorm, dropout: seeded(one.name, "masks") })
    clipped.accumulate(ALL)
    expect(gap(clipped.gradientSum(), expected)).toBeLessThan(1e-6 * Math.max(1, largest(expected)))
    for (let row = 0; row < ROWS && !dropout; row++) {
      const tight = new NetworkTrainer({ ...settings, clipNorm })
      tight.accumulate(Uint32Array.of(row))
      const norm = Math.sqrt(tight.gradientSum().reduce((sum, g) => sum + g * g, 0))
      expect(norm).toBeLessThanOrEqual(clipNorm * (1 + 1e-6))
    }
    const roomy = new NetworkTrainer({ ...settings, clipNorm: 1e6, dropout: seeded(one.name, "masks") })
    const plain = new NetworkTrainer({ ...settings, dropout: seeded(one.name, "masks") })
    roomy.accumulate(ALL)
    plain.accumulate(ALL)
    expect(gap(roomy.gradientSum(), plain.gradientSum())).toBeLessThan(1e-6 * Math.max(1, largest(expected)))
  })
})
