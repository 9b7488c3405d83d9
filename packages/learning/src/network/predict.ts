import type { Kernel } from "../kernel/kernel.js"
import { wasmKernel } from "../kernel/wasm-kernel.js"
import { networkShape } from "./description.js"
import { checkInputs } from "./examples.js"
import { checkNetwork, type Network } from "./network.js"
import { planMemory, type ShardPlan, writeConstants } from "./plan.js"
import { forwardShard } from "./shard.js"

/** Rows computed at a time; without meaning for the result. */
const ROWS_AT_ONCE = 256

const compute = (
  network: Network,
  rows: number,
  inputs: Float32Array,
  newKernel: (bytes: number) => Kernel,
  finish: (kernel: Kernel, rows: number, outputs: number) => void,
): Float32Array => {
  checkNetwork(network)
  const { description, parameters } = network
  checkInputs(networkShape(description), rows, inputs)
  const plan = planMemory({
    description,
    batchSize: Math.max(1, Math.min(rows, ROWS_AT_ONCE)),
    shards: 1,
    rows: 0,
    training: false,
    clipping: false,
    moments: 0,
  })
  const { shape } = plan
  const kernel = newKernel(plan.bytes)
  kernel.floats.set(parameters, plan.parameters / 4)
  writeConstants(kernel, plan)
  const shard = plan.shards[0] as ShardPlan
  const out = new Float32Array(rows * shape.outputs)
  for (let start = 0; start < rows; start += ROWS_AT_ONCE) {
    const end = Math.min(start + ROWS_AT_ONCE, rows)
    kernel.floats.set(inputs.subarray(start * shape.inputs, end * shape.inputs), shard.inputs / 4)
    forwardShard(kernel, plan, shard, end - start)
    finish(kernel, end - start, shard.outputs)
    const from = shard.outputs / 4
    out.set(kernel.floats.subarray(from, from + (end - start) * shape.outputs), start * shape.outputs)
  }
  return out
}

/**
 * The outputs of a network: logits, or the numbers themselves for the squared error. Dropout layers pass everything.
 *
 * Shape: inputs: rows x inputs; result: rows x outputs
 * @throws {ConsiliumError} "learning/bad-setting", "learning/bad-parameters", "learning/bad-examples"
 */
export const networkOutputs = (
  network: Network,
  rows: number,
  inputs: Float32Array,
  newKernel: (bytes: number) => Kernel = wasmKernel,
): Float32Array => compute(network, rows, inputs, newKernel, () => undefined)

/**
 * What the outputs say: probabilities of label 1 for the sigmoid cross-entropy, of the classes for the softmax
 * cross-entropy, the outputs themselves for the squared error.
 *
 * Shape: as `networkOutputs`
 * @throws {ConsiliumError} as `networkOutputs`
 */
export const networkPredictions = (
  network: Network,
  rows: number,
  inputs: Float32Array,
  newKernel: (bytes: number) => Kernel = wasmKernel,
): Float32Array => {
  const { loss } = network.description
  const { outputs } = networkShape(network.description)
  return compute(network, rows, inputs, newKernel, (kernel, count, at) => {
    if (loss === "sigmoid-cross-entropy") kernel.sigmoid(count * outputs, at, at)
    if (loss === "softmax-cross-entropy") kernel.softmax(count, outputs, at, at)
  })
}
