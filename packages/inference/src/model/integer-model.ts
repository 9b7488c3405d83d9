/** A linear model in whole numbers: weights times two to some power, the bias times that and the inputs' power. */
export interface IntegerLinear {
  readonly kind: "linear"
  readonly weights: Int32Array
  readonly bias: bigint
}

/** A hidden unit whose square is added to the logit or taken from it. */
export interface IntegerUnit {
  readonly weights: Int32Array
  readonly bias: bigint
  readonly sign: 1 | -1
}

/** A sum of signed squares in whole numbers. */
export interface IntegerSquares {
  readonly kind: "squares"
  readonly units: readonly IntegerUnit[]
  readonly bias: bigint
}

/** What a server computes: the operator's secret unless the model is released. */
export type IntegerModel = IntegerLinear | IntegerSquares
