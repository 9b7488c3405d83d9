/**
 * Sums under one collective public key, the textbook form: weakened on purpose, to carry the attacks out on. b = -a s + e
 * for s = s_1 + ... + s_n; anyone encrypts as (b u + e_0 + Delta m, a u + e_1); an opening computes c_0 + c_1 s with the
 * c_1 that was sent.
 */
import type { RandomSource } from "@consilium/base/random"
import { nttPrimes } from "../../src/ring/primes.js"
import { type Evaluations, Ring } from "../../src/ring/ring.js"
import { seedOf } from "../../src/ring/seeds.js"

export const ring = Ring.of(1024, nttPrimes(1024, 26, 5))
export const DELTA = 1n << 60n
const a = ring.uniform(seedOf("collective"))

export interface Ciphertext {
  readonly c0: Evaluations
  readonly c1: Evaluations
}
export const small = (values: Int32Array): Evaluations => ring.forward(ring.fromSmall(values))
const noise = (random: RandomSource): Evaluations => small(ring.centredBinomial(random))

export const newKey = (random: RandomSource): Evaluations => small(ring.ternary(random))
/** A party's part of the public key. */
export const publicPart = (secret: Evaluations, random: RandomSource): Evaluations =>
  ring.subtract(noise(random), ring.multiply(a, secret))

export const encrypt = (
  publicKey: Evaluations,
  values: readonly number[],
  random: RandomSource,
): Ciphertext => {
  const u = newKey(random)
  const message = ring.forward(
    ring.fromBigInts(Array.from({ length: ring.degree }, (_, i) => DELTA * BigInt(values[i] ?? 0))),
  )
  return {
    c0: ring.add(ring.add(ring.multiply(publicKey, u), noise(random)), message),
    c1: ring.add(ring.multiply(a, u), noise(random)),
  }
}
export const addCiphertexts = (x: Ciphertext, y: Ciphertext): Ciphertext => ({
  c0: ring.add(x.c0, y.c0),
  c1: ring.add(x.c1, y.c1),
})
/** What an opening shows: every coefficient of c_0 + c_1 s, flooded. */
export const open = ({ c0, c1 }: Ciphertext, secret: Evaluations, flood: BigInt64Array): bigint[] =>
  ring.toBigInts(ring.add(ring.inverse(ring.add(c0, ring.multiply(c1, secret))), ring.fromWide(flood)))

export const rounded = (x: bigint, unit: bigint): bigint => {
  const half = x + unit / 2n
  return half >= 0n ? half / unit : -((-half + unit - 1n) / unit)
}
/** X^k. */
export const monomial = (k: number): Evaluations => {
  const values = new Int32Array(ring.degree)
  values[k] = 1
  return small(values)
}
