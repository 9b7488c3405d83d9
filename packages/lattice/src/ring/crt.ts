import { inverseModulo, multiplyModulo, residueOf } from "./modular.js"

/** The product of some primes. */
export const productOf = (primes: readonly number[]): bigint =>
  primes.reduce((product, q) => product * BigInt(q), 1n)

/** The inverse of q_j modulo q_i for each pair j < i, ordered by i and then j: what mixed-radix digits need. */
export const mixedRadixInverses = (primes: readonly number[]): readonly (readonly number[])[] =>
  primes.map((q, i) => primes.slice(0, i).map((other) => inverseModulo(other % q, q)))

/**
 * From residues modulo some primes to the whole number in [-floor(Q / 2), Q - floor(Q / 2)), Q their product.
 *
 * Math:   digits d_i with x = d_0 + d_1 q_0 + d_2 q_0 q_1 + ...; then less Q if beyond the middle
 * Source: Garner 1959, "The residue number system"
 */
export const reconstructor = (primes: readonly number[]): ((residues: readonly number[]) => bigint) => {
  const inverses = mixedRadixInverses(primes)
  const product = productOf(primes)
  const middle = product - product / 2n
  return (residues) => {
    const digits: number[] = []
    primes.forEach((q, i) => {
      let digit = residues[i] as number
      inverses[i]?.forEach((inverse, j) => {
        digit = multiplyModulo((digit + q - ((digits[j] as number) % q)) % q, inverse, q)
      })
      digits.push(digit)
    })
    let x = 0n
    for (let i = primes.length - 1; i >= 0; i--)
      x = x * BigInt(primes[i] as number) + BigInt(digits[i] as number)
    return x < middle ? x : x - product
  }
}

/** The residues of a whole number. */
export const residuesOf = (primes: readonly number[], value: bigint): Uint32Array =>
  Uint32Array.from(primes, (q) => residueOf(value, q))

/** Words of 32 bits, lowest first, of a whole number in two's complement. */
export const wordsOf = (value: bigint, count: number): Uint32Array =>
  Uint32Array.from({ length: count }, (_, i) => Number(BigInt.asUintN(32, value >> BigInt(32 * i))))
