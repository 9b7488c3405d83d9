import { encode, u32 } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { hash } from "@consilium/base/hash"
import { reconstructor } from "../ring/crt.js"
import type { Answer } from "../sums/encrypted-sum.js"
import { frameBody, frameTag } from "../sums/frame.js"
import { type Point, pointBytes, sortedPoints } from "../sums/sum-context.js"
import { type Ceremony, ceremonyId } from "./key-check.js"
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

export const zeroTestTag = (id: Uint8Array, dealer: Point): Uint8Array =>
  frameTag("zero-test", id, encode(u32, dealer))
export const zeroOpeningTag = (
  id: Uint8Array,
  dealer: Point,
  active: readonly Point[],
  point: Point,
): Uint8Array => frameTag("zero-opening", id, encode(u32, dealer), pointBytes(active), encode(u32, point))

/** T in rising order. @throws {ConsiliumError} "lattice/bad-opening" unless it is t facilities */
export const openersOf = (parameters: ThresholdParameters, active: readonly Point[]): readonly Point[] => {
  const { facilities, threshold } = parameters.literal
  const sorted = sortedPoints(active, facilities)
  if (sorted.length !== threshold)
    throw new ConsiliumError(
      "lattice/bad-opening",
      `${sorted.length} facilities were to open; it takes exactly ${threshold}.`,
    )
  return sorted
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
  const sorted = openersOf(parameters, active)
  const points = partials.map(({ point }) => point).sort((a, b) => a - b)
  if (points.length !== sorted.length || points.some((point, i) => point !== sorted[i])) return false
  try {
    const body = frameBody(test, zeroTestTag(id, dealer), ring.packedLength, "An encryption of zero")
    const sum = ring.unpackCoefficients(body)
    const masks = ring.zeroCoefficients()
    for (const { point, opening } of partials) {
      const tag = zeroOpeningTag(id, dealer, sorted, point)
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
