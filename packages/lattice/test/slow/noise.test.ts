import { insecureSeededRandom } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import { RlweArithmetic } from "../../src/rlwe/arithmetic.js"
import { encryptWithPublic, encryptWithSecret, phase } from "../../src/rlwe/encryption.js"
import { publicKeyOf, RlweSecret, relinearisationKeyOf } from "../../src/rlwe/keys.js"
import {
  keySwitchNoise,
  measuredNoise,
  publicKeyNoise,
  roundingNoise,
  secretKeyNoise,
} from "../../src/rlwe/noise.js"
import { type RlweParameters, rlweParameters } from "../../src/rlwe/parameters.js"

const RUNS = 10_000
const random = insecureSeededRandom("noise")

/** The largest error of many runs; keys are made afresh every 500. */
const largest = (parameters: RlweParameters, prepare: (secret: RlweSecret) => () => number): number => {
  let most = 0
  for (let run = 0; run < RUNS; run += 500) {
    const once = prepare(RlweSecret.generate(parameters, random))
    for (let i = 0; i < 500; i++) most = Math.max(most, once())
  }
  return most
}

/** Below the bound, and near enough to it that the bound says something. */
const within = (measured: number, bound: number, share: number): void => {
  expect(measured).toBeLessThanOrEqual(bound)
  expect(measured).toBeGreaterThan(bound * share)
}

describe(`the errors of ${RUNS} ciphertexts are within their bounds`, () => {
  it("fresh, secret key", () => {
    const parameters = rlweParameters({ degree: 1024, bits: [26] })
    const zero = parameters.ring.zeroEvaluations()
    const most = largest(
      parameters,
      (secret) => () => measuredNoise(secret, encryptWithSecret(secret, zero, random), zero),
    )
    within(most, secretKeyNoise(parameters), 0.7)
  })
  it("fresh, public key", () => {
    const parameters = rlweParameters({ degree: 2048, bits: [26, 26] })
    const zero = parameters.ring.zeroEvaluations()
    const most = largest(parameters, (secret) => {
      const key = publicKeyOf(secret, random)
      return () => measuredNoise(secret, encryptWithPublic(key, zero, random), zero)
    })
    within(most, publicKeyNoise(parameters), 0.4)
  })
  it("relinearised, and divided by a prime", () => {
    const parameters = rlweParameters({ degree: 4096, bits: [26, 26, 26], special: 1 })
    const { ring } = parameters
    const arithmetic = new RlweArithmetic(parameters)
    let divided = 0
    const switched = largest(parameters, (secret) => {
      const key = relinearisationKeyOf(secret, random)
      return () => {
        const parts = [ring.uniformSecret(random), ring.uniformSecret(random), ring.uniformSecret(random)]
        const before = phase(secret, { parameters, parts, limbs: 2 })
        const after = { parameters, parts: arithmetic.relinearise(parts, key), limbs: 2 }
        // the quotient: what is left of a small message times the prime
        const q = BigInt(ring.primes[1] as number)
        const fresh = encryptWithSecret(secret, ring.scale(ring.zeroEvaluations(), q), random)
        const zero = parameters.ringOf(1).zeroEvaluations()
        const small = { parameters, parts: arithmetic.divide(fresh.parts, 1), limbs: 1 }
        divided = Math.max(divided, measuredNoise(secret, small, zero))
        return measuredNoise(secret, after, before)
      }
    })
    within(switched, keySwitchNoise(parameters, 2), 0.3)
    // the error of the fresh ciphertext is below the prime and disappears, but for one unit
    within(divided, roundingNoise(parameters) + 1, 0.3)
  })
})
