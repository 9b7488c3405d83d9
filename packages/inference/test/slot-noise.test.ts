import { CkksEncoder } from "@consilium/lattice/ckks/encoder"
import type { Evaluations } from "@consilium/lattice/ring/ring"
import { RlweArithmetic } from "@consilium/lattice/rlwe/arithmetic"
import { encryptWithSecret, phase } from "@consilium/lattice/rlwe/encryption"
import { galoisKeyOf, RlweSecret, relinearisationKeyOf } from "@consilium/lattice/rlwe/keys"
import { rlweParameters } from "@consilium/lattice/rlwe/parameters"
import { describe, expect, it } from "vitest"
import {
  divisionVariance,
  encodingVariance,
  freshVariance,
  largestSlot,
  largestSwitch,
} from "../src/compile/slot-noise.js"
import { testRandom } from "./heart.js"

const DEGREE = 4096
const SLOTS = DEGREE / 2
const parameters = rlweParameters({ degree: DEGREE, bits: [26, 26, 26], special: 1 })
const encoder = new CkksEncoder(parameters)
const random = testRandom("slots")

/** The largest slot of a polynomial, as whole numbers are counted. */
const largestOf = (values: Evaluations, primes: number): number => {
  const { real, imaginary } = encoder.plainToSlots({ parameters, values, level: primes - 1, scale: 1 })
  return real.reduce((most, x, i) => Math.max(most, Math.hypot(x, imaginary[i] as number)), 0)
}
/** The largest of some runs, each with a key of its own. */
const worst = (runs: number, once: (secret: RlweSecret) => number): number => {
  let most = 0
  for (let i = 0; i < runs; i++) most = Math.max(most, once(RlweSecret.generate(parameters, random)))
  return most
}
const zero = parameters.ring.zeroEvaluations()

/** Below the bound, and near enough to it that the bound says something. */
const within = (measured: number, bound: number, share: number): void => {
  expect(measured).toBeLessThanOrEqual(bound)
  expect(measured).toBeGreaterThan(bound * share)
}

describe("errors in slots are within their bounds", () => {
  it("of fresh ciphertexts", () => {
    const most = worst(20, (secret) =>
      largestOf(phase(secret, encryptWithSecret(secret, zero, random)), parameters.primes.length),
    )
    within(most, largestSlot(freshVariance(DEGREE), SLOTS), 0.3)
  })
  it("of what is encoded", () => {
    const most = worst(20, () => {
      const numbers = Float64Array.from({ length: SLOTS }, (_, i) => Math.sqrt(i + 0.5))
      const plain = encoder.slotsToPlain(numbers, [], { level: 1, scale: 2 ** 24 })
      const { real, imaginary } = encoder.plainToSlots(plain)
      const off = real.map((x, i) => Math.hypot(x - (numbers[i] as number), imaginary[i] as number))
      return Math.max(...off) * 2 ** 24
    })
    within(most, largestSlot(encodingVariance(DEGREE), SLOTS), 0.3)
  })
  it("of key switching, for products and rotations", () => {
    const { ring } = parameters
    const arithmetic = new RlweArithmetic(parameters)
    const stage = { degree: DEGREE, primes: parameters.primes, specialPrimes: parameters.specialPrimes }
    const limbs = parameters.primes.length
    const most = worst(6, (secret) => {
      const parts = [ring.uniformSecret(random), ring.uniformSecret(random), ring.uniformSecret(random)]
      const before = phase(secret, { parameters, parts, limbs })
      const product = arithmetic.relinearise(parts, relinearisationKeyOf(secret, random))
      const off = ring.subtract(phase(secret, { parameters, parts: product, limbs }), before)
      const pair = parts.slice(0, 2)
      const [turned] = arithmetic.automorphisms(pair, [galoisKeyOf(secret, 3, random)])
      const wanted = ring.automorphismOfEvaluations(phase(secret, { parameters, parts: pair, limbs }), 3)
      const rotated = phase(secret, { parameters, parts: turned as typeof parts, limbs })
      return Math.max(largestOf(off, limbs), largestOf(ring.subtract(rotated, wanted), limbs))
    })
    within(most, largestSwitch(stage), 0.1)
  })
  it("of divisions by primes", () => {
    const arithmetic = new RlweArithmetic(parameters)
    const q = BigInt(parameters.primes[1] as number)
    const kept = parameters.ringOf(1)
    const most = worst(20, (secret) => {
      const message = encoder.slotsToPlain([1, -2, 3], [], { level: 1, scale: 2 ** 20 }).values
      const fresh = encryptWithSecret(secret, parameters.ring.scale(message, q), random)
      const parts = arithmetic.divide(fresh.parts, 1)
      const rest = kept.subtract(
        phase(secret, { parameters, parts, limbs: 1 }),
        message.subarray(0, kept.size) as Evaluations,
      )
      return largestOf(rest, 1)
    })
    within(most, largestSlot(divisionVariance(DEGREE), SLOTS), 0.1)
  })
})
