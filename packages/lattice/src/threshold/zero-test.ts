import { encode, u32 } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { hash } from "@consilium/base/hash"
import type { RandomSource } from "@consilium/base/random"
import { reconstructor } from "../ring/crt.js"
import { ERROR_PAIRS, type Evaluations } from "../ring/ring.js"
import { type Seed, seedOf } from "../ring/seeds.js"
import { packedFrame } from "../sums/added-updates.js"
import type { Answer } from "../sums/encrypted-sum.js"
import { frameBody, frameTag } from "../sums/frame.js"
import { lagrange } from "../sums/polynomial-sharing.js"
import { type Permit, zeroBinding } from "../sums/seed-ledger.js"
import { type Point, pointBytes, sortedPoints } from "../sums/sum-context.js"
import type { EpochKey, HeldShare } from "./epoch-key.js"
import { type Ceremony, ceremonyId } from "./key-dealing.js"
import type { ThresholdParameters } from "./threshold-parameters.js"

/*
 * The ceremony's last step: every dealer encrypts zero under A_0, which no sum ever uses, and T opens it. If it is not
 * small, what the dealer shared is not the key it encrypts under, and it is out. The opening shows A_0 s_i for one i:
 * the one polynomial for which that is ever shown.
 */

/** The digest that names one ceremony's test; `transcript` is that of the accepted sharing. */
export const zeroTestId = (
  parameters: ThresholdParameters,
  ceremony: Ceremony,
  transcript: Uint8Array,
): Uint8Array => hash("lattice/zero-test", ceremonyId(parameters, ceremony), transcript)

const seedOfTest = (id: Uint8Array): Seed => seedOf("zero-test", id)
const testTag = (id: Uint8Array, dealer: Point): Uint8Array => frameTag("zero-test", id, encode(u32, dealer))
const openingTag = (id: Uint8Array, dealer: Point, active: readonly Point[], point: Point): Uint8Array =>
  frameTag("zero-opening", id, encode(u32, dealer), pointBytes(active), encode(u32, point))

/** A dealer's encryption of zero: A_0 s + e. The permit comes from `SeedLedger.zeroTest`. */
export const encryptZero = (
  parameters: ThresholdParameters,
  ceremony: Ceremony,
  id: Uint8Array,
  key: EpochKey,
  permit: Permit<"zero-test">,
  random: RandomSource,
): Uint8Array => {
  const { ring } = parameters
  const secret = key.use(ceremonyId(parameters, ceremony))
  permit.spend(zeroBinding("zero-test", id, []))
  return packedFrame(ring, testTag(id, key.dealer), 1, (_, into) => {
    ring.row({ seed: seedOfTest(id), secret, error: { random, pairs: ERROR_PAIRS } }, into)
  })
}

const activeOf = (parameters: ThresholdParameters, active: readonly Point[]): readonly Point[] => {
  const { facilities, threshold } = parameters.literal
  const sorted = sortedPoints(active, facilities)
  if (sorted.length !== threshold)
    throw new ConsiliumError(
      "lattice/bad-opening",
      `${sorted.length} facilities were to open; it takes exactly ${threshold}.`,
    )
  return sorted
}

/** A facility's answer about one dealer. The permit comes from `SeedLedger.zeroOpen`, with T in rising order. */
export const partialZero = (
  parameters: ThresholdParameters,
  ceremony: Ceremony,
  id: Uint8Array,
  share: HeldShare,
  active: readonly Point[],
  permit: Permit<"zero-open">,
  random: RandomSource,
): Uint8Array => {
  const { ring, flooding } = parameters
  const sorted = activeOf(parameters, active)
  if (!sorted.includes(share.holder))
    throw new ConsiliumError("lattice/bad-opening", `Facility ${share.holder} is not among those that open.`)
  const held = share.use(ceremonyId(parameters, ceremony))
  permit.spend(zeroBinding("zero-open", id, [share.dealer, ...sorted]))
  const secret = ring.scaleByResidues(held, lagrange(ring, sorted, share.holder)) as Evaluations
  const wide = flooding.sample(random, new BigInt64Array(ring.degree))
  try {
    return packedFrame(ring, openingTag(id, share.dealer, sorted, share.holder), 1, (_, into) => {
      ring.row({ seed: seedOfTest(id), secret, message: { wide } }, into)
    })
  } finally {
    secret.fill(0)
    wide.fill(0n)
  }
}

/** Whether a dealer's encryption of zero opens to something small; false on anything malformed. */
export const zeroTestHolds = (
  parameters: ThresholdParameters,
  id: Uint8Array,
  dealer: Point,
  test: Uint8Array,
  active: readonly Point[],
  partials: readonly Answer[],
): boolean => {
  const { ring, noise } = parameters
  const sorted = activeOf(parameters, active)
  const points = partials.map(({ point }) => point).sort((a, b) => a - b)
  if (points.length !== sorted.length || points.some((point, i) => point !== sorted[i])) return false
  try {
    const body = frameBody(test, testTag(id, dealer), ring.packedLength, "An encryption of zero")
    const sum = ring.unpackCoefficients(body)
    const masks = ring.zeroCoefficients()
    for (const { point, opening } of partials) {
      const tag = openingTag(id, dealer, sorted, point)
      ring.addPacked(masks, frameBody(opening, tag, ring.packedLength, "An answer"))
    }
    ring.subtract(sum, masks, sum)
    const reconstruct = reconstructor(ring.primes)
    for (let k = 0; k < ring.degree; k++) {
      const value = reconstruct(ring.primes.map((_, i) => sum[i * ring.degree + k] as number))
      if (value > noise || value < -noise) return false
    }
    return true
  } catch (error) {
    if (error instanceof ConsiliumError) return false
    throw error
  }
}
