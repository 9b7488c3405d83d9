import {
  discreteGaussianVectorEvent,
  mustBeCount,
  mustBeNonNegative,
  mustBePositive,
  mustBeProbability,
} from "./events.js"
import { exp, log } from "./math.js"
import { zcdpToEpsilon } from "./zcdp.js"

/**
 * Distributed discrete Gaussian noise: each party adds its share to its own whole numbers, and only the sum is opened.
 * The sum of shares is not exactly a discrete Gaussian; what that costs is counted here.
 */
export interface DistributedGaussian {
  /** L2 clip norm of one party's vector, in the units of the vector. */
  readonly clip: number
  /** Grid step, in the units of the vector. */
  readonly granularity: number
  /** Standard deviation of one party's share of the noise, in the units of the vector. */
  readonly localSigma: number
  /** Parties whose noise is in the opened sum and secret: those that sent, less those that collude. */
  readonly parties: number
  /** Length of the vector, after padding to a power of two if it is rotated. */
  readonly dimension: number
  /** Whether vectors are of whole grid steps already, of at most the clip norm: nothing is rounded then. */
  readonly whole?: boolean
  /** Bias of conditional randomised rounding, in [0, 1): 0 takes the worst case of rounding; exp(-0.5) is usual. */
  readonly beta: number
}

const checkDistributed = (setting: DistributedGaussian): void => {
  mustBeNonNegative("A clip norm", setting.clip)
  mustBeNonNegative("A grid step", setting.granularity)
  mustBeNonNegative("The standard deviation of a share", setting.localSigma)
  mustBeCount("The number of parties", setting.parties)
  mustBeCount("The length of a vector", setting.dimension, 1)
  mustBeProbability("beta", setting.beta)
}

/**
 * The L2 norm that one party's vector may have after rounding to the grid.
 *
 * Math:   min{ sqrt(c^2 + g^2 d / 4 + sqrt(2 log(1 / beta)) g (c + g sqrt(d) / 2)), c + g sqrt(d) }
 * Units:  those of the vector
 * Source: Kairouz, Liu and Steinke 2021 (arXiv:2102.06387), proposition 22 and algorithm 1
 * @throws {ConsiliumError} "privacy/bad-parameter"
 */
export const roundedL2 = (setting: DistributedGaussian): number => {
  checkDistributed(setting)
  const { clip, granularity, dimension, beta } = setting
  if (setting.whole === true) return clip
  const worst = clip + granularity * Math.sqrt(dimension)
  if (beta === 0) return worst
  const half = (granularity * Math.sqrt(dimension)) / 2
  const likely = clip * clip + half * half + Math.sqrt(-2 * log(beta)) * granularity * (clip + half)
  return Math.min(Math.sqrt(likely), worst)
}

/**
 * How far the sum of n discrete Gaussians is from one, in max divergence per entry.
 *
 * Math:   10 sum over k = 1..n-1 of e^(-2 pi^2 (sigma / g)^2 k / (k + 1))
 * Units:  nats
 * Source: Kairouz, Liu and Steinke 2021, corollary 12
 * @throws {ConsiliumError} "privacy/bad-parameter"
 */
export const sumOfDiscreteGaussiansGap = (setting: DistributedGaussian): number => {
  checkDistributed(setting)
  const ratio = setting.localSigma / setting.granularity
  if (setting.granularity === 0 || ratio === Infinity) return 0
  const most = 2 * Math.PI * Math.PI * ratio * ratio
  let sum = 0
  for (let k = 1; k < setting.parties; k++) {
    sum += exp((-most * k) / (k + 1))
    // the terms fall towards e^-most, so the rest is at most as many of the last one
    if (k >= 100_000) {
      sum += (setting.parties - 1 - k) * exp((-most * k) / (k + 1))
      break
    }
  }
  return 10 * sum
}

/**
 * zCDP of one opened sum under distributed discrete Gaussian noise.
 *
 * Math:   min{ sqrt(D^2 / (n s^2) + t d / 2), D / (sqrt(n) s) + t sqrt(d) }^2 / 2, with D = roundedL2, t the gap
 * Units:  rho in nats; neighbours by adding or removing one party's vector (or zeroing it); n = `parties`, so pass
 *         minCohort - c when c may collude
 * Source: Kairouz, Liu and Steinke 2021 (arXiv:2102.06387), theorem 1 and proposition 14
 * @throws {ConsiliumError} "privacy/bad-parameter"
 */
export const distributedRho = (setting: DistributedGaussian): number => {
  const norm = roundedL2(setting)
  const { localSigma, parties, dimension } = setting
  const gap = sumOfDiscreteGaussiansGap(setting)
  const ratio = norm === 0 ? 0 : norm / (Math.sqrt(parties) * localSigma)
  if (ratio === Infinity || Number.isNaN(ratio)) return Infinity
  const wide = ratio * ratio + (gap * dimension) / 2
  const narrow = ratio + gap * Math.sqrt(dimension)
  return Math.min(wide, narrow * narrow) / 2
}

/**
 * The epsilon of `steps` opened sums under distributed discrete Gaussian noise.
 *
 * Math:   zcdpToEpsilon(steps * distributedRho, delta)
 * Units:  nats
 * Source: Kairouz, Liu and Steinke 2021, theorem 1; conversion: Canonne, Kamath and Steinke 2020, corollary 13
 * @throws {ConsiliumError} "privacy/bad-parameter"
 */
export const distributedEpsilon = (setting: DistributedGaussian, steps: number, delta: number): number => {
  mustBeCount("A count of sums", steps)
  const rho = distributedRho(setting)
  return zcdpToEpsilon(steps === 0 ? 0 : steps * rho, delta)
}

/**
 * The event that stands for one opened sum in a ledger: a discrete Gaussian vector with the same rho.
 *
 * Units: grid steps
 * @throws {ConsiliumError} "privacy/bad-parameter" if the setting has no finite rho
 */
export const distributedEvent = (
  setting: DistributedGaussian,
): ReturnType<typeof discreteGaussianVectorEvent> => {
  const rho = distributedRho(setting)
  mustBeNonNegative("rho of the distributed noise", rho)
  mustBePositive("A grid step", setting.granularity)
  const sigma = (Math.sqrt(setting.parties) * setting.localSigma) / setting.granularity
  return discreteGaussianVectorEvent(sigma, sigma * Math.sqrt(2 * rho) * (1 + 1e-15))
}
