import { ConsiliumError } from "@consilium/base/errors"
import type { RandomSource } from "@consilium/base/random"
import { ERROR_PAIRS } from "../ring/ring.js"
import { checkVector, packedFrame } from "../sums/added-updates.js"
import { lagrange } from "../sums/polynomial-sharing.js"
import { type OpeningRequest, openBinding, type Permit, protectBinding } from "../sums/seed-ledger.js"
import { type Point, polynomialSeed, type SumContext } from "../sums/sum-context.js"
import type { EpochKey, HeldShare } from "./epoch-key.js"
import { ceremonyId } from "./key-check.js"
import { ThresholdPublicSum } from "./public-sum.js"

/**
 * Sums under own keys and common polynomials: everybody computes A_j, so nobody can choose it; each encrypts under its
 * own key, so nothing of another can be copied in; t facilities open the sum of a cohort and nothing else.
 *
 * Math:   c_i = A_j s_i + e_i + Delta u_i; p in T sends A_j (lambda_p sum over i in U of share_p(s_i)) + flood;
 *         sum c_i - sum of those = Delta sum u_i + sum e_i - sum of floods
 * Shape:  updates, sums and partial openings: 24 bytes and the packed polynomials
 * Error:  none: sums are exact while every value is within `largest`
 * Timing: depends on no secret; samplers branch on rejected draws
 * Source: own keys and one common polynomial: README, "Why not one public key"; flooding: `flooding-bound.ts`
 */
export class ThresholdSum extends ThresholdPublicSum {
  #ceremony(context: SumContext): Uint8Array {
    return ceremonyId(this.parameters, context)
  }

  /**
   * The protected vector. The permit comes from `SeedLedger.protect`; store the ledger and these bytes, then send them,
   * and if asked again send the stored ones.
   *
   * Cost: one inverse transform for each prime and polynomial; 32 bytes of the source for each polynomial
   * @throws {ConsiliumError} "lattice/out-of-range", "lattice/bad-polynomial", "lattice/already-used", "lattice/other-sum"
   */
  protect(
    context: SumContext,
    key: EpochKey,
    permit: Permit<"protect">,
    values: Int32Array,
    random: RandomSource,
  ): Uint8Array {
    const { ring, codec, literal, blocks } = this.parameters
    checkVector(ring, values, literal.values, literal.largest)
    const secret = key.use(this.#ceremony(context))
    permit.spend(protectBinding(context))
    return packedFrame(ring, this.updateTag(context), blocks, (block, into) => {
      ring.row(
        {
          seed: polynomialSeed("sum", context, block),
          secret,
          error: { random, pairs: ERROR_PAIRS },
          message: codec.message(values, block),
        },
        into,
      )
    })
  }

  /**
   * This facility's answer: its shares of the cohort's keys, weighted for T, hidden by flooding. The permit comes from
   * `SeedLedger.open`; store the ledger and these bytes, then send them, and if asked again send the stored ones.
   *
   * Math:   A_j (lambda_p sum over i in U of share_p(s_i)) + f, f discrete Gaussian of `floodSigma`
   * Shape:  shares: this facility's, of the dealers it accepted; those of U are taken
   * @throws {ConsiliumError} "lattice/bad-opening" if it holds no share of one of U, or is not in T; "lattice/already-used"
   */
  partial(
    request: OpeningRequest,
    point: Point,
    shares: readonly HeldShare[],
    permit: Permit<"open">,
    random: RandomSource,
  ): Uint8Array {
    const { ring, flooding, literal, blocks } = this.parameters
    const { cohort, active } = this.openers(request)
    if (!active.includes(point))
      throw new ConsiliumError("lattice/bad-opening", `Facility ${point} is not among those that open.`)
    const tag = this.openingTag(request, point)
    const ceremony = this.#ceremony(request.context)
    const weighted = ring.zeroEvaluations()
    for (const dealer of cohort) {
      const held = shares.filter((share) => share.dealer === dealer && share.holder === point)
      if (held.length !== 1)
        throw new ConsiliumError(
          "lattice/bad-opening",
          `Facility ${point} holds ${held.length} shares of facility ${dealer}'s key, not one.`,
        )
      ring.add(weighted, (held[0] as HeldShare).use(ceremony), weighted)
    }
    permit.spend(openBinding(request, literal.facilities))
    ring.scaleByResidues(weighted, lagrange(ring, active, point), weighted)
    const wide = new BigInt64Array(ring.degree)
    try {
      return packedFrame(ring, tag, blocks, (block, into) => {
        flooding.sample(random, wide)
        ring.row(
          { seed: polynomialSeed("sum", request.context, block), secret: weighted, message: { wide } },
          into,
        )
      })
    } finally {
      weighted.fill(0)
      wide.fill(0n)
      ring.erase()
    }
  }
}
