import { equalBytes } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { type RandomSource, systemRandom } from "@consilium/base/random"
import type { IntegerModel, SlotLayer } from "../model/integer-model.js"
import type { InferencePlan } from "../plan/plan.js"
import { answerToBytes } from "../wire/answer.js"
import {
  type AskingKey,
  type EvaluationKey,
  type MaskingKey,
  maskingKeyFromBytes,
} from "../wire/asking-key.js"
import { evaluationKeyFromBytes } from "../wire/evaluation-key.js"
import { PreparedPlan } from "../wire/prepared-plan.js"
import {
  type InferenceRequest,
  type RequestHead,
  readRequestHead,
  requestFromBytes,
  type SeededCiphertext,
} from "../wire/request.js"
import { FeatureEvaluation } from "./features.js"
import { LinearEvaluation } from "./linear.js"
import { SquaresEvaluation } from "./squares.js"

/** Whether the shape of a model is the one that a plan says. */
const belongTogether = ({ packing, program, schema }: InferencePlan, integers: IntegerModel): boolean => {
  const columns = schema.columns.length
  if (integers.kind === "linear") return packing === "lr-coefficients" && integers.weights.length === columns
  if (integers.kind === "squares")
    return packing === "slots-by-patient" && integers.units.every(({ weights }) => weights.length === columns)
  const { layers, imaginary } = integers
  return (
    program !== null &&
    program.layers.length === layers.length &&
    layers.at(-1)?.weights.length === imaginary.length &&
    program.layers.every(({ width, degree }, l) => {
      const { weights, biases, slopes } = layers[l] as SlotLayer
      const from = l === 0 ? columns : (layers[l - 1] as SlotLayer).weights.length
      return (
        weights.length === width &&
        biases.length === width &&
        slopes.length === (degree === 3 ? width : 0) &&
        weights.every((row) => row.length === from)
      )
    })
  )
}

/**
 * A model that answers on ciphertexts. It holds no key, and keeps nothing between requests: keys of askers, nonces and budgets are
 * handed to it.
 */
export class ModelServer {
  readonly prepared: PreparedPlan
  readonly #evaluation: LinearEvaluation | SquaresEvaluation | FeatureEvaluation

  /** @throws {ConsiliumError} as `checkPlan`, "inference/bad-model" if plan and model do not belong together */
  constructor({ plan, integers }: { readonly plan: InferencePlan; readonly integers: IntegerModel }) {
    this.prepared = new PreparedPlan(plan)
    if (!belongTogether(plan, integers))
      throw new ConsiliumError(
        "inference/bad-model",
        "A plan and a model in whole numbers do not belong together.",
      )
    if (integers.kind === "linear") this.#evaluation = new LinearEvaluation(this.prepared, integers)
    else if (integers.kind === "squares") this.#evaluation = new SquaresEvaluation(this.prepared, integers)
    else this.#evaluation = new FeatureEvaluation(this.prepared, integers)
  }

  /**
   * How many answers a request asks for and with which key, for budgets: nothing else is looked at.
   * @throws {ConsiliumError} "inference/malformed", "inference/other-plan", "inference/too-many"
   */
  head(request: Uint8Array): RequestHead {
    return readRequestHead(this.prepared, request)
  }

  /**
   * The public key of its bytes, to be kept by its id.
   * @throws {ConsiliumError} as `maskingKeyFromBytes`
   */
  readKey(nonce: Uint8Array, bytes: Uint8Array): AskingKey {
    const { prepared } = this
    return prepared.program === null
      ? maskingKeyFromBytes(prepared, nonce, bytes)
      : evaluationKeyFromBytes(prepared, nonce, bytes)
  }

  /**
   * The answer to a request. Nothing larger than the plan says is set aside, whatever is sent.
   * @throws {ConsiliumError} "inference/malformed", "inference/other-plan", "inference/too-many", "lattice/malformed",
   *   "inference/unknown-key"
   */
  answer(
    bytes: Uint8Array,
    { key, random = systemRandom }: { readonly key?: AskingKey; readonly random?: RandomSource } = {},
  ): Uint8Array {
    const { prepared } = this
    const { keyId } = readRequestHead(prepared, bytes)
    if (keyId !== null && (key === undefined || !equalBytes(key.id, keyId)))
      throw new ConsiliumError(
        "inference/unknown-key",
        "A request names a key that is not the one given for it.",
      )
    const request = requestFromBytes(prepared, bytes)
    const requestId = (request.ciphertexts[0] as SeededCiphertext).seed
    const parts = this.#evaluate(request, key, random)
    return answerToBytes(prepared, { patients: request.patients, requestId, parts })
  }

  #evaluate(
    { ciphertexts, patients, keyId }: InferenceRequest,
    key: AskingKey | undefined,
    random: RandomSource,
  ) {
    const evaluation = this.#evaluation
    if (evaluation instanceof SquaresEvaluation) return evaluation.evaluate(ciphertexts)
    if (evaluation instanceof FeatureEvaluation) return evaluation.evaluate(ciphertexts, key as EvaluationKey)
    const product = evaluation.product(ciphertexts[0] as SeededCiphertext)
    return keyId === null ? product : evaluation.kept(product, patients, key as MaskingKey, random)
  }
}
