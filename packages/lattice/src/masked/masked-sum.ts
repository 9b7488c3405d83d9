import { ConsiliumError } from "@consilium/base/errors"
import type { RandomSource } from "@consilium/base/random"
import type { Evaluations } from "../ring/ring.js"
import { checkVector, packedFrame } from "../sums/added-updates.js"
import { frameBody } from "../sums/frame.js"
import { shareAt } from "../sums/polynomial-sharing.js"
import { type Permit, type SumRequest, unmaskBinding } from "../sums/seed-ledger.js"
import { type Point, polynomialSeed, type SumContext, sortedPoints } from "../sums/sum-context.js"
import { MASKED_ERROR_PAIRS, type MaskedParameters } from "./masked-parameters.js"
import { MaskedPublicSum } from "./public-masked-sum.js"

/**
 * A mask key, for one vector of one attempt. It is drawn here, used once and overwritten; the same key under the same A
 * twice would give the difference of two vectors.
 */
export class MaskKey {
  readonly #parameters: MaskedParameters
  /** In the ring of shares and in the whole ring. */
  readonly #shared: Evaluations
  readonly #whole: Evaluations
  #spent = false

  /** A fresh key; takes 32 bytes of the source. */
  constructor(parameters: MaskedParameters, random: RandomSource) {
    const { ring, keyRing, keyGaussian, literal } = parameters
    this.#parameters = parameters
    if (literal.keys === "uniform") {
      this.#shared = ring.uniformSecret(random)
      this.#whole = this.#shared
      return
    }
    const wide = keyGaussian.sample(random, new BigInt64Array(ring.degree))
    this.#whole = ring.forward(ring.fromWide(wide))
    this.#shared = keyRing.forward(keyRing.fromWide(wide))
    wide.fill(0n)
    ring.erase()
  }

  /** @throws {ConsiliumError} "lattice/already-used" the second time */
  spend(parameters: MaskedParameters): { readonly shared: Evaluations; readonly whole: Evaluations } {
    if (parameters !== this.#parameters)
      throw new ConsiliumError("lattice/other-sum", "A mask key belongs to other parameters.")
    if (this.#spent)
      throw new ConsiliumError("lattice/already-used", "A mask key was to be used for a second vector.")
    this.#spent = true
    return { shared: this.#shared, whole: this.#whole }
  }
  /** Overwrites the key; `protect` does. */
  erase(): void {
    this.#spent = true
    this.#shared.fill(0)
    this.#whole.fill(0)
  }
  toJSON(): string {
    return "[secret]"
  }
}

/** A share of a mask key, with its dealer: what a facility keeps until the cohort is certified. */
export interface MaskShare {
  readonly dealer: Point
  readonly share: Uint8Array
}

/**
 * Sums under fresh masks, for long vectors: the opening has constant size, needs any t answers, and no ceremony.
 *
 * Math:   c_i = A_j s_i + e_i + Delta u_i; s_i shared t of n; from t answers sum s_i, and sum c_i - A_j sum s_i
 * Shape:  updates and sums: 24 bytes and the packed polynomials; shares and answers: 24 bytes and one packed key
 * Error:  none: sums are exact while every value is within `largest`
 * Timing: depends on no secret; samplers branch on rejected draws
 * Source: Bell et al. 2023, "ACORN: Input Validation for Secure Aggregation", USENIX Security
 */
export class MaskedSum extends MaskedPublicSum {
  /**
   * The protected vector and the shares of its key, the one at place p - 1 for facility p. Store them, then send them, and
   * if asked again send the stored ones: they cannot be made again.
   *
   * Cost:   one inverse transform for each prime and polynomial, n t sums of one key
   * @throws {ConsiliumError} "lattice/out-of-range", "lattice/bad-polynomial", "lattice/already-used"
   */
  protect(
    context: SumContext,
    dealer: Point,
    key: MaskKey,
    values: Int32Array,
    random: RandomSource,
  ): { readonly update: Uint8Array; readonly shares: readonly Uint8Array[] } {
    const { ring, keyRing, codec, literal, blocks } = this.parameters
    checkVector(ring, values, literal.values, literal.largest)
    sortedPoints([dealer], literal.facilities)
    const { shared, whole } = key.spend(this.parameters)
    try {
      const polynomial = [shared]
      for (let degree = 1; degree < literal.threshold; degree++)
        polynomial.push(keyRing.uniformSecret(random))
      const shares = Array.from({ length: literal.facilities }, (_, i) => {
        const share = shareAt(keyRing, polynomial, i + 1)
        return packedFrame(keyRing, this.shareTag(context, dealer, i + 1), 1, (__, into) => {
          keyRing.pack(share, into)
          share.fill(0)
        })
      })
      for (const part of polynomial.slice(1)) part.fill(0)
      const update = packedFrame(ring, this.updateTag(context), blocks, (block, into) => {
        ring.row(
          {
            seed: polynomialSeed("masked-sum", context, block),
            secret: whole,
            error: { random, pairs: MASKED_ERROR_PAIRS },
            message: codec.message(values, block),
          },
          into,
        )
      })
      return { update, shares }
    } finally {
      key.erase()
      ring.erase()
    }
  }

  /**
   * This facility's answer: the sum of its shares of the cohort's keys. The permit comes from `SeedLedger.unmask`: sums
   * over two cohorts would give one facility's key.
   *
   * @throws {ConsiliumError} "lattice/bad-opening" if it holds no share of one of U, "lattice/already-used",
   *   "lattice/malformed" or "lattice/other-sum" on a share
   */
  answer(
    request: SumRequest,
    point: Point,
    shares: readonly MaskShare[],
    permit: Permit<"unmask">,
  ): Uint8Array {
    const { keyRing, literal } = this.parameters
    const tag = this.openingTag(request, point)
    sortedPoints([point], literal.facilities)
    const sum = keyRing.zeroEvaluations()
    for (const dealer of sortedPoints(request.cohort, literal.facilities)) {
      const held = shares.filter((share) => share.dealer === dealer)
      if (held.length !== 1)
        throw new ConsiliumError(
          "lattice/bad-opening",
          `Facility ${point} holds ${held.length} shares of facility ${dealer}'s mask, not one.`,
        )
      const shareTag = this.shareTag(request.context, dealer, point)
      const { share } = held[0] as MaskShare
      keyRing.addPacked(sum, frameBody(share, shareTag, keyRing.packedLength, "A share of a mask"))
    }
    permit.spend(unmaskBinding(request, literal.facilities))
    try {
      return packedFrame(keyRing, tag, 1, (_, into) => {
        keyRing.pack(sum, into)
      })
    } finally {
      sum.fill(0)
      keyRing.erase()
    }
  }
}
