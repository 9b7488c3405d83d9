import { isConsiliumError } from "@consilium/base/errors"
import { digestHex, sha256 } from "@consilium/base/hash"
import { uniformUnit } from "@consilium/base/random"
import { sigmoid } from "@consilium/learning/math"
import type { LayerDescription } from "@consilium/learning/network/description"
import { initialNetwork, type Network } from "@consilium/learning/network/network"
import { networkOutputs } from "@consilium/learning/network/predict"
import { publicStream } from "@consilium/learning/public-stream"
import { featureRanges } from "@consilium/records/feature-ranges"
import {
  HEART_DECLARED_STANDARDISER,
  HEART_FEATURES,
  UCI_HEART_SCHEMA,
} from "@consilium/records/heart-schema"
import { describe, expect, it } from "vitest"
import { compile } from "../src/compile/compile.js"
import { plainLogit } from "../src/model/model.js"
import { trainedNetwork } from "../src/model/trained-network.js"
import { columnsOf, type InputField } from "../src/schema/fields.js"
import { activationBounds, intervalsOf, largestSize } from "../src/training/activation-bounds.js"
import { encryptableNetwork, SIGMOID_CUBIC, SQUARE_ACTIVATION } from "../src/training/activations.js"
import { polynomialValue } from "../src/training/polynomial-range.js"
import { trainForEncryption } from "../src/training/train-for-encryption.js"
import { networkReach, withinLimits } from "../src/training/within-limits.js"
import { aucOf, examplesOf, LOGIT_LIMIT, trainedFreely, trainedWithin } from "./encryption-training.js"
import { heartRanges, syntheticRows } from "./heart-rows.js"

const ranges = heartRanges()
const inputs = intervalsOf(ranges)
const { train, test } = syntheticRows(200, "inference")

/** Patients at random corners of the declared ranges. */
const corners = (count: number): Float32Array => {
  const random = publicStream("corners")
  return Float32Array.from(
    { length: 13 * count },
    (_, at) => ranges[at % 13]![uniformUnit(random) < 0.5 ? 0 : 1],
  )
}

it("the fitted cubic stays within .052 of the logistic function on its interval, not beyond", () => {
  const { coefficients } = SIGMOID_CUBIC.layer as Extract<LayerDescription, { kind: "polynomial" }>
  const error = (x: number) => Math.abs(polynomialValue(coefficients, x) - sigmoid(x))
  const on = (from: number, to: number) =>
    Math.max(...Array.from({ length: 1001 }, (_, k) => error(from + (k / 1000) * (to - from))))
  expect(on(-5, 5)).toBeLessThan(0.052)
  expect(on(-5, 5)).toBeGreaterThan(0.051)
  expect(on(5, 6)).toBeGreaterThan(0.1)
})

describe.each([
  ["square", SQUARE_ACTIVATION, "7de5daed5bfb8590"],
  ["cubic", SIGMOID_CUBIC, "4c4187920329dac1"],
] as const)("a 13-16-1 network with %s units on made-up heart patients", (_, activation, expected) => {
  const free = trainedFreely(train, activation, "a", 600)
  const held = trainedWithin(train, activation, "a", 600)

  it("trained freely it leaves its limits many times over", () => {
    const reach = networkReach(free, inputs)
    expect(reach.activation).toBeGreaterThan(3 * activation.interval)
    expect(reach.logit).toBeGreaterThan(3 * LOGIT_LIMIT)
  })

  it("trained with the penalty it stays within them, by the penalty alone", () => {
    expect(held.scaled).toBe(0)
    expect(held.reach.activation).toBeLessThanOrEqual(activation.interval)
    expect(held.reach.logit).toBeLessThanOrEqual(LOGIT_LIMIT)
    // the penalty was at work: weights grew up to it
    expect(held.reach.activation).toBeGreaterThan(0.8 * activation.interval)
  })

  it("says so as the bounds of the model that is compiled do", () => {
    const model = trainedNetwork(held.network.description, held.network.parameters)
    if (model.kind !== "network") throw new Error("not a network")
    const bounds = activationBounds(model.layers, ranges)
    expect(largestSize(bounds[1]!.input)).toBe(held.reach.activation)
    expect(largestSize(bounds[2]!.output)).toBe(held.reach.logit)
  })

  it("no patient at the corners of the declared ranges gets a logit beyond", () => {
    const rows = corners(500)
    const logits = networkOutputs(held.network, 500, rows)
    expect(Math.max(...logits.map(Math.abs))).toBeLessThanOrEqual(LOGIT_LIMIT)
    const model = trainedNetwork(held.network.description, held.network.parameters)
    for (let row = 0; row < 20; row++)
      expect(plainLogit(model, null, rows.subarray(13 * row, 13 * row + 13))).toBeCloseTo(logits[row]!, 3)
  })

  it("ranks held-out patients", () => {
    expect(aucOf(held.network, test)).toBeGreaterThan(0.8)
  })

  it("is the same to the last bit everywhere", () => {
    const { parameters } = held.network
    const hash = digestHex(
      sha256(new Uint8Array(parameters.buffer, parameters.byteOffset, parameters.byteLength)),
    )
    expect(hash.slice(0, 16)).toBe(expected)
  })
})

describe("compiled for the declared ranges", () => {
  const fields = featureRanges(UCI_HEART_SCHEMA, HEART_FEATURES).map(
    ({ feature, low, high }): InputField => ({ name: feature, type: "number", unit: "", range: [low, high] }),
  )
  const { means, deviations } = HEART_DECLARED_STANDARDISER
  const scaling = { source: "declared" as const, means: [...means], deviations: [...deviations] }
  const planOf = ({ description, parameters }: Network) =>
    compile(
      trainedNetwork(description, parameters),
      { fields, columns: columnsOf(fields) },
      { model: "heart", version: "1", scaling },
    ).plan

  it("a network held within its limits gets a third of the room for its numbers, and a logit within its limit", () => {
    const free = planOf(trainedFreely(train, SQUARE_ACTIVATION, "a", 600))
    const held = planOf(trainedWithin(train, SQUARE_ACTIVATION, "a", 600).network)
    expect(held.logitBound).toBeLessThanOrEqual(LOGIT_LIMIT)
    expect(free.logitBound).toBeGreaterThan(8 * LOGIT_LIMIT)
    expect([free, held].map(({ degree, primes }) => [degree, primes.length])).toEqual([
      [8192, 6],
      [4096, 4],
    ])
  })
})

it("takes no step and still keeps the limits", () => {
  const { network, reach, steps, losses } = trainedWithin(train, SQUARE_ACTIVATION, "a", 0)
  expect([steps, losses.length]).toEqual([0, 0])
  expect(reach.activation).toBeLessThanOrEqual(5)
  expect(networkReach(network, inputs)).toEqual(reach)
})

describe("units made smaller", () => {
  const wide = (activation = SQUARE_ACTIVATION): Network =>
    initialNetwork(encryptableNetwork(13, 16, activation), publicStream("wide"))

  it("square units: the network says what it said", () => {
    const network = wide()
    expect(networkReach(network, inputs).activation).toBeGreaterThan(10)
    const { network: smaller, scaled } = withinLimits(network, inputs, { activation: 5, logit: 1e9 })
    expect(scaled).toBe(16)
    expect(networkReach(smaller, inputs).activation).toBeLessThanOrEqual(5)
    const rows = corners(50)
    const before = networkOutputs(network, 50, rows)
    for (const [i, logit] of networkOutputs(smaller, 50, rows).entries())
      expect(Math.abs(logit - before[i]!)).toBeLessThan(1e-5 * networkReach(network, inputs).logit)
  })

  it("the logit: patients keep their order", () => {
    const network = wide()
    const { network: smaller, scaled } = withinLimits(network, inputs, { activation: 1e9, logit: 4 })
    expect(scaled).toBe(1)
    const { logit } = networkReach(smaller, inputs)
    expect(logit).toBeLessThanOrEqual(4)
    expect(logit).toBeGreaterThan(3.9)
    expect(aucOf(smaller, test)).toBeCloseTo(aucOf(network, test), 10)
  })

  it("a network within its limits is left as it is", () => {
    const network = wide(SIGMOID_CUBIC)
    const found = withinLimits(network, inputs, { activation: 1e9, logit: 1e9 })
    expect(found.scaled).toBe(0)
    expect(found.network.parameters).toEqual(network.parameters)
  })

  it("deeper networks hold their limits too", () => {
    const network = initialNetwork(
      {
        input: [13],
        layers: [
          { kind: "dense", outputs: 8 },
          { kind: "square" },
          { kind: "dropout", rate: 0.5 },
          { kind: "dense", outputs: 4 },
          SIGMOID_CUBIC.layer,
          { kind: "dense", outputs: 1 },
        ],
        loss: "sigmoid-cross-entropy",
      },
      publicStream("deep"),
    )
    const { network: smaller } = withinLimits(network, inputs, { activation: 5, logit: 10 })
    const reach = networkReach(smaller, inputs)
    expect(reach.activation).toBeLessThanOrEqual(5)
    expect(reach.logit).toBeLessThanOrEqual(10)
  })
})

describe("what cannot be trained for encryption", () => {
  const dense = { kind: "dense", outputs: 1 } as const
  const refusal = (layers: readonly LayerDescription[], change: object = {}): string => {
    const network = initialNetwork({ input: [13], layers, loss: "sigmoid-cross-entropy" }, publicStream("x"))
    try {
      trainForEncryption({
        network,
        examples: examplesOf(train),
        ranges,
        limits: { activation: 5, logit: 32 },
        steps: 1,
        batchSize: 8,
        optimiser: { kind: "sgd" },
        schedule: { kind: "constant", rate: 0.1 },
        cursor: { order: new Uint32Array(0), next: 0 },
        random: publicStream("y"),
        ...change,
      })
    } catch (error) {
      if (isConsiliumError(error)) return `${error.code}: ${error.message}`
      throw error
    }
    return "nothing was refused"
  }

  it("refuses it by name", () => {
    expect([
      refusal([{ kind: "dense", outputs: 4 }, { kind: "relu" }, dense]),
      refusal([{ kind: "dense", outputs: 2 }]),
      refusal([{ kind: "dense", outputs: 1 }, { kind: "square" }]),
      refusal([{ kind: "square" }, dense]),
      refusal([dense], { ranges: ranges.slice(1) }),
      refusal([dense], { limits: { activation: 0, logit: 32 } }),
      refusal([dense], { strength: 0 }),
    ]).toMatchInlineSnapshot(`
      [
        "inference/bad-model: Layer 2 (relu) cannot be computed on encrypted numbers.",
        "inference/bad-model: The network does not give one logit.",
        "inference/bad-model: The last layer is not dense.",
        "inference/bad-model: An activation does not follow a dense layer.",
        "inference/bad-model: 12 ranges do not fit 3900 inputs of 300 rows.",
        "learning/bad-setting: The limit of what goes into an activation is 0; a finite number above 0 was expected.",
        "learning/bad-setting: The strength of the range penalty is 0; a finite number above 0 was expected.",
      ]
    `)
  })
})
