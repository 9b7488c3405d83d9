import type { Digest } from "@consilium/base/hash"
import type { Ring } from "@consilium/lattice/ring/ring"
import type { RlweParameters } from "@consilium/lattice/rlwe/parameters"
import {
  answerParts,
  checkPlan,
  ciphertextsOf,
  type InferencePlan,
  parametersOf,
  planHash,
} from "../plan/plan.js"
import { DIGEST_BYTES, HEAD_BYTES, SEED_BYTES } from "./head.js"

/** A checked plan with its hash, its ring, and the one length that each message of it has. */
export class PreparedPlan {
  readonly plan: InferencePlan
  readonly hash: Digest
  readonly parameters: RlweParameters
  readonly answerRing: Ring
  readonly ciphertexts: number
  readonly answerParts: number
  /** Bytes of a request. */
  readonly requestBytes: number
  /** Bytes of an answer. */
  readonly answerBytes: number
  /** Whether an asker uploads a key before it asks. */
  readonly takesKey: boolean
  /** Bytes of a key for asking. */
  readonly keyBytes: number

  /** @throws {ConsiliumError} as `checkPlan` */
  constructor(plan: InferencePlan) {
    checkPlan(plan)
    this.plan = plan
    this.hash = planHash(plan)
    this.parameters = parametersOf(plan)
    this.answerRing = this.parameters.ringOf(plan.answerPrimes)
    this.ciphertexts = ciphertextsOf(plan)
    this.answerParts = answerParts(plan)
    this.takesKey = plan.weights === "kept"
    const { packedLength } = this.parameters.ring
    this.requestBytes =
      HEAD_BYTES + (this.takesKey ? DIGEST_BYTES : 0) + this.ciphertexts * (packedLength + SEED_BYTES)
    this.answerBytes = HEAD_BYTES + SEED_BYTES + this.answerParts * this.answerRing.packedLength
    this.keyBytes = HEAD_BYTES + DIGEST_BYTES + packedLength
  }
}
