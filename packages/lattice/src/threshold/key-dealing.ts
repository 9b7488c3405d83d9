import { encode, u32 } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { type Digest, hash } from "@consilium/base/hash"
import type { RandomSource } from "@consilium/base/random"
import { multiplyModulo } from "../ring/modular.js"
import type { Evaluations, Ring } from "../ring/ring.js"
import { seedOf } from "../ring/seeds.js"
import { FRAME_BYTES, frameBody, frameTag, newFrame, sealFrame } from "../sums/frame.js"
import { shareAt } from "../sums/polynomial-sharing.js"
import { type Point, sortedPoints } from "../sums/sum-context.js"
import { EpochKey, HeldShare } from "./epoch-key.js"
import type { ThresholdParameters } from "./threshold-parameters.js"

/*
 * The key ceremony, as steps of one party each. Order:
 *
 * 1. Each facility calls `dealKey`, seals each share to its recipient under `shareAssociatedData`, logs what it sealed.
 * 2. When ALL sealed shares of ALL dealers are on record, the digest of that record gives `keyChallenge`.
 * 3. Each dealer publishes `dealing.answer(challenge)`, once; each recipient calls `checkShare`, complains on false.
 * 4. A complaint is answered by opening the sealed share; `dealerStands` counts. t complaints, or a wrong answer: out.
 * 5. `zero-test.ts`: each dealer encrypts zero under A_0 and T opens it; not small: out.
 *
 * Sound. As in any check by random combinations: fix the shares of the recipients who accept, before c is drawn. If for
 * one prime q those of some coefficient lie on no polynomial of degree t - 1, all accept one combination with
 * probability at most 1 / q < 2^-25, the five together with less than 2^-125 (q >= 2^25; for 26 bits and more near the
 * top of their range 2^-130). Hiding: r_l is uniform, so an answer tells nothing that t - 1 shares do not imply.
 */

/** Random combinations that are checked for each prime. */
export const REPEATS = 5

/** One ceremony: one epoch of one study. */
export interface Ceremony {
  readonly study: Uint8Array
  readonly epoch: number
}
export const ceremonyId = (parameters: ThresholdParameters, { study, epoch }: Ceremony): Digest =>
  hash("lattice/ceremony", parameters.id(), study, encode(u32, epoch))

/** What a sealed share is bound to, as the associated data of its encryption. */
export const shareAssociatedData = (
  parameters: ThresholdParameters,
  ceremony: Ceremony,
  dealer: Point,
  recipient: Point,
): Digest =>
  hash("lattice/key-share", ceremonyId(parameters, ceremony), encode(u32, dealer), encode(u32, recipient))

/** Public scalars c_(l,k): five uniform polynomials. */
export interface KeyChallenge {
  readonly scalars: readonly Evaluations[]
  readonly id: Uint8Array
}

/** The challenge of a transcript's digest; draw it only after all sealed shares of all dealers have entered it. */
export const keyChallenge = (parameters: ThresholdParameters, transcript: Uint8Array): KeyChallenge => ({
  scalars: Array.from({ length: REPEATS }, (_, l) =>
    parameters.ring.uniform(seedOf("key-check", parameters.id(), transcript, encode(u32, l))),
  ),
  id: hash("lattice/key-challenge", transcript),
})

/** The words of five masks for each prime, repeat after repeat, padded to a multiple of eight bytes. */
const maskWords = (ring: Ring): number => REPEATS * ring.primes.length
const maskBytes = (ring: Ring): number => 8 * Math.ceil(maskWords(ring) / 2)
const shareLength = (ring: Ring): number => ring.packedLength + maskBytes(ring)

/** sum over k of c_(l,k) v_k for each repeat and prime. */
const combinations = (ring: Ring, value: Evaluations, { scalars }: KeyChallenge): Uint32Array => {
  const out = new Uint32Array(maskWords(ring))
  const product = ring.zeroEvaluations()
  scalars.forEach((scalar, l) => {
    ring.multiply(value, scalar, product)
    ring.primes.forEach((q, i) => {
      let sum = 0
      for (let k = i * ring.degree; k < (i + 1) * ring.degree; k++) sum += product[k] as number
      out[l * ring.primes.length + i] = sum % q
    })
  })
  product.fill(0)
  return out
}
const addMasks = (ring: Ring, a: Uint32Array, b: Uint32Array): Uint32Array =>
  a.map((x, i) => (x + (b[i] as number)) % (ring.primes[i % ring.primes.length] as number))
const scaleMasks = (ring: Ring, a: Uint32Array, factor: number): Uint32Array =>
  a.map((x, i) => {
    const q = ring.primes[i % ring.primes.length] as number
    return multiplyModulo(x, factor % q, q)
  })
/** The values at a point of polynomials with such coefficients. */
const masksAt = (ring: Ring, coefficients: readonly Uint32Array[], point: Point): Uint32Array =>
  coefficients.reduceRight(
    (sum, coefficient) => addMasks(ring, scaleMasks(ring, sum, point), coefficient),
    new Uint32Array(maskWords(ring)),
  )

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

const wordsToBytes = (rows: readonly Uint32Array[]): Uint8Array => {
  const out = new Uint8Array(4 * rows.reduce((sum, row) => sum + row.length, 0))
  const view = new DataView(out.buffer)
  let at = 0
  for (const row of rows)
    for (const word of row) {
      view.setUint32(at, word, true)
      at += 4
    }
  return out
}
/** Rows of masks, or null unless all are residues and the length is right. */
const bytesToRows = (ring: Ring, bytes: Uint8Array, rows: number): readonly Uint32Array[] | null => {
  const width = maskWords(ring)
  if (bytes.length !== 4 * rows * width) return null
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const out = Array.from({ length: rows }, (_, row) =>
    Uint32Array.from({ length: width }, (__, i) => view.getUint32(4 * (row * width + i), true)),
  )
  const reduced = out.every((row) =>
    row.every((word, i) => word < (ring.primes[i % ring.primes.length] as number)),
  )
  return reduced ? out : null
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

/** Bytes of one share before it is sealed. */
export const keyShareLength = (parameters: ThresholdParameters): number =>
  FRAME_BYTES + shareLength(parameters.ring)

/**
 * Reads a share that was opened.
 * @throws {ConsiliumError} "lattice/malformed" or "lattice/other-sum"
 */
const readShare = (
  parameters: ThresholdParameters,
  ceremony: Ceremony,
  dealer: Point,
  recipient: Point,
  bytes: Uint8Array,
): { readonly share: Evaluations; readonly masks: Uint32Array } => {
  const { ring } = parameters
  const tag = frameTag("key-share", shareAssociatedData(parameters, ceremony, dealer, recipient))
  const body = frameBody(bytes, tag, shareLength(ring), "A share of a key")
  const share = ring.unpackEvaluations(body.subarray(0, ring.packedLength))
  const end = ring.packedLength + 4 * maskWords(ring)
  const masks = bytesToRows(ring, body.subarray(ring.packedLength, end), 1)?.[0]
  if (masks === undefined || body.subarray(end).some((byte) => byte !== 0))
    throw new ConsiliumError("lattice/malformed", "A share of a key holds a mask that is no residue.")
  return { share, masks }
}

/** Whether a share agrees with its dealer's answer; false on anything malformed. */
export const checkShare = (
  parameters: ThresholdParameters,
  ceremony: Ceremony,
  dealer: Point,
  recipient: Point,
  bytes: Uint8Array,
  challenge: KeyChallenge,
  answer: Uint8Array,
): boolean => {
  const { ring, literal } = parameters
  const rows = bytesToRows(ring, answer, literal.threshold)
  if (rows === null) return false
  let read: ReturnType<typeof readShare>
  try {
    read = readShare(parameters, ceremony, dealer, recipient, bytes)
  } catch (error) {
    if (error instanceof ConsiliumError) return false
    throw error
  }
  const expected = masksAt(ring, rows, recipient)
  const found = addMasks(ring, read.masks, combinations(ring, read.share, challenge))
  let difference = 0
  for (let i = 0; i < expected.length; i++) difference |= (expected[i] as number) ^ (found[i] as number)
  read.share.fill(0)
  return difference === 0
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

/** A recipient's complaint, and the share that the dealer's sealed bytes were opened to; null if it did not answer. */
export interface AnsweredComplaint {
  readonly recipient: Point
  readonly opened: Uint8Array | null
}

/**
 * Whether a dealer stays after the complaints: fewer than t of them, each answered by a share that agrees. What was
 * published must be what was sealed and logged before the challenge: its opener checks that.
 */
export const dealerStands = (
  parameters: ThresholdParameters,
  ceremony: Ceremony,
  dealer: Point,
  challenge: KeyChallenge,
  answer: Uint8Array,
  complaints: readonly AnsweredComplaint[],
): boolean => {
  const recipients = new Set(complaints.map(({ recipient }) => recipient))
  return (
    bytesToRows(parameters.ring, answer, parameters.literal.threshold) !== null &&
    recipients.size < parameters.literal.threshold &&
    complaints.every(
      ({ recipient, opened }) =>
        opened !== null && checkShare(parameters, ceremony, dealer, recipient, opened, challenge, answer),
    )
  )
}
