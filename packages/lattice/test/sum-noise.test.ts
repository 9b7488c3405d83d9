import { insecureSeededRandom } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import {
  chooseMaskedParameters,
  type MaskedLiteral,
  MaskedParameters,
} from "../src/masked/masked-parameters.js"
import { MaskedSum, MaskKey } from "../src/masked/masked-sum.js"
import type { Evaluations, Ring } from "../src/ring/ring.js"
import { sealFrame } from "../src/sums/frame.js"
import { lagrange } from "../src/sums/polynomial-sharing.js"
import { SeedLedger } from "../src/sums/seed-ledger.js"
import { polynomialSeed } from "../src/sums/sum-context.js"
import type { EpochKey, HeldShare } from "../src/threshold/epoch-key.js"
import { contextOf, permitOf, thresholdSetup } from "./sum-schemes.js"

const demand = { facilities: 3, threshold: 2, values: 100, largest: 1000 }
const context = contextOf()

/** What a frame's first polynomial holds beside A times a secret. */
const noiseOf = (ring: Ring, frame: Uint8Array, seed: Uint8Array, secret: Evaluations): bigint[] => {
  const row = ring.unpackCoefficients(frame.subarray(16, 16 + ring.packedLength))
  return ring.toBigInts(ring.subtract(row, ring.inverse(ring.multiply(ring.uniform(seed), secret))))
}
/** The deviation in units of `sigma`; within 1 +- 4.9 / sqrt(2 count) but for one in a million. */
const deviation = (numbers: readonly bigint[], sigma: number): number =>
  Math.sqrt(numbers.reduce((sum, x) => sum + (Number(x) / sigma) ** 2, 0) / numbers.length)
const near = (ratio: number, count: number): void =>
  expect(Math.abs(ratio - 1)).toBeLessThan(4.9 / Math.sqrt(2 * count))

describe("what is sent carries its full noise", () => {
  const random = insecureSeededRandom("noise")
  const { sum, keys, held } = thresholdSetup("ckks", demand, random)
  const { parameters } = sum
  const { ring } = parameters

  it("errors of deviation 3.24 in every protected update", () => {
    const values = new Int32Array(100)
    const permit = permitOf(SeedLedger.begin(9).protect(context, values))
    const update = sum.protect(context, keys[0] as EpochKey, permit, values, random)
    const secret = ring.unpackEvaluations((keys[0] as EpochKey).expose())
    const noise = noiseOf(ring, update, polynomialSeed("sum", context, 0), secret)
    near(deviation(noise, Math.sqrt(21 / 2)), ring.degree)
  })

  it("flooding at its full level in every partial opening, fresh for each", () => {
    const request = { context, cohort: [1, 2, 3], active: [1, 3] }
    const shares = held[2] as readonly HeldShare[]
    const weighted = ring.scaleByResidues(
      shares.map((share) => ring.unpackEvaluations(share.expose())).reduce((x, y) => ring.add(x, y)),
      lagrange(ring, [1, 3], 3),
    )
    const [one, two] = [0, 1].map(() => {
      const permit = permitOf(SeedLedger.begin(9).open(parameters, request))
      const opening = sum.partial(request, 3, shares, permit, random)
      return noiseOf(ring, opening, polynomialSeed("sum", context, 0), weighted)
    }) as [bigint[], bigint[]]
    for (const noise of [one, two]) near(deviation(noise, Number(parameters.floodSigma)), ring.degree)
    const difference = one.map((x, i) => x - (two[i] as bigint))
    near(deviation(difference, Number(parameters.floodSigma) * Math.SQRT2), ring.degree)
  })

  it("errors of deviation 4.69 in every masked update, under a key of its full width", () => {
    for (const keys of ["gaussian", "uniform"] as const) {
      const masked = MaskedParameters.of(
        chooseMaskedParameters({ ...demand, keys, degree: 4096 }).literal as MaskedLiteral,
      )
      const keyOf = () => new MaskKey(masked, insecureSeededRandom("mask", keys))
      const { update } = new MaskedSum(masked).protect(context, 1, keyOf(), new Int32Array(100), random)
      const { whole } = keyOf().spend(masked)
      const noise = noiseOf(masked.ring, update, polynomialSeed("masked-sum", context, 0), whole)
      near(deviation(noise, Math.sqrt(22)), 4096)
      const coefficients = masked.ring.toBigInts(masked.ring.inverse(whole))
      const width = keys === "gaussian" ? 2 ** 15 : Number(masked.ring.modulus) / Math.sqrt(12)
      near(deviation(coefficients, width), 4096)
    }
  })
})

describe("a sum that is off by half of Delta", () => {
  const values = new Int32Array(100).fill(5)
  /** The update with half of Delta added to every coefficient: what nobody's errors and flooding come to. */
  const shifted = (ring: Ring, update: Uint8Array, delta: bigint): Uint8Array => {
    const out = update.slice()
    const offset = ring.fromBigInts(new Array<bigint>(ring.degree).fill(delta / 2n))
    out.set(
      ring.pack(ring.add(ring.unpackCoefficients(update.subarray(16, 16 + ring.packedLength)), offset)),
      16,
    )
    return sealFrame(out)
  }
  const bad = expect.objectContaining({
    code: "lattice/bad-opening",
    message: expect.stringContaining("remainder"),
  })

  it.each(["ckks", "bfv"] as const)("is not opened, %s", (form) => {
    const random = insecureSeededRandom("half", form)
    const { sum, keys, held } = thresholdSetup(form, demand, random)
    const { parameters } = sum
    const { ring, literal } = parameters
    const delta =
      form === "ckks"
        ? 1n << BigInt(literal.deltaBits)
        : ring.modulus >> BigInt(literal.lanes * literal.laneBits)
    const updates = keys.map((key) =>
      sum.protect(context, key, permitOf(SeedLedger.begin(9).protect(context, values)), values, random),
    )
    const request = { context, cohort: [1, 2, 3], active: [1, 3] }
    const answers = request.active.map((point) => {
      const permit = permitOf(SeedLedger.begin(9).open(parameters, request))
      const shares = held[point - 1] as readonly HeldShare[]
      return { point, opening: sum.partial(request, point, shares, permit, random) }
    })
    const total = sum.add(context, updates)
    expect(sum.open(request, total, answers)).toEqual(new Int32Array(100).fill(15))
    expect(() => sum.open(request, shifted(ring, total, delta), answers)).toThrow(bad)
  })

  it("is not opened, masked", () => {
    const random = insecureSeededRandom("half masked")
    const masked = MaskedParameters.of(
      chooseMaskedParameters({ ...demand, degree: 4096 }).literal as MaskedLiteral,
    )
    const sum = new MaskedSum(masked)
    const dealt = [1, 2].map((dealer) =>
      sum.protect(context, dealer, new MaskKey(masked, random), values, random),
    )
    const request = { context, cohort: [1, 2], active: [1, 2] }
    const answers = [1, 2].map((point) => {
      const shares = dealt.map(({ shares: all }, i) => ({
        dealer: i + 1,
        share: all[point - 1] as Uint8Array,
      }))
      const permit = permitOf(SeedLedger.begin(0).unmask(masked, request))
      return { point, opening: sum.answer(request, point, shares, permit) }
    })
    const total = sum.add(
      context,
      dealt.map(({ update }) => update),
    )
    expect(sum.open(request, total, answers)).toEqual(new Int32Array(100).fill(10))
    const delta = 1n << BigInt(masked.literal.deltaBits)
    expect(() => sum.open(request, shifted(masked.ring, total, delta), answers)).toThrow(bad)
  })
})

it("every sum, epoch, attempt, study, specification and block has polynomials of its own", () => {
  const contexts = [
    context,
    contextOf({ epoch: 2 }),
    contextOf({ attempt: 2 }),
    contextOf({ study: new Uint8Array(32) }),
    contextOf({ spec: new Uint8Array(32) }),
    contextOf({ epoch: 1, attempt: 0 }),
  ]
  const seeds = contexts.flatMap((one) =>
    (["sum", "masked-sum"] as const).flatMap((domain) =>
      [0, 1, 256].map((block) => String(polynomialSeed(domain, one, block))),
    ),
  )
  expect(new Set(seeds).size).toBe(36)
})
