import { ConsiliumError } from "@consilium/base/errors"
import { describe, expect, it } from "vitest"
import { nttPrimes } from "../src/ring/primes.js"
import { ERROR_PAIRS } from "../src/ring/ring.js"
import {
  ERROR_DEVIATION,
  MOST_MODULUS_BITS,
  type ParameterOptions,
  rlweParameters,
} from "../src/rlwe/parameters.js"

const messageOf = (options: ParameterOptions): string => {
  try {
    rlweParameters(options)
  } catch (error) {
    if (error instanceof ConsiliumError) return `${error.code}: ${error.message}`
  }
  return "accepted"
}

describe("parameters", () => {
  it("follow the table of 128-bit security", () => {
    expect(MOST_MODULUS_BITS).toEqual({ 1024: 26, 2048: 53, 4096: 106, 8192: 214, 16384: 430 })
    expect(ERROR_DEVIATION).toBeCloseTo(Math.sqrt(ERROR_PAIRS / 2), 13)
  })

  it("take sizes or the primes themselves", () => {
    const parameters = rlweParameters({ degree: 4096, bits: [30, 26, 26], special: 1 })
    const [p, q] = nttPrimes(4096, 26, 2)
    expect(parameters.primes).toEqual([...nttPrimes(4096, 30, 1), p])
    expect(parameters.specialPrimes).toEqual([q])
    expect(parameters.modulusBits).toBe(82)
    expect(parameters.ring.primes).toEqual(parameters.primes)
    expect(parameters.keyRing.primes).toEqual([...parameters.primes, q])
    expect(parameters.ringOf(1).primes).toEqual(parameters.primes.slice(0, 1))
    const named = rlweParameters({ degree: 4096, primes: parameters.keyRing.primes, special: 1 })
    expect(named.id()).toEqual(parameters.id())
  })

  it("cannot be changed", () => {
    const parameters = rlweParameters({ degree: 1024, bits: [26] })
    expect(Object.isFrozen(parameters) && Object.isFrozen(parameters.primes)).toBe(true)
    const id = parameters.id()
    id.fill(0)
    expect(parameters.id()).not.toEqual(id)
  })

  it("have a name of their own", () => {
    const names = [
      { degree: 4096, bits: [26, 26] },
      { degree: 8192, bits: [26, 26] },
      { degree: 4096, bits: [26, 27] },
      { degree: 4096, bits: [27, 26] },
      { degree: 4096, bits: [26, 26], special: 1 },
      { degree: 4096, bits: [26, 26, 26] },
    ].map((options) => rlweParameters(options).id().join())
    expect(new Set(names).size).toBe(names.length)
  })

  it("over the table are refused, with the numbers", () => {
    expect(messageOf({ degree: 1024, bits: [27] })).toMatchInlineSnapshot(
      `"lattice/insecure: The 1 primes have 27 bits together; degree 1024 allows 26 for 128-bit security with ternary secrets."`,
    )
    expect(messageOf({ degree: 4096, bits: [27, 27, 27, 27] })).toMatchInlineSnapshot(
      `"lattice/insecure: The 4 primes have 108 bits together; degree 4096 allows 106 for 128-bit security with ternary secrets."`,
    )
    // the special prime counts
    expect(messageOf({ degree: 2048, bits: [26, 26, 26], special: 1 })).toMatchInlineSnapshot(
      `"lattice/insecure: The 3 primes have 78 bits together; degree 2048 allows 53 for 128-bit security with ternary secrets."`,
    )
    expect(messageOf({ degree: 4096, bits: [27, 27, 26, 26] })).toBe("accepted")
    expect(messageOf({ degree: 2048, bits: [26, 26] })).toBe("accepted")
    for (const [degree, bits] of Object.entries(MOST_MODULUS_BITS)) {
      const count = Math.floor(bits / 26)
      const primes = nttPrimes(Number(degree), 26, count + 1)
      expect(messageOf({ degree: Number(degree), primes: primes.slice(0, count) })).toBe("accepted")
      expect(messageOf({ degree: Number(degree), primes })).toContain("lattice/insecure")
    }
  })

  it("that make no sense are refused", () => {
    expect(messageOf({ degree: 3000, bits: [26] })).toMatchInlineSnapshot(
      `"lattice/bad-ring: The degree 3000 is none of 1024, 2048, 4096, 8192, 16384."`,
    )
    expect(messageOf({ degree: 4096 })).toMatchInlineSnapshot(
      `"lattice/bad-ring: Parameters take either the primes or their bits."`,
    )
    expect(messageOf({ degree: 4096, bits: [26], primes: [40961] })).toContain("lattice/bad-ring")
    expect(messageOf({ degree: 4096, bits: [] })).toContain("lattice/bad-ring")
    expect(messageOf({ degree: 4096, bits: [25] })).toContain("lattice/bad-ring")
    expect(messageOf({ degree: 4096, primes: [67_000_001.5] })).toContain("lattice/bad-ring")
    expect(messageOf({ degree: 4096, bits: [26, 26], special: 2 })).toMatchInlineSnapshot(
      `"lattice/bad-ring: Of 2 primes 2 cannot be for switching keys: at least one must be left."`,
    )
    for (const special of [-1, 0.5])
      expect(messageOf({ degree: 4096, bits: [26, 26], special })).toContain("bad-ring")
    const parameters = rlweParameters({ degree: 4096, bits: [26, 26], special: 1 })
    for (const limbs of [0, 2, 1.5]) expect(() => parameters.ringOf(limbs)).toThrow("1 to 1 primes")
  })
})
