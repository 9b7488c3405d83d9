import { ConsiliumError } from "@consilium/base/errors"
import type { Calibration } from "../calibration/calibration.js"
import type { IntegerModel } from "../model/integer-model.js"
import { type ColumnScaling, checkModel, type TrainedModel } from "../model/model.js"
import { checkPlan, type InferencePlan, patientsPerCiphertext, type WeightsMode } from "../plan/plan.js"
import { checkSchema, type InputSchema } from "../schema/fields.js"
import { checkScaling, foldIntoUnits, powerOfTwoAbove } from "./fold.js"
import { chooseLinear } from "./linear.js"
import { type LayerProof, noPlan } from "./refusal.js"
import { chooseSquares, signedSquares } from "./squares.js"

export interface CompileOptions {
  /** Names for people and logs. */
  readonly model: string
  readonly version: string
  /** "shared" unless said otherwise. */
  readonly weights?: WeightsMode
  /** The study's or declared; none unless said otherwise. */
  readonly scaling?: ColumnScaling | null
  /** The largest error of a logit: 1e-3 for linear models and 1e-2 for networks unless said otherwise. */
  readonly largestError?: number
  readonly calibration?: Calibration | null
}

export interface CompiledModel {
  /** Public. */
  readonly plan: InferencePlan
  /** For the server alone, unless the model is released. */
  readonly integers: IntegerModel
  /** Why nothing overflows; it tells of the weights. */
  readonly proof: readonly LayerProof[]
}

/**
 * A plan for evaluating a model on encrypted patients, proven to hold over all that the schema declares, extremes included.
 *
 * @throws {ConsiliumError} "inference/bad-schema", "inference/bad-model", or "inference/no-plan" with the layer that stands in the way
 */
export const compile = (model: TrainedModel, schema: InputSchema, options: CompileOptions): CompiledModel => {
  const { weights = "shared", scaling = null, calibration = null } = options
  checkSchema(schema)
  const columns = schema.columns.length
  checkModel(model, columns)
  checkScaling(scaling, columns)
  const wanted = options.largestError ?? (model.kind === "linear" ? 1e-3 : 1e-2)
  if (!(wanted > 0 && wanted < 1))
    throw new ConsiliumError(
      "inference/bad-model",
      `The largest error of a logit is in (0, 1), not ${wanted}.`,
    )
  const named = { model: options.model, version: options.version, schema, weights, calibration }
  const finish = (
    choice: Pick<
      ReturnType<typeof chooseLinear>,
      "parameters" | "inputBits" | "answerPrimes" | "floodBits" | "error" | "logitBound" | "proof"
    > & { readonly integers: IntegerModel },
    packing: InferencePlan["packing"],
    answerBits: number,
  ): CompiledModel => {
    const { parameters, inputBits, answerPrimes, floodBits, error, logitBound } = choice
    const { degree, primes } = parameters
    const plan: InferencePlan = {
      ...named,
      packing,
      degree,
      primes,
      inputBits,
      answerBits,
      answerPrimes,
      floodBits,
      patients: patientsPerCiphertext(packing, degree, columns),
      logitBound: weights === "kept" ? powerOfTwoAbove(logitBound) : logitBound,
      errorBound: weights === "kept" ? Math.min(wanted, powerOfTwoAbove(error)) : error,
    }
    checkPlan(plan)
    return { plan, integers: choice.integers, proof: choice.proof }
  }
  if (model.kind === "linear") {
    const choice = chooseLinear(foldIntoUnits(schema, scaling, model.weights, model.bias), weights, wanted)
    return finish(choice, "lr-coefficients", choice.inputBits + choice.weightBits)
  }
  if (weights === "kept")
    return noPlan(
      "Layer 2: a network's weights cannot be kept, only a linear model's; share them or train a linear model.",
    )
  const squares = signedSquares(model.layers, (row, bias) => foldIntoUnits(schema, scaling, row, bias))
  const choice = chooseSquares(squares, columns, wanted)
  return finish(
    { ...choice, answerPrimes: choice.parameters.primes.length, floodBits: null },
    "slots-by-patient",
    2 * (choice.inputBits + choice.weightBits),
  )
}
