import type { RandomSource } from "@consilium/base/random"
import type { Evaluations } from "@consilium/lattice/ring/ring"
import type { RlweParameters } from "@consilium/lattice/rlwe/parameters"
import type { MaskingKey } from "../wire/asking-key.js"

/**
 * A fresh encryption of zero under an asker's public key, without a type of any secret key.
 *
 * Math:   (b u + e_0, a u + e_1), u ternary
 * Error:  e_0 + e_1 s + e u for the key's own error e: `publicKeyNoise`
 * Timing: depends on neither u nor errors
 * Source: Lyubashevsky, Peikert, Regev 2010, eprint 2012/230
 */
export const encryptedZero = (
  { ring, errorPairs }: RlweParameters,
  { a, b }: MaskingKey,
  random: RandomSource,
): [Evaluations, Evaluations] => {
  const fresh = (small: Int32Array): Evaluations => {
    const wide = ring.fromSmall(small)
    small.fill(0)
    return ring.forward(wide, wide)
  }
  const u = fresh(ring.ternary(random))
  const c0 = fresh(ring.centredBinomial(random, errorPairs))
  const c1 = fresh(ring.centredBinomial(random, errorPairs))
  ring.multiplyAdd(b, u, c0, c0)
  ring.multiplyAdd(a, u, c1, c1)
  u.fill(0)
  ring.erase()
  return [c0, c1]
}
