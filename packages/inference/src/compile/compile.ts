import { ConsiliumError, isConsiliumError } from "@consilium/base/errors"
import type { Calibration } from "../calibration/calibration.js"
import type { IntegerModel } from "../model/integer-model.js"
import { type ColumnScaling, checkModel, type TrainedModel } from "../model/model.js"
import type { FeatureLayer } from "../plan/feature-program.js"
import {
  checkPlan,
  type InferencePlan,
  type Packing,
  patientsAtMost,
  type WeightsMode,
} from "../plan/plan.js"
import { checkSchema, type InputSchema } from "../schema/fields.js"
import { type Chain, chainOf } from "./chain.js"
import { chooseFeatures } from "./features.js"
import { checkScaling, foldIntoUnits, powerOfTwoAbove, type UnitAffine } from "./fold.js"
import { chooseLinear } from "./linear.js"
import { type LayerProof, noPlan } from "./refusal.js"
import { chooseSquares, type SignedSquares, signedSquares } from "./squares.js"

export interface CompileOptions {
  /** Names for people and logs. */
  readonly model: string
  readonly version: string
  /** What must be known of every answer, such as `synthetic-data`; none unless said otherwise. */
  readonly marks?: readonly string[]
  /** "shared" unless said otherwise. */
  readonly weights?: WeightsMode
  /** The study's or declared; none unless said otherwise. */
  readonly scaling?: ColumnScaling | null
  /** The largest error of a logit: 1e-3 for linear models and 1e-2 for networks unless said otherwise. */
  readonly largestError?: number
  readonly calibration?: Calibration | null
  /** How patients lie in ciphertexts; the first that holds the model unless said otherwise. */
  readonly packing?: Packing
}

export interface CompiledModel {
  /** Public. */
  readonly plan: InferencePlan
  /** For the server alone, unless the model is released. */
  readonly integers: IntegerModel
  /** Why nothing overflows; it tells of the weights. */
  readonly proof: readonly LayerProof[]
}

/** What is chosen for a model, whatever its packing. */
type Choice = Pick<
  InferencePlan,
  | "packing"
  | "degree"
  | "primes"
  | "inputBits"
  | "answerBits"
  | "answerPrimes"
  | "floodBits"
  | "program"
  | "logitBound"
> &
  Pick<CompiledModel, "integers" | "proof"> & { readonly error: number }

const linearChoice = (model: UnitAffine, weights: WeightsMode, wanted: number): Choice => {
  const { parameters, weightBits, ...choice } = chooseLinear(model, weights, wanted)
  const { degree, primes } = parameters
  const answerBits = choice.inputBits + weightBits
  return { ...choice, packing: "lr-coefficients", degree, primes, answerBits, program: null }
}

const squaresChoice = (squares: SignedSquares, columns: number, wanted: number): Choice => {
  const { parameters, weightBits, ...choice } = chooseSquares(squares, columns, wanted)
  const { degree, primes } = parameters
  return {
    ...choice,
    packing: "slots-by-patient",
    degree,
    primes,
    answerBits: 2 * (choice.inputBits + weightBits),
    answerPrimes: primes.length,
    floodBits: null,
    program: null,
  }
}

const featuresChoice = (chain: Chain, wanted: number): Choice => {
  const choice = chooseFeatures(chain, wanted)
  const last = choice.program.layers.at(-1) as FeatureLayer
  return {
    ...choice,
    packing: "slots-by-feature",
    answerBits: last.degree * last.scaleBits,
    answerPrimes: last.primes,
    floodBits: null,
  }
}

/** The first choice, or the second where no plan holds the first. */
const unlessRefused = (first: () => Choice, second: () => Choice): Choice => {
  try {
    return first()
  } catch (error) {
    if (isConsiliumError(error) && error.code === "inference/no-plan") return second()
    throw error
  }
}

/**
 * A plan for evaluating a model on encrypted patients, proven to hold over all that the schema declares, extremes included.
 *
 * @throws {ConsiliumError} "inference/bad-schema", "inference/bad-model", or "inference/no-plan" with the layer that stands in the way
 */
export const compile = (model: TrainedModel, schema: InputSchema, options: CompileOptions): CompiledModel => {
  const { model: name, version, marks = [], weights = "shared", scaling = null, calibration = null } = options
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
  const { packing = null } = options
  const fold = (row: readonly number[], bias: number) => foldIntoUnits(schema, scaling, row, bias)
  const finish = (choice: Choice): CompiledModel => {
    const { integers, proof, error, logitBound, ...rest } = choice
    const shape = { model: name, version, marks, schema, weights, calibration, ...rest }
    const plan: InferencePlan = {
      ...shape,
      patients: patientsAtMost(shape),
      logitBound: weights === "kept" ? powerOfTwoAbove(logitBound) : logitBound,
      errorBound: weights === "kept" ? Math.min(wanted, powerOfTwoAbove(error)) : error,
    }
    checkPlan(plan)
    return { plan, integers, proof }
  }
  if (model.kind === "linear") {
    if (packing !== null && packing !== "lr-coefficients")
      return noPlan(`Layer 1 (linear): linear models are evaluated as lr-coefficients, not as ${packing}.`)
    return finish(linearChoice(fold(model.weights, model.bias), weights, wanted))
  }
  if (packing === "lr-coefficients")
    return noPlan("Layer 2: lr-coefficients holds linear models, not networks.")
  if (weights === "kept")
    return noPlan(
      "Layer 2: a network's weights cannot be kept, only a linear model's; share them or train a linear model.",
    )
  if (packing === "slots-by-patient")
    return finish(squaresChoice(signedSquares(model.layers, fold), columns, wanted))
  const features = () => featuresChoice(chainOf(model.layers, fold), wanted)
  if (packing === "slots-by-feature") return finish(features())
  return finish(
    unlessRefused(() => squaresChoice(signedSquares(model.layers, fold), columns, wanted), features),
  )
}
