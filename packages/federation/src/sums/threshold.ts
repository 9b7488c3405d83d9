import { ThresholdPublicSum } from "@consilium/lattice/threshold/public-sum"
import { sumContextOf, thresholdParameters } from "./lattice-parameters.js"
import type { SecureSum, SumRequest, SumSetting } from "./secure-sum.js"

/** A request to open, with facilities by their evaluation points. */
export const openingRequest = (setting: SumSetting, { cohort, openers }: SumRequest) => ({
  context: sumContextOf(setting),
  cohort: cohort.map((id) => setting.directory.pointOf(id)),
  active: openers.map((id) => setting.directory.pointOf(id)),
})

const publicSum = (setting: SumSetting): ThresholdPublicSum =>
  new ThresholdPublicSum(thresholdParameters(setting))

/**
 * Sums under threshold homomorphic encryption: each facility encrypts under its own key of the epoch and a polynomial
 * that everybody computes; parents add ciphertexts; t named facilities open the sum of a certified list.
 *
 * Shape:  up and per opener: 24 bytes and the packed polynomials
 * Source: `@consilium/lattice/threshold/threshold-sum`
 */
const thresholdSum = (kind: "ckks" | "bfv"): SecureSum => ({
  kind,
  keyed: true,
  added: { add: (setting, payloads) => publicSum(setting).add(sumContextOf(setting), payloads) },
  checked: null,
  opened: "named",
  combine(setting, request, sums, partials) {
    const sum = publicSum(setting)
    const answers = partials.map(({ facility, opening }) => ({
      point: setting.directory.pointOf(facility),
      opening,
    }))
    const total = sum.add(sumContextOf(setting), sums)
    return Float64Array.from(sum.open(openingRequest(setting, request), total, answers))
  },
})

export const ckksSum = thresholdSum("ckks")
export const bfvSum = thresholdSum("bfv")
