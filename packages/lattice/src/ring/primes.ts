import { ConsiliumError } from "@consilium/base/errors"
import { multiplyModulo, powerModulo } from "./modular.js"

/** Sizes of the primes of a ring, in bits. */
export const LEAST_PRIME_BITS = 26
export const MOST_PRIME_BITS = 30
/** Degrees N for which a ring X^N + 1 is offered. */
export const DEGREES = [1024, 2048, 4096, 8192, 16384] as const

const WITNESSES = [2, 3, 5, 7]
/** The one composite below 25 * 10^9 that passes for these witnesses. */
const FALSE_WITNESS = 3_215_031_751

/**
 * Whether a whole number below 2^32 is prime; the answer is certain.
 *
 * Math:   Miller-Rabin to the bases 2, 3, 5, 7, which one composite below 25,000,000,000 passes, 3,215,031,751
 * Source: Pomerance, Selfridge, Wagstaff 1980, "The pseudoprimes to 25 * 10^9"
 * @throws {ConsiliumError} "lattice/bad-ring" if the number is not whole or not in [0, 2^32)
 */
export const isPrime = (candidate: number): boolean => {
  if (!Number.isInteger(candidate) || candidate < 0 || candidate >= 2 ** 32)
    throw new ConsiliumError("lattice/bad-ring", `Primality is decided for whole numbers below 2^32.`)
  if (candidate < 2 || candidate === FALSE_WITNESS) return false
  for (const p of WITNESSES) if (candidate % p === 0) return candidate === p
  let odd = candidate - 1
  let twos = 0
  for (; odd % 2 === 0; odd /= 2) twos++
  return WITNESSES.every((base) => {
    let x = powerModulo(base, odd, candidate)
    if (x === 1) return true
    for (let i = 0; i < twos; i++) {
      if (x === candidate - 1) return true
      x = multiplyModulo(x, x, candidate)
    }
    return false
  })
}

/** Whether N is one of `DEGREES`. */
export const isDegree = (degree: number): boolean => (DEGREES as readonly number[]).includes(degree)

/**
 * The `count` largest primes of exactly `bits` bits that allow a negacyclic transform of length `degree`, the largest
 * first. The same on every machine; a longer list starts with the shorter one.
 *
 * Math: q = 1 mod 2 N, 2^(bits-1) < q < 2^bits
 * @throws {ConsiliumError} "lattice/bad-ring" if there are not so many, or a number is out of range
 */
export const nttPrimes = (degree: number, bits: number, count: number): readonly number[] => {
  if (!isDegree(degree))
    throw new ConsiliumError("lattice/bad-ring", `The degree ${degree} is none of ${DEGREES.join(", ")}.`)
  if (!Number.isInteger(bits) || bits < LEAST_PRIME_BITS || bits > MOST_PRIME_BITS)
    throw new ConsiliumError(
      "lattice/bad-ring",
      `Primes have ${LEAST_PRIME_BITS} to ${MOST_PRIME_BITS} bits, not ${bits}.`,
    )
  const primes: number[] = []
  for (
    let candidate = 2 ** bits - 2 * degree + 1;
    candidate > 2 ** (bits - 1) && primes.length < count;
    candidate -= 2 * degree
  )
    if (isPrime(candidate)) primes.push(candidate)
  if (primes.length !== count)
    throw new ConsiliumError(
      "lattice/bad-ring",
      `There are ${primes.length} primes of ${bits} bits for degree ${degree}, not ${count}.`,
    )
  return primes
}

/** Whether q is a prime that a ring of this degree can use. */
export const isNttPrime = (q: number, degree: number): boolean =>
  Number.isInteger(q) &&
  q > 2 ** (LEAST_PRIME_BITS - 1) &&
  q < 2 ** MOST_PRIME_BITS &&
  q % (2 * degree) === 1 &&
  isPrime(q)

/**
 * The smallest primitive 2N-th root of unity modulo q, so that every implementation that takes the smallest has the same
 * transform.
 *
 * Math: psi^N = -1 mod q; the primitive roots are the odd powers of any of them
 */
export const primitiveRoot = (q: number, degree: number): number => {
  let root = 0
  for (let g = 2; root === 0; g++) {
    const candidate = powerModulo(g, (q - 1) / (2 * degree), q)
    if (powerModulo(candidate, degree, q) === q - 1) root = candidate
  }
  const square = multiplyModulo(root, root, q)
  let smallest = root
  for (let i = 1, power = root; i < degree; i++) {
    power = multiplyModulo(power, square, q)
    if (power < smallest) smallest = power
  }
  return smallest
}
