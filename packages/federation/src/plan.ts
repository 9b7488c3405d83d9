import { encode } from "@consilium/base/encoding"
import { MaskedPublicSum } from "@consilium/lattice/masked/public-masked-sum"
import { FRAME_BYTES } from "@consilium/lattice/sums/frame"
import { keyShareLength, maskWords } from "@consilium/lattice/threshold/key-check"
import { ThresholdPublicSum } from "@consilium/lattice/threshold/public-sum"
import { FieldVector } from "@consilium/sharing/field"
import { ELEMENT_BYTES } from "@consilium/sharing/octets"
import { maskedOpeningCodec, REPEATS } from "@consilium/sharing/verified"
import type { Directory } from "./roster.js"
import { openingThreshold, type Protection, type Study, valueCount } from "./study.js"
import { maskedParameters, thresholdParameters } from "./sums/lattice-parameters.js"

/**
 * What a protection sends, in bytes, as its own codecs write it and before any of it is sealed. Null stands for what the
 * protection does not send.
 */
export interface SumSizes {
  /** To the parent, who adds it; a sum of such payloads has the same length. */
  readonly payload: number | null
  /** To each of the other facilities. */
  readonly share: number | null
  /** A dealer's answer to the challenge that its shares are checked by. */
  readonly answer: number | null
  /** One facility's answer for a certified sum. */
  readonly opening: number | null
}

/** What a study is planned among. */
export interface PlannedSetting {
  readonly study: Study
  readonly directory: Directory
}

const plainSizes = ({ study }: PlannedSetting): SumSizes => ({
  payload: Int32Array.BYTES_PER_ELEMENT * valueCount(study),
  share: null,
  answer: null,
  opening: null,
})

/** Two masks travel with the values; the answer is t polynomials' coefficients of both. */
const shamirSizes = ({ study, directory }: PlannedSetting): SumSizes => {
  const threshold = openingThreshold(study, directory.facilities.length)
  const coefficients = Array.from({ length: threshold }, () => FieldVector.zero(REPEATS))
  return {
    payload: null,
    share: ELEMENT_BYTES * (valueCount(study) + REPEATS),
    answer: encode(maskedOpeningCodec, { coefficients }).length,
    opening: ELEMENT_BYTES * valueCount(study),
  }
}

const maskedSizes = (setting: PlannedSetting): SumSizes => {
  const { payloadLength, shareLength } = new MaskedPublicSum(maskedParameters(setting))
  return { payload: payloadLength, share: shareLength, answer: null, opening: shareLength }
}

const thresholdSizes = (setting: PlannedSetting): SumSizes => {
  const { payloadLength } = new ThresholdPublicSum(thresholdParameters(setting))
  return { payload: payloadLength, share: null, answer: null, opening: payloadLength }
}

/** One row for each protection whose sizes are known; a protection without one is honestly unknown to a plan. */
const SIZES: Readonly<Partial<Record<Protection, (setting: PlannedSetting) => SumSizes>>> = {
  plain: plainSizes,
  shamir: shamirSizes,
  masked: maskedSizes,
  ckks: thresholdSizes,
  bfv: thresholdSizes,
}

/** What each facility sends in one round under the study's protection; null if this is not known. */
export const sumSizes = (setting: PlannedSetting): SumSizes | null =>
  SIZES[setting.study.protection]?.(setting) ?? null

/** What each facility sends in one key ceremony. */
export interface CeremonySizes {
  readonly share: number
  readonly answer: number
  /** A dealer's encryption of zero, and an opener's answer about one dealer. */
  readonly test: number
}

export const ceremonySizes = (setting: PlannedSetting): CeremonySizes => {
  const parameters = thresholdParameters(setting)
  return {
    share: keyShareLength(parameters),
    answer: Uint32Array.BYTES_PER_ELEMENT * parameters.literal.threshold * maskWords(parameters.ring),
    test: FRAME_BYTES + parameters.ring.packedLength,
  }
}
