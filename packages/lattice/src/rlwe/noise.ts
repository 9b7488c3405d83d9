import { log } from "@consilium/base/elementary"
import type { Evaluations } from "../ring/ring.js"
import type { RlweCiphertext } from "./ciphertext.js"
import { phase } from "./encryption.js"
import type { RlweSecret } from "./keys.js"
import { MixedRadix } from "./mixed-radix.js"
import { ERROR_DEVIATION, type RlweParameters } from "./parameters.js"

/** Errors of coefficients beyond these bounds have probability 2^-40 at most, for a whole polynomial. */
const FAILURE_BITS = 40

/** A bound of N numbers that are sub-Gaussian with the given variance: N 2 exp(-B^2 / (2 v)) = 2^-40. */
const tail = (degree: number, variance: number): number =>
  Math.sqrt(2 * variance * (log(2 * degree) + FAILURE_BITS * Math.LN2))

/**
 * The largest coefficient of the error of a fresh ciphertext under the secret key.
 *
 * Math: e is centred binomial of 21 pairs of bits: |e| <= 21, always
 */
export const secretKeyNoise = (parameters: RlweParameters): number => parameters.errorPairs

/**
 * The largest coefficient of the error of a fresh ciphertext under the public key, but for a chance of 2^-40.
 *
 * Math:   e_0 + e_1 s + e u; each product is a sum of at most N errors with signs; the centred binomial is sub-Gaussian
 *         with its own variance sigma^2, hence the sum with sigma^2 (2 N + 1)
 */
export const publicKeyNoise = (parameters: RlweParameters): number =>
  tail(parameters.degree, ERROR_DEVIATION ** 2 * (2 * parameters.degree + 1))

/**
 * What a division by primes and rounding adds, but for a chance of 2^-40.
 *
 * Math:   r_0 + r_1 s with |r| <= 1/2; a ternary coefficient is sub-Gaussian with 2/3, taken as independent of r_1
 */
export const roundingNoise = (parameters: RlweParameters): number =>
  0.5 + tail(parameters.degree, parameters.degree / 6)

/**
 * What key switching adds, but for a chance of 2^-39.
 *
 * Math:   (sum_j d_j e_j) / P + rounding, |d_j| <= D_j / 2: sub-Gaussian with sigma^2 N sum_j D_j^2 / (4 P^2)
 */
export const keySwitchNoise = (parameters: RlweParameters, limbs: number): number => {
  const { degree, primes, specialPrimes } = parameters
  const product = (list: readonly number[]): number => list.reduce((p, q) => p * q, 1)
  const special = product(specialPrimes)
  let squares = 0
  for (let start = 0; start < limbs; start += specialPrimes.length) {
    const ratio = product(primes.slice(start, Math.min(start + specialPrimes.length, limbs))) / special
    squares += ratio * ratio
  }
  return tail(degree, (ERROR_DEVIATION ** 2 * degree * squares) / 4) + roundingNoise(parameters)
}

/**
 * The largest coefficient of c_0 + c_1 s + ... - message: the error that a ciphertext really has.
 * Whoever can call this holds the secret; the result belongs into tests and measurements only.
 */
export const measuredNoise = (
  secret: RlweSecret,
  ciphertext: RlweCiphertext,
  message: Evaluations,
): number => {
  const ring = secret.parameters.ringOf(ciphertext.limbs)
  const error = phase(secret, ciphertext)
  const coefficients = ring.inverse(ring.subtract(error, message, error))
  const radix = new MixedRadix(ring)
  return radix
    .toDoubles(radix.digits(coefficients))
    .reduce((most, value) => Math.max(most, Math.abs(value)), 0)
}
