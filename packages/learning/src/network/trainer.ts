import { ConsiliumError } from "@consilium/base/errors"
import type { RandomSource } from "@consilium/base/random"
import type { Kernel } from "../kernel/kernel.js"
import { wasmKernel } from "../kernel/wasm-kernel.js"
import { checkPositive } from "../settings.js"
import { drawMasks } from "./dropout-mask.js"
import { checkNetworkExamples, type NetworkExamples } from "./examples.js"
import { checkNetwork, type Network } from "./network.js"
import {
  checkOptimiser,
  type Decays,
  momentCount,
  type Optimiser,
  optimiserStep,
  START_DECAYS,
} from "./optimiser.js"
import { type Plan, planMemory, type ShardPlan, shardRows, writeConstants } from "./plan.js"
import { checkSchedule, learningRate, type Schedule } from "./schedule.js"
import { runShard } from "./shard.js"

/** Into how many parts a batch is cut unless something else is asked for: as many as threads are of use. */
export const DEFAULT_SHARDS = 4

export interface TrainerSettings {
  readonly network: Network
  readonly examples: NetworkExamples
  /** The most rows of one batch. */
  readonly batchSize: number
  readonly optimiser: Optimiser
  readonly schedule: Schedule
  /** L2 norm to which the gradient of each row is clipped; left out, rows are not clipped. */
  readonly clipNorm?: number
  /** Where dropout masks come from; needed if the network has dropout layers. */
  readonly dropout?: RandomSource
  readonly shards?: number
  /** Makes a kernel with so many bytes of memory; left out, the WebAssembly kernel. */
  readonly newKernel?: (bytes: number) => Kernel
}

/** What a step divides and disturbs the sum of gradients with. */
export interface ApplySettings {
  /** What the sum of the rows' gradients is divided by: the rows of the batch, or their expected number. */
  readonly divisor: number
  /** Added to the sum, one number a parameter, before it is divided: the noise of differential privacy. */
  readonly noise?: ArrayLike<number>
}

const diverged = (message: string): never => {
  throw new ConsiliumError("learning/diverged", message)
}

/**
 * A network in training, in a memory of its own; the network it began with is not written to.
 *
 *     trainer.step(indices)                       one step on the rows named
 *     trainer.accumulate(indices); ...; trainer.apply({ divisor, noise })      the same in parts
 *     trainer.stage(indices); run shards 0, 1, ... of trainer.plan; trainer.combine()      accumulate, in parts
 *
 * Math: gradient = (sum over the shards, in order, of (the sum over the shard's rows, in order)) / divisor
 */
export class NetworkTrainer {
  readonly plan: Plan
  readonly kernel: Kernel
  readonly #settings: TrainerSettings
  #decays: Decays = START_DECAYS
  #steps = 0
  #staged = false
  #gathered = 0
  #losses = 0

  /**
   * @throws {ConsiliumError} "learning/bad-setting", "learning/bad-parameters" or "learning/bad-examples" on input that
   *   does not fit
   */
  constructor(settings: TrainerSettings) {
    const { network, examples, optimiser, clipNorm } = settings
    checkNetwork(network)
    checkOptimiser(optimiser)
    checkSchedule(settings.schedule)
    if (clipNorm !== undefined) checkPositive("norm that gradients are clipped to", Math.fround(clipNorm))
    this.plan = planMemory({
      description: network.description,
      batchSize: settings.batchSize,
      shards: settings.shards ?? DEFAULT_SHARDS,
      rows: examples.rows,
      training: true,
      clipping: clipNorm !== undefined,
      moments: momentCount(optimiser),
    })
    checkNetworkExamples(this.plan.shape, network.description.loss, examples)
    if (this.plan.masks.some((mask) => mask !== 0) && settings.dropout === undefined)
      throw new ConsiliumError(
        "learning/bad-setting",
        "The network has a dropout layer, but there is no stream to draw its masks from.",
      )
    const { plan } = this
    const kernel = (settings.newKernel ?? wasmKernel)(plan.bytes)
    kernel.floats.set(network.parameters, plan.parameters / 4)
    writeConstants(kernel, plan)
    kernel.floats[plan.clipBound / 4] = clipNorm ?? 0
    this.kernel = kernel
    this.#settings = settings
    this.#load(examples)
  }

  #load({ rows, inputs, targets }: NetworkExamples): void {
    const { kernel, plan } = this
    const { inputs: columns } = plan.shape
    kernel.floats.set(inputs, plan.inputs / 4)
    kernel.floats.set(targets, plan.targets / 4)
    if (plan.squares !== 0) kernel.rowSquaredNorms(rows, columns, plan.inputs, columns, plan.squares)
  }

  /**
   * Puts other examples in the place of those before, as many rows: images changed at random afresh, for instance.
   * @throws {ConsiliumError} "learning/bad-examples" if they are more or fewer rows, or do not fit
   */
  replaceExamples(examples: NetworkExamples): void {
    const { rows } = this.plan.settings
    if (examples.rows !== rows)
      throw new ConsiliumError(
        "learning/bad-examples",
        `${rows} rows of examples can be replaced by as many, not by ${examples.rows}.`,
      )
    checkNetworkExamples(this.plan.shape, this.#settings.network.description.loss, examples)
    this.#load(examples)
  }

  /** Steps taken: what a privacy ledger charges. */
  get steps(): number {
    return this.#steps
  }

  /** Rows whose gradients wait for the next step. */
  get gathered(): number {
    return this.#gathered
  }

  /** The network as it is now: a copy. */
  network(): Network {
    return { description: this.#settings.network.description, parameters: this.#read(this.plan.parameters) }
  }

  /** The sum of the gradients, each clipped if rows are clipped, that waits for the next step: a copy. */
  gradientSum(): Float32Array {
    return this.#read(this.plan.gradient)
  }

  /**
   * The same sum, which then waits no longer: for whoever clips and adds outside of the engine. The next step is taken along
   * `noise` alone, or what is gathered after this.
   */
  takeGradientSum(): Float32Array {
    const sum = this.gradientSum()
    this.#forget()
    return sum
  }

  #read(address: number): Float32Array {
    return Float32Array.from(
      this.kernel.floats.subarray(address / 4, address / 4 + this.plan.shape.parameters),
    )
  }

  /**
   * Writes a batch down for the shards to run: the rows named, in this order, each any number of times.
   * @throws {ConsiliumError} "learning/bad-examples" if a row is none of the examples, or there are too many
   */
  stage(indices: Uint32Array): void {
    const { kernel, plan } = this
    const { batchSize, rows } = plan.settings
    if (indices.length > batchSize)
      throw new ConsiliumError(
        "learning/bad-examples",
        `A batch of ${indices.length} rows came; ${batchSize} are the most.`,
      )
    for (let i = 0; i < indices.length; i++)
      if ((indices[i] as number) >= rows)
        throw new ConsiliumError("learning/bad-examples", `A batch names row ${indices[i]} of ${rows}.`)
    kernel.integers.set(indices, plan.indices / 4)
    kernel.integers[plan.header / 4] = indices.length
    if (this.#settings.dropout !== undefined) drawMasks(kernel, plan, indices.length, this.#settings.dropout)
    this.#staged = true
  }

  /**
   * Adds up what the shards have computed, in their order, and gives the mean loss of the batch.
   * @throws {ConsiliumError} "learning/diverged" if a loss or a gradient is not finite; what was gathered is dropped and
   *   the parameters stay as they were. "learning/bad-setting" if no batch was staged
   */
  combine(): number {
    const { kernel, plan } = this
    if (!this.#staged)
      throw new ConsiliumError("learning/bad-setting", "There is no batch to combine: stage one first.")
    this.#staged = false
    const rows = kernel.integers[plan.header / 4] as number
    const perRow = plan.settings.description.loss === "softmax-cross-entropy" ? 1 : plan.shape.outputs
    const { parameters } = plan.shape
    if (this.#gathered === 0 && this.#losses === 0) kernel.fill(parameters, 0, plan.gradient)
    let loss = 0
    for (let k = 0; k < plan.shards.length; k++) {
      const shard = plan.shards[k] as ShardPlan
      const { start, end } = shardRows(rows, plan.shards.length, k)
      loss += kernel.sum((end - start) * perRow, shard.losses)
      kernel.add(parameters, plan.gradient, shard.gradient, plan.gradient)
    }
    if (!Number.isFinite(loss) || kernel.finite(parameters, plan.gradient) === 0) {
      this.#forget()
      diverged(`A loss or a gradient after ${this.#steps} steps is not finite.`)
    }
    this.#gathered += rows
    this.#losses += 1
    return rows === 0 ? 0 : loss / rows
  }

  /** Drops what was gathered for the next step. */
  #forget(): void {
    this.kernel.fill(this.plan.shape.parameters, 0, this.plan.gradient)
    this.#gathered = 0
    this.#losses = 0
  }

  /**
   * Adds the gradients of the rows named to what is gathered for the next step; their mean loss. An empty batch adds
   * nothing, and its loss is 0.
   * @throws {ConsiliumError} as `stage` and `combine`
   */
  accumulate(indices: Uint32Array): number {
    this.stage(indices)
    for (let k = 0; k < this.plan.shards.length; k++) runShard(this.kernel, this.plan, k)
    return this.combine()
  }

  /**
   * One step along what was gathered, which may be nothing: under differential privacy an empty batch is a step like any
   * other, and is counted.
   * @throws {ConsiliumError} "learning/diverged" if a parameter or a moment would leave the finite numbers: they stay as
   *   they were. "learning/bad-setting" if divisor or noise do not fit
   */
  apply({ divisor, noise }: ApplySettings): void {
    const { kernel, plan } = this
    const { optimiser, schedule } = this.#settings
    const { parameters: count } = plan.shape
    checkPositive("divisor of a sum of gradients", divisor)
    if (noise !== undefined) {
      if (noise.length !== count)
        throw new ConsiliumError(
          "learning/bad-setting",
          `The network has ${count} parameters, the noise ${noise.length} numbers.`,
        )
      kernel.floats.set(noise, plan.noise / 4)
      if (kernel.finite(count, plan.noise) === 0)
        throw new ConsiliumError("learning/bad-setting", "A number of the noise is not finite.")
    }
    if (this.#losses === 0) kernel.fill(count, 0, plan.gradient)
    if (noise !== undefined) kernel.add(count, plan.gradient, plan.noise, plan.gradient)
    kernel.scale(count, 1 / divisor, plan.gradient, plan.gradient)
    const state = count * (1 + plan.settings.moments)
    kernel.copy(state, plan.parameters, plan.backup)
    const rate = learningRate(schedule, this.#steps)
    const decays = optimiserStep(kernel, optimiser, this.#decays, count, plan.parameters, plan.gradient, rate)
    this.#forget()
    if (kernel.finite(state, plan.parameters) === 0) {
      kernel.copy(state, plan.backup, plan.parameters)
      diverged(`A parameter or a moment would leave the finite numbers in step ${this.#steps + 1}.`)
    }
    this.#decays = decays
    this.#steps += 1
  }

  /**
   * One step along the mean gradient of the rows named; their mean loss before it.
   * @throws {ConsiliumError} "learning/no-examples" on an empty batch; as `accumulate` and `apply`
   */
  step(indices: Uint32Array): number {
    if (indices.length === 0)
      throw new ConsiliumError("learning/no-examples", "The mean gradient of an empty batch is undefined.")
    const loss = this.accumulate(indices)
    this.apply({ divisor: indices.length })
    return loss
  }
}
