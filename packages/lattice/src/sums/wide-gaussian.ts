import { ConsiliumError } from "@consilium/base/errors"
import type { RandomSource } from "@consilium/base/random"
import { PlainSumsKernel } from "./plain-sums-kernel.js"
import type { GaussianTable, SumsKernel } from "./sums-kernel.js"
import { WasmSumsKernel } from "./wasm-sums-kernel.js"

let shared: SumsKernel | undefined
/** The kernel that all sums use; "plain" is the slow twin. */
export const sumsKernel = (which: "wasm" | "plain" = "wasm"): SumsKernel => {
  if (which === "plain") return new PlainSumsKernel()
  shared ??= new WasmSumsKernel()
  return shared
}

/** The widest Gaussian. */
export const MOST_SIGMA = 2n ** 50n
const WORKING = 320n

/** e^(-numerator / denominator) in units of 2^-WORKING, for an exponent of at most one; some units too small. */
const fixedExponential = (numerator: bigint, denominator: bigint): bigint => {
  let term = 1n << WORKING
  let sum = 0n
  for (let j = 1n; term !== 0n; j++) {
    sum += term
    term = (-term * numerator) / (denominator * j)
  }
  return sum
}

/** Thresholds of exp(-y^2 / (2 sigma_0^2)) on y = 0, 1, ..., sigma_0^2 = numerator / denominator. */
const baseThresholds = (numerator: bigint, denominator: bigint): bigint[] => {
  const step = fixedExponential(denominator, 2n * numerator)
  const square = (step * step) >> WORKING
  const sums: bigint[] = []
  let [weight, ratio, total] = [1n << WORKING, step, 0n]
  while (weight > 0n) {
    total += weight
    sums.push(total)
    weight = (weight * ratio) >> WORKING
    ratio = (ratio * square) >> WORKING
  }
  const end = (1n << 128n) - 1n
  const thresholds = sums.map((sum) => (sum << 128n) / total).filter((threshold) => threshold < end)
  if (thresholds.length % 2 === 1) thresholds.push(end)
  return thresholds
}

/**
 * A discrete Gaussian of any width up to 2^50, in whole numbers throughout: what hides the errors in partial openings.
 *
 * With k = 2^m and sigma_0 = sigma / k in (2, 4] a base value y >= 0 is drawn from exp(-y^2 / (2 sigma_0^2)) by 128-bit
 * thresholds, widened to z = k y + u with u uniform on [0, k), kept with probability exp(-u (u + 2 k y) / (2 sigma^2)),
 * and given a sign, a negative zero being dropped. The two weights multiply to exp(-z^2 / (2 sigma^2)).
 *
 * Math:   P(x) ~ exp(-x^2 / (2 sigma^2)), x a whole number
 * Error:  thresholds are within 2^-127, probabilities of keeping within a relative 2^-57. So outside an event of
 *         probability 2^-97 (a base value of probability below 2^-100) every probability is within a relative 2^-26 of
 *         the ideal one and in mean square within 2^-112: the Renyi divergence of order a from the ideal is below
 *         a 2^-112 for each sample and a <= 2^20, its limit a = 1 (Kullback-Leibler) below 2^-112
 * Cost:   1.1 to 1.3 candidates of 32 random bytes for each sample; 32 bytes of the source for each call
 * Timing: a candidate takes the same steps and addresses whatever it is; how many a sample takes tells nothing of it
 * Source: Ducas, Durmus, Lepoint, Lyubashevsky 2013, eprint 2013/383 (widening); Prest 2017, eprint 2017/480 (relative
 *         errors in the Renyi divergence); RFC 8439
 */
export class WideGaussian {
  readonly sigma: bigint
  readonly #table: GaussianTable
  readonly #kernel: SumsKernel

  /** @throws {ConsiliumError} "lattice/out-of-range" if sigma is not in [1, 2^50] */
  constructor(sigma: bigint, kernel: SumsKernel = sumsKernel()) {
    if (sigma < 1n || sigma > MOST_SIGMA)
      throw new ConsiliumError("lattice/out-of-range", `A Gaussian's sigma is in [1, 2^50], not ${sigma}.`)
    let stretch = 0
    while (sigma > 4n << BigInt(stretch)) stretch++
    const [numerator, denominator] = [sigma * sigma, 1n << BigInt(2 * stretch)]
    this.sigma = sigma
    this.#kernel = kernel
    this.#table = {
      thresholds: baseThresholds(numerator, denominator),
      // unused where nothing is widened
      curvature: stretch === 0 ? 0n : (denominator << 66n) / numerator,
      stretch,
    }
  }

  /** Fills an array; takes 32 bytes of the source. */
  sample(random: RandomSource, into: BigInt64Array): BigInt64Array {
    const key = random.bytes(32)
    if (key.length !== 32)
      throw new ConsiliumError("lattice/bad-polynomial", `A seed has 32 bytes, not ${key.length}.`)
    try {
      this.#kernel.wideGaussian(key, this.#table, into)
    } finally {
      key.fill(0)
    }
    return into
  }
}
