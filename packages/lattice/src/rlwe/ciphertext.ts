import { equalBytes } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import type { Evaluations } from "../ring/ring.js"
import type { Seed } from "../ring/seeds.js"
import type { RlweParameters } from "./parameters.js"

/**
 * What hides a message: c_0 + c_1 s + c_2 s^2 + ... = message + error modulo the first `limbs` primes, in NTT form.
 * Nothing changes a ciphertext; operations make new ones.
 */
export interface RlweCiphertext {
  readonly parameters: RlweParameters
  readonly parts: readonly Evaluations[]
  readonly limbs: number
  /** The seed of c_1, where the ciphertext is fresh and made with the secret key. */
  readonly seed?: Seed
}

/**
 * Refuses what was made with other parameters.
 * @throws {ConsiliumError} "lattice/foreign"
 */
export const checkParameters = (
  own: RlweParameters,
  ...others: readonly { readonly parameters: RlweParameters }[]
): void => {
  for (const { parameters } of others)
    if (parameters !== own && !equalBytes(parameters.id(), own.id()))
      throw new ConsiliumError(
        "lattice/foreign",
        `A value is for other parameters (${parameters.toString()}) than these (${own.toString()}).`,
      )
}
