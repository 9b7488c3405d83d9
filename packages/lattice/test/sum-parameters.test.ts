import fc from "fast-check"
import { describe, expect, it } from "vitest"
import {
  chooseMaskedParameters,
  type MaskedLiteral,
  MaskedParameters,
} from "../src/masked/masked-parameters.js"
import { bitsUp, rootUp } from "../src/sums/whole-root.js"
import { chooseSumParameters } from "../src/threshold/choose-parameters.js"
import { errorBound, floodingSigma, openedNoise } from "../src/threshold/flooding-bound.js"
import { type ThresholdLiteral, ThresholdParameters } from "../src/threshold/threshold-parameters.js"

const none = expect.objectContaining({ code: "lattice/no-parameters" })

describe("whole roots and bits", () => {
  it("are the smallest that suffice", () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 1n << 200n), (x) => {
        const root = rootUp(x)
        expect(root * root >= x && (root === 0n || (root - 1n) * (root - 1n) < x)).toBe(true)
        if (x > 0n) {
          const bits = BigInt(bitsUp(x))
          expect(1n << bits >= x && (bits === 0n || 1n << (bits - 1n) < x)).toBe(true)
        }
      }),
    )
  })
})

describe("the flooding's deviation", () => {
  it("is 2^40 B at 50 bits for 10,900 polynomials of 4096", () => {
    const setting = { facilities: 64, degree: 4096, polynomials: 10_900, statisticalBits: 50 }
    const sigma = floodingSigma(setting)
    expect(errorBound(64)).toBe(208n)
    expect(Number(sigma) / 207.4 / 2 ** 40).toBeCloseTo(1, 2)
    // 8 sigma sqrt(43) + B fits below half of 2^55
    expect(openedNoise(sigma, 43, 64) < 1n << 54n).toBe(true)
    // two more bits double it, four times the polynomials double it
    for (const change of [{ statisticalBits: 52 }, { polynomials: 43_600 }]) {
      const doubled = floodingSigma({ ...setting, ...change }) - 2n * sigma
      expect(doubled <= 0n && doubled >= -2n).toBe(true)
    }
  })
})

describe("the chooser", () => {
  it("explains a set line by line", () => {
    const { literal, explanation } = chooseSumParameters({
      facilities: 10,
      threshold: 7,
      values: 1_000_000,
      largest: 32_767,
      degree: 4096,
    })
    expect(literal).toMatchObject({ form: "ckks", degree: 4096, lanes: 2, laneBits: 20, deltaBits: 52 })
    expect(explanation).toMatchInlineSnapshot(`
      [
        "10 facilities, any 7 of them open; 1000000 values, each at most 32767 in size.",
        "Sums reach 327670: a lane of ceil(log2(2 x 10 x 32767 + 1)) bits.",
        "Errors: centred binomial of 42 bits, deviation 3.24; a sum of 10 stays below B = 8 x 3.24 x sqrt(10) = 82.",
        "Flooding: sigma = B sqrt(24 x 4096 x 10900) 2^(50/2) = 2^46.4. Over an epoch the Kullback-Leibler divergence is at most 2^-50 / 48: 50 bits in the sense of Micciancio and Walter; no observer's chance changes by more than 2^-28.3.",
        "An opened coefficient is off by at most 8 sigma sqrt(7) + B = 2^50.8, which must stay below 31/32 of Delta / 2; Delta = 2^52.",
        "Degree 4096 with 4 primes of 26, 26, 26, 26 bits: log2 Q = 104.0, safe at 128 bits; 2 lane(s) of 20 bits.",
        "123 polynomial(s), 6549504 bytes a vector, 6.55 a value; the same for each of the 7 partial openings.",
        "After 88 openings of the whole vector the epoch's keys are changed.",
      ]
    `)
  })

  it("says why there is none", () => {
    expect(
      chooseSumParameters({ facilities: 10, threshold: 7, values: 100, largest: 32_767, degree: 2048 }),
    ).toMatchInlineSnapshot(`
      {
        "explanation": [
          "10 facilities, any 7 of them open; 100 values, each at most 32767 in size.",
          "Sums reach 327670: a lane of ceil(log2(2 x 10 x 32767 + 1)) bits.",
          "Errors: centred binomial of 42 bits, deviation 3.24; a sum of 10 stays below B = 8 x 3.24 x sqrt(10) = 82.",
          "Degree 2048: one lane of 20 bits above Delta = 2^52 does not fit into the 53 bits of modulus that are safe.",
          "No set of parameters exists for this demand.",
        ],
        "literal": null,
      }
    `)
    for (const [change, reason] of [
      [{ threshold: 1 }, "The threshold must be a whole number in [2, 10], not 1."],
      [{ threshold: 11 }, "The threshold must be a whole number in [2, 10], not 11."],
      [{ facilities: 1 }, "The number of facilities must be a whole number in [2, 1024], not 1."],
      [{ largest: 0 }, "The largest value must be a whole number in [1, 1073741823], not 0."],
      [{ statisticalBits: 49 }, "The statistical bits must be a whole number in [50, 128], not 49."],
      [{ polynomialsPerEpoch: 10 }, "An epoch of 10 polynomials ends with the ceremony's 10."],
      [{ largest: 2 ** 29 }, "A lane of 34 bits is needed; the widest has 31."],
      [{ statisticalBits: 80 }, "No set of parameters exists for this demand."],
    ] as const) {
      const demand = { facilities: 10, threshold: 7, values: 100, largest: 1000, ...change }
      const choice = chooseSumParameters(demand)
      expect(choice.literal).toBeNull()
      expect(choice.explanation).toContain(reason)
      if (!("statisticalBits" in change) && !("polynomialsPerEpoch" in change))
        expect(chooseMaskedParameters(demand).literal).toBeNull()
    }
  })

  it("gives sets that pass their own check, for every form", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 200 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 0, max: 100_000 }),
        (facilities, part, bits, values) => {
          const threshold = 2 + Math.floor(part * (facilities - 2))
          const demand = { facilities, threshold, values, largest: 2 ** bits }
          for (const form of ["ckks", "bfv"] as const) {
            const { literal } = chooseSumParameters({ ...demand, form })
            if (literal === null) continue
            const checked = ThresholdParameters.of(literal)
            expect(64n * openedNoise(checked.floodSigma, threshold, facilities) < checked.ring.modulus).toBe(
              true,
            )
          }
          for (const keys of ["gaussian", "uniform"] as const) {
            const { literal } = chooseMaskedParameters({ ...demand, keys })
            if (literal !== null) MaskedParameters.of(literal)
          }
        },
      ),
      { numRuns: 12 },
    )
  })

  it("has checked parameters refuse what does not fit", () => {
    const literal = chooseSumParameters({ facilities: 10, threshold: 7, values: 100, largest: 1000 })
      .literal as ThresholdLiteral
    for (const change of [
      { deltaBits: literal.deltaBits - 1 },
      { deltaBits: 57 },
      { laneBits: literal.laneBits + 1 },
      { lanes: literal.lanes + 3 },
      { facilities: 11_000 },
      { polynomialsPerEpoch: 10 },
      { polynomialsPerEpoch: 2 ** 31 - 1 },
      { statisticalBits: 90 },
      { threshold: 1 },
    ])
      expect(() => ThresholdParameters.of({ ...literal, ...change }), JSON.stringify(change)).toThrow(none)
    expect(() => ThresholdParameters.of({ ...literal, degree: 1024 })).toThrow(
      expect.objectContaining({ code: "lattice/insecure" }),
    )
    const masked = chooseMaskedParameters({ facilities: 10, threshold: 7, values: 100, largest: 1000 })
      .literal as MaskedLiteral
    for (const change of [
      { deltaBits: masked.deltaBits - 1 },
      { laneBits: masked.laneBits + 1 },
      { lanes: 4 },
    ])
      expect(() => MaskedParameters.of({ ...masked, ...change })).toThrow(none)
  })

  it("tells different parameters apart by their id", () => {
    const literal = chooseSumParameters({ facilities: 10, threshold: 7, values: 100, largest: 1000 })
      .literal as ThresholdLiteral
    const ids = [{}, { values: 101 }, { threshold: 6 }, { polynomialsPerEpoch: 10_000 }].map((change) =>
      String(ThresholdParameters.of({ ...literal, ...change }).id()),
    )
    expect(new Set(ids).size).toBe(4)
  })

  it("gives for masked sums of 64 facilities lanes of 22 bits and 13 KB a recipient", () => {
    const { literal, explanation } = chooseMaskedParameters({
      facilities: 64,
      threshold: 43,
      values: 1_000_000,
      largest: 32_767,
      degree: 4096,
    })
    expect(literal).toMatchObject({ lanes: 3, laneBits: 22, keys: "gaussian" })
    expect(explanation.at(-1)).toBe(
      "Keys: gaussian, 13312 bytes to each recipient and in each answer, whatever the vector's length.",
    )
    expect(explanation.at(-2)).toMatch(/^82 polynomial\(s\), 3274752 bytes a vector, 3.27 a value\.$/)
  })
})
