import { hash } from "@consilium/base/hash"
import { checkShare, keyChallenge, shareAssociatedData } from "@consilium/lattice/threshold/key-check"
import { openWithKey } from "../suite.js"
import { ceremonyOf, thresholdParameters } from "./lattice-parameters.js"
import type { PublicScheme, SumSetting } from "./secure-sum.js"

/** What a sealed share of a key is bound to: this attempt at a ceremony, this dealer, this recipient. */
export const keyShareBinding = (setting: SumSetting, dealer: Uint8Array, recipient: Uint8Array): Uint8Array =>
  hash(
    "key-share",
    setting.spec,
    shareAssociatedData(
      thresholdParameters(setting),
      ceremonyOf(setting),
      setting.directory.pointOf(dealer),
      setting.directory.pointOf(recipient),
    ),
  )

/**
 * The dealing of epoch keys: nothing is added and nothing opened; every facility deals shares of its key to all, which
 * are checked like shares of updates.
 *
 * Source: `@consilium/lattice/threshold/key-check`
 */
export const keyShares: PublicScheme = {
  added: null,
  checked: {
    openPartWithKey: (setting, key, dealer, recipient, sealed) =>
      openWithKey(key, sealed, keyShareBinding(setting, dealer, recipient)),
    check(setting, dealer, recipient, part, challenge, answer) {
      const parameters = thresholdParameters(setting)
      const { directory } = setting
      return checkShare(
        parameters,
        ceremonyOf(setting),
        directory.pointOf(dealer),
        directory.pointOf(recipient),
        part,
        keyChallenge(parameters, challenge),
        answer,
      )
    },
  },
  opened: null,
}
