import type { Digest } from "@consilium/base/hash"
import type { Ring } from "@consilium/lattice/ring/ring"
import type { RlweParameters } from "@consilium/lattice/rlwe/parameters"
import { groupCount } from "@consilium/lattice/rlwe/switching-key"
import { type FeatureStage, PreparedProgram } from "../plan/feature-stages.js"
import {
  answerParts,
  checkPlan,
  ciphertextsOf,
  type InferencePlan,
  parametersOf,
  planHash,
} from "../plan/plan.js"
import {
  DIGEST_BYTES,
  HEAD_BYTES,
  MOST_KEY_BYTES,
  MOST_REQUEST_BYTES,
  malformed,
  SEED_BYTES,
} from "./head.js"

/** Bytes of the keys of a stage. */
const stageKeyBytes = ({ parameters, exponents, relinearises }: FeatureStage): number =>
  (exponents.length + (relinearises ? 1 : 0)) * groupCount(parameters) * parameters.keyRing.packedLength

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
  /** Bytes of what an asker uploads once; 0 where it uploads nothing. */
  readonly keyBytes: number
  /** The layers with their rings, where features lie in slots. */
  readonly program: PreparedProgram | null

  /** @throws {ConsiliumError} as `checkPlan`; "inference/malformed" if keys or requests would be larger than any plan's may be */
  constructor(plan: InferencePlan) {
    checkPlan(plan)
    this.plan = plan
    this.hash = planHash(plan)
    const columns = plan.schema.columns.length
    this.program = plan.program === null ? null : new PreparedProgram(plan.program, { ...plan, columns })
    this.parameters = this.program?.stages[0]?.parameters ?? parametersOf(plan)
    this.answerRing = this.parameters.ringOf(plan.answerPrimes)
    this.ciphertexts = ciphertextsOf(plan)
    this.answerParts = answerParts(plan)
    this.takesKey = plan.weights === "kept" || this.program !== null
    const { packedLength } = this.parameters.ring
    this.requestBytes =
      HEAD_BYTES + (this.takesKey ? DIGEST_BYTES : 0) + this.ciphertexts * (packedLength + SEED_BYTES)
    if (this.requestBytes > MOST_REQUEST_BYTES)
      malformed(
        `A plan wants requests of ${this.requestBytes} bytes; there are ${MOST_REQUEST_BYTES} at most.`,
      )
    this.answerBytes = HEAD_BYTES + SEED_BYTES + this.answerParts * this.answerRing.packedLength
    const keys =
      this.program === null
        ? packedLength
        : this.program.stages.reduce((sum, stage) => sum + stageKeyBytes(stage), 0)
    this.keyBytes = this.takesKey ? HEAD_BYTES + DIGEST_BYTES + keys : 0
    if (this.keyBytes > MOST_KEY_BYTES)
      malformed(`A plan wants keys of ${this.keyBytes} bytes; there are ${MOST_KEY_BYTES} at most.`)
  }
}
