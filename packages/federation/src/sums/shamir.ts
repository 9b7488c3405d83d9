import { decode, encode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { hash } from "@consilium/base/hash"
import type { RandomSource } from "@consilium/base/random"
import { FieldVector } from "@consilium/sharing/field"
import { reconstructShamir } from "@consilium/sharing/shamir"
import {
  challengeOf,
  deal,
  maskedOpeningCodec,
  openMasked,
  stripMasks,
  sumOfShares,
  verifyShare,
} from "@consilium/sharing/verified"
import { openingThreshold, valueCount } from "../study.js"
import { openSealed, openWithKey, seal } from "../suite.js"
import type { SecureSum, SumSetting } from "./secure-sum.js"

/** What a sealed share is bound to: this attempt, this dealer, this recipient. */
const associated = (setting: SumSetting, dealer: Uint8Array, recipient: Uint8Array): Uint8Array =>
  hash("shamir-share", setting.spec, dealer, recipient)

const thresholdOf = ({ study, directory }: SumSetting): number =>
  openingThreshold(study, directory.facilities.length)

const dealingOf = (setting: SumSetting, values: Int32Array, random: RandomSource) => {
  if (values.length !== valueCount(setting.study))
    throw new ConsiliumError(
      "sharing/wrong-length",
      `An update of ${values.length} values was to be shared where ${valueCount(setting.study)} were expected.`,
    )
  return deal(FieldVector.fromIntegers(values), {
    threshold: thresholdOf(setting),
    points: setting.directory.facilities.map((_, i) => i + 1),
    random,
  })
}

/**
 * Shamir shares over GF(2^61 - 1), each sealed to its recipient and relayed by parents that cannot read it. Recipients
 * are the facilities; any t of them open the sum of a certified list, fewer learn nothing.
 *
 * Shape:  up: 8 (d + 2) + 48 bytes per recipient; opening: 8 d bytes per recipient
 * Source: Shamir 1979; the check of shares: `@consilium/sharing/verified`
 */
export const shamirSum: SecureSum = {
  kind: "shamir",
  added: null,
  dealt: {
    deal(setting, dealer, values, random) {
      const { shares } = dealingOf(setting, values, random)
      const { facilities } = setting.directory
      const own = (shares[setting.directory.pointOf(dealer) - 1] as FieldVector).encode()
      const parts = facilities.flatMap((recipient, i) =>
        setting.directory.pointOf(dealer) === i + 1
          ? []
          : [
              {
                recipient: recipient.id,
                sealed: seal(
                  setting.suite,
                  recipient.sealingKey,
                  (shares[i] as FieldVector).encode(),
                  associated(setting, dealer, recipient.id),
                  random,
                ),
              },
            ],
      )
      return { parts, own }
    },
    answer(setting, _dealer, values, random, challenge) {
      const { dealing } = dealingOf(setting, values, random)
      return encode(maskedOpeningCodec, openMasked(dealing, challengeOf(challenge, values.length)))
    },
    openPart: (setting, keys, dealer, recipient, sealed) =>
      openSealed(keys, sealed, associated(setting, dealer, recipient)),
    openPartWithKey: (setting, key, dealer, recipient, sealed) =>
      openWithKey(key, sealed, associated(setting, dealer, recipient)),
    check(setting, recipient, part, challenge, opening) {
      try {
        const values = valueCount(setting.study)
        return verifyShare(
          FieldVector.decode(part),
          setting.directory.pointOf(recipient),
          challengeOf(challenge, values),
          decode(maskedOpeningCodec, opening),
          thresholdOf(setting),
        )
      } catch (error) {
        if (error instanceof ConsiliumError) return false
        throw error
      }
    },
  },
  opened: {
    partial: (_setting, parts) =>
      stripMasks(sumOfShares(parts.map((part) => FieldVector.decode(part)))).encode(),
  },
  combine(setting, _sums, partials) {
    const values = valueCount(setting.study)
    const shares = partials.map(({ facility, opening }) => ({
      point: setting.directory.pointOf(facility),
      vector: FieldVector.decode(opening, values),
    }))
    return reconstructShamir(shares, thresholdOf(setting)).toIntegers()
  },
}
