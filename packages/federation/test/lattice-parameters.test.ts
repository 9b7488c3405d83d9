import { ThresholdParameters } from "@consilium/lattice/threshold/threshold-parameters"
import { describe, expect, it } from "vitest"
import { Directory } from "../src/roster.js"
import { checkStudy, defaultKeys, openingThreshold, type Study } from "../src/study.js"
import { checkSums } from "../src/study-tree.js"
import { explainLattice, polynomialsOf, thresholdParameters } from "../src/sums/lattice-parameters.js"
import { codeOf } from "./errors.js"
import { rosterOf, type StudyChanges, testStudy } from "./members.js"

const studyFor = (facilities: number, changes: StudyChanges = {}): Study =>
  testStudy(facilities, { protection: "ckks", ...changes })
const parametersFor = (facilities: number, changes: StudyChanges = {}): ThresholdParameters => {
  const study = studyFor(facilities, changes)
  return thresholdParameters({ study, directory: new Directory(rosterOf(study, facilities, 1)) })
}

describe("parameters of a study's sums", () => {
  it("follow from its public numbers alone, and are the same for every participant", () => {
    expect(parametersFor(6).id()).toEqual(parametersFor(6).id())
    expect(parametersFor(6, { name: "another", nonce: new Uint8Array(32) }).id()).toEqual(
      parametersFor(6).id(),
    )
    expect(parametersFor(7).id()).not.toEqual(parametersFor(6).id())
    expect(parametersFor(6, { protection: "bfv" }).id()).not.toEqual(parametersFor(6).id())
    expect(explainLattice(studyFor(6), 6).join("\n")).toContain("safe at 128 bits")
  })

  it.each([3, 4, 6, 12, 33, 64])(
    "flood for as many answers as a leader gets that names other openers to each of %i facilities",
    (facilities) => {
      const { floodSigma, literal } = parametersFor(facilities)
      // the same demand, with the flooding that one active set calls for
      const plain = ThresholdParameters.of({ ...literal, statisticalBits: 50 })
      const views = facilities - openingThreshold(studyFor(facilities), facilities) + 1
      // n - t + 1 floodings of one error tell that much more: the variance must be that many times as large
      const least = plain.floodSigma - 1n
      expect(floodSigma * floodSigma).toBeGreaterThanOrEqual(least * least * BigInt(views))
    },
  )

  it("let an epoch open what the study says, and no more", () => {
    const { openable, blocks } = parametersFor(5, { keys: { openings: 7, days: 30 } })
    expect([openable, blocks]).toEqual([7, 1])
  })

  it("have keys that last a while by default, and fewer openings for longer updates", () => {
    const of = (features: number): number => {
      const model = { features: Array.from({ length: features }, (_, i) => `x${i}`) }
      return defaultKeys(studyFor(5, { model }), 5)?.openings as number
    }
    expect([of(3), of(4000)]).toEqual([500, 500])
    expect(polynomialsOf(4096)).toBe(1)
    expect(polynomialsOf(4097)).toBe(2)
    expect(defaultKeys(testStudy(5), 5)).toBeNull()
  })

  it("have at least the ring that a study asks for, and as small a one as its numbers need otherwise", () => {
    const none = { degree: 0, modulusBits: 0, scaleBits: 0 }
    const asked = (ring: Partial<typeof none>) => parametersFor(5, { ring: { ...none, ...ring } })
    const own = parametersFor(5).literal
    const bitsOf = ({ primes }: { readonly primes: readonly number[] }): number =>
      primes.reduce((product, q) => product * BigInt(q), 1n).toString(2).length
    expect(asked({}).id()).toEqual(parametersFor(5).id())
    expect(asked({ degree: own.degree }).id()).toEqual(parametersFor(5).id())
    expect(own.degree).toBeLessThan(8192)
    expect(asked({ degree: 8192 }).literal.degree).toBe(8192)
    const wide = asked({ degree: 8192, modulusBits: 190, scaleBits: own.deltaBits + 3 }).literal
    expect(bitsOf(wide)).toBeGreaterThanOrEqual(189)
    expect(wide.deltaBits).toBe(own.deltaBits + 3)
    expect(explainLattice(studyFor(5, { ring: { ...none, degree: 8192 } }), 5)[0]).toContain(
      "degree 8192 or more",
    )
  })

  it("are refused where what is asked for is not safe, or where nothing is encrypted", () => {
    const ring = { degree: 0, modulusBits: 0, scaleBits: 0 }
    expect(() => checkSums(studyFor(5, { ring: { ...ring, modulusBits: 431 } }), 5)).toThrow(
      "431 or more are asked for",
    )
    expect(() => checkStudy(testStudy(5, { protection: "shamir", ring }), 5)).toThrow(
      "The study asks for a ring of its own, and shamir has none that can be chosen.",
    )
    expect(() => checkStudy(studyFor(5, { protection: "bfv", ring: { ...ring, scaleBits: 40 } }), 5)).toThrow(
      "Values are scaled under ckks only.",
    )
  })

  it("are refused in words where there are none", () => {
    const heavy = studyFor(60, { quantisation: { weights: "exact", largestWeight: 1000 } })
    expect(() => checkSums(heavy, 60)).toThrow(
      "There are no safe parameters for sums under ckks among 60 facilities: A lane of 32 bits is needed; the widest has 31.",
    )
    const worn = studyFor(60, { keys: { openings: 2 ** 31 - 1, days: 30 } })
    expect(codeOf(() => checkSums(worn, 60))).toBe("round/bad-study")
  })
})
