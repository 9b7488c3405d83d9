import { ConsiliumError } from "@consilium/base/errors"
import type { RandomSource } from "@consilium/base/random"
import { ERROR_PAIRS, type Evaluations } from "../ring/ring.js"
import { type Seed, seedOf } from "../ring/seeds.js"
import { packedFrame } from "../sums/added-updates.js"
import { lagrange } from "../sums/polynomial-sharing.js"
import { type Permit, zeroBinding } from "../sums/seed-ledger.js"
import type { Point } from "../sums/sum-context.js"
import type { EpochKey, HeldShare } from "./epoch-key.js"
import { type Ceremony, ceremonyId } from "./key-check.js"
import type { ThresholdParameters } from "./threshold-parameters.js"
import { openersOf, zeroOpeningTag, zeroTestTag } from "./zero-check.js"

const seedOfTest = (id: Uint8Array): Seed => seedOf("zero-test", id)

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
  return packedFrame(ring, zeroTestTag(id, key.dealer), 1, (_, into) => {
    ring.row({ seed: seedOfTest(id), secret, error: { random, pairs: ERROR_PAIRS } }, into)
  })
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
  const sorted = openersOf(parameters, active)
  if (!sorted.includes(share.holder))
    throw new ConsiliumError("lattice/bad-opening", `Facility ${share.holder} is not among those that open.`)
  const held = share.use(ceremonyId(parameters, ceremony))
  permit.spend(zeroBinding("zero-open", id, [share.dealer, ...sorted]))
  const secret = ring.scaleByResidues(held, lagrange(ring, sorted, share.holder)) as Evaluations
  const wide = flooding.sample(random, new BigInt64Array(ring.degree))
  try {
    return packedFrame(ring, zeroOpeningTag(id, share.dealer, sorted, share.holder), 1, (_, into) => {
      ring.row({ seed: seedOfTest(id), secret, message: { wide } }, into)
    })
  } finally {
    secret.fill(0)
    wide.fill(0n)
  }
}
