import { encode } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import type { RandomSource } from "@consilium/base/random"
import { FieldVector } from "@consilium/sharing/field"
import {
  challengeOf,
  deal,
  maskedOpeningCodec,
  openMasked,
  stripMasks,
  sumOfShares,
} from "@consilium/sharing/verified"
import { valueCount } from "../../study.js"
import { openSealed } from "../../suite.js"
import type { SumSetting } from "../secure-sum.js"
import { shareBinding, thresholdOf } from "../shamir.js"
import type { FacilityScheme } from "./facility-scheme.js"
import { partsOf, sealShares } from "./parts.js"

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

/** Deals an update to all facilities, and answers with the sum of the shares it got. */
export const shamirFacility: FacilityScheme = {
  protect(setting, { me, epochKeys }, values, random) {
    const shares = dealingOf(setting, values, random).shares.map((share) => share.encode())
    const binding = (recipient: Uint8Array): Uint8Array => shareBinding(setting, me, recipient)
    return { payload: null, ...sealShares(setting, me, shares, binding, random), epochKeys }
  },
  answer(setting, _own, values, random, challenge) {
    const { dealing } = dealingOf(setting, values, random)
    return encode(maskedOpeningCodec, openMasked(dealing, challengeOf(challenge, values.length)))
  },
  openPart: (setting, { me, keys }, dealer, sealed) =>
    openSealed(keys, sealed, shareBinding(setting, dealer, me)),
  partial(setting, { epochKeys }, request, parts) {
    const shares = partsOf(setting, request, parts).map(({ part }) => FieldVector.decode(part))
    return { opening: stripMasks(sumOfShares(shares)).encode(), epochKeys }
  },
}
