import { ConsiliumError } from "@consilium/base/errors"
import { hash } from "@consilium/base/hash"
import { MaskedSum, MaskKey } from "@consilium/lattice/masked/masked-sum"
import { SeedLedger } from "@consilium/lattice/sums/seed-ledger"
import { openSealed } from "../../suite.js"
import { maskedParameters, sumContextOf } from "../lattice-parameters.js"
import type { SumSetting } from "../secure-sum.js"
import type { FacilityScheme } from "./facility-scheme.js"
import { partsOf, sealShares } from "./parts.js"

const maskBinding = (setting: SumSetting, sum: MaskedSum, dealer: Uint8Array, recipient: Uint8Array) => {
  const { directory, spec } = setting
  const [from, to] = [directory.pointOf(dealer), directory.pointOf(recipient)]
  return hash("mask-share", spec, sum.shareAssociatedData(sumContextOf(setting), from, to))
}

/** Masks an update under a fresh key, deals the key to all facilities, and answers with the sum of the shares it got. */
export const maskedFacility: FacilityScheme = {
  protect(setting, { me, epochKeys }, values, random) {
    const parameters = maskedParameters(setting)
    const sum = new MaskedSum(parameters)
    const point = setting.directory.pointOf(me)
    const key = new MaskKey(parameters, random)
    const { update, shares } = sum.protect(sumContextOf(setting), point, key, values, random)
    const binding = (recipient: Uint8Array): Uint8Array => maskBinding(setting, sum, me, recipient)
    return { payload: update, ...sealShares(setting, me, shares, binding, random), epochKeys }
  },
  answer: null,
  openPart(setting, { me, keys }, dealer, sealed) {
    const sum = new MaskedSum(maskedParameters(setting))
    const part = openSealed(keys, sealed, maskBinding(setting, sum, dealer, me))
    const { directory } = setting
    if (!sum.isShare(sumContextOf(setting), directory.pointOf(dealer), directory.pointOf(me), part))
      throw new ConsiliumError("lattice/malformed", "A share of a mask is of another sum, or malformed.")
    return part
  },
  partial(setting, { me, epochKeys }, request, parts) {
    const parameters = maskedParameters(setting)
    const { directory } = setting
    const shares = partsOf(setting, request, parts).map(({ dealer, part }) => ({
      dealer: directory.pointOf(dealer),
      share: part,
    }))
    const asked = {
      context: sumContextOf(setting),
      cohort: request.cohort.map((id) => directory.pointOf(id)),
    }
    const admission = SeedLedger.begin(0).unmask(parameters, asked)
    if (admission.kind === "repeated")
      throw new ConsiliumError("lattice/already-used", "An answer was asked for a second time.")
    const opening = new MaskedSum(parameters).answer(asked, directory.pointOf(me), shares, admission.permit)
    return { opening, epochKeys }
  },
}
