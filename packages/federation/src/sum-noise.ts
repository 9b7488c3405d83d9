import type { RandomSource } from "@consilium/base/random"
import { gridSensitivity } from "@consilium/privacy/clipped-sum"
import {
  type DistributedGaussian,
  distributedEvent,
  distributedRho,
  roundedL2,
} from "@consilium/privacy/distributed"
import { noiseBound, noiseShare } from "@consilium/privacy/distributed-noise"
import { type DpEvent, nonPrivateEvent } from "@consilium/privacy/events"
import { exp } from "@consilium/privacy/math"
import { UPWARD } from "@consilium/privacy/mechanism"
import type { StudyPrivacy } from "./privacy-plan.js"
import type { Study } from "./study.js"
import { parameterCount } from "./study-model.js"

/**
 * Noise on the opened sum: every facility adds a share of it to its integers, so that any certified cohort without its
 * declared colluders still has all of it. A facility does not know its cohort when it draws.
 */

/** What of a study decides the noise on its sums. */
export interface SumRules extends Pick<Study, "model" | "cohort" | "quantisation"> {
  readonly privacy: Pick<StudyPrivacy, "unit" | "maxGradNorm" | "noiseMultiplier">
}

/** Whether a study's noise is on the opened sum alone: a single update has no more than a share. */
export const isNoiseOnSum = ({ privacy }: Pick<Study, "privacy">): boolean => privacy?.noise === "sum"

/** Whether facilities send sums of their patients' clipped gradients rather than updates. */
export const sendsGradients = ({ privacy }: Pick<Study, "privacy">): boolean =>
  privacy?.noise === "sum" && privacy.unit === "patient"

/** Facilities whose shares are in every opened sum and known to nobody else: k - c. */
export const hidingParties = ({ cohort }: Pick<Study, "cohort">): number =>
  cohort.minCohort - cohort.colluders

/**
 * Most that one unit moves an opened sum, in L2 norm and grid steps.
 *
 * Math:   patient:  C 2^f + sqrt(d) / 2, one clipped and rounded gradient more or less
 *         facility: 2 min{ sqrt(S^2 4^f + d / 4 + S 2^f + sqrt(d) / 2), S 2^f + sqrt(d) }, one rounded update for another
 * Units:  grid steps of 2^-f
 * Source: `gridSensitivity`; `roundedL2` at beta = exp(-1/2), which is `roundToGrid`'s bound
 */
export const sumSensitivity = ({ model, quantisation, privacy }: SumRules): number => {
  const dimension = parameterCount({ model })
  const step = 2 ** -quantisation.fractionBits
  return privacy.unit === "patient"
    ? gridSensitivity({ maxNorm: privacy.maxGradNorm, dimension, step })
    : 2 * largestUpdate(quantisation, dimension)
}

/** Largest L2 norm of a rounded update, in grid steps. */
const largestUpdate = ({ clipNorm, fractionBits }: Study["quantisation"], dimension: number): number =>
  roundedL2({
    clip: clipNorm * 2 ** fractionBits,
    granularity: 1,
    localSigma: 0,
    parties: 1,
    dimension,
    beta: exp(-0.5),
  }) * UPWARD

/**
 * Standard deviation of one facility's share, in grid steps.
 *
 * Math: z D / sqrt(k - c), z the noise multiplier and D the sensitivity
 */
export const shareSigma = (rules: SumRules): number =>
  (rules.privacy.noiseMultiplier * sumSensitivity(rules)) / Math.sqrt(hidingParties(rules))

/** The shares of the noise, as the mathematics names them. */
const sharesOf = (rules: SumRules): DistributedGaussian => ({
  clip: sumSensitivity(rules),
  granularity: 1,
  whole: true,
  localSigma: shareSigma(rules),
  parties: hidingParties(rules),
  dimension: parameterCount(rules),
  beta: 0,
})

const EVENTS = new WeakMap<object, DpEvent>()

/**
 * What one opened sum costs. A larger cohort costs no more: what further facilities contribute, noise included, is
 * independent of a sum that has the accounted noise already, and only computes on it.
 */
export const sumEvent = (rules: SumRules): DpEvent => {
  const known = EVENTS.get(rules)
  if (known !== undefined) return known
  const shares = sharesOf(rules)
  const event = distributedRho(shares) < Number.POSITIVE_INFINITY ? distributedEvent(shares) : nonPrivateEvent
  EVENTS.set(rules, event)
  return event
}

/**
 * A share beyond its bound is drawn again, which moves its distribution by at most 2^-128. A study has fewer than 2^12
 * facilities and 2^32 rounds, so that adds less than 2^-84 (1 + e^epsilon) to delta: nothing that any delta notices. It costs
 * less than one bit of range more than a tail of 2^-40, which would have to be taken off delta.
 */
export const TAIL_BITS = 128

/** Most that an honest facility's value can be, its share of the noise included; infinite where the rules make no sense. */
export const largestOnSum = (study: Study): number => {
  if (study.privacy === null) return Number.POSITIVE_INFINITY
  const rules: SumRules = { ...study, privacy: study.privacy }
  const sigma = shareSigma(rules)
  if (!(sigma > 0 && sigma < 2 ** 31)) return Number.POSITIVE_INFINITY
  const dimension = parameterCount(study)
  const data =
    study.privacy.unit === "patient"
      ? study.privacy.mostPatients * Math.floor(sumSensitivity(rules))
      : Math.floor(largestUpdate(study.quantisation, dimension))
  return data + noiseBound(sigma, dimension, TAIL_BITS)
}

/**
 * A facility's integers with its share of the noise on the opened sum.
 *
 * Math:   v + N, N discrete Gaussian of `shareSigma` per entry, drawn again while an entry exceeds its bound
 * Shape:  d integers; result d integers, each within `largestOnSum`
 * Units:  grid steps
 * Source: Kairouz, Liu and Steinke 2021 (arXiv:2102.06387), algorithm 1
 */
export const withNoiseShare = (
  values: ArrayLike<number>,
  rules: SumRules,
  random: RandomSource,
): Int32Array => {
  const shares = sharesOf(rules)
  const bound = BigInt(noiseBound(shares.localSigma, shares.dimension, TAIL_BITS))
  for (;;) {
    const share = noiseShare(shares, random)
    if (share.every((value) => value <= bound && value >= -bound))
      return Int32Array.from(share, (value, i) => (values[i] as number) + Number(value))
  }
}

/** Where the noise on a study's sums is, for whoever reads its plan. */
export interface NoiseOnSum {
  readonly unit: StudyPrivacy["unit"]
  /** L2 norm to which a patient's gradient, or a facility's update, is clipped. */
  readonly clipNorm: number
  /** k, c, and the k - c facilities whose shares have to be all of the noise. */
  readonly smallest: number
  readonly colluders: number
  readonly hiding: number
}

/** Null where a study's noise is not on its sums. */
export const noiseOnSumOf = ({
  privacy,
  cohort,
  quantisation,
}: Pick<Study, "privacy" | "cohort" | "quantisation">): NoiseOnSum | null => {
  if (privacy === null || privacy.noise !== "sum") return null
  const { unit, maxGradNorm } = privacy
  return {
    unit,
    clipNorm: unit === "patient" ? maxGradNorm : quantisation.clipNorm,
    smallest: cohort.minCohort,
    colluders: cohort.colluders,
    hiding: hidingParties({ cohort }),
  }
}

/** How often noise is drawn and charged for one round: once for its sum, or in every local step. */
export const releasesPerRound = (study: Pick<Study, "privacy" | "training">): number =>
  isNoiseOnSum(study) ? 1 : study.training.steps
