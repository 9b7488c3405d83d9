import type { LayerDescription, NetworkDescription } from "@consilium/learning/network/description"

/** An activation that is a polynomial, and how far from 0 it may be used. */
export interface EncryptableActivation {
  readonly layer: Extract<LayerDescription, { kind: "square" | "polynomial" }>
  /** The polynomial does what it is there for on [-interval, interval]. */
  readonly interval: number
}

/**
 * The logistic function as a polynomial of degree 3.
 *
 * Math:   0.5 + 0.197 x - 0.004 x^3 on [-5, 5]
 * Error:  at most .052 from the logistic function there; beyond 4.06 it falls, and beyond 8.1 it is below 0
 * Source: Chen, Gilad-Bachrach, Han, Huang, Jalali, Laine and Lauter 2018, eprint 2018/462
 */
export const SIGMOID_CUBIC: EncryptableActivation = {
  layer: { kind: "polynomial", coefficients: [0.5, 0.197, 0, -0.004] },
  interval: 5,
}

/**
 * x^2. It is fitted to nothing; the interval keeps what follows from growing beyond what a scale has room for.
 *
 * Source: Gilad-Bachrach et al. 2016 (CryptoNets)
 */
export const SQUARE_ACTIVATION: EncryptableActivation = { layer: { kind: "square" }, interval: 5 }

/** A network of one hidden layer and one logit that can be computed on encrypted patients. */
export const encryptableNetwork = (
  inputs: number,
  hidden: number,
  activation: EncryptableActivation,
): NetworkDescription => ({
  input: [inputs],
  layers: [{ kind: "dense", outputs: hidden }, activation.layer, { kind: "dense", outputs: 1 }],
  loss: "sigmoid-cross-entropy",
})
