import type { Address, Kernel } from "../kernel/kernel.js"

/** Where one layer finds its things in memory, for the rows of one shard. Places that a layer does not use are 0. */
export interface LayerFrame {
  /** Inputs and outputs, row by row. */
  readonly x: Address
  readonly y: Address
  /** Their gradients; dx is 0 where nobody asks for it. */
  readonly dx: Address
  readonly dy: Address
  readonly parameters: Address
  /** Where the sum of the rows' gradients goes. */
  readonly gradient: Address
  /** What the layer keeps of each row between forward and backward. */
  readonly kept: Address
  /** One gradient for each row, where the layer makes them. */
  readonly rowGradients: Address
  /** Squared norms of the rows of x, where they are known beforehand. */
  readonly squares: Address
  /** Factors of a dropout layer, one a number; 0 outside training. */
  readonly mask: Address
  /** Numbers that belong to the layer and never change. */
  readonly constants: Address
  readonly scratch: Address
}

/** What a layer needs of memory. */
export interface LayerNeeds {
  /** Numbers kept of each row. */
  readonly kept: number
  /** Whether the layer makes one gradient a row: always, only for clipping, or never. */
  readonly rowGradients: "always" | "clipping" | "never"
  /** The output takes the place of the input. */
  readonly inPlace: boolean
  readonly mask: boolean
  readonly constants: readonly number[]
  /** Bytes of scratch for `rows` rows. */
  scratch(rows: number): number
}

/** A layer at work. Sums over rows go in the order of the rows. */
export interface Layer {
  readonly needs: LayerNeeds
  forward(kernel: Kernel, frame: LayerFrame, rows: number): void
  /** dx from dy, if dx is asked for. */
  backwardInput(kernel: Kernel, frame: LayerFrame, rows: number): void
  /** The sum of the rows' gradients of the parameters, after `backwardInput`. */
  weightGradient(kernel: Kernel, frame: LayerFrame, rows: number): void
  /** Adds the squared norm of each row's gradient to `out`, after `backwardInput`. */
  perExampleSquaredNorm(kernel: Kernel, frame: LayerFrame, rows: number, out: Address): void
  /**
   * `weightGradient` with each row's gradient multiplied by its factor, after `perExampleSquaredNorm`. May change dy.
   */
  scaledWeightGradient(kernel: Kernel, frame: LayerFrame, rows: number, factors: Address): void
}

const nothing = (): void => undefined

/** The parts of a layer without parameters. */
export const WITHOUT_PARAMETERS = {
  weightGradient: nothing,
  perExampleSquaredNorm: nothing,
  scaledWeightGradient: nothing,
} as const

/** The needs of a layer that has none. */
export const NO_NEEDS: LayerNeeds = {
  kept: 0,
  rowGradients: "never",
  inPlace: false,
  mask: false,
  constants: [],
  scratch: () => 0,
}
