import { mustBeProbability } from "../events.js"
import { exp, log, log1p, logBinomial } from "../math.js"

const logMass = (trials: number, k: number, probability: number): number =>
  logBinomial(trials, k) + k * log(probability) + (trials - k) * log1p(-probability)

/** The sum of `count` terms of the binomial distribution from `first` on, each from the one before. */
const sumFrom = (trials: number, first: number, count: number, probability: number): number => {
  const odds = probability / (1 - probability)
  let term = exp(logMass(trials, first, probability))
  let sum = 0
  for (let k = first; k < first + count; k++) {
    sum += term
    term *= ((trials - k) / (k + 1)) * odds
  }
  return sum
}

/**
 * P(W = k) for k = 0 ... trials, W binomial.
 *
 * Math:  the largest from logarithms, the others from their neighbours
 * Error: relative, about 1e-15 trials log(trials) where it is above 1e-300
 */
export const binomialMasses = (trials: number, probability: number): Float64Array => {
  mustBeProbability("A chance of success", probability)
  const masses = new Float64Array(trials + 1)
  if (probability === 0 || probability === 1) {
    masses[probability * trials] = 1
    return masses
  }
  const odds = probability / (1 - probability)
  const mode = Math.min(trials, Math.floor((trials + 1) * probability))
  masses[mode] = exp(logMass(trials, mode, probability))
  for (let k = mode; k < trials; k++) masses[k + 1] = (masses[k] as number) * ((trials - k) / (k + 1)) * odds
  for (let k = mode; k > 0; k--) masses[k - 1] = ((masses[k] as number) * (k / (trials - k + 1))) / odds
  return masses
}

/**
 * P(W >= k) for W binomial.
 *
 * Math:  the sum of the terms on the shorter side of k, seen from the mean
 * Error: relative, about 1e-15 trials log(trials) for a tail beyond the mean; absolute below it
 */
export const binomialUpperTail = (trials: number, k: number, probability: number): number => {
  mustBeProbability("A chance of success", probability)
  if (k <= 0) return 1
  if (k > trials || probability === 0) return 0
  if (probability === 1) return 1
  return k > trials * probability
    ? Math.min(1, sumFrom(trials, k, trials - k + 1, probability))
    : Math.max(0, 1 - binomialUpperTail(trials, trials - k + 1, 1 - probability))
}
