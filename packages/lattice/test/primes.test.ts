import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { multiplyModulo, powerModulo } from "../src/ring/modular.js"
import { DEGREES, isNttPrime, isPrime, nttPrimes, primitiveRoot } from "../src/ring/primes.js"

const isPrimeByDivision = (n: number): boolean => {
  if (n < 2) return false
  for (let d = 2; d * d <= n; d++) if (n % d === 0) return false
  return true
}

describe("isPrime", () => {
  it("agrees with division for every number below 20,000 and for random ones", () => {
    for (let n = 0; n < 20_000; n++) expect(isPrime(n)).toBe(isPrimeByDivision(n))
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), (n) => isPrime(n) === isPrimeByDivision(n)),
      { numRuns: 300 },
    )
  })
  it("is not deceived by strong pseudoprimes", () => {
    // the first to bases 2; 2, 3; 2, 3, 5; 2, 3, 5, 7 (Pomerance, Selfridge, Wagstaff 1980)
    for (const n of [2047, 1_373_653, 25_326_001, 3_215_031_751, 561, 41_041]) expect(isPrime(n)).toBe(false)
    expect(isPrime(2 ** 31 - 1)).toBe(true)
    expect(isPrime(4_294_967_291)).toBe(true)
  })
  it("refuses what it cannot decide", () => {
    for (const n of [-1, 0.5, 2 ** 32, Number.NaN])
      expect(() => isPrime(n)).toThrow(expect.objectContaining({ code: "lattice/bad-ring" }))
  })
})

describe("nttPrimes", () => {
  it("gives the largest primes of their size, one after another", () => {
    for (const degree of DEGREES)
      for (const bits of [26, 28, 30]) {
        const primes = nttPrimes(degree, bits, 5)
        const all: number[] = []
        for (let n = 2 ** bits - 1; all.length < 5; n--)
          if (n % (2 * degree) === 1 && isPrimeByDivision(n)) all.push(n)
        expect(primes).toEqual(all)
        expect(nttPrimes(degree, bits, 3)).toEqual(all.slice(0, 3))
        expect(primes.every((q) => isNttPrime(q, degree))).toBe(true)
      }
    expect(nttPrimes(4096, 26, 4)).toMatchInlineSnapshot(`
      [
        67084289,
        67043329,
        66994177,
        66969601,
      ]
    `)
  })
  it("refuses what there is not", () => {
    expect(() => nttPrimes(16384, 26, 500)).toThrow(
      /There are \d+ primes of 26 bits for degree 16384, not 500/,
    )
    expect(() => nttPrimes(4096, 25, 1)).toThrow("Primes have 26 to 30 bits, not 25.")
    expect(() => nttPrimes(4096, 31, 1)).toThrow("Primes have 26 to 30 bits, not 31.")
    expect(() => nttPrimes(3000, 26, 1)).toThrow("The degree 3000 is none of 1024, 2048, 4096, 8192, 16384.")
    expect(isNttPrime(2 ** 30 + 1, 1024)).toBe(false)
    expect(isNttPrime(12_289, 1024)).toBe(false)
    expect(isNttPrime(nttPrimes(1024, 26, 1)[0] as number, 16384)).toBe(false)
  })
})

describe("primitiveRoot", () => {
  it("is the smallest of order 2N", () => {
    for (const degree of [1024, 4096]) {
      const q = nttPrimes(degree, 26, 1)[0] as number
      const root = primitiveRoot(q, degree)
      expect(powerModulo(root, degree, q)).toBe(q - 1)
      for (let i = 1, power = root; i < 2 * degree; i++) {
        if (i % 2 === 1) expect(power).toBeGreaterThanOrEqual(root)
        power = multiplyModulo(power, root, q)
      }
    }
  })
})

it("multiplyModulo is exact up to 32 bits", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 2 ** 32 - 1 }),
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      (q, x, y) => multiplyModulo(x % q, y % q, q) === Number((BigInt(x % q) * BigInt(y % q)) % BigInt(q)),
    ),
  )
})
