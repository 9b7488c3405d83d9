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

/** A dense layer whose numbers become whole ones where they are encoded into slots, and its activation. */
export interface SlotLayer {
  /** weights[o][i]: from input i to unit o. */
  readonly weights: readonly Float64Array[]
  readonly biases: Float64Array
  /** p of the activation y^3 + p y, one a unit; none where the activation is a square. */
  readonly slopes: Float64Array
}

/** A network whose logit is the sum of its last activations and a bias. */
export interface SlotNetwork {
  readonly kind: "slots"
  readonly layers: readonly SlotLayer[]
  /** Units of the last layer that are taken as imaginary numbers, so that their squares are subtracted. */
  readonly imaginary: readonly boolean[]
  readonly bias: number
}

/** What a server computes: the operator's secret unless the model is released. */
export type IntegerModel = IntegerLinear | IntegerSquares | SlotNetwork
