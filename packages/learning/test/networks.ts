import { type RandomSource, uniformUnit } from "@consilium/base/random"
import { insecureSeededRandom } from "@consilium/base/testing"
import {
  type LayerDescription,
  type Loss,
  type NetworkDescription,
  networkShape,
  type RowShape,
} from "@consilium/learning/network/description"
import type { NetworkExamples } from "@consilium/learning/network/examples"
import type { Network } from "@consilium/learning/network/network"

/** Rows whose targets fit the loss. */
export const examplesFor = (
  description: NetworkDescription,
  rows: number,
  random: RandomSource,
): NetworkExamples => {
  const shape = networkShape(description)
  const { loss } = description
  return {
    rows,
    inputs: Float32Array.from({ length: rows * shape.inputs }, () => 2 * uniformUnit(random) - 1),
    targets: Float32Array.from({ length: rows * shape.targets }, () =>
      loss === "squared-error"
        ? 2 * uniformUnit(random) - 1
        : Math.floor(uniformUnit(random) * (loss === "softmax-cross-entropy" ? shape.outputs : 2)),
    ),
  }
}

/** A network with every parameter away from zero. */
export const networkFor = (description: NetworkDescription, random: RandomSource): Network => ({
  description,
  parameters: Float32Array.from(
    { length: networkShape(description).parameters },
    () => 1.2 * (uniformUnit(random) - 0.5),
  ),
})

const describeNetwork = (
  input: RowShape,
  layers: readonly LayerDescription[],
  loss: Loss = "sigmoid-cross-entropy",
): NetworkDescription => ({ input, layers, loss })

const dense = (outputs: number): LayerDescription => ({ kind: "dense", outputs })
const conv = (
  channels: number,
  size: readonly [number, number],
  stride: readonly [number, number] = [1, 1],
  padding: readonly [number, number, number, number] = [0, 0, 0, 0],
): LayerDescription => ({ kind: "conv2d", channels, size, stride, padding })
const flatten: LayerDescription = { kind: "flatten" }

/** A network for every layer, with trained layers on both sides of it. */
export const EVERY_LAYER: Readonly<Record<string, NetworkDescription>> = {
  "dense to one": describeNetwork([7], [dense(1)]),
  "dense to many": describeNetwork([6], [dense(5), dense(9), dense(3)]),
  "dense alone on an image": describeNetwork([3, 2, 2], [flatten, dense(2)]),
  relu: describeNetwork([5], [dense(8), { kind: "relu" }, dense(1)]),
  "relu first": describeNetwork([5], [{ kind: "relu" }, dense(1)]),
  square: describeNetwork([5], [dense(6), { kind: "square" }, { kind: "relu" }, dense(1)]),
  polynomial: describeNetwork(
    [5],
    [dense(6), { kind: "polynomial", coefficients: [0.1, 0.5, -0.3, 0.2] }, dense(1)],
  ),
  "constant polynomial": describeNetwork(
    [5],
    [dense(6), { kind: "polynomial", coefficients: [0.1] }, dense(1)],
  ),
  convolution: describeNetwork([6, 5, 2], [conv(3, [3, 2]), flatten, dense(1)]),
  "convolutions with stride and padding": describeNetwork(
    [7, 6, 2],
    [
      conv(3, [3, 3], [2, 1], [1, 0, 2, 1]),
      { kind: "relu" },
      conv(4, [2, 3], [1, 2], [0, 2, 1, 0]),
      flatten,
      dense(1),
    ],
  ),
  "convolution of single pixels": describeNetwork(
    [3, 3, 5],
    [conv(4, [1, 1]), conv(2, [1, 1]), flatten, dense(1)],
  ),
  "max-pool": describeNetwork(
    [6, 6, 1],
    [conv(5, [2, 2]), { kind: "max-pool", size: [2, 2], stride: [2, 2] }, conv(3, [2, 2]), flatten, dense(1)],
  ),
  "max-pool with windows that overlap": describeNetwork(
    [6, 5, 1],
    [conv(2, [2, 2]), { kind: "max-pool", size: [3, 2], stride: [1, 1] }, flatten, dense(1)],
  ),
  "average-pool": describeNetwork(
    [6, 6, 1],
    [conv(5, [2, 2]), { kind: "average-pool", size: [3, 2], stride: [2, 1] }, flatten, dense(1)],
  ),
  "group-norm of images": describeNetwork(
    [4, 4, 1],
    [conv(6, [2, 2]), { kind: "group-norm", groups: 3 }, { kind: "relu" }, flatten, dense(1)],
  ),
  "group-norm of lists": describeNetwork([5], [dense(8), { kind: "group-norm", groups: 2 }, dense(1)]),
  "group-norm first": describeNetwork([3, 3, 4], [{ kind: "group-norm", groups: 2 }, flatten, dense(1)]),
  dropout: describeNetwork([5], [dense(9), { kind: "dropout", rate: 0.4 }, { kind: "relu" }, dense(1)]),
  "sigmoid cross-entropy of many outputs": describeNetwork([5], [dense(3)]),
  "softmax cross-entropy": describeNetwork(
    [5],
    [dense(6), { kind: "relu" }, dense(4)],
    "softmax-cross-entropy",
  ),
  "squared error": describeNetwork([5], [dense(6), { kind: "relu" }, dense(2)], "squared-error"),
}

export const seeded = (...labels: readonly string[]): RandomSource => insecureSeededRandom(42, ...labels)
