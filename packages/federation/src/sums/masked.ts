import { MaskedPublicSum } from "@consilium/lattice/masked/public-masked-sum"
import { maskedParameters, sumContextOf } from "./lattice-parameters.js"
import type { SecureSum, SumSetting } from "./secure-sum.js"

const publicSum = (setting: SumSetting): MaskedPublicSum => new MaskedPublicSum(maskedParameters(setting))

/**
 * Sums under one-time masks, for long vectors: the vector travels masked and is added on the way; shares of the mask's key
 * go sealed to every facility, and the sums of any t of them take the masks off a certified sum.
 *
 * Shape:  up: 24 bytes and the packed polynomials, and one packed key per recipient; opening: one packed key
 * Source: `@consilium/lattice/masked/masked-sum`
 */
export const maskedSum: SecureSum = {
  kind: "masked",
  keyed: false,
  added: { add: (setting, payloads) => publicSum(setting).add(sumContextOf(setting), payloads) },
  checked: null,
  opened: "any",
  combine(setting, { cohort }, sums, partials) {
    const sum = publicSum(setting)
    const pointOf = (id: Uint8Array): number => setting.directory.pointOf(id)
    const context = sumContextOf(setting)
    const answers = partials.map(({ facility, opening }) => ({ point: pointOf(facility), opening }))
    return Float64Array.from(
      sum.open({ context, cohort: cohort.map(pointOf) }, sum.add(context, sums), answers),
    )
  },
}
