import { encode, u32 } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { type Digest, hash } from "@consilium/base/hash"
import { reconstructor } from "../ring/crt.js"
import type { Evaluations } from "../ring/ring.js"
import { addFrames } from "../sums/added-updates.js"
import type { Answer, EncryptedSum } from "../sums/encrypted-sum.js"
import { frameBody, frameTag } from "../sums/frame.js"
import { interpolate } from "../sums/polynomial-sharing.js"
import type { SumRequest } from "../sums/seed-ledger.js"
import {
  checkCohort,
  type Point,
  pointBytes,
  polynomialSeed,
  type SumContext,
  sortedPoints,
  sumId,
} from "../sums/sum-context.js"
import type { MaskedParameters } from "./masked-parameters.js"

/**
 * Masked sums for those who hold no key: adding updates, and opening a sum from any t answers.
 *
 * Math:   from t answers sum s_i; sum c_i - A_j sum s_i = Delta sum u_i + sum e_i, rounded; c_i and s_i: `masked-sum.ts`
 * Shape:  updates and sums: 24 bytes and the packed polynomials; shares and answers: 24 bytes and one packed key
 * Error:  none: sums are exact while every value is within `largest`
 */
export class MaskedPublicSum implements EncryptedSum {
  readonly parameters: MaskedParameters

  constructor(parameters: MaskedParameters) {
    this.parameters = parameters
  }

  /** Bytes of an update and of a sum. */
  get payloadLength(): number {
    return 24 + this.parameters.blocks * this.parameters.ring.packedLength
  }
  /** Bytes of a share and of an answer. */
  get shareLength(): number {
    return 24 + this.parameters.keyRing.packedLength
  }
  protected updateTag(context: SumContext): Uint8Array {
    return frameTag("update", this.parameters.id(), sumId(context))
  }
  /** What a share is bound to, as the associated data of its encryption: attempt, dealer and recipient. */
  shareAssociatedData(context: SumContext, dealer: Point, recipient: Point): Digest {
    return hash(
      "lattice/mask-share",
      this.parameters.id(),
      sumId(context),
      encode(u32, dealer),
      encode(u32, recipient),
    )
  }
  protected shareTag(context: SumContext, dealer: Point, recipient: Point): Uint8Array {
    return frameTag("mask-share", this.shareAssociatedData(context, dealer, recipient))
  }
  protected openingTag(request: SumRequest, point: Point): Uint8Array {
    const { facilities } = this.parameters.literal
    const cohort = sortedPoints(request.cohort, facilities)
    checkCohort(cohort)
    return frameTag(
      "mask-opening",
      this.parameters.id(),
      sumId(request.context),
      pointBytes(cohort),
      encode(u32, point),
    )
  }

  /** Whether bytes are a share of this sum from this dealer to this recipient. */
  isShare(context: SumContext, dealer: Point, recipient: Point, bytes: Uint8Array): boolean {
    const { keyRing } = this.parameters
    try {
      const tag = this.shareTag(context, dealer, recipient)
      keyRing.unpackEvaluations(frameBody(bytes, tag, keyRing.packedLength, "A share of a mask"))
      return true
    } catch (error) {
      if (error instanceof ConsiliumError) return false
      throw error
    }
  }

  /** The sum of updates, or of sums of updates. @throws {ConsiliumError} "lattice/malformed", "lattice/other-sum" */
  add(context: SumContext, updates: readonly Uint8Array[]): Uint8Array {
    const { ring, blocks } = this.parameters
    return addFrames(ring, this.updateTag(context), blocks, updates)
  }

  /** The sum of the cohort's keys, from all answers there are. */
  #keySum(request: SumRequest, answers: readonly Answer[]): Evaluations {
    const { ring, keyRing, literal } = this.parameters
    const points = sortedPoints(
      answers.map(({ point }) => point),
      literal.facilities,
    )
    if (points.length < literal.threshold)
      throw new ConsiliumError(
        "lattice/bad-opening",
        `${points.length} answers were given; opening takes ${literal.threshold}.`,
      )
    const read = answers.map(({ point, opening }) => {
      const what = `The answer of facility ${point}`
      const body = frameBody(opening, this.openingTag(request, point), keyRing.packedLength, what)
      return { point, value: keyRing.unpackEvaluations(body) }
    })
    const [enough, more] = [read.slice(0, literal.threshold), read.slice(literal.threshold)]
    for (const { point, value } of more) {
      const expected = interpolate(keyRing, enough, point)
      if (expected.some((word, i) => word !== value[i]))
        throw new ConsiliumError("lattice/bad-opening", "The answers lie on no one polynomial: one is false.")
    }
    const sum = interpolate(keyRing, enough)
    if (literal.keys === "uniform") return sum
    const reconstruct = reconstructor(keyRing.primes)
    const small = Int32Array.from(keyRing.inverse(sum), (residue) => Number(reconstruct([residue])))
    return ring.forward(ring.fromSmall(small))
  }

  /**
   * The exact sum of the cohort's values, from at least t answers; all that are given are checked against each other.
   *
   * @throws {ConsiliumError} "lattice/bad-opening" if answers are too few, contradict each other, or the remainder is
   *   beyond all errors; "lattice/out-of-range", "lattice/malformed", "lattice/other-sum"
   */
  open(request: SumRequest, sum: Uint8Array, answers: readonly Answer[]): Int32Array {
    const { ring, codec, literal, blocks, noise } = this.parameters
    const length = blocks * ring.packedLength
    const summed = frameBody(sum, this.updateTag(request.context), length, "A sum")
    const key = this.#keySum(request, answers)
    const out = new Int32Array(literal.values)
    const [total, mask] = [ring.zeroCoefficients(), ring.zeroEvaluations()]
    for (let block = 0; block < blocks; block++) {
      ring.unpackCoefficients(
        summed.subarray(block * ring.packedLength, (block + 1) * ring.packedLength),
        total,
      )
      ring.uniform(polynomialSeed("masked-sum", request.context, block), mask)
      const masked = ring.inverse(ring.multiply(mask, key, mask), mask)
      const { values, remainder } = codec.decode(ring.subtract(total, masked, total))
      if (remainder > noise)
        throw new ConsiliumError(
          "lattice/bad-opening",
          `Polynomial ${block} does not open: its remainder is beyond all errors.`,
        )
      out.set(values.subarray(0, literal.values - block * codec.capacity), block * codec.capacity)
    }
    return out
  }
}
