import { insecureSeededRandom } from "@consilium/base/testing"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type BfvCiphertext, bfv } from "../src/bfv/bfv.js"
import { BfvMultiplier } from "../src/bfv/multiplication.js"
import { PlainTransform } from "../src/bfv/plain-transform.js"
import { nttPrimes } from "../src/ring/primes.js"
import { rlweParameters } from "../src/rlwe/parameters.js"
import { centredModulo, roundedQuotient, wholeProduct } from "./whole-polynomial.js"

const N = 4096
const T = 65_537
const ctx = bfv({ degree: N, bits: [26, 26, 26, 26], special: 1, plainModulus: T })
const random = insecureSeededRandom("bfv")
const secret = ctx.newSecret(random)
const publicKey = ctx.publicKey(secret, random)
const relinearisation = ctx.relinearisationKey(secret, random)
const [forward, back, swap] = [
  ctx.rotationKey(secret, 3, random),
  ctx.rotationKey(secret, -3, random),
  ctx.swapKey(secret, random),
]
const runs = { numRuns: 3 }
const modulo = (value: number, t = T): number => {
  const residue = ((value % t) + t) % t
  return 2 * residue >= t ? residue - t : residue
}
const seed = fc.nat()
const vector = (from: number): Int32Array => {
  const words = new Int32Array(insecureSeededRandom(from).bytes(4 * N).buffer)
  return words.map((word, i) => (i < 4 ? ([0, -1, T >> 1, -(T >> 1)][i] as number) : modulo(word)))
}
const holds = (ciphertext: BfvCiphertext, expected: (i: number) => number): void => {
  expect(ctx.decrypt(ciphertext, secret)).toEqual(
    Int32Array.from({ length: N }, (_, i) => modulo(expected(i))),
  )
  expect(ctx.margin(ciphertext, secret)).toBeGreaterThan(0.05)
}

describe("the slots of ciphertexts", () => {
  it("are added, subtracted and negated, exactly", () => {
    fc.assert(
      fc.property(seed, seed, fc.boolean(), (s, t, isPublic) => {
        const [x, y, k] = [vector(s), vector(t), isPublic ? publicKey : secret]
        const [a, b] = [ctx.encrypt(x, k, random), ctx.encrypt(y, secret, random)]
        const [p, q] = [(i: number) => x[i] as number, (i: number) => y[i] as number]
        holds(a, p)
        holds(ctx.add(a, b), (i) => p(i) + q(i))
        holds(ctx.subtract(a, b), (i) => p(i) - q(i))
        holds(ctx.negate(a), (i) => -p(i))
        holds(ctx.addPlain(a, ctx.encode(y)), (i) => p(i) + q(i))
        holds(ctx.subtractPlain(a, ctx.encode(y)), (i) => p(i) - q(i))
        holds(ctx.shorten(a), p)
        expect(ctx.decode(ctx.encode(x))).toEqual(x)
      }),
      runs,
    )
  })
  it("are multiplied, exactly", () => {
    fc.assert(
      fc.property(seed, seed, (s, t) => {
        const [x, y] = [vector(s), vector(t)]
        const [a, b] = [ctx.encrypt(x, secret, random), ctx.encrypt(y, publicKey, random)]
        const expected = (i: number): number => (x[i] as number) * (y[i] as number)
        holds(ctx.multiplyPlain(a, ctx.encode(y)), expected)
        const product = ctx.multiply(a, b)
        expect(product.parts).toHaveLength(3)
        holds(product, expected)
        holds(ctx.relinearise(product, relinearisation), expected)
        holds(ctx.add(product, a), (i) => expected(i) + (x[i] as number))
        expect(ctx.multiply(b, a).parts).toEqual(product.parts)
        const square = ctx.multiply(a, a)
        holds(square, (i) => (x[i] as number) ** 2)
      }),
      runs,
    )
  })
  it("are moved: rows rotate, and change places", () => {
    fc.assert(
      fc.property(seed, (s) => {
        const x = vector(s)
        const a = ctx.encrypt(x, secret, random)
        const half = N / 2
        const turned = ctx.move(a, forward)
        holds(turned, (i) => x[(i < half ? 0 : half) + ((i + 3) % half)] as number)
        holds(ctx.move(turned, back), (i) => x[i] as number)
        holds(ctx.move(a, swap), (i) => x[(i + half) % N] as number)
      }),
      runs,
    )
  })
})

describe("coefficients", () => {
  it.each([2, 3, 16, 1000, 2 ** 25 - 39])("modulo %i are added and multiplied as polynomials", (t) => {
    const own = bfv({ degree: N, bits: [30, 30, 30], special: 1, plainModulus: t })
    const s = own.newSecret(random)
    const x = Int32Array.from({ length: N }, (_, i) => modulo(i * 7919 + 5, t))
    const y = Int32Array.from({ length: N }, (_, i) => (i < 3 ? modulo(i + 1, t) : 0))
    const a = own.encrypt(own.encodeCoefficients(x), s, random)
    const opened = (c: BfvCiphertext): Int32Array => own.decodeCoefficients(own.decryptToPlain(c, s))
    expect(opened(own.add(a, a))).toEqual(x.map((value) => modulo(2 * value, t)))
    const product = wholeProduct(Array.from(x, BigInt), Array.from(y, BigInt), 32)
    const expected = Int32Array.from(product, (value) => modulo(Number(value), t))
    expect(opened(own.multiplyPlain(a, own.encodeCoefficients(y)))).toEqual(expected)
    if (t < 2 ** 20) {
      const b = own.encrypt(own.encodeCoefficients(y), s, random)
      expect(opened(own.multiply(a, b))).toEqual(expected)
    }
    expect(() => own.encode([1])).toThrow(expect.objectContaining({ code: "lattice/bad-ring" }))
  })
})

describe("products of ciphertexts", () => {
  it.each([
    { degree: 1024, bits: [26], t: 12_289 },
    { degree: 2048, bits: [26, 26], t: 65_537 },
    { degree: 4096, bits: [30, 30, 30], t: 2 ** 25 },
  ])("are t z / Q, rounded to the nearest: $degree, $bits, $t", ({ degree, bits, t }) => {
    const parameters = rlweParameters({ degree, bits })
    const { ring } = parameters
    const multiplier = new BfvMultiplier(parameters, bits.length, t)
    const half = (ring.modulus - 1n) / 2n
    // extreme coefficients, so that the largest product there can be occurs
    const extreme = ring.forward(
      ring.fromBigInts(Array.from({ length: degree }, (_, i) => (i === 0 ? half : -half))),
    )
    const parts = [extreme, ...[1, 2, 3].map((fill) => ring.uniform(new Uint8Array(32).fill(fill)))]
    const [a0, a1, b0, b1] = parts.map((p) => ring.toBigInts(ring.inverse(p))) as [
      bigint[],
      bigint[],
      bigint[],
      bigint[],
    ]
    const times = (x: bigint[], y: bigint[]): bigint[] => wholeProduct(x, y, ring.modulus.toString(2).length)
    const [first, second] = [times(a0, b1), times(a1, b0)]
    const tensor = [times(a0, b0), first.map((z, i) => z + (second[i] as bigint)), times(a1, b1)]
    const expected = tensor.map((part) =>
      part.map((z) => centredModulo(roundedQuotient(BigInt(t) * z, ring.modulus), ring.modulus)),
    )
    const found = multiplier.multiply(parts.slice(0, 2), parts.slice(2))
    expect(found.map((part) => ring.toBigInts(ring.inverse(part)))).toEqual(expected)
    const squared = times(a0, a0).map((z) =>
      centredModulo(roundedQuotient(BigInt(t) * z, ring.modulus), ring.modulus),
    )
    const [square] = multiplier.multiply([extreme, extreme], [extreme, extreme])
    expect(square && ring.toBigInts(ring.inverse(square))).toEqual(squared)
  })
})

describe("the transform modulo t", () => {
  it.each([
    [1024, 12_289],
    [4096, 65_537],
    [4096, nttPrimes(4096, 26, 1)[0] as number],
  ])("of degree %i modulo %i takes polynomials to products of slots", (degree, t) => {
    const transform = new PlainTransform(degree, t)
    const residues = (fill: number) =>
      Int32Array.from(new Uint32Array(insecureSeededRandom(fill).bytes(4 * degree).buffer), (x) => x % t)
    const [a, b] = [residues(1), residues(2)]
    a.fill(t - 1, 0, 50)
    b.fill(t - 1, 0, 50)
    expect(transform.toCoefficients(transform.toSlots(a))).toEqual(a)
    const product = wholeProduct(Array.from(a, BigInt), Array.from(b, BigInt), 26)
    const slots = transform.toSlots(
      Int32Array.from(product, (x) => Number(((x % BigInt(t)) + BigInt(t)) % BigInt(t))),
    )
    const [x, y] = [transform.toSlots(a), transform.toSlots(b)]
    expect(slots).toEqual(x.map((value, i) => Number((BigInt(value) * BigInt(y[i] as number)) % BigInt(t))))
  })
})

describe("what does not fit is refused", () => {
  const refuses = (code: string, work: () => unknown): void => {
    expect(work).toThrow(expect.objectContaining({ code }))
  }
  const a = ctx.encrypt([1], secret, random)
  it("numbers", () => {
    for (const value of [T >> 1, -(T >> 1) - 1, 0.5, NaN, Infinity, 2 ** 40])
      if (value !== T >> 1) refuses("lattice/out-of-range", () => ctx.encode([value]))
    refuses("lattice/out-of-range", () => ctx.encode([(T >> 1) + 1]))
    refuses("lattice/out-of-range", () => ctx.encodeCoefficients(new Int32Array(N + 1)))
  })
  it("levels and sizes", () => {
    const low = ctx.shorten(a)
    refuses("level/mismatch", () => ctx.add(a, low))
    refuses("level/none-left", () => ctx.shorten(a, 3))
    refuses("level/none-left", () => ctx.shorten(a, 0))
    const product = ctx.multiply(a, a)
    refuses("level/mismatch", () => ctx.multiply(product, a))
    refuses("level/mismatch", () => ctx.move(product, swap))
  })
  it("values and keys of others", () => {
    const other = bfv({ degree: N, bits: [26, 26, 26, 26], special: 1, plainModulus: 40_961 })
    refuses("lattice/foreign", () => other.add(a, a))
    refuses("lattice/foreign", () => other.decrypt(a, secret))
    const wide = bfv({ degree: N, bits: [27, 26, 26], special: 1, plainModulus: T })
    refuses("lattice/foreign", () => ctx.decrypt(a, wide.newSecret(random)))
    refuses("lattice/foreign", () => ctx.move(a, wide.swapKey(wide.newSecret(random))))
    refuses("lattice/foreign", () => ctx.addPlain(a, wide.encode([1])))
  })
  it("plaintext moduli", () => {
    for (const plainModulus of [1, 0, -5, 2.5, 2 ** 26, NaN])
      refuses("lattice/bad-ring", () => bfv({ degree: N, bits: [26, 26], plainModulus }))
  })
})
