import type { Address, Kernel } from "../kernel/kernel.js"
import { checkWhole } from "../settings.js"
import { type NetworkDescription, type NetworkShape, networkShape, rowSize } from "./description.js"
import type { Layer, LayerFrame } from "./layer.js"
import { layerOf } from "./layers.js"

/** What a plan of memory follows from: plain data, which another thread can be sent. */
export interface PlanSettings {
  readonly description: NetworkDescription
  /** The most rows of one batch. */
  readonly batchSize: number
  /**
   * Into how many parts each batch is cut, whatever the number of threads: part of what fixes the bits of a result.
   */
  readonly shards: number
  /** Rows of the examples that batches are drawn from. */
  readonly rows: number
  /** Whether there is anything to be learned, or only outputs to be computed. */
  readonly training: boolean
  /** Whether rows' gradients are clipped, one by one. */
  readonly clipping: boolean
  /** How many numbers the optimiser keeps for each parameter. */
  readonly moments: number
}

/** The places of one shard. */
export interface ShardPlan {
  readonly inputs: Address
  readonly targets: Address
  readonly squares: Address
  readonly norms: Address
  readonly factors: Address
  readonly losses: Address
  readonly outputs: Address
  readonly deltas: Address
  readonly gradient: Address
  readonly frames: readonly LayerFrame[]
}

/** Where everything lies in the engine's memory; the same for everybody who has the same settings. */
export interface Plan {
  readonly settings: PlanSettings
  readonly shape: NetworkShape
  readonly layers: readonly Layer[]
  /** Two integers: the rows of the batch under way, and whether it is for training. */
  readonly header: Address
  readonly indices: Address
  readonly inputs: Address
  readonly targets: Address
  /** Squared norms of the rows of `inputs`, where the first layer is dense and rows are clipped. */
  readonly squares: Address
  readonly clipBound: Address
  readonly parameters: Address
  /** Behind the parameters, without a gap. */
  readonly moments: Address
  readonly backup: Address
  readonly gradient: Address
  readonly noise: Address
  /** For each layer, the mask of a whole batch, or 0. */
  readonly masks: readonly Address[]
  readonly shards: readonly ShardPlan[]
  /** Bytes of memory that all this takes. */
  readonly bytes: number
}

const ALIGNMENT = 64

/** Hands out places one after the other. Place 0 stays free: it means "none". */
class Arena {
  bytes = ALIGNMENT
  take(count: number): Address {
    const at = this.bytes
    this.bytes += Math.ceil((4 * count) / ALIGNMENT) * ALIGNMENT
    return at
  }
}

/** The rows of shard k of a batch: [start, end). */
export const shardRows = (
  rows: number,
  shards: number,
  k: number,
): { readonly start: number; readonly end: number } => ({
  start: Math.floor((rows * k) / shards),
  end: Math.floor((rows * (k + 1)) / shards),
})

const planShard = (
  arena: Arena,
  settings: PlanSettings,
  shape: NetworkShape,
  layers: readonly Layer[],
  parameters: Address,
  constants: readonly Address[],
  knownSquares: boolean,
): ShardPlan => {
  const { training, clipping } = settings
  const rows = Math.ceil(settings.batchSize / settings.shards)
  const inputs = arena.take(rows * shape.inputs)
  const targets = training ? arena.take(rows * shape.targets) : 0
  const squares = knownSquares ? arena.take(rows) : 0
  const gradient = training ? arena.take(shape.parameters) : 0
  const scratchBytes = layers.reduce((most, layer) => Math.max(most, layer.needs.scratch(rows)), 0)
  const scratch = arena.take(Math.ceil(scratchBytes / 4))
  const firstTrained = shape.layers.findIndex(({ parameterCount }) => parameterCount > 0)
  let values = inputs
  // the gradient of the inputs is nobody's business
  let slopes = 0
  const frames = shape.layers.map((placed, at): LayerFrame => {
    const { needs } = layers[at] as Layer
    const x = values
    const dx = slopes
    const size = rows * rowSize(placed.output)
    if (!needs.inPlace) {
      values = arena.take(size)
      slopes = training && at >= firstTrained ? arena.take(size) : 0
    }
    const rowGradients =
      training && (needs.rowGradients === "always" || (clipping && needs.rowGradients === "clipping"))
    return {
      x,
      y: values,
      dx,
      dy: slopes,
      parameters: parameters + 4 * placed.parameterStart,
      gradient: gradient + 4 * placed.parameterStart,
      kept: needs.kept > 0 ? arena.take(rows * needs.kept) : 0,
      rowGradients: rowGradients ? arena.take(rows * placed.parameterCount) : 0,
      squares: x === inputs && placed.layer.kind === "dense" ? squares : 0,
      mask: 0,
      constants: constants[at] as Address,
      scratch,
    }
  })
  return {
    inputs,
    targets,
    squares,
    norms: clipping ? arena.take(rows) : 0,
    factors: clipping ? arena.take(rows) : 0,
    losses: training ? arena.take(rows * shape.outputs) : 0,
    outputs: values,
    deltas: slopes,
    gradient,
    frames,
  }
}

/**
 * Lays out the memory of a training or of a prediction.
 *
 * Cost: bytes grow with rows x inputs, and with batchSize x (all numbers between layers)
 * @throws {ConsiliumError} "learning/bad-setting" on a description or setting that cannot be
 */
export const planMemory = (settings: PlanSettings): Plan => {
  const { batchSize, shards, rows, training, clipping } = settings
  const shape = networkShape(settings.description)
  checkWhole("batch size", batchSize, 1)
  checkWhole("number of shards", shards, 1)
  checkWhole("number of rows", rows, 0)
  const layers = shape.layers.map(layerOf)
  const arena = new Arena()
  const header = arena.take(2)
  const clipBound = arena.take(1)
  const indices = arena.take(batchSize)
  const inputs = arena.take(rows * shape.inputs)
  const targets = training ? arena.take(rows * shape.targets) : 0
  const densely = shape.layers.find(({ layer }) => layer.kind !== "flatten")?.layer.kind === "dense"
  const squares = clipping && densely ? arena.take(rows) : 0
  const state = training ? shape.parameters * (1 + settings.moments) : shape.parameters
  const parameters = arena.take(state)
  const masks = layers.map(({ needs }, at) =>
    training && needs.mask ? arena.take(batchSize * rowSize(shape.layers[at]?.output ?? [0])) : 0,
  )
  const constants = layers.map(({ needs }) =>
    needs.constants.length > 0 ? arena.take(needs.constants.length) : 0,
  )
  return {
    settings,
    shape,
    layers,
    header,
    clipBound,
    indices,
    inputs,
    targets,
    squares,
    parameters,
    moments: parameters + 4 * shape.parameters,
    backup: training ? arena.take(state) : 0,
    gradient: training ? arena.take(shape.parameters) : 0,
    noise: training ? arena.take(shape.parameters) : 0,
    masks,
    shards: Array.from({ length: shards }, () =>
      planShard(arena, settings, shape, layers, parameters, constants, squares !== 0),
    ),
    bytes: arena.bytes,
  }
}

/** Writes what never changes into fresh memory. */
export const writeConstants = (kernel: Kernel, plan: Plan): void => {
  const { frames } = plan.shards[0] as ShardPlan
  plan.layers.forEach(({ needs }, at) => {
    kernel.floats.set(needs.constants, (frames[at] as LayerFrame).constants / 4)
  })
}
