import { log } from "@consilium/base/elementary"
import { ERROR_DEVIATION } from "@consilium/lattice/rlwe/parameters"

/*
 * Errors in slots. A polynomial of independent coefficients with variance v has in every slot, along every direction of the complex
 * plane, a number that is sub-Gaussian with v N / 2, and slots are uncorrelated: the columns of the embedding are orthogonal.
 * "Variance" below is that along a direction. Each bound fails with a chance of 2^-46; a plan has far fewer than 2^8 of them.
 */

const FAILURE = 46 * Math.LN2
const DIRECTIONS = 16
/** cos^2(pi / 16): a number longer than b passes b cos(pi / 16) along one of 16 directions. */
const ALONG_ONE = 0.9619397662556434

/** The largest size of so many complex numbers. */
export const largestSlot = (variance: number, count: number): number =>
  Math.sqrt((2 * variance * (log(DIRECTIONS * count) + FAILURE)) / ALONG_ONE)

/** The largest size of so many real numbers. */
export const largestReal = (variance: number, count: number): number =>
  Math.sqrt(2 * variance * (log(2 * count) + FAILURE))

/** Of a fresh ciphertext, and of rounding what it holds. */
export const freshVariance = (degree: number): number =>
  ((ERROR_DEVIATION * ERROR_DEVIATION + 1 / 12) * degree) / 2

/** Of rounding coefficients, taken as independent and uniform. */
export const encodingVariance = (degree: number): number => degree / 24

/**
 * Of a division by primes: r_0 + r_1 s, both roundings, for every secret but one in 2^46.
 *
 * Math: (N / 24) (1 + |s|^2) with |s| the largest slot of a ternary polynomial, whose variance is (2 / 3) N / 2
 */
export const divisionVariance = (degree: number): number => {
  const secret = largestSlot(degree / 3, degree / 2)
  return encodingVariance(degree) * (1 + secret * secret)
}

/** The primes of a stage. */
export interface StagePrimes {
  readonly degree: number
  readonly primes: readonly number[]
  readonly specialPrimes: readonly number[]
}

/** More than there are rows of keys, and more key switches than there are in one answer. */
const MOST_SWITCHES = 2 ** 12

/**
 * The largest error that any key switch of an answer leaves in any slot.
 *
 * Math: sum_j d_j e_j / P and a division; d_j uniform on pieces of D_j, |e_j| at most its largest slot: variance sum_j (D_j / P)^2
 *       (N / 24) |e|^2
 */
export const largestSwitch = ({ degree, primes, specialPrimes }: StagePrimes): number => {
  const group = specialPrimes.length
  const count = (degree / 2) * MOST_SWITCHES
  const key = largestSlot((ERROR_DEVIATION * ERROR_DEVIATION * degree) / 2, count)
  const special = specialPrimes.reduce((product, q) => product * q, 1)
  let squares = 0
  for (let start = 0; start < primes.length; start += group) {
    const ratio = primes.slice(start, start + group).reduce((product, q) => product * q, 1) / special
    squares += ratio * ratio
  }
  const variance = squares * encodingVariance(degree) * key * key + divisionVariance(degree)
  return largestSlot(variance, count)
}
