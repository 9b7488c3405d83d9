import { SecretKey } from "@consilium/base/random"
import { insecureSeededRandom } from "@consilium/base/testing"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { nttPrimes } from "../src/ring/primes.js"
import { type Coefficients, Ring } from "../src/ring/ring.js"

const ring = Ring.of(1024, [...nttPrimes(1024, 27, 2), ...nttPrimes(1024, 30, 1)])
const polynomial = fc
  .integer({ min: 0, max: 2 ** 31 })
  .map((seed) => ring.uniformSecret(insecureSeededRandom(seed)))
const coefficients = polynomial.map((a) => ring.inverse(a))
const runs = { numRuns: 12 }
const one = ring.forward(ring.fromBigInts(Array.from({ length: 1024 }, (_, i) => (i === 0 ? 1n : 0n))))
const odd = fc.integer({ min: 0, max: 1023 }).map((i) => 2 * i + 1)

describe("the ring", () => {
  it("is a commutative ring with one", () => {
    fc.assert(
      fc.property(polynomial, polynomial, polynomial, (a, b, c) => {
        expect(ring.add(a, b)).toEqual(ring.add(b, a))
        expect(ring.add(ring.add(a, b), c)).toEqual(ring.add(a, ring.add(b, c)))
        expect(ring.add(a, ring.negate(a))).toEqual(ring.zeroEvaluations())
        expect(ring.subtract(a, b)).toEqual(ring.add(a, ring.negate(b)))
        expect(ring.multiply(a, b)).toEqual(ring.multiply(b, a))
        expect(ring.multiply(ring.multiply(a, b), c)).toEqual(ring.multiply(a, ring.multiply(b, c)))
        expect(ring.multiply(a, ring.add(b, c))).toEqual(ring.add(ring.multiply(a, b), ring.multiply(a, c)))
        expect(ring.multiply(a, one)).toEqual(a)
        expect(ring.multiplyAdd(a, b, c)).toEqual(ring.add(ring.multiply(a, b), c))
        expect(ring.multiplyPrepared(a, ring.prepare(b))).toEqual(ring.multiply(a, b))
      }),
      runs,
    )
  })

  it("is the same in both forms", () => {
    fc.assert(
      fc.property(coefficients, coefficients, fc.bigInt(-(2n ** 90n), 2n ** 90n), (a, b, factor) => {
        expect(ring.inverse(ring.forward(a))).toEqual(a)
        expect(ring.forward(ring.add(a, b))).toEqual(ring.add(ring.forward(a), ring.forward(b)))
        expect(ring.forward(ring.scale(a, factor))).toEqual(ring.scale(ring.forward(a), factor))
      }),
      runs,
    )
  })

  it("X -> X^g is an automorphism, in both forms", () => {
    fc.assert(
      fc.property(coefficients, coefficients, odd, odd, (a, b, g, h) => {
        expect(ring.automorphism(ring.automorphism(a, g), h)).toEqual(ring.automorphism(a, (g * h) % 2048))
        const [x, y] = [ring.forward(a), ring.forward(b)]
        expect(ring.forward(ring.automorphism(a, g))).toEqual(ring.automorphismOfEvaluations(x, g))
        expect(ring.automorphismOfEvaluations(ring.multiply(x, y), g)).toEqual(
          ring.multiply(ring.automorphismOfEvaluations(x, g), ring.automorphismOfEvaluations(y, g)),
        )
      }),
      runs,
    )
    const x = ring.fromSmall(Int32Array.from({ length: 1024 }, (_, i) => (i === 1 ? 1 : 0)))
    const moved = ring.toBigInts(ring.automorphism(x, 1027))
    expect(moved[3]).toBe(-1n)
  })

  it("holds whole numbers up to the middle of Q, exactly", () => {
    const half = ring.modulus / 2n
    const edge = fc.constantFrom(0n, 1n, -1n, half, -half, half - 1n)
    fc.assert(
      fc.property(fc.array(fc.oneof(edge, fc.bigInt(-half, half)), { minLength: 4, maxLength: 4 }), (few) => {
        const values = Array.from({ length: 1024 }, (_, i) => few[i % 4] as bigint)
        expect(ring.toBigInts(ring.fromBigInts(values))).toEqual(values)
      }),
      runs,
    )
  })

  it("makes polynomials of small and of wide numbers", () => {
    const random = insecureSeededRandom("wide")
    const wide = new BigInt64Array(random.bytes(8192).buffer)
    expect(ring.toBigInts(ring.fromWide(wide))).toEqual([...wide])
    const small = new Int32Array(random.bytes(4096).buffer)
    expect(ring.toBigInts(ring.fromSmall(small))).toEqual(Array.from(small, BigInt))
  })

  it("may write into an operand", () => {
    const [a, b] = [ring.uniform(new Uint8Array(32)), ring.uniform(new Uint8Array(32).fill(9))]
    const expected = ring.multiply(a, b)
    expect(ring.multiply(a, b, b)).toEqual(expected)
    expect(b).toEqual(expected)
  })
})

describe("rings of some of the primes", () => {
  it("compute as the whole ring does, limb for limb", () => {
    const some = ring.sub([2, 0])
    expect(some.primes).toEqual([ring.primes[2], ring.primes[0]])
    const a = ring.uniform(new Uint8Array(32).fill(3))
    const b = some.uniform(new Uint8Array(32).fill(3))
    expect(b.subarray(0, 1024)).toEqual(a.subarray(2048))
    expect(b.subarray(1024)).toEqual(a.subarray(0, 1024))
    const square = ring.multiply(a, a)
    expect(some.multiply(b, b).subarray(0, 1024)).toEqual(square.subarray(2048))
    expect(some.sub([1]).primes).toEqual([ring.primes[0]])
  })
})

describe("what does not fit is refused", () => {
  const refuses = (code: string, work: () => unknown): void => {
    expect(work).toThrow(expect.objectContaining({ code }))
  }
  const a = ring.zeroCoefficients()
  const short = new Uint32Array(1024) as Coefficients
  it("rings", () => {
    const [p, q] = nttPrimes(1024, 26, 2) as [number, number]
    refuses("lattice/bad-ring", () => Ring.of(512, [p]))
    refuses("lattice/bad-ring", () => Ring.of(1024, []))
    refuses("lattice/bad-ring", () => Ring.of(1024, [p, q, p]))
    refuses("lattice/bad-ring", () => Ring.of(1024, [p + 2048]))
    refuses("lattice/bad-ring", () => Ring.of(16384, [p]))
    refuses("lattice/bad-ring", () => Ring.of(1024, nttPrimes(1024, 30, 33)))
    refuses("lattice/bad-ring", () => ring.sub([]))
    refuses("lattice/bad-ring", () => ring.sub([0, 0]))
    refuses("lattice/bad-ring", () => ring.sub([3]))
    for (const g of [0, 2, -1, 2049, 1.5]) refuses("lattice/bad-ring", () => ring.automorphism(a, g))
  })
  it("polynomials", () => {
    refuses("lattice/bad-polynomial", () => ring.forward(short))
    refuses("lattice/bad-polynomial", () => ring.add(a, short))
    refuses("lattice/bad-polynomial", () => ring.add(a, a, short))
    refuses("lattice/bad-polynomial", () => ring.fromSmall(new Int32Array(1023)))
    refuses("lattice/bad-polynomial", () => ring.fromWide(new BigInt64Array(1025)))
    refuses("lattice/bad-polynomial", () => ring.fromBigInts([1n]))
    refuses("lattice/bad-polynomial", () => ring.scaleByResidues(a, Uint32Array.of(1, 2)))
    refuses("lattice/bad-polynomial", () =>
      ring.scaleByResidues(a, Uint32Array.of(ring.primes[0] as number, 0, 0)),
    )
    refuses("lattice/bad-polynomial", () => ring.uniform(new Uint8Array(31)))
    refuses("lattice/bad-polynomial", () => ring.ternary({ bytes: () => new Uint8Array(16) }))
    for (const pairs of [0, 65, 2.5])
      refuses("lattice/bad-ring", () => ring.centredBinomial(insecureSeededRandom(1), pairs))
  })
  it("and secrets do not show", () => {
    const key = new SecretKey(new Uint8Array(32).fill(77))
    try {
      ring.uniform(key.expose().subarray(1))
      expect.unreachable()
    } catch (error) {
      expect(String(error)).not.toContain("77")
    }
  })
})
