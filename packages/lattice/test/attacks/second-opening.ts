import { inverseModulo, multiplyModulo } from "../../src/ring/modular.js"
import type { Coefficients, Evaluations, Ring } from "../../src/ring/ring.js"
import { lagrange } from "../../src/sums/polynomial-sharing.js"

/** What all but one facility, and the opener, know after that one answered for two active sets. */
export interface TwoAnswers {
  readonly ring: Ring
  readonly a: Evaluations
  /** The ciphertext less the opened message: A s + e. */
  readonly masked: Coefficients
  /** A times what the others in the first set add up to: the sum of lambda_p share_p. */
  readonly others: Coefficients
  /** The victim's answer for the second set: A lambda' share + f. */
  readonly answer: Coefficients
  readonly victim: number
  readonly sets: readonly [readonly number[], readonly number[]]
  /** Bounds of the error and of the flooding. */
  readonly errorBound: number
  readonly floodBound: bigint
}

/**
 * The victim's two weights have a known ratio kappa modulo each prime. answer - kappa (masked - others) is f - kappa e: f is
 * small, and kappa e is not, unless e is right. So every e is found by trying, at any flooding, and A s = masked - e.
 */
export const keyFromTwoAnswers = (
  known: TwoAnswers,
): { readonly found: number; readonly key: Evaluations } => {
  const { ring, a, masked, others, answer, victim, sets, errorBound, floodBound } = known
  const [first, second] = sets.map((set) => lagrange(ring, set, victim)) as [Uint32Array, Uint32Array]
  const kappa = second.map((w, i) => {
    const q = ring.primes[i] as number
    return multiplyModulo(w, inverseModulo(first[i] as number, q), q)
  })
  const own = ring.scaleByResidues(ring.subtract(masked, others), kappa)
  const observed = ring.toBigInts(ring.subtract(answer, own))
  const one = new Int32Array(ring.degree)
  one[0] = 1
  const ratio = ring.toBigInts(ring.scaleByResidues(ring.fromSmall(one), kappa))[0] as bigint
  const half = ring.modulus / 2n
  const errors = new Int32Array(ring.degree)
  let found = 0
  observed.forEach((value, i) => {
    const candidates: number[] = []
    for (let e = -errorBound; e <= errorBound; e++) {
      let flood = (value + ratio * BigInt(e)) % ring.modulus
      if (flood > half) flood -= ring.modulus
      if (flood < -half) flood += ring.modulus
      if (flood <= floodBound && flood >= -floodBound) candidates.push(e)
    }
    if (candidates.length === 1) found++
    errors[i] = candidates[0] ?? 0
  })
  const product = ring.forward(ring.subtract(masked, ring.fromSmall(errors)))
  const key = ring.zeroEvaluations()
  for (let i = 0; i < key.length; i++) {
    const q = ring.primes[Math.floor(i / ring.degree)] as number
    key[i] = multiplyModulo(product[i] as number, inverseModulo(a[i] as number, q), q)
  }
  return { found, key }
}
