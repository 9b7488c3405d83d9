import { encode, u32 } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { type Digest, hash } from "@consilium/base/hash"
import { multiplyModulo } from "../ring/modular.js"
import type { Evaluations, Ring } from "../ring/ring.js"
import { seedOf } from "../ring/seeds.js"
import { FRAME_BYTES, frameBody, frameTag } from "../sums/frame.js"
import type { Point } from "../sums/sum-context.js"
import type { ThresholdParameters } from "./threshold-parameters.js"

/*
 * The key ceremony, as steps of one party each. Order:
 *
 * 1. Each facility calls `dealKey`, seals each share to its recipient under `shareAssociatedData`, logs what it sealed.
 * 2. When ALL sealed shares of ALL dealers are on record, the digest of that record gives `keyChallenge`.
 * 3. Each dealer publishes `dealing.answer(challenge)`, once; each recipient calls `checkShare`, complains on false.
 * 4. A complaint is answered by opening the sealed share; `dealerStands` counts. t complaints, or a wrong answer: out.
 * 5. `zero-test.ts`: each dealer encrypts zero under A_0 and T opens it; not small (`zero-check.ts`): out.
 *
 * Here is what anybody may do who reads the record; what takes a key or its polynomial is in `key-dealing.ts`.
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
export const maskWords = (ring: Ring): number => REPEATS * ring.primes.length
const maskBytes = (ring: Ring): number => 8 * Math.ceil(maskWords(ring) / 2)
export const shareLength = (ring: Ring): number => ring.packedLength + maskBytes(ring)

/** sum over k of c_(l,k) v_k for each repeat and prime. */
export const combinations = (ring: Ring, value: Evaluations, { scalars }: KeyChallenge): Uint32Array => {
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
export const addMasks = (ring: Ring, a: Uint32Array, b: Uint32Array): Uint32Array =>
  a.map((x, i) => (x + (b[i] as number)) % (ring.primes[i % ring.primes.length] as number))
const scaleMasks = (ring: Ring, a: Uint32Array, factor: number): Uint32Array =>
  a.map((x, i) => {
    const q = ring.primes[i % ring.primes.length] as number
    return multiplyModulo(x, factor % q, q)
  })
/** The values at a point of polynomials with such coefficients. */
export const masksAt = (ring: Ring, coefficients: readonly Uint32Array[], point: Point): Uint32Array =>
  coefficients.reduceRight(
    (sum, coefficient) => addMasks(ring, scaleMasks(ring, sum, point), coefficient),
    new Uint32Array(maskWords(ring)),
  )

export const wordsToBytes = (rows: readonly Uint32Array[]): Uint8Array => {
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

/** Bytes of one share before it is sealed. */
export const keyShareLength = (parameters: ThresholdParameters): number =>
  FRAME_BYTES + shareLength(parameters.ring)

/**
 * Reads a share that was opened.
 * @throws {ConsiliumError} "lattice/malformed" or "lattice/other-sum"
 */
export const readShare = (
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
