import { toHex } from "@consilium/base/bytes"
import { sha256 } from "@consilium/base/hash"
import type { RandomSource } from "@consilium/base/random"
import { startCursor } from "../batches.js"
import type { Kernel } from "../kernel/kernel.js"
import { wasmKernel } from "../kernel/wasm-kernel.js"
import { publicStream } from "../public-stream.js"
import { type NetworkDescription, networkShape } from "./description.js"
import type { NetworkExamples } from "./examples.js"
import { initialNetwork } from "./network.js"
import { ADAM, type Optimiser } from "./optimiser.js"
import { trainNetwork } from "./train-network.js"

/** Logistic regression on 64 columns. */
export const GOLDEN_LR: NetworkDescription = {
  input: [64],
  layers: [{ kind: "dense", outputs: 1 }],
  loss: "sigmoid-cross-entropy",
}

/** 64-64-32-1 with ReLU: 6,273 parameters. */
export const GOLDEN_MLP: NetworkDescription = {
  input: [64],
  layers: [
    { kind: "dense", outputs: 64 },
    { kind: "relu" },
    { kind: "dense", outputs: 32 },
    { kind: "relu" },
    { kind: "dense", outputs: 1 },
  ],
  loss: "sigmoid-cross-entropy",
}

/** Two convolutions with pooling on 28 x 28 grey pixels: 1,649 parameters. */
export const GOLDEN_CNN: NetworkDescription = {
  input: [28, 28, 1],
  layers: [
    { kind: "conv2d", channels: 8, size: [3, 3], stride: [1, 1], padding: [0, 0, 0, 0] },
    { kind: "relu" },
    { kind: "max-pool", size: [2, 2], stride: [2, 2] },
    { kind: "conv2d", channels: 16, size: [3, 3], stride: [1, 1], padding: [0, 0, 0, 0] },
    { kind: "relu" },
    { kind: "max-pool", size: [2, 2], stride: [2, 2] },
    { kind: "flatten" },
    { kind: "dense", outputs: 1 },
  ],
  loss: "sigmoid-cross-entropy",
}

/** Inputs spread evenly over [-2, 2) and targets that are 0 or 1: rows for measuring and comparing, not for learning. */
export const arbitraryExamples = (
  description: NetworkDescription,
  rows: number,
  random: RandomSource,
): NetworkExamples => {
  const { inputs, targets } = networkShape(description)
  const bytes = random.bytes(2 * rows * inputs)
  return {
    rows,
    inputs: Float32Array.from(
      { length: rows * inputs },
      (_, i) => ((bytes[2 * i] as number) + 256 * (bytes[2 * i + 1] as number)) / 16384 - 2,
    ),
    targets: Float32Array.from(random.bytes(rows * targets), (byte) => byte & 1),
  }
}

/** Trainings whose results are known to the last bit. */
export const GOLDEN_TRAININGS = {
  lr: {
    description: GOLDEN_LR,
    batchSize: 256,
    rows: 1000,
    steps: 40,
    optimiser: { kind: "sgd" },
    rate: 0.05,
  },
  mlp: { description: GOLDEN_MLP, batchSize: 60, rows: 200, steps: 12, optimiser: ADAM, rate: 0.001 },
  cnn: {
    description: GOLDEN_CNN,
    batchSize: 10,
    rows: 24,
    steps: 5,
    optimiser: { kind: "momentum", decay: 0.9 },
    rate: 0.01,
  },
} as const satisfies Record<
  string,
  {
    readonly description: NetworkDescription
    readonly batchSize: number
    readonly rows: number
    readonly steps: number
    readonly optimiser: Optimiser
    readonly rate: number
  }
>

/** SHA-256 of parameters as little-endian 32-bit floats, in hexadecimal. */
export const floatsHash = (parameters: Float32Array): string => {
  const bytes = new Uint8Array(4 * parameters.length)
  const view = new DataView(bytes.buffer)
  parameters.forEach((value, i) => {
    view.setFloat32(4 * i, value, true)
  })
  return toHex(sha256(bytes))
}

/**
 * Trains one of the golden networks and gives the hash of its parameters: one text for every machine, engine, kernel and
 * number of threads.
 */
export const goldenHash = (
  name: keyof typeof GOLDEN_TRAININGS,
  newKernel: (bytes: number) => Kernel = wasmKernel,
): string => {
  const { description, batchSize, rows, steps, optimiser, rate } = GOLDEN_TRAININGS[name]
  const { network } = trainNetwork({
    network: initialNetwork(description, publicStream("golden", name, "initial")),
    examples: arbitraryExamples(description, rows, publicStream("golden", name, "rows")),
    batchSize,
    steps,
    optimiser,
    schedule: { kind: "cosine", rate, floor: 0, steps: 2 * steps },
    cursor: startCursor(),
    random: publicStream("golden", name, "batches"),
    newKernel,
  })
  return floatsHash(network.parameters)
}
