import { ConsiliumError } from "@consilium/base/errors"
import type { RandomSource } from "@consilium/base/random"
import type { Evaluations, Ring } from "../ring/ring.js"
import { frameTag, newFrame, sealFrame } from "../sums/frame.js"
import { shareAt } from "../sums/polynomial-sharing.js"
import { type Point, sortedPoints } from "../sums/sum-context.js"
import { EpochKey, HeldShare } from "./epoch-key.js"
import {
  addMasks,
  type Ceremony,
  ceremonyId,
  combinations,
  type KeyChallenge,
  masksAt,
  maskWords,
  REPEATS,
  readShare,
  shareAssociatedData,
  shareLength,
  wordsToBytes,
} from "./key-check.js"
import type { ThresholdParameters } from "./threshold-parameters.js"

/* What a dealer and a holder of shares do in the key ceremony; its order and its checks are in `key-check.ts`. */

const uniformMasks = (ring: Ring, random: RandomSource): Uint32Array => {
  // the first places of a uniform polynomial, five for each prime
  const full = ring.uniformSecret(random)
  const out = new Uint32Array(maskWords(ring))
  for (let l = 0; l < REPEATS; l++)
    ring.primes.forEach((_, i) => {
      out[l * ring.primes.length + i] = full[i * ring.degree + l] as number
    })
  full.fill(0)
  return out
}

/** A dealer's polynomials between dealing and its one answer. Nothing of it can be printed or encoded. */
export class KeyDealing {
  readonly #ring: Ring
  #polynomial: readonly Evaluations[]
  readonly #masks: readonly Uint32Array[]
  #answered: { readonly id: string; readonly answer: Uint8Array } | undefined

  constructor(ring: Ring, polynomial: readonly Evaluations[], masks: readonly Uint32Array[]) {
    this.#ring = ring
    this.#polynomial = polynomial
    this.#masks = masks
  }

  /**
   * The published polynomials m_l = r_l + sum over k of c_(l,k) f_k. ONE CHALLENGE PER DEALING: two answers would give
   * linear equations in the key. Store the answer before it is sent.
   *
   * Shape:  t x 5 x L words of 4 bytes, constant terms first
   * @throws {ConsiliumError} "lattice/already-used" for another challenge than the one answered
   */
  answer(challenge: KeyChallenge): Uint8Array {
    const id = String(challenge.id)
    if (this.#answered !== undefined) {
      if (this.#answered.id !== id)
        throw new ConsiliumError("lattice/already-used", "A dealing that has answered was challenged again.")
      return this.#answered.answer.slice()
    }
    const ring = this.#ring
    const answer = wordsToBytes(
      this.#polynomial.map((f, degree) =>
        addMasks(ring, this.#masks[degree] as Uint32Array, combinations(ring, f, challenge)),
      ),
    )
    this.#answered = { id, answer }
    for (const f of this.#polynomial) f.fill(0)
    for (const masks of this.#masks) masks.fill(0)
    this.#polynomial = []
    ring.erase()
    return answer.slice()
  }
  toJSON(): string {
    return "[dealing]"
  }
}

/**
 * A facility's fresh epoch key and its shares for all facilities.
 *
 * Math:   s uniform ternary; for each prime f = s + f_1 X + ... + f_(t-1) X^(t-1), share at p = f(p), in NTT form
 * Shape:  one share for each point 1 to n: the packed polynomial, five masks for each prime
 * Cost:   draws 32 bytes for s, then for the masks and each further coefficient
 * @throws {ConsiliumError} "lattice/bad-opening" if the dealer is none of the facilities
 */
export const dealKey = (
  parameters: ThresholdParameters,
  ceremony: Ceremony,
  dealer: Point,
  random: RandomSource,
): {
  readonly secret: {
    readonly key: EpochKey
    readonly dealing: KeyDealing
    readonly shares: readonly Uint8Array[]
  }
} => {
  const { ring, literal } = parameters
  sortedPoints([dealer], literal.facilities)
  const small = ring.ternary(random)
  const secret = ring.forward(ring.fromSmall(small))
  small.fill(0)
  const polynomial = [secret.slice() as Evaluations]
  const masks = [uniformMasks(ring, random)]
  for (let degree = 1; degree < literal.threshold; degree++) {
    polynomial.push(ring.uniformSecret(random))
    masks.push(uniformMasks(ring, random))
  }
  const shares = Array.from({ length: literal.facilities }, (_, i) => {
    const share = shareAt(ring, polynomial, i + 1)
    const tag = frameTag("key-share", shareAssociatedData(parameters, ceremony, dealer, i + 1))
    const { frame, body } = newFrame(tag, shareLength(ring))
    ring.pack(share, body.subarray(0, ring.packedLength))
    body.set(wordsToBytes([masksAt(ring, masks, i + 1)]), ring.packedLength)
    share.fill(0)
    return sealFrame(frame)
  })
  ring.erase()
  const key = new EpochKey(ring, ceremonyId(parameters, ceremony), dealer, secret)
  return { secret: { key, dealing: new KeyDealing(ring, polynomial, masks), shares } }
}

/** The share of an accepted dealing, to be kept. @throws {ConsiliumError} "lattice/malformed" or "lattice/other-sum" */
export const acceptShare = (
  parameters: ThresholdParameters,
  ceremony: Ceremony,
  dealer: Point,
  recipient: Point,
  bytes: Uint8Array,
): HeldShare => {
  const { share, masks } = readShare(parameters, ceremony, dealer, recipient, bytes)
  masks.fill(0)
  return new HeldShare(parameters.ring, ceremonyId(parameters, ceremony), dealer, recipient, share)
}
