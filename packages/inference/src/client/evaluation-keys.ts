import type { RandomSource } from "@consilium/base/random"
import { productOf, residuesOf } from "@consilium/lattice/ring/crt"
import type { Evaluations, Ring } from "@consilium/lattice/ring/ring"
import { galoisKeyOf, RlweSecret, relinearisationKeyOf } from "@consilium/lattice/rlwe/keys"
import { centred } from "@consilium/lattice/rlwe/mixed-radix"
import type { SwitchingKey } from "@consilium/lattice/rlwe/switching-key"
import type { FeatureStage } from "../plan/feature-stages.js"
import {
  evaluationKeyFromBytes,
  evaluationKeyToBytes,
  programOf,
  stageSwitches,
  switchSeed,
} from "../wire/evaluation-key.js"
import type { PreparedPlan } from "../wire/prepared-plan.js"

/** The secret in a stage's ring, for as long as something is done with it. */
const withStageSecret = <T>(
  secret: RlweSecret,
  parameters: RlweSecret["parameters"],
  work: (own: RlweSecret) => T,
): T => {
  const small = secret.expose()
  const own = RlweSecret.from(parameters, small)
  small.fill(0)
  try {
    return work(own)
  } finally {
    own.erase()
    parameters.keyRing.erase()
  }
}

/**
 * What a server needs to rotate and multiply under a secret, as it is uploaded; each stage's keys are made for its primes alone.
 * Timing: depends on neither secret nor errors
 */
export const evaluationKeys = (
  prepared: PreparedPlan,
  nonce: Uint8Array,
  secret: RlweSecret,
  random: RandomSource,
): Uint8Array => {
  const stages = programOf(prepared).stages.map((stage, at) =>
    withStageSecret(secret, stage.parameters, (own) =>
      stageSwitches(stage).map((from): SwitchingKey => {
        const seed = switchSeed(prepared, nonce, at, from)
        return from.type === "galois"
          ? galoisKeyOf(own, from.exponent, random, seed)
          : relinearisationKeyOf(own, random, seed)
      }),
    ),
  )
  return evaluationKeyToBytes(prepared, nonce, stages)
}

/** Whether all coefficients modulo the first prime are as small as errors. */
const isError = (ring: Ring, values: Evaluations, most: number): boolean => {
  const coefficients = centred(ring.inverse(values, values), ring.primes[0] as number)
  const within = ring.isWithin(coefficients, most)
  coefficients.fill(0)
  values.fill(0)
  return within
}

/**
 * Whether uploaded keys were made with a secret, as far as their first prime tells: under another secret their rows are uniform there.
 *
 * Math: b + a s - P s' in row 0, b + a s in the others, modulo q_0
 * @throws {ConsiliumError} as `evaluationKeyFromBytes`
 */
export const madeWith = (
  prepared: PreparedPlan,
  nonce: Uint8Array,
  upload: Uint8Array,
  secret: RlweSecret,
): boolean => {
  const { stages } = evaluationKeyFromBytes(prepared, nonce, upload)
  return stages.every(({ relinearisation, galois }, at) => {
    const { parameters } = programOf(prepared).stages[at] as FeatureStage
    const ring = parameters.ringOf(1)
    const special = residuesOf(ring.primes, productOf(parameters.specialPrimes))
    const first = (a: Evaluations): Evaluations => a.subarray(0, ring.size) as Evaluations
    return withStageSecret(secret, parameters, (own) => {
      const s = own.valuesOf(1)
      const keys = relinearisation === null ? galois : [relinearisation, ...galois]
      return keys.every(({ from, rows }) => {
        const old =
          from.type === "galois" ? ring.automorphismOfEvaluations(s, from.exponent) : ring.multiply(s, s)
        ring.scaleByResidues(old, special, old)
        const belongs = rows.every(({ a, b }, row) => {
          const rest = ring.multiplyAdd(first(a), s, first(b))
          if (row === 0) ring.subtract(rest, old, rest)
          return isError(ring, rest, parameters.errorPairs)
        })
        old.fill(0)
        return belongs
      })
    })
  })
}
