import { encode, u32 } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { addFrames } from "../sums/added-updates.js"
import type { Answer, EncryptedSum } from "../sums/encrypted-sum.js"
import { frameBody, frameTag } from "../sums/frame.js"
import type { OpeningRequest } from "../sums/seed-ledger.js"
import {
  checkCohort,
  type Point,
  pointBytes,
  type SumContext,
  sortedPoints,
  sumId,
} from "../sums/sum-context.js"
import type { ThresholdParameters } from "./threshold-parameters.js"

/**
 * Threshold sums for those who hold no key: adding updates, and opening a sum from the answers of T.
 *
 * Math:   sum c_i - sum of answers = Delta sum u_i + sum e_i - sum of floods, rounded; c_i and answers: `threshold-sum.ts`
 * Shape:  updates, sums and partial openings: 24 bytes and the packed polynomials
 * Error:  none: sums are exact while every value is within `largest`
 */
export class ThresholdPublicSum implements EncryptedSum {
  readonly parameters: ThresholdParameters

  constructor(parameters: ThresholdParameters) {
    this.parameters = parameters
  }

  /** Bytes of an update, a sum and a partial opening. */
  get payloadLength(): number {
    return 24 + this.parameters.blocks * this.parameters.ring.packedLength
  }
  protected updateTag(context: SumContext): Uint8Array {
    return frameTag("update", this.parameters.id(), sumId(context))
  }

  /**
   * The sum of updates, or of sums of updates. Nothing is changed if one is refused.
   * @throws {ConsiliumError} "lattice/malformed", "lattice/other-sum"
   */
  add(context: SumContext, updates: readonly Uint8Array[]): Uint8Array {
    const { ring, blocks } = this.parameters
    return addFrames(ring, this.updateTag(context), blocks, updates)
  }

  protected openers({ cohort, active }: OpeningRequest): {
    cohort: readonly Point[]
    active: readonly Point[]
  } {
    const { facilities, threshold } = this.parameters.literal
    const sorted = { cohort: sortedPoints(cohort, facilities), active: sortedPoints(active, facilities) }
    if (sorted.active.length !== threshold)
      throw new ConsiliumError(
        "lattice/bad-opening",
        `${sorted.active.length} facilities were to open; it takes exactly ${threshold}.`,
      )
    checkCohort(sorted.cohort)
    return sorted
  }
  protected openingTag(request: OpeningRequest, point: Point): Uint8Array {
    const { cohort, active } = this.openers(request)
    return frameTag(
      "opening",
      this.parameters.id(),
      sumId(request.context),
      pointBytes(cohort),
      pointBytes(active),
      encode(u32, point),
    )
  }

  /**
   * The exact sum of the cohort's values.
   *
   * Shape:  sum: as `add` gives it, over exactly the cohort; partials: one of each facility of T
   * @throws {ConsiliumError} "lattice/bad-opening" if T is not complete or the remainder is beyond errors and flooding,
   *   "lattice/out-of-range" if a sum is beyond n B_u, "lattice/malformed", "lattice/other-sum"
   */
  open(request: OpeningRequest, sum: Uint8Array, partials: readonly Answer[]): Int32Array {
    const { ring, codec, literal, blocks, noise } = this.parameters
    const { active } = this.openers(request)
    const points = sortedPoints(
      partials.map(({ point }) => point),
      literal.facilities,
    )
    if (points.length !== active.length || points.some((point, i) => point !== active[i]))
      throw new ConsiliumError(
        "lattice/bad-opening",
        `Answers of facilities ${points.join(", ")} were given where ${active.join(", ")} open.`,
      )
    const length = blocks * ring.packedLength
    const summed = frameBody(sum, this.updateTag(request.context), length, "A sum")
    const bodies = partials.map(({ point, opening }) =>
      frameBody(opening, this.openingTag(request, point), length, `The answer of facility ${point}`),
    )
    const out = new Int32Array(literal.values)
    const [total, masks] = [ring.zeroCoefficients(), ring.zeroCoefficients()]
    for (let block = 0; block < blocks; block++) {
      const part = (bytes: Uint8Array): Uint8Array =>
        bytes.subarray(block * ring.packedLength, (block + 1) * ring.packedLength)
      ring.unpackCoefficients(part(summed), total)
      masks.fill(0)
      for (const body of bodies) ring.addPacked(masks, part(body))
      const { values, remainder } = codec.decode(ring.subtract(total, masks, total))
      if (remainder > noise)
        throw new ConsiliumError(
          "lattice/bad-opening",
          `Polynomial ${block} does not open: its remainder is beyond all errors and flooding.`,
        )
      out.set(values.subarray(0, literal.values - block * codec.capacity), block * codec.capacity)
    }
    return out
  }
}
