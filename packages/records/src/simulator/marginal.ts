import { exp, log } from "@consilium/base/elementary"
import { normalDensity, normalQuantile, normalShare } from "./normal.js"

/** How a measured number is distributed. Means and deviations (standard deviations, not variances) in the column's unit. */
export type NumberMarginal =
  | { readonly distribution: "normal"; readonly mean: number; readonly deviation: number }
  /** A normal of which only [low, high] is kept; mean and deviation are those before cutting. */
  | {
      readonly distribution: "truncated-normal"
      readonly mean: number
      readonly deviation: number
      readonly low: number
      readonly high: number
    }
  /** The logarithm of what is above the floor is normal; mean and deviation are those of the values themselves. */
  | {
      readonly distribution: "lognormal"
      readonly mean: number
      readonly deviation: number
      readonly floor?: number
    }

/** How often each code comes, in the order of the column's codes; a yes/no column is Bernoulli, with the share of yes. */
export type CodeMarginal =
  | { readonly distribution: "bernoulli"; readonly share: number }
  | { readonly distribution: "categorical"; readonly shares: readonly number[] }

export type Marginal = NumberMarginal | CodeMarginal

/** Shares of all codes, adding up to 1: of no and yes for a Bernoulli marginal. */
export const sharesOf = (marginal: CodeMarginal): readonly number[] =>
  marginal.distribution === "bernoulli" ? [1 - marginal.share, marginal.share] : marginal.shares

/** The values of a standard normal at which one code ends and the next begins. */
export const thresholdsOf = (marginal: CodeMarginal): readonly number[] => {
  let below = 0
  return sharesOf(marginal)
    .slice(0, -1)
    .map((share) => {
      below += share
      return normalQuantile(below)
    })
}

/**
 * Mean and deviation of the logarithm of a lognormal with a given mean and deviation.
 *
 * Math:   s^2 = log(1 + (deviation / (mean - floor))^2), m = log(mean - floor) - s^2 / 2
 * Source: Aitchison and Brown 1957
 */
export const logMoments = ({
  mean,
  deviation,
  floor = 0,
}: {
  readonly mean: number
  readonly deviation: number
  readonly floor?: number
}): { readonly mean: number; readonly deviation: number } => {
  const spread = deviation / (mean - floor)
  const variance = log(1 + spread * spread)
  return { mean: log(mean - floor) - variance / 2, deviation: Math.sqrt(variance) }
}

const cutOf = ({ mean, deviation, low, high }: NumberMarginal & { distribution: "truncated-normal" }) => {
  const [from, to] = [(low - mean) / deviation, (high - mean) / deviation]
  return { from, to, below: normalShare(from), kept: normalShare(to) - normalShare(from) }
}

/**
 * What turns a standard normal into a value of a marginal: a number, or the place of a code. It never falls as z rises.
 *
 * Math:   F^-1(normalShare(z))
 * Units:  of the column
 */
export const transformOf = (marginal: Marginal): ((z: number) => number) => {
  switch (marginal.distribution) {
    case "normal":
      return (z) => marginal.mean + marginal.deviation * z
    case "truncated-normal": {
      const { mean, deviation, low, high } = marginal
      const { below, kept } = cutOf(marginal)
      return (z) =>
        Math.min(high, Math.max(low, mean + deviation * normalQuantile(below + kept * normalShare(z))))
    }
    case "lognormal": {
      const logs = logMoments(marginal)
      const floor = marginal.floor ?? 0
      return (z) => floor + exp(logs.mean + logs.deviation * z)
    }
    default: {
      const thresholds = thresholdsOf(marginal)
      return (z) => thresholds.reduce((place, threshold) => place + (z > threshold ? 1 : 0), 0)
    }
  }
}

/**
 * Mean and deviation of a number's marginal.
 *
 * Math:   for the cut normal, with a and b the bounds in deviations from the mean and K the share kept:
 *         mean + deviation (f(a) - f(b)) / K, and deviation^2 (1 + (a f(a) - b f(b)) / K - ((f(a) - f(b)) / K)^2)
 * Units:  of the column
 * Source: Johnson, Kotz and Balakrishnan 1994, section 13.10.1
 */
export const momentsOf = (
  marginal: NumberMarginal,
): { readonly mean: number; readonly deviation: number } => {
  const { mean, deviation } = marginal
  if (marginal.distribution !== "truncated-normal") return { mean, deviation }
  const { from, to, kept } = cutOf(marginal)
  const shift = (normalDensity(from) - normalDensity(to)) / kept
  const narrowing = (from * normalDensity(from) - to * normalDensity(to)) / kept
  return { mean: mean + deviation * shift, deviation: deviation * Math.sqrt(1 + narrowing - shift * shift) }
}
