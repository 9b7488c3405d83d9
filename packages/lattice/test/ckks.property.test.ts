import { insecureSeededRandom } from "@consilium/base/testing"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { ckks } from "../src/ckks/ckks.js"
import type { CkksCiphertext } from "../src/ckks/evaluator.js"

const ctx = ckks({ degree: 4096, bits: [26, 26, 30], special: 1, scale: 2 ** 24 })
const random = insecureSeededRandom("ckks")
const secret = ctx.newSecret(random)
const publicKey = ctx.publicKey(secret, random)
const evaluator = ctx.evaluator({
  relinearisation: ctx.relinearisationKey(secret, random),
  galois: [...ctx.rotationKeys(secret, [1, -1, 7], random), ctx.conjugationKey(secret, random)],
})
const TOLERANCE = 0.02
const runs = { numRuns: 4 }
const SLOTS = ctx.slots

const seed = fc.nat()
const vector = (from: number): Float64Array =>
  Float64Array.from(new Int32Array(insecureSeededRandom(from).bytes(4 * SLOTS).buffer), (x) => x / 2 ** 31)
const withPublicKey = fc.boolean()
const keyOf = (isPublic: boolean) => (isPublic ? publicKey : secret)
const near = (found: Float64Array, expected: (i: number) => number, tolerance = TOLERANCE): void => {
  let worst = 0
  for (let i = 0; i < found.length; i++) worst = Math.max(worst, Math.abs((found[i] as number) - expected(i)))
  expect(worst).toBeLessThan(tolerance)
}
const holds = (ciphertext: CkksCiphertext, expected: (i: number) => number): void =>
  near(ctx.decrypt(ciphertext, secret), expected)
const at = (x: Float64Array) => (i: number) => x[(i + SLOTS) % SLOTS] as number

describe("the slots of ciphertexts", () => {
  it("are added, subtracted and negated", () => {
    fc.assert(
      fc.property(seed, seed, withPublicKey, (s, t, isPublic) => {
        const [x, y, k] = [vector(s), vector(t), keyOf(isPublic)]
        const [a, b] = [ctx.encrypt(x, k, random), ctx.encrypt(y, secret, random)]
        const plain = ctx.encode(y)
        holds(a, at(x))
        holds(ctx.add(a, b), (i) => at(x)(i) + at(y)(i))
        holds(ctx.subtract(a, b), (i) => at(x)(i) - at(y)(i))
        holds(ctx.negate(a), (i) => -at(x)(i))
        holds(ctx.addPlain(a, plain), (i) => at(x)(i) + at(y)(i))
        holds(ctx.subtractPlain(a, plain), (i) => at(x)(i) - at(y)(i))
        expect(ctx.add(a, b).parts).toEqual(ctx.add(b, a).parts)
        expect(ctx.subtract(a, b).parts).toEqual(ctx.add(a, ctx.negate(b)).parts)
      }),
      runs,
    )
  })

  it("are multiplied", () => {
    fc.assert(
      fc.property(seed, seed, seed, (s, t, u) => {
        const [x, y, z] = [vector(s), vector(t), vector(u)]
        const [a, b, c] = [x, y, z].map((v) => ctx.encrypt(v, secret, random)) as [
          CkksCiphertext,
          CkksCiphertext,
          CkksCiphertext,
        ]
        const product = evaluator.multiply(a, b)
        const expected = (i: number): number => at(x)(i) * at(y)(i)
        holds(product, expected)
        const small = evaluator.relinearise(product)
        holds(small, expected)
        holds(evaluator.rescale(small), expected)
        // three parts: what is rounded in the last one is multiplied by the square of the secret
        near(ctx.decrypt(evaluator.rescale(product), secret), expected, 0.5)
        holds(ctx.rescale(ctx.multiplyPlain(a, ctx.encode(y))), expected)
        holds(ctx.multiplyInteger(a, -3), (i) => -3 * at(x)(i))
        // distributes, to the same bytes
        const sum = evaluator.multiply(ctx.add(a, b), c)
        expect(sum.parts).toEqual(ctx.add(evaluator.multiply(a, c), evaluator.multiply(b, c)).parts)
        // sums of different sizes
        holds(ctx.add(product, ctx.multiplyPlain(a, ctx.encode(y))), (i) => 2 * expected(i))
        holds(ctx.subtract(ctx.multiplyPlain(a, ctx.encode(y)), product), () => 0)
      }),
      runs,
    )
  })

  it("are rotated and conjugated", () => {
    fc.assert(
      fc.property(seed, seed, fc.constantFrom(1, -1, 7), (s, t, steps) => {
        const [x, y] = [vector(s), vector(t)]
        const a = ctx.encrypt(ctx.encodeComplex(x, y), secret, random)
        const turned = evaluator.rotate(a, steps)
        holds(turned, (i) => at(x)(i + steps))
        const low = evaluator.rotate(ctx.dropTo(a, 0), steps)
        holds(low, (i) => at(x)(i + steps))
        const many = evaluator.rotateMany(a, [7, 0, steps, steps])
        expect(many.map((c) => c.parts)).toEqual([
          evaluator.rotate(a, 7).parts,
          a.parts,
          turned.parts,
          turned.parts,
        ])
        const mirrored = ctx.decodeComplex(ctx.decryptToPlain(evaluator.conjugate(a), secret))
        near(mirrored.real, at(x))
        near(mirrored.imaginary, (i) => -at(y)(i))
      }),
      runs,
    )
  })

  it("stay the same at a lower level", () => {
    fc.assert(
      fc.property(seed, withPublicKey, (s, isPublic) => {
        const [x, k] = [vector(s), keyOf(isPublic)]
        const a = ctx.dropTo(ctx.encrypt(x, k, random), 0)
        holds(a, at(x))
        const early = ctx.encrypt(ctx.encode(x, { level: 0 }), k, random)
        expect([early.level, early.limbs, early.parts[0]?.length]).toEqual([0, 1, 4096])
        holds(early, at(x))
      }),
      runs,
    )
  })
})

describe("coefficients", () => {
  it("are multiplied as polynomials", () => {
    // X^5 times a, by a plaintext: moved by five, the last ones come back with the other sign
    const values = Float64Array.from({ length: 4096 }, (_, i) => (i % 100) / 100)
    const a = ctx.encrypt(ctx.encodeCoefficients(values), secret, random)
    const moved = ctx.rescale(ctx.multiplyPlain(a, ctx.encodeCoefficients([0, 0, 0, 0, 0, 1])))
    near(
      ctx.decryptCoefficients(moved, secret),
      (i) => (i < 5 ? -1 : 1) * (values[(i + 4091) % 4096] as number),
    )
  })
  it("a constant is in all slots", () => {
    near(ctx.decode(ctx.encodeConstant(-0.75)), () => -0.75, 2 ** -20)
  })
  it("of any size up to the modulus are encoded and decoded", () => {
    for (const scale of [1, 2 ** 20, 2 ** 48, 2 ** 49]) {
      const values = [0, 1, -1, 0.5, -0.25, 1 / 3, -(2 ** 0.5)]
      const plain = ctx.encodeCoefficients(values, { scale })
      near(
        ctx.decodeCoefficients(plain).subarray(0, 7),
        (i) => values[i] as number,
        Math.max(0.51 / scale, 2 ** -49),
      )
    }
  })
  it("too large or not finite are refused", () => {
    const refused = expect.objectContaining({ code: "lattice/out-of-range" })
    for (const value of [NaN, Infinity, -Infinity, 2 ** 40])
      expect(() => ctx.encodeCoefficients([value])).toThrow(refused)
    expect(() => ctx.encode([2 ** 45])).toThrow(refused)
    expect(() => ctx.encode(new Float64Array(SLOTS + 1))).toThrow(refused)
    expect(() => ctx.encodeCoefficients(new Float64Array(4097))).toThrow(refused)
    for (const factor of [0.5, 2 ** 53, NaN])
      expect(() => ctx.multiplyInteger(ctx.encrypt([1], secret, random), factor)).toThrow(refused)
  })
  it("with two or three parts of 31 bits each", () => {
    const wide = ckks({ degree: 8192, bits: [30, 30, 30, 30, 30], scale: 2 ** 80 })
    const values = [1, -1, 0.1, -0.7, 123.456]
    near(
      wide.decodeCoefficients(wide.encodeCoefficients(values)).subarray(0, 5),
      (i) => values[i] as number,
      2 ** -44,
    )
    expect(() => wide.encodeCoefficients([2 ** 13])).toThrow("too large")
  })
})

it("decrypts nothing with another key", () => {
  const values = new Float64Array(SLOTS).fill(0.5)
  const opened = ctx.decrypt(ctx.encrypt(values, secret, random), ctx.newSecret(random))
  expect(opened.filter((x) => Math.abs(x - 0.5) < 1).length).toBeLessThan(10)
})

it("never changes an operand", () => {
  const a = ctx.encrypt([1, 2, 3], secret, random)
  const before = a.parts.map((part) => part.slice())
  const plain = ctx.encode([1])
  const product = evaluator.multiply(a, a)
  const productBefore = product.parts.map((part) => part.slice())
  ctx.add(a, a)
  ctx.subtract(a, product.scale === a.scale ? product : a)
  ctx.addPlain(a, plain)
  ctx.multiplyPlain(a, plain)
  evaluator.rescale(evaluator.relinearise(product))
  evaluator.rotate(a, 1)
  evaluator.conjugate(a)
  ctx.decrypt(a, secret)
  ctx.decrypt(product, secret)
  expect(a.parts).toEqual(before)
  expect(product.parts).toEqual(productBefore)
})
