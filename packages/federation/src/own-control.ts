import { nextControl } from "@consilium/learning/control-variates"
import type { Correction } from "@consilium/learning/correction"
import type { LocalState } from "./local-state.js"
import type { Study } from "./study.js"

/** What of a round decides a facility's control variate: no row is among it. */
export interface ControlledRound {
  readonly study: Study
  readonly spec: { readonly model: Uint8Array }
  /** The common control variate as the round's announcement gives it; null where steps are not corrected. */
  readonly common?: Float64Array | null
  readonly local: LocalState
}

/** The correction of a round's steps; null in a study without. Before a facility's first counted round its own is zero. */
export const correctionOf = ({ common = null, local }: ControlledRound): Correction | null =>
  common === null ? null : { own: local.control ?? new Float64Array(common.length), common }

/**
 * What the facility's control variate becomes if its integers are opened in a sum. It is computed from the integers that are
 * sent, clipped, rounded and with whatever noise they carry, and from nothing else of the training: so it fits the common
 * one, which everybody computes from their sum, and costs no privacy that they did not cost.
 *
 * Shape: rounded: one integer for each parameter, in units of 2^-f, not weighed
 */
export const withNextControl = (round: ControlledRound, rounded: Int32Array): LocalState => {
  const correction = correctionOf(round)
  if (correction === null) return round.local
  const { study, spec, local } = round
  const unit = 2 ** -study.quantisation.fractionBits
  const update = Float64Array.from(rounded, (value) => value * unit)
  const control = nextControl(correction, update, study.training)
  return { ...local, nextControl: { base: spec.model, control } }
}
