import { type RandomSource, systemRandom } from "@consilium/base/random"
import type { Evaluations } from "../ring/ring.js"
import { checkParameters, type RlweCiphertext } from "./ciphertext.js"
import { freshError, freshSeed, type PublicKey, type RlweSecret } from "./keys.js"

/**
 * Encryption with the secret key: c_1 is made from a seed and travels as its 32 bytes.
 *
 * Math:   (c_0, c_1) = (-a s + e + m, a), a = uniform(seed)
 * Shape:  m: limbs x N, NTT form; each part the same
 * Timing: depends on neither secret, message nor error
 */
export const encryptWithSecret = (
  secret: RlweSecret,
  message: Evaluations,
  random: RandomSource = systemRandom,
): RlweCiphertext => {
  const { parameters } = secret
  const limbs = message.length / parameters.degree
  const ring = parameters.ringOf(limbs)
  const seed = freshSeed(random)
  const c1 = ring.uniform(seed)
  const c0 = freshError(ring, parameters.errorPairs, random)
  const mask = ring.multiply(c1, secret.valuesOf(limbs))
  ring.add(c0, message, c0)
  ring.subtract(c0, mask, c0)
  mask.fill(0)
  ring.erase()
  return { parameters, parts: [c0, c1], limbs, seed }
}

/**
 * Encryption with the public key.
 *
 * Math:   (c_0, c_1) = (b u + e_0 + m, a u + e_1), u ternary
 * Shape:  m: limbs x N, NTT form; each part the same
 * Timing: depends on neither message, u nor errors
 * Source: Lyubashevsky, Peikert, Regev 2010, eprint 2012/230
 */
export const encryptWithPublic = (
  key: PublicKey,
  message: Evaluations,
  random: RandomSource = systemRandom,
): RlweCiphertext => {
  const { parameters } = key
  const limbs = message.length / parameters.degree
  const ring = parameters.ringOf(limbs)
  const small = ring.ternary(random)
  const wide = ring.fromSmall(small)
  const u = ring.forward(wide, wide)
  const c0 = freshError(ring, parameters.errorPairs, random)
  const c1 = freshError(ring, parameters.errorPairs, random)
  ring.add(c0, message, c0)
  ring.multiplyAdd(key.b.subarray(0, ring.size) as Evaluations, u, c0, c0)
  ring.multiplyAdd(key.a.subarray(0, ring.size) as Evaluations, u, c1, c1)
  small.fill(0)
  u.fill(0)
  ring.erase()
  return { parameters, parts: [c0, c1], limbs }
}

/**
 * Message and error together: what decoding starts with.
 *
 * Math:   c_0 + c_1 s + c_2 s^2 + ..., by Horner's rule
 * Shape:  limbs x N, NTT form
 * Timing: depends on neither secret nor ciphertext
 * @throws {ConsiliumError} "lattice/foreign" if the key is for other parameters
 */
export const phase = (secret: RlweSecret, ciphertext: RlweCiphertext): Evaluations => {
  checkParameters(secret.parameters, ciphertext)
  const { parts, limbs } = ciphertext
  const ring = secret.parameters.ringOf(limbs)
  const s = secret.valuesOf(limbs)
  const out = (parts[parts.length - 1] as Evaluations).slice() as Evaluations
  for (let i = parts.length - 2; i >= 0; i--) ring.multiplyAdd(out, s, parts[i] as Evaluations, out)
  ring.erase()
  return out
}
