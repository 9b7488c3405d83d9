import { exp, log } from "@consilium/base/elementary"
import { type RandomSource, uniformUnit } from "@consilium/base/random"

/** The standard normal distribution from exp, log and square roots that are the same bits on every engine. */

const INVERSE_ROOT_TWO_PI = 0.3989422804014327

/** Math: e^(-z^2 / 2) / sqrt(2 pi) */
export const normalDensity = (z: number): number => INVERSE_ROOT_TWO_PI * exp((-z * z) / 2)

/**
 * The share of a standard normal below z.
 *
 * Math:   1/2 + density(z) (z + z^3 / 3 + z^5 / (3 * 5) + z^7 / (3 * 5 * 7) + ...)
 * Error:  below 1e-15, absolute
 * Cost:   at most about 150 terms
 * Source: Marsaglia 2004, J. Stat. Softw. 11(4)
 */
export const normalShare = (z: number): number => {
  if (z > 8.5) return 1
  if (z < -8.5) return 0
  let term = z
  let sum = z
  for (let k = 3; Math.abs(term) > 1e-17 * Math.abs(sum); k += 2) {
    term *= (z * z) / k
    sum += term
  }
  return Math.min(1, Math.max(0, 0.5 + sum * normalDensity(z)))
}

/** a_0 + a_1 x + a_2 x^2 + ... */
const polynomial = (coefficients: readonly number[], x: number): number =>
  coefficients.reduceRight((sum, coefficient) => sum * x + coefficient, 0)

// the numerators and denominators of Wichura's PPND16: the middle, the shoulders, the tails
const MIDDLE = [
  [
    3.3871328727963665, 133.14166789178438, 1971.5909503065513, 13731.69376550946, 45921.95393154987,
    67265.7709270087, 33430.57558358813, 2509.0809287301227,
  ],
  [
    1, 42.31333070160091, 687.1870074920579, 5394.196021424751, 21213.794301586597, 39307.89580009271,
    28729.085735721943, 5226.495278852854,
  ],
] as const
const SHOULDER = [
  [
    1.4234371107496835, 4.630337846156546, 5.769497221460691, 3.6478483247632045, 1.2704582524523684,
    0.2417807251774506, 0.022723844989269184, 0.0007745450142783414,
  ],
  [
    1, 2.053191626637759, 1.6763848301838038, 0.6897673349851, 0.14810397642748008, 0.015198666563616457,
    0.0005475938084995345, 1.0507500716444169e-9,
  ],
] as const
const TAIL = [
  [
    6.657904643501103, 5.463784911164114, 1.7848265399172913, 0.29656057182850487, 0.026532189526576124,
    0.0012426609473880784, 2.7115555687434876e-5, 2.0103343992922881e-7,
  ],
  [
    1, 0.599832206555888, 0.1369298809227358, 0.014875361290850615, 0.0007868691311456133,
    1.8463183175100548e-5, 1.421511758316446e-7, 2.0442631033899397e-15,
  ],
] as const

const ratio = ([above, below]: readonly [readonly number[], readonly number[]], x: number): number =>
  polynomial(above, x) / polynomial(below, x)

/**
 * The z below which a share of a standard normal lies.
 *
 * Error:  about 1e-16, relative
 * Units:  share in (0, 1); 0 and 1 give -Infinity and Infinity
 * Source: algorithm AS 241 (PPND16), Wichura 1988, Appl. Stat. 37
 */
export const normalQuantile = (share: number): number => {
  const q = share - 0.5
  if (Math.abs(q) <= 0.425) return q * ratio(MIDDLE, 0.180625 - q * q)
  const tail = q < 0 ? share : 1 - share
  if (tail <= 0) return q < 0 ? -Infinity : Infinity
  const r = Math.sqrt(-log(tail))
  const z = r <= 5 ? ratio(SHOULDER, r - 1.6) : ratio(TAIL, r - 5)
  return q < 0 ? -z : z
}

/** A standard normal draw: the quantile of one uniform, which lies in the middle of one of 2^53 equal parts, so never at 0. */
export const drawNormal = (random: RandomSource): number =>
  normalQuantile(Math.min(uniformUnit(random) + 2 ** -54, 1 - 2 ** -53))
