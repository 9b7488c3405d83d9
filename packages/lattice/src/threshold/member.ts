import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import type { RandomSource } from "@consilium/base/random"
import { type OpeningRequest, SeedLedger } from "../sums/seed-ledger.js"
import { type Point, type SumContext, sumId } from "../sums/sum-context.js"
import type { EpochKey, HeldShare } from "./epoch-key.js"
import type { Ceremony } from "./key-check.js"
import { acceptShare, dealKey } from "./key-dealing.js"
import type { ThresholdParameters } from "./threshold-parameters.js"
import { ThresholdSum } from "./threshold-sum.js"

export interface MemberSecrets {
  readonly key: EpochKey
  /** This facility's shares of the accepted dealers' keys, its own included. */
  readonly shares: readonly HeldShare[]
}

/**
 * One facility of threshold sums that keeps what it sent in memory: the same question gets the same bytes, another
 * question about the same sum is refused. A facility that must outlive its process stores `ledger` and the bytes
 * itself, and uses `ThresholdSum`.
 */
export class ThresholdMember {
  readonly point: Point
  readonly #sum: ThresholdSum
  readonly #secrets: MemberSecrets
  readonly #random: RandomSource
  readonly #sent = new Map<string, Uint8Array>()
  #ledger: SeedLedger

  constructor(parameters: ThresholdParameters, secrets: MemberSecrets, random: RandomSource) {
    this.point = secrets.key.dealer
    this.#sum = new ThresholdSum(parameters)
    this.#secrets = secrets
    this.#random = random
    this.#ledger = SeedLedger.begin(parameters.openable)
  }

  get ledger(): SeedLedger {
    return this.#ledger
  }

  /** The protected vector. @throws {ConsiliumError} "lattice/already-used" for other values of the same sum */
  encrypt(context: SumContext, values: Int32Array): Uint8Array {
    const admission = this.#ledger.protect(context, values)
    if (admission.kind === "repeated") return this.#stored("update", context)
    const { key } = this.#secrets
    const bytes = this.#sum.protect(context, key, admission.permit, values, this.#random)
    return this.#store("update", context, bytes, admission.ledger)
  }

  /** The partial opening. @throws {ConsiliumError} "lattice/already-used" for another cohort or active set */
  answer(request: OpeningRequest): Uint8Array {
    const admission = this.#ledger.open(this.#sum.parameters, request)
    if (admission.kind === "repeated") return this.#stored("opening", request.context)
    const { shares } = this.#secrets
    const bytes = this.#sum.partial(request, this.point, shares, admission.permit, this.#random)
    return this.#store("opening", request.context, bytes, admission.ledger)
  }

  #store(what: string, context: SumContext, bytes: Uint8Array, ledger: SeedLedger): Uint8Array {
    this.#sent.set(what + toHex(sumId(context)), bytes)
    this.#ledger = ledger
    return bytes.slice()
  }
  #stored(what: string, context: SumContext): Uint8Array {
    const bytes = this.#sent.get(what + toHex(sumId(context)))
    if (bytes === undefined)
      throw new ConsiliumError("lattice/already-used", "This was sent before, and its bytes are gone.")
    return bytes.slice()
  }
}

/**
 * All members of a study in one process, with every key dealt and every share accepted unseen: for trials. Facilities
 * that do not trust each other run the ceremony of `key-check.ts`.
 */
export const trialMembers = (
  parameters: ThresholdParameters,
  ceremony: Ceremony,
  random: RandomSource,
): readonly ThresholdMember[] => {
  const points = Array.from({ length: parameters.literal.facilities }, (_, i) => i + 1)
  const dealt = points.map((dealer) => dealKey(parameters, ceremony, dealer, random).secret)
  return dealt.map(({ key }, i) => {
    const shares = dealt.map((dealing, dealer) =>
      acceptShare(parameters, ceremony, dealer + 1, i + 1, dealing.shares[i] as Uint8Array),
    )
    return new ThresholdMember(parameters, { key, shares }, random)
  })
}
