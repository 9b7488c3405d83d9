import type { Kernel } from "../kernel/kernel.js"
import { rowSize } from "./description.js"
import type { Layer, LayerFrame } from "./layer.js"
import { type Plan, type ShardPlan, shardRows } from "./plan.js"

const computeLosses = (kernel: Kernel, plan: Plan, shard: ShardPlan, rows: number): void => {
  const { outputs } = plan.shape
  const { outputs: z, targets, deltas, losses } = shard
  switch (plan.settings.description.loss) {
    case "sigmoid-cross-entropy":
      kernel.sigmoidCrossEntropy(rows * outputs, z, targets, 1 / outputs, deltas, losses)
      break
    case "softmax-cross-entropy":
      kernel.softmaxCrossEntropy(rows, outputs, z, targets, deltas, losses)
      break
    case "squared-error":
      kernel.squaredError(rows * outputs, z, targets, 1 / outputs, deltas, losses)
      break
  }
}

/** The outputs of the first `rows` rows of a shard's inputs. */
export const forwardShard = (kernel: Kernel, plan: Plan, shard: ShardPlan, rows: number): void => {
  for (let at = 0; at < plan.layers.length; at++)
    (plan.layers[at] as Layer).forward(kernel, shard.frames[at] as LayerFrame, rows)
}

/** A shard's frames with each mask where the shard's first row of the batch has it. */
const withMasks = (plan: Plan, shard: ShardPlan, start: number): ShardPlan =>
  plan.masks.every((mask) => mask === 0)
    ? shard
    : {
        ...shard,
        frames: shard.frames.map((frame, at) => {
          const mask = plan.masks[at] as number
          const size = rowSize(plan.shape.layers[at]?.output ?? [0])
          return mask === 0 ? frame : { ...frame, mask: mask + 4 * start * size }
        }),
      }

/**
 * Shard k of the batch that is written down in memory: its rows' losses, and the sum of their gradients, each clipped if
 * the plan says so, into the shard's own place. Shards touch nothing of one another: any number of threads that share the
 * memory may run them, in any order, and the result has the same bits.
 */
export const runShard = (kernel: Kernel, plan: Plan, k: number): void => {
  const { layers, shape, settings } = plan
  const { start, end } = shardRows(kernel.integers[plan.header / 4] as number, settings.shards, k)
  const shard = withMasks(plan, plan.shards[k] as ShardPlan, start)
  const rows = end - start
  if (rows === 0) {
    kernel.fill(shape.parameters, 0, shard.gradient)
    return
  }
  const indices = plan.indices + 4 * start
  kernel.gatherRows(rows, shape.inputs, plan.inputs, indices, shard.inputs)
  kernel.gatherRows(rows, shape.targets, plan.targets, indices, shard.targets)
  forwardShard(kernel, plan, shard, rows)
  computeLosses(kernel, plan, shard, rows)
  const first = shape.layers.findIndex(({ parameterCount }) => parameterCount > 0)
  for (let at = layers.length - 1; at >= first; at--)
    (layers[at] as Layer).backwardInput(kernel, shard.frames[at] as LayerFrame, rows)

  if (!settings.clipping) {
    for (let at = first; at < layers.length; at++)
      (layers[at] as Layer).weightGradient(kernel, shard.frames[at] as LayerFrame, rows)
    return
  }
  if (plan.squares !== 0) kernel.gatherRows(rows, 1, plan.squares, indices, shard.squares)
  kernel.fill(rows, 0, shard.norms)
  for (let at = first; at < layers.length; at++)
    (layers[at] as Layer).perExampleSquaredNorm(kernel, shard.frames[at] as LayerFrame, rows, shard.norms)
  kernel.clipFactors(rows, shard.norms, kernel.floats[plan.clipBound / 4] as number, shard.factors)
  for (let at = first; at < layers.length; at++)
    (layers[at] as Layer).scaledWeightGradient(kernel, shard.frames[at] as LayerFrame, rows, shard.factors)
}
