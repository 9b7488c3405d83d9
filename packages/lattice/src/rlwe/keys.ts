import { ConsiliumError } from "@consilium/base/errors"
import { type RandomSource, systemRandom } from "@consilium/base/random"
import { productOf, residuesOf } from "../ring/crt.js"
import type { Evaluations, Ring, SmallPolynomial } from "../ring/ring.js"
import { type Seed, seedOf } from "../ring/seeds.js"
import type { RlweParameters } from "./parameters.js"
import {
  type GaloisKey,
  groupCount,
  type KeyRow,
  type RelinearisationKey,
  type SwitchFrom,
  type SwitchingKey,
  switchingRow,
} from "./switching-key.js"

/** A fresh public seed. What the source gives is hashed, so that the seed tells nothing of the source. */
export const freshSeed = (random: RandomSource): Seed => {
  const bytes = random.bytes(32)
  const seed = seedOf("fresh-seed", bytes)
  bytes.fill(0)
  return seed
}

/** A fresh error in NTT form. */
export const freshError = (ring: Ring, pairs: number, random: RandomSource): Evaluations => {
  const small = ring.centredBinomial(random, pairs)
  const error = ring.fromSmall(small)
  small.fill(0)
  return ring.forward(error, error)
}

/**
 * A ternary secret. Its coefficients are not a property, so no log, error or encoder shows them by accident.
 *
 * Math: s uniform on {-1, 0, 1}^N
 */
export class RlweSecret {
  readonly parameters: RlweParameters
  readonly #ternary: SmallPolynomial
  readonly #values: Evaluations

  private constructor(parameters: RlweParameters, ternary: SmallPolynomial) {
    this.parameters = parameters
    this.#ternary = ternary
    const { keyRing } = parameters
    const wide = keyRing.fromSmall(ternary)
    this.#values = keyRing.forward(wide, wide)
    keyRing.erase()
  }

  /** A fresh secret. */
  static generate(parameters: RlweParameters, random: RandomSource = systemRandom): RlweSecret {
    return new RlweSecret(parameters, parameters.keyRing.ternary(random))
  }
  /**
   * The secret of some coefficients, copied.
   * @throws {ConsiliumError} "lattice/bad-polynomial" if there are not N of them, or one is not -1, 0 or 1
   */
  static from(parameters: RlweParameters, ternary: SmallPolynomial): RlweSecret {
    if (ternary.length !== parameters.degree || !parameters.keyRing.isWithin(ternary, 1))
      throw new ConsiliumError(
        "lattice/bad-polynomial",
        `A secret has ${parameters.degree} coefficients, each -1, 0 or 1.`,
      )
    return new RlweSecret(parameters, ternary.slice())
  }

  /** The coefficients, for sealing them at rest. */
  expose(): SmallPolynomial {
    return this.#ternary.slice()
  }
  /** The secret in NTT form modulo Q P; not a copy. */
  values(): Evaluations {
    return this.#values
  }
  /** The limbs of the first primes; not a copy. */
  valuesOf(limbs: number): Evaluations {
    return this.#values.subarray(0, limbs * this.parameters.degree) as Evaluations
  }
  /** Overwrites the secret; every later use computes with zeros and is a fault of the caller. */
  erase(): void {
    this.#ternary.fill(0)
    this.#values.fill(0)
  }
  toJSON(): string {
    return "[secret]"
  }
  toString(): string {
    return "[secret]"
  }
}

const encryptRow = (
  secret: RlweSecret,
  a: Evaluations,
  random: RandomSource,
  hidden?: Evaluations,
): KeyRow => {
  const { keyRing, errorPairs } = secret.parameters
  const b = freshError(keyRing, errorPairs, random)
  const mask = keyRing.multiply(a, secret.values())
  keyRing.subtract(b, mask, b)
  mask.fill(0)
  if (hidden !== undefined) keyRing.add(b, hidden, b)
  return { b, a }
}

/** With this anyone encrypts. */
export interface PublicKey extends KeyRow {
  readonly type: "public"
  readonly parameters: RlweParameters
  /** The seed of `a`; a key made elsewhere may have none. */
  readonly seed?: Seed
}

/**
 * Math:   (b, a) = (-a s + e, a) modulo Q P, a = uniform(seed)
 * Timing: depends on neither secret nor error
 */
export const publicKeyOf = (secret: RlweSecret, random: RandomSource = systemRandom): PublicKey => {
  const { parameters } = secret
  const seed = freshSeed(random)
  const row = encryptRow(secret, parameters.keyRing.uniform(seed), random)
  parameters.keyRing.erase()
  return { type: "public", parameters, seed, ...row }
}

/**
 * Math:   row j = (-a_j s + e_j + P g_j s', a_j) modulo Q P, where g_j is 1 modulo the primes of group j and 0 modulo
 *         the other primes of Q, and s' the secret that is switched from
 * Source: Han, Ki 2020, "Better bootstrapping for approximate homomorphic encryption", eprint 2019/688
 */
const switchingKey = <F extends SwitchFrom>(
  secret: RlweSecret,
  from: F,
  old: Evaluations,
  random: RandomSource,
  seed: Seed,
): SwitchingKey & { readonly from: F } => {
  const { parameters } = secret
  const { keyRing, degree, specialPrimes } = parameters
  if (specialPrimes.length === 0)
    throw new ConsiliumError(
      "lattice/bad-ring",
      "These parameters have no special prime, which switching keys needs.",
      { remedy: "Set special to 1 or more: the last primes of the list are then kept for switching keys." },
    )
  const scaled = keyRing.scaleByResidues(old, residuesOf(keyRing.primes, productOf(specialPrimes)))
  const group = specialPrimes.length * degree
  const rows = Array.from({ length: groupCount(parameters) }, (_, j) => {
    const hidden = keyRing.zeroEvaluations()
    const end = Math.min((j + 1) * group, parameters.ring.size)
    hidden.set(scaled.subarray(j * group, end), j * group)
    const row = encryptRow(secret, switchingRow(parameters, seed, j), random, hidden)
    hidden.fill(0)
    return row
  })
  scaled.fill(0)
  keyRing.erase()
  return { from, parameters, rows, seed }
}

/**
 * The key that takes products back to two parts. A seed that is given, such as one made from another's nonce, is for one key only.
 * @throws {ConsiliumError} "lattice/bad-ring" if there is no special prime
 */
export const relinearisationKeyOf = (
  secret: RlweSecret,
  random: RandomSource = systemRandom,
  seed: Seed = freshSeed(random),
): RelinearisationKey => {
  const square = secret.parameters.keyRing.multiply(secret.values(), secret.values())
  const key = switchingKey(secret, { type: "relinearisation" }, square, random, seed)
  square.fill(0)
  return key
}

/**
 * The key of the automorphism X -> X^g; a given seed as for `relinearisationKeyOf`.
 * @throws {ConsiliumError} "lattice/bad-ring" if there is no special prime, or g is not odd and in [1, 2N)
 */
export const galoisKeyOf = (
  secret: RlweSecret,
  exponent: number,
  random: RandomSource = systemRandom,
  seed: Seed = freshSeed(random),
): GaloisKey => {
  const moved = secret.parameters.keyRing.automorphismOfEvaluations(secret.values(), exponent)
  const key = switchingKey(secret, { type: "galois", exponent }, moved, random, seed)
  moved.fill(0)
  return key
}
