import { insecureSeededRandom } from "@consilium/base/testing"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { nttPrimes } from "../src/ring/primes.js"
import { Ring } from "../src/ring/ring.js"
import { TailDivision } from "../src/rlwe/division.js"
import { centred, MixedRadix } from "../src/rlwe/mixed-radix.js"

const N = 1024
const primes = [...nttPrimes(N, 30, 2), ...nttPrimes(N, 26, 2)]
const ring = Ring.of(N, primes)
const other = Ring.of(N, nttPrimes(N, 28, 6))
const half = (ring.modulus - 1n) / 2n
const extremes = [0n, 1n, -1n, half, -half, half - 1n, 1n - half, BigInt(primes[0] as number), 2n ** 53n + 1n]
const wholes = fc
  .array(fc.oneof(fc.constantFrom(...extremes), fc.bigInt(-half, half), fc.bigInt(-9n, 9n)), {
    minLength: 8,
    maxLength: 8,
  })
  .map((few) => Array.from({ length: N }, (_, i) => few[i % 8] as bigint))
const runs = { numRuns: 6 }

describe("balanced mixed radix", () => {
  const radix = new MixedRadix(ring)
  it("spells every number of the centred range", () => {
    fc.assert(
      fc.property(wholes, (values) => {
        const digits = radix.digits(ring.fromBigInts(values))
        for (let i = 0; i < N; i++) {
          let x = 0n
          for (let limb = primes.length - 1; limb >= 0; limb--) {
            const digit = digits[limb]?.[i] as number
            if (Math.abs(digit) > ((primes[limb] as number) - 1) / 2) expect(digit).toBe("centred")
            x = x * BigInt(primes[limb] as number) + BigInt(digit)
          }
          if (x !== values[i]) expect(x).toBe(values[i])
        }
      }),
      runs,
    )
  })
  it("takes numbers to other primes exactly, and to doubles nearly", () => {
    const extend = radix.extension(other)
    fc.assert(
      fc.property(wholes, (values) => {
        const digits = radix.digits(ring.fromBigInts(values))
        expect(extend(digits)).toEqual(other.fromBigInts(values))
        const [doubles, fractions] = [radix.toDoubles(digits), radix.toFractions(digits)]
        values.forEach((value, i) => {
          const expected = Number(value)
          expect(Math.abs((doubles[i] as number) - expected)).toBeLessThanOrEqual(
            2 ** -49 * Math.abs(expected),
          )
          expect(Math.abs((fractions[i] as number) - expected / Number(ring.modulus))).toBeLessThan(2 ** -50)
        })
      }),
      runs,
    )
  })
  it("leaves its operand alone", () => {
    const a = ring.inverse(ring.uniformSecret(insecureSeededRandom(1)))
    const before = a.slice()
    radix.digits(a)
    expect(a).toEqual(before)
  })
})

it("centred residues are the nearest", () => {
  expect([...centred(Uint32Array.of(0, 1, 48, 49, 96), 97)]).toEqual([0, 1, 48, -48, -1])
})

it.each([1, 2, 3])("division by all but %i primes rounds to the nearest", (kept) => {
  const division = new TailDivision(ring, kept)
  const small = ring.sub(primes.slice(0, kept).map((_, i) => i))
  const divisor = primes.slice(kept).reduce((product, q) => product * BigInt(q), 1n)
  fc.assert(
    fc.property(wholes, (values) => {
      const rounded = values.map((value) => {
        const shifted = value + (divisor - 1n) / 2n
        return (shifted - (((shifted % divisor) + divisor) % divisor)) / divisor
      })
      const result = small.inverse(division.divide(ring.forward(ring.fromBigInts(values))))
      expect(result).toEqual(small.fromBigInts(rounded))
    }),
    runs,
  )
})
