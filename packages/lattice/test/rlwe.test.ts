import { insecureSeededRandom } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import type { Evaluations } from "../src/ring/ring.js"
import { seedOf } from "../src/ring/seeds.js"
import { RlweArithmetic, rotationExponent } from "../src/rlwe/arithmetic.js"
import { encryptWithPublic, encryptWithSecret, phase } from "../src/rlwe/encryption.js"
import { galoisKeyOf, publicKeyOf, RlweSecret, relinearisationKeyOf } from "../src/rlwe/keys.js"
import {
  keySwitchNoise,
  measuredNoise,
  publicKeyNoise,
  roundingNoise,
  secretKeyNoise,
} from "../src/rlwe/noise.js"
import { rlweParameters } from "../src/rlwe/parameters.js"
import { switchingRow } from "../src/rlwe/switching-key.js"
import { centredModulo, schoolbookProduct, substituted, wholeProduct } from "./whole-polynomial.js"

const random = insecureSeededRandom("rlwe")

describe("encryption by the definition", () => {
  const parameters = rlweParameters({ degree: 1024, bits: [26] })
  const { ring } = parameters
  const q = ring.modulus
  const secret = RlweSecret.generate(parameters, random)
  const s = Array.from(secret.expose(), BigInt)
  const message = Array.from({ length: 1024 }, (_, i) => BigInt(1000 * (i - 512)))
  const encoded = ring.forward(ring.fromBigInts(message))
  const coefficients = (a: Evaluations): bigint[] => ring.toBigInts(ring.inverse(a))

  it("c_0 + c_1 s is the message and a small error", () => {
    const ciphertext = encryptWithSecret(secret, encoded, random)
    const [c0, c1] = ciphertext.parts.map(coefficients) as [bigint[], bigint[]]
    expect(ciphertext.seed && ring.uniform(ciphertext.seed)).toEqual(ciphertext.parts[1])
    const opened = schoolbookProduct(c1, s).map((x, i) => centredModulo(x + (c0[i] as bigint), q))
    const errors = opened.map((x, i) => Number(x - (message[i] as bigint)))
    expect(Math.max(...errors.map(Math.abs))).toBeLessThanOrEqual(secretKeyNoise(parameters))
    const variance = errors.reduce((sum, e) => sum + e * e, 0) / 1024
    // 10.5 within 6 deviations of a mean of 1,024 squares (false alarm about 2^-28)
    expect(variance).toBeGreaterThan(7.7)
    expect(variance).toBeLessThan(13.3)
    expect(ring.toBigInts(ring.inverse(phase(secret, ciphertext)))).toEqual(opened)
  })

  it("under the public key too", () => {
    const key = publicKeyOf(secret, random)
    const [b, a] = [coefficients(key.b), coefficients(key.a)]
    const zero = schoolbookProduct(a, s).map((x, i) => Number(centredModulo(x + (b[i] as bigint), q)))
    expect(Math.max(...zero.map(Math.abs))).toBeLessThanOrEqual(21)
    const ciphertext = encryptWithPublic(key, encoded, random)
    expect(measuredNoise(secret, ciphertext, encoded)).toBeLessThan(publicKeyNoise(parameters))
  })

  it("takes fresh randomness every time", () => {
    const key = publicKeyOf(secret, random)
    for (const make of [
      () => encryptWithSecret(secret, encoded, random),
      () => encryptWithPublic(key, encoded, random),
    ]) {
      const [one, two] = [make(), make()]
      expect(one.parts[0]).not.toEqual(two.parts[0])
      expect(one.parts[1]).not.toEqual(two.parts[1])
    }
    expect(RlweSecret.generate(parameters).expose()).not.toEqual(RlweSecret.generate(parameters).expose())
  })

  it("three parts open with the square of the secret", () => {
    const parts = [1, 2, 3].map((fill) => ring.uniform(new Uint8Array(32).fill(fill)))
    const [c0, c1, c2] = parts.map(coefficients) as [bigint[], bigint[], bigint[]]
    const [once, twice] = [schoolbookProduct(c1, s), schoolbookProduct(schoolbookProduct(c2, s), s)]
    const expected = c0.map((x, i) => centredModulo(x + (once[i] as bigint) + (twice[i] as bigint), q))
    expect(coefficients(phase(secret, { parameters, parts, limbs: 1 }))).toEqual(expected)
  })

  it("a secret does not show itself, and can be erased", () => {
    const own = RlweSecret.from(parameters, secret.expose())
    expect(JSON.stringify({ own })).toBe('{"own":"[secret]"}')
    expect(`${own}`).toBe("[secret]")
    expect(Object.keys(own)).toEqual(["parameters"])
    expect(own.values()).toEqual(secret.values())
    own.erase()
    expect(own.values().every((x) => x === 0) && own.expose().every((x) => x === 0)).toBe(true)
    const beyond = secret.expose()
    beyond[7] = 2
    for (const ternary of [beyond, new Int32Array(1023)])
      expect(() => RlweSecret.from(parameters, ternary)).toThrow(
        expect.objectContaining({ code: "lattice/bad-polynomial" }),
      )
  })
})

describe.each([
  { bits: [26, 26, 26, 26], special: 1 },
  { bits: [26, 26, 26, 26], special: 2 },
  { bits: [27, 26, 26, 26], special: 3 },
])("key switching, $bits with $special special", ({ bits, special }) => {
  const parameters = rlweParameters({ degree: 4096, bits, special })
  const arithmetic = new RlweArithmetic(parameters)
  const secret = RlweSecret.generate(parameters, random)
  const relinearisation = relinearisationKeyOf(secret, random)
  const exponent = rotationExponent(4096, 5)
  const galois = galoisKeyOf(secret, exponent, random)
  const levels = parameters.primes.map((_, i) => i + 1)

  it.each(levels)("of products, with %i primes", (limbs) => {
    const ring = parameters.ringOf(limbs)
    const parts = [1, 2, 3].map((fill) => ring.uniform(new Uint8Array(32).fill(fill)))
    const before = phase(secret, { parameters, parts, limbs })
    const after = { parameters, parts: arithmetic.relinearise(parts, relinearisation), limbs }
    expect(after.parts).toHaveLength(2)
    expect(measuredNoise(secret, after, before)).toBeLessThan(keySwitchNoise(parameters, limbs))
  })

  it.each(levels)("of X -> X^g, with %i primes", (limbs) => {
    const ring = parameters.ringOf(limbs)
    const parts = [1, 2].map((fill) => ring.uniform(new Uint8Array(32).fill(fill)))
    const before = phase(secret, { parameters, parts, limbs })
    const [moved] = arithmetic.automorphisms(parts, [galois])
    const after = { parameters, parts: moved ?? [], limbs }
    const expected = substituted(ring.toBigInts(ring.inverse(before)), exponent)
    const noise = measuredNoise(secret, after, ring.forward(ring.fromBigInts(expected)))
    expect(noise).toBeLessThan(keySwitchNoise(parameters, limbs))
    expect(noise).toBeGreaterThan(0)
  })

  it.each(levels)("of X -> X^g, alone as with others, with %i primes", (limbs) => {
    const ring = parameters.ringOf(limbs)
    const parts = [1, 2].map((fill) => ring.uniform(new Uint8Array(32).fill(fill)))
    const other = galoisKeyOf(secret, rotationExponent(4096, 9), random)
    const [first, second] = arithmetic.automorphisms(parts, [galois, other])
    expect(arithmetic.automorphisms(parts, [galois])[0]).toEqual(first)
    expect(arithmetic.automorphisms(parts, [other])[0]).toEqual(second)
  })

  it("of keys whose second halves follow from a seed that is given", () => {
    const seed = seedOf("given")
    for (const key of [
      relinearisationKeyOf(secret, random, seed),
      galoisKeyOf(secret, exponent, random, seed),
    ]) {
      expect(key.seed).toEqual(seed)
      expect(key.rows.map(({ a }) => a)).toEqual(
        key.rows.map((_, row) => switchingRow(parameters, seed, row)),
      )
    }
  })

  it.each(levels.slice(1))("dividing by the last of %i primes", (limbs) => {
    const ring = parameters.ringOf(limbs)
    const parts = [1, 2].map((fill) => ring.uniform(new Uint8Array(32).fill(fill)))
    const opened = ring.toBigInts(ring.inverse(phase(secret, { parameters, parts, limbs })))
    const last = BigInt(ring.primes[limbs - 1] as number)
    const smaller = parameters.ringOf(limbs - 1)
    const message = smaller.forward(smaller.fromBigInts(opened.map((x) => x / last)))
    const after = { parameters, parts: arithmetic.divide(parts, 1), limbs: limbs - 1 }
    // one more for the quotient, which is cut here
    expect(measuredNoise(secret, after, message)).toBeLessThan(roundingNoise(parameters) + 1)
  })
})

it("needs a special prime", () => {
  const parameters = rlweParameters({ degree: 4096, bits: [26, 26] })
  const secret = RlweSecret.generate(parameters, random)
  for (const make of [() => relinearisationKeyOf(secret), () => galoisKeyOf(secret, 3)])
    expect(make).toThrow(expect.objectContaining({ code: "lattice/bad-ring" }))
})

it("refuses keys and ciphertexts of other parameters", () => {
  const [one, two] = [26, 27].map((size) => rlweParameters({ degree: 4096, bits: [size, 26], special: 1 }))
  if (one === undefined || two === undefined) throw new Error()
  const foreign = expect.objectContaining({ code: "lattice/foreign" })
  const secret = RlweSecret.generate(one, random)
  const arithmetic = new RlweArithmetic(two)
  const ciphertext = encryptWithSecret(secret, one.ring.zeroEvaluations(), random)
  expect(() => phase(RlweSecret.generate(two, random), ciphertext)).toThrow(foreign)
  const parts = [...ciphertext.parts, ...ciphertext.parts].slice(0, 3)
  expect(() => arithmetic.relinearise(parts, relinearisationKeyOf(secret, random))).toThrow(foreign)
  expect(() => arithmetic.automorphisms(ciphertext.parts, [galoisKeyOf(secret, 3, random)])).toThrow(foreign)
})

it("the quick whole product is that of the definition", () => {
  const numbers = (fill: number) => {
    const bytes = new Int32Array(random.bytes(4 * 64).buffer)
    return Array.from(bytes, (x) => BigInt(x) * BigInt(fill))
  }
  const [a, b] = [numbers(3), numbers(2 ** 20)]
  expect(wholeProduct(a, b, 52)).toEqual(schoolbookProduct(a, b))
})
