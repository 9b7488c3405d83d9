import type { RandomSource } from "@consilium/base/random"
import { residuesOf } from "@consilium/lattice/ring/crt"
import type { Coefficients, Evaluations } from "@consilium/lattice/ring/ring"
import { logitPlace } from "../plan/places.js"
import type { PreparedPlan } from "../wire/prepared-plan.js"

/** A whole number uniform on [-2^bits, 2^bits). */
const uniformWithin = (bits: number, random: RandomSource): bigint => {
  let value = 0n
  for (const byte of random.bytes(Math.ceil((bits + 1) / 8))) value = (value << 8n) | BigInt(byte)
  return BigInt.asIntN(bits + 1, value)
}

/**
 * What is added to an answer: at the logits of the asked patients a number uniform on [-2^f, 2^f), everywhere else one uniform modulo q.
 * A logit's noise, at most 2^(f - 40), moves the first by a statistical distance of 2^-41 for each logit; the second hides all.
 *
 * Shape: limbs x N, NTT form
 */
export const drowned = (prepared: PreparedPlan, patients: number, random: RandomSource): Evaluations => {
  const { plan, parameters } = prepared
  const { ring, degree } = parameters
  // residues that are uniform in one form are uniform in the other
  const out = ring.uniformSecret(random) as Uint32Array as Coefficients
  for (let p = 0; p < patients; p++) {
    const place = logitPlace(p, plan.schema.columns.length)
    residuesOf(ring.primes, uniformWithin(plan.floodBits ?? 0, random)).forEach((residue, limb) => {
      out[limb * degree + place] = residue
    })
  }
  return ring.forward(out, out)
}
