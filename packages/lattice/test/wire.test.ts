import { isConsiliumError } from "@consilium/base/errors"
import { insecureSeededRandom } from "@consilium/base/testing"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { nttPrimes } from "../src/ring/primes.js"
import { Ring } from "../src/ring/ring.js"
import { fuzzPacked } from "./packed-fuzz.js"

const primes = [26, 27, 28, 29, 30].flatMap((bits) => nttPrimes(1024, bits, 1))
const ring = Ring.of(1024, primes)

describe("packed polynomials", () => {
  it("take exactly the bits of each prime, low bits first", () => {
    expect(ring.packedLength).toBe(((26 + 27 + 28 + 29 + 30) * 1024) / 8)
    const a = ring.zeroCoefficients()
    a[0] = 0x2345678
    a[1] = 3
    a[1024] = 0x3456789
    const bytes = ring.pack(a)
    expect([...bytes.subarray(0, 5)]).toEqual([0x78, 0x56, 0x34, 0x02 | (3 << 2), 0])
    expect([...bytes.subarray(3328, 3332)]).toEqual([0x89, 0x67, 0x45, 0x03])
  })

  it("come back as they were", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const a = ring.inverse(ring.uniformSecret(insecureSeededRandom(seed)))
        const bytes = ring.pack(a)
        expect(ring.unpackCoefficients(bytes)).toEqual(a)
        expect(ring.pack(ring.unpackEvaluations(bytes))).toEqual(bytes)
        const sum = a.slice() as typeof a
        ring.addPacked(sum, bytes)
        expect(sum).toEqual(ring.add(a, a))
      }),
      { numRuns: 8 },
    )
  })

  it("with a residue of q or more are refused at every place, and nothing changes", () => {
    for (const [limb, q] of primes.entries())
      for (const place of [0, 1, 500, 1023]) {
        const a = ring.zeroCoefficients()
        a[1024 * limb + place] = q - 1
        expect(ring.unpackCoefficients(ring.pack(a))).toEqual(a)
        a[1024 * limb + place] = q
        const [into, sum] = [ring.zeroCoefficients().fill(7), ring.zeroCoefficients()]
        const refusal = expect.objectContaining({
          code: "lattice/malformed",
          message: "A packed polynomial holds a number that is no residue.",
        })
        const bytes = ring.pack(a)
        expect(() => ring.unpackCoefficients(bytes, into)).toThrow(refusal)
        expect(() => ring.addPacked(sum, bytes)).toThrow(refusal)
        expect(into.every((value) => value === 7)).toBe(true)
        expect(sum).toEqual(ring.zeroCoefficients())
      }
  })

  it("of another length are refused", () => {
    for (const length of [0, 1, ring.packedLength - 1, ring.packedLength + 1, ring.packedLength * 2])
      expect(() => ring.unpackCoefficients(new Uint8Array(length))).toThrow(
        `A packed polynomial has ${length} bytes; this ring's have ${ring.packedLength}.`,
      )
  })

  it("random and altered bytes give the polynomial they spell, or a typed error", () => {
    expect(fuzzPacked(2000, "fast", isConsiliumError)).toEqual({ runs: 2000, problems: [] })
  })
})
