import "@tensorflow/tfjs-backend-cpu"
import "@tensorflow/tfjs-layers" // brings the gradients of all operations
import type {
  LayerDescription,
  NetworkDescription,
  PlacedLayer,
} from "@consilium/learning/network/description"
import { networkShape } from "@consilium/learning/network/description"
import type { NetworkExamples } from "@consilium/learning/network/examples"
import { GOLDEN_CNN, GOLDEN_LR, GOLDEN_MLP } from "@consilium/learning/network/golden"
import type { Network } from "@consilium/learning/network/network"
import { networkTensors } from "@consilium/learning/network/network-file"
import { ADAM, type Optimiser } from "@consilium/learning/network/optimiser"
import { NetworkTrainer } from "@consilium/learning/network/trainer"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, describe, expect, it } from "vitest"
import { EVERY_LAYER, examplesFor, networkFor, seeded } from "./networks.js"

/** Gradients, losses and optimisers beside those of TensorFlow.js 4.22. */
const ROWS = 6
const EPSILON = 1e-5

beforeAll(async () => {
  tf.enableProdMode() // without its advice on the console
  await tf.setBackend("cpu")
})

type Extent = [number, number]

const layerOutput = ({ layer, input }: PlacedLayer, x: tf.Tensor, take: () => tf.Tensor): tf.Tensor => {
  const pool = (
    kind: "max" | "avg",
    { size, stride }: LayerDescription & { kind: "max-pool" | "average-pool" },
  ) => tf.pool(x as tf.Tensor4D, size as Extent, kind, "valid", undefined, stride as Extent)
  switch (layer.kind) {
    case "dense":
      return tf.add(tf.matMul(x, take()), take())
    case "conv2d": {
      const [top, left, bottom, right] = layer.padding
      const padded = tf.pad(x as tf.Tensor4D, [
        [0, 0],
        [top, bottom],
        [left, right],
        [0, 0],
      ])
      return tf.add(tf.conv2d(padded, take() as tf.Tensor4D, layer.stride as Extent, "valid"), take())
    }
    case "max-pool":
      return pool("max", layer)
    case "average-pool":
      return pool("avg", layer)
    case "group-norm": {
      const channels = input[input.length - 1] as number
      const grouped = tf.reshape(x, [ROWS, -1, layer.groups, channels / layer.groups])
      const { mean, variance } = tf.moments(grouped, [1, 3], true)
      const normal = tf.div(tf.sub(grouped, mean), tf.sqrt(tf.add(variance, EPSILON)))
      return tf.add(tf.mul(tf.reshape(normal, x.shape), take()), take())
    }
    case "relu":
      return tf.relu(x)
    case "square":
      return tf.square(x)
    case "polynomial":
      return layer.coefficients.reduceRight<tf.Tensor>(
        (sum, coefficient) => tf.add(tf.mul(sum, x), coefficient),
        tf.zerosLike(x),
      )
    case "flatten":
      return tf.reshape(x, [ROWS, -1])
    case "dropout":
      throw new Error("dropout draws its own masks")
  }
}

/** The mean loss of all rows as a function of TensorFlow's variables. */
const lossOf = (
  description: NetworkDescription,
  examples: NetworkExamples,
  variables: readonly tf.Tensor[],
) => {
  const shape = networkShape(description)
  const x = tf.tensor(examples.inputs, [ROWS, ...description.input])
  const { SUM_BY_NONZERO_WEIGHTS } = tf.Reduction
  return (): tf.Scalar => {
    let next = 0
    const take = (): tf.Tensor => variables[next++] as tf.Tensor
    const z = shape.layers.reduce((value, placed) => layerOutput(placed, value, take), x as tf.Tensor)
    if (description.loss === "softmax-cross-entropy") {
      const classes = tf.oneHot(tf.tensor1d(Int32Array.from(examples.targets), "int32"), shape.outputs)
      return tf.losses.softmaxCrossEntropy(classes, z, undefined, 0, SUM_BY_NONZERO_WEIGHTS)
    }
    const targets = tf.tensor(examples.targets, [ROWS, shape.outputs])
    return description.loss === "squared-error"
      ? tf.losses.meanSquaredError(targets, z)
      : tf.losses.sigmoidCrossEntropy(targets, z)
  }
}

const variablesOf = (network: Network): tf.Variable[] =>
  networkTensors(network).map(({ shape, values }) => tf.variable(tf.tensor(values.slice(), [...shape])))

const numbersOf = (tensors: readonly tf.Tensor[]): number[] =>
  tensors.flatMap((tensor) => [...tensor.dataSync()])

const farthest = (found: ArrayLike<number>, expected: ArrayLike<number>): number => {
  expect(found.length).toBe(expected.length)
  const largest = Math.max(1, ...Array.from(expected, Math.abs))
  return (
    Array.from(found, (value, i) => Math.abs(value - (expected[i] as number))).reduce(
      (a, b) => Math.max(a, b),
      0,
    ) / largest
  )
}

const trainerOf = (
  network: Network,
  examples: NetworkExamples,
  optimiser: Optimiser,
  rate: number,
): NetworkTrainer =>
  new NetworkTrainer({
    network,
    examples,
    batchSize: ROWS,
    optimiser,
    schedule: { kind: "constant", rate },
  })
const ALL = Uint32Array.from({ length: ROWS }, (_, i) => i)

const cases = Object.entries({ ...EVERY_LAYER, lr: GOLDEN_LR, mlp: GOLDEN_MLP, cnn: GOLDEN_CNN }).filter(
  ([name]) => name !== "dropout",
)

describe("losses and gradients are those of TensorFlow.js to 1e-5", () => {
  it.each(cases)("%s", (name, description) => {
    const network = networkFor(description, seeded("tensorflow", name))
    const examples = examplesFor(description, ROWS, seeded("tensorflow rows", name))
    const variables = variablesOf(network)
    const { value, grads } = tf.variableGrads(lossOf(description, examples, variables), variables)
    const expected = numbersOf(variables.map((variable) => grads[variable.name] as tf.Tensor))
    const trainer = trainerOf(network, examples, { kind: "sgd" }, 1)
    const loss = trainer.accumulate(ALL)
    expect(farthest([loss], value.dataSync())).toBeLessThan(1e-5)
    expect(
      farthest(
        trainer.gradientSum().map((sum) => sum / ROWS),
        expected,
      ),
    ).toBeLessThan(1e-5)
    expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(1e-3)
  })
})

describe("30 steps end where TensorFlow.js ends, to 1e-5", () => {
  it.each<[string, Optimiser, number, (rate: number) => tf.Optimizer]>([
    ["SGD", { kind: "sgd" }, 0.1, (rate) => tf.train.sgd(rate)],
    ["momentum", { kind: "momentum", decay: 0.9 }, 0.02, (rate) => tf.train.momentum(rate, 0.9)],
    ["Adam", ADAM, 0.003, (rate) => tf.train.adam(rate, 0.9, 0.999, 1e-8)],
  ])("%s", (_, optimiser, rate, make) => {
    const description = EVERY_LAYER["softmax cross-entropy"]!
    const network = networkFor(description, seeded("tensorflow steps"))
    const examples = examplesFor(description, ROWS, seeded("tensorflow steps rows"))
    const variables = variablesOf(network)
    const loss = lossOf(description, examples, variables)
    const theirs = make(rate)
    const trainer = trainerOf(network, examples, optimiser, rate)
    for (let step = 0; step < 30; step++) {
      theirs.minimize(loss, false, variables)
      trainer.step(ALL)
    }
    const found = trainer.network().parameters
    expect(farthest(found, numbersOf(variables))).toBeLessThan(1e-5)
    expect(farthest(found, network.parameters)).toBeGreaterThan(0.01)
  })
})
