import type { Evaluations } from "../ring/ring.js"
import { type Seed, seedOf } from "../ring/seeds.js"
import type { RlweParameters } from "./parameters.js"

/* The public side of switching keys: what a server that holds no secret key is given. `keys.ts` makes them. */

/** A pair (b, a) modulo Q P with b = -a s + e + what it hides, in NTT form. */
export interface KeyRow {
  readonly b: Evaluations
  readonly a: Evaluations
}

/** What a key takes ciphertexts from: the square of the secret, or the secret at X^g. */
export type SwitchFrom =
  | { readonly type: "relinearisation" }
  | { readonly type: "galois"; readonly exponent: number }

/** Takes a polynomial that is to be multiplied by another secret to a pair under this one. */
export interface SwitchingKey {
  readonly from: SwitchFrom
  readonly parameters: RlweParameters
  /** One row for each group of primes. */
  readonly rows: readonly KeyRow[]
  /** The seed of all `a`; a key made elsewhere may have none. */
  readonly seed?: Seed
}
export type RelinearisationKey = SwitchingKey & { readonly from: { readonly type: "relinearisation" } }
export type GaloisKey = SwitchingKey & { readonly from: { readonly type: "galois" } }

/** Primes in a group: as many as there are special primes. */
export const groupCount = (parameters: RlweParameters): number =>
  parameters.specialPrimes.length === 0
    ? 0
    : Math.ceil(parameters.primes.length / parameters.specialPrimes.length)

/** The `a` of a row of a switching key. */
export const switchingRow = (parameters: RlweParameters, seed: Seed, row: number): Evaluations =>
  parameters.keyRing.uniform(seedOf("switching-row", seed, Uint8Array.of(row)))
