import { decode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { hash } from "@consilium/base/hash"
import { FieldVector } from "@consilium/sharing/field"
import { reconstructShamir } from "@consilium/sharing/shamir"
import { challengeOf, maskedOpeningCodec, verifyShare } from "@consilium/sharing/verified"
import { openingThreshold, valueCount } from "../study.js"
import { openWithKey } from "../suite.js"
import type { SecureSum, SumSetting } from "./secure-sum.js"

/** What a sealed share is bound to: this attempt, this dealer, this recipient. */
export const shareBinding = (setting: SumSetting, dealer: Uint8Array, recipient: Uint8Array): Uint8Array =>
  hash("shamir-share", setting.spec, dealer, recipient)

/** Facilities that open together in a setting, t. */
export const thresholdOf = ({ study, directory }: SumSetting): number =>
  openingThreshold(study, directory.facilities.length)

/**
 * Shamir shares over GF(2^61 - 1), each sealed to its recipient and relayed by parents that cannot read it. Recipients
 * are the facilities; any t of them open the sum of a certified list, fewer learn nothing.
 *
 * Shape:  up: 8 (d + 2) + 48 bytes per recipient; opening: 8 d bytes per recipient
 * Source: Shamir 1979; the check of shares: `@consilium/sharing/verified`
 */
export const shamirSum: SecureSum = {
  kind: "shamir",
  keyed: false,
  added: null,
  checked: {
    openPartWithKey: (setting, key, dealer, recipient, sealed) =>
      openWithKey(key, sealed, shareBinding(setting, dealer, recipient)),
    check(setting, _dealer, recipient, part, challenge, answer) {
      try {
        const values = valueCount(setting.study)
        return verifyShare(
          FieldVector.decode(part),
          setting.directory.pointOf(recipient),
          challengeOf(challenge, values),
          decode(maskedOpeningCodec, answer),
          thresholdOf(setting),
        )
      } catch (error) {
        if (error instanceof ConsiliumError) return false
        throw error
      }
    },
  },
  opened: "any",
  combine(setting, _request, _sums, partials) {
    const values = valueCount(setting.study)
    const shares = partials.map(({ facility, opening }) => ({
      point: setting.directory.pointOf(facility),
      vector: FieldVector.decode(opening, values),
    }))
    return reconstructShamir(shares, thresholdOf(setting)).toIntegers()
  },
}
