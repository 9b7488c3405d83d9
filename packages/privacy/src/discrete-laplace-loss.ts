import { exp, expm1 } from "./math.js"
import type { LossAtom } from "./rdp-divergence.js"

/** Pieces that a long loss law is cut into. */
const PIECES = 64
/** Above this sensitivity the discrete Laplace mechanism is accounted as any mechanism of its pure epsilon. */
const LONGEST = 2 ** 20

/**
 * The distribution, under P, of the privacy loss of the discrete Laplace mechanism on one whole number; null where the
 * sensitivity is beyond 2^20.
 *
 * Math:   the loss is sensitivity / scale at and below 0, its negative at and above the sensitivity, and linear between.
 *         Beyond 128 values the inner ones are cut into 64 pieces, and what a piece holds is moved to its two ends so
 *         that its mass under P and under Q stays what it was: the ratio of P and Q then spreads about the same mean, which no convex
 *         divergence can shrink
 * Units:  scale and sensitivity in grid steps; losses in nats
 * Error:  none up to a sensitivity of 128; beyond it divergences rise by less than 1e-4 of themselves for losses up to 1
 * Source: Ghosh, Roughgarden and Sundararajan 2012, section 2 (the mechanism); the ends of a piece as in Doroshenko et al.
 *         2022 (arXiv:2207.04380), "connect the dots"
 */
export const discreteLaplaceLoss = (scale: number, sensitivity: number): readonly LossAtom[] | null => {
  if (sensitivity > LONGEST) return null
  const decay = exp(-1 / scale)
  const atoms: LossAtom[] = [
    { loss: sensitivity / scale, probability: 1 / (1 + decay) },
    { loss: -sensitivity / scale, probability: exp(-sensitivity / scale) / (1 + decay) },
  ]
  const peak = -expm1(-1 / scale) / (1 + decay)
  const lossAt = (x: number): number => (sensitivity - 2 * x) / scale
  const massAt = (x: number): number => peak * exp(-x / scale)
  const inner = sensitivity - 1
  if (inner < 2 * PIECES) {
    for (let x = 1; x <= inner; x++) atoms.push({ loss: lossAt(x), probability: massAt(x) })
    return atoms
  }
  for (let piece = 0; piece < PIECES; piece++) {
    const first = 1 + Math.floor((piece * inner) / PIECES)
    const last = Math.floor(((piece + 1) * inner) / PIECES)
    let mass = 0
    let upper = 0
    for (let x = first; x <= last; x++) {
      const here = massAt(x)
      mass += here
      // the share of the upper end: (1 - e^(low - t)) / (1 - e^(low - high))
      upper += here * (expm1((-2 * (last - x)) / scale) / expm1((-2 * (last - first)) / scale))
    }
    atoms.push({ loss: lossAt(first), probability: upper })
    atoms.push({ loss: lossAt(last), probability: Math.max(0, mass - upper) })
  }
  return atoms
}
