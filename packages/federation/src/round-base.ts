import { bytes, decode, encode, f64Array, fixedBytes, record } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { hash } from "@consilium/base/hash"
import { movedCommon } from "@consilium/learning/control-variates"
import { isCorrected } from "./local-strategy.js"
import { modelFile, modelHashOf, modelParameters } from "./model.js"
import type { Purpose } from "./purpose.js"
import { MAX_VALUES, parameterCount, type Study } from "./study.js"

/** What a round starts from, the same for everyone. */
export interface RoundBase {
  readonly parameters: Float64Array
  /** The common control variate, c of SCAFFOLD; null where steps are not corrected. */
  readonly control: Float64Array | null
}

/** The common control variate before the first round. */
export const startControl = (study: Study): Float64Array | null =>
  isCorrected(study) ? new Float64Array(parameterCount(study)) : null

/**
 * The common control variate after a sum was opened. Anybody who knows the opened sums can compute it: facilities send
 * nothing for it beside their updates.
 *
 * @throws {ConsiliumError} "learning/..."
 */
export const moveControl = (
  study: Study,
  control: Float64Array | null,
  meanUpdate: Float64Array,
  cohort: number,
  enrolled: number,
): Float64Array | null =>
  control === null ? null : movedCommon(control, meanUpdate, cohort / enrolled, study.training)

const hashedBase = record({ model: fixedBytes(32), control: f64Array(MAX_VALUES) })

/** The hash by which a round names what it starts from: that of the model, and of the control variate where there is one. */
export const baseHash = (study: Study, { parameters, control }: RoundBase): Uint8Array => {
  const model = modelHashOf(study, parameters)
  return control === null ? model : hash("corrected-base", encode(hashedBase, { model, control }))
}

const correctedBase = record({ model: bytes(16 << 20), control: f64Array(MAX_VALUES) })

/** What a round starts from, as its announcement carries it: a model file, with the control variate where there is one. */
export const encodeBase = (study: Study, { parameters, control }: RoundBase, round: number): Uint8Array => {
  const model = modelFile(study, parameters, round)
  return control === null ? model : encode(correctedBase, { model, control })
}

/**
 * What an announcement carries, if it fits the study. Figures are about a model alone.
 * @throws {ConsiliumError} "round/wrong-model", "model/...", "encoding/..."
 */
export const decodeBase = (study: Study, purpose: Purpose, carried: Uint8Array): RoundBase => {
  if (!isCorrected(study) || purpose !== "update")
    return { parameters: modelParameters(study, carried), control: null }
  const { model, control } = decode(correctedBase, carried)
  if (control.length !== parameterCount(study))
    throw new ConsiliumError(
      "round/wrong-model",
      `A control variate of ${control.length} values was announced where ${parameterCount(study)} were expected.`,
    )
  return { parameters: modelParameters(study, model), control }
}
