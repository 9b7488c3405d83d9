import { equalBytes } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { type RandomSource, systemRandom } from "@consilium/base/random"
import type { IntegerModel } from "../model/integer-model.js"
import type { InferencePlan } from "../plan/plan.js"
import { answerToBytes } from "../wire/answer.js"
import { type AskingKey, askingKeyFromBytes } from "../wire/asking-key.js"
import { PreparedPlan } from "../wire/prepared-plan.js"
import {
  type InferenceRequest,
  type RequestHead,
  readRequestHead,
  requestFromBytes,
  type SeededCiphertext,
} from "../wire/request.js"
import { LinearEvaluation } from "./linear.js"
import { SquaresEvaluation } from "./squares.js"

/**
 * A model that answers on ciphertexts. It holds no key, and keeps nothing between requests: keys of askers, nonces and budgets are
 * handed to it.
 */
export class ModelServer {
  readonly prepared: PreparedPlan
  readonly #evaluation: LinearEvaluation | SquaresEvaluation

  /** @throws {ConsiliumError} as `checkPlan`, "inference/bad-model" if plan and model do not belong together */
  constructor({ plan, integers }: { readonly plan: InferencePlan; readonly integers: IntegerModel }) {
    this.prepared = new PreparedPlan(plan)
    const linear = integers.kind === "linear"
    const widths = linear ? [integers.weights.length] : integers.units.map(({ weights }) => weights.length)
    if (
      linear !== (plan.packing === "lr-coefficients") ||
      widths.some((width) => width !== plan.schema.columns.length)
    )
      throw new ConsiliumError(
        "inference/bad-model",
        "A plan and a model in whole numbers do not belong together.",
      )
    this.#evaluation = linear
      ? new LinearEvaluation(this.prepared, integers)
      : new SquaresEvaluation(this.prepared, integers)
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
   * @throws {ConsiliumError} as `askingKeyFromBytes`
   */
  readKey(nonce: Uint8Array, bytes: Uint8Array): AskingKey {
    return askingKeyFromBytes(this.prepared, nonce, bytes)
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
    const product = evaluation.product(ciphertexts[0] as SeededCiphertext)
    return keyId === null ? product : evaluation.kept(product, patients, key as AskingKey, random)
  }
}
