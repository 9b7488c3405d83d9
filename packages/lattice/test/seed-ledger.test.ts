import { insecureSeededRandom } from "@consilium/base/testing"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import {
  chooseMaskedParameters,
  type MaskedLiteral,
  MaskedParameters,
} from "../src/masked/masked-parameters.js"
import { MaskedSum, MaskKey } from "../src/masked/masked-sum.js"
import { SeedLedger } from "../src/sums/seed-ledger.js"
import type { EpochKey, HeldShare } from "../src/threshold/epoch-key.js"
import { contextOf, permitOf, thresholdSetup } from "./sum-schemes.js"

const demand = { facilities: 5, threshold: 3, values: 100, largest: 1000 }
const random = insecureSeededRandom("ledger")
const { sum, keys, held } = thresholdSetup("ckks", demand, random)
const { parameters } = sum
const begin = SeedLedger.begin(parameters.openable)
const context = contextOf()
const request = { context, cohort: [1, 2, 3, 4, 5], active: [1, 2, 3] }
const used = expect.objectContaining({ code: "lattice/already-used" })
const firstOf = <A extends { readonly kind: string }>(admission: A): Extract<A, { kind: "first" }> => {
  if (admission.kind !== "first") throw new Error("not the first")
  return admission as Extract<A, { kind: "first" }>
}

describe("a ledger", () => {
  const { ledger } = firstOf(begin.open(parameters, request))

  it("admits an opening once, in whatever order its facilities are named", () => {
    expect(ledger.open(parameters, request).kind).toBe("repeated")
    const shuffled = { context, cohort: [5, 3, 1, 2, 4], active: [3, 1, 2] }
    expect(ledger.open(parameters, shuffled).kind).toBe("repeated")
    expect(begin.open(parameters, request).kind).toBe("first")
  })

  it("refuses another T or another U for the same attempt, and admits another attempt", () => {
    expect(() => ledger.open(parameters, { ...request, active: [1, 2, 4] })).toThrow(used)
    expect(() => ledger.open(parameters, { ...request, cohort: [1, 2, 3, 4] })).toThrow(used)
    expect(ledger.open(parameters, { ...request, context: contextOf({ attempt: 2 }) }).kind).toBe("first")
  })

  it("refuses other values for a sum that was protected", () => {
    const values = new Int32Array(100)
    const after = firstOf(begin.protect(context, values)).ledger
    expect(after.protect(context, values).kind).toBe("repeated")
    expect(() => after.protect(context, new Int32Array(100).fill(1))).toThrow(used)
    expect(after.open(parameters, request).kind).toBe("first")
  })

  it("refuses another cohort for masks, and lets anybody answer for one", () => {
    const after = firstOf(begin.unmask(parameters, request)).ledger
    expect(after.unmask(parameters, { ...request, cohort: [3, 2, 1, 4, 5] }).kind).toBe("repeated")
    expect(() => after.unmask(parameters, { context, cohort: [1, 2] })).toThrow(used)
  })

  it("refuses openings beyond what an epoch's keys bear", () => {
    const short = SeedLedger.begin(1)
    const { ledger: empty } = firstOf(short.open(parameters, request))
    expect(empty.polynomialsLeft).toBe(0)
    expect(empty.open(parameters, request).kind).toBe("repeated")
    expect(() => empty.open(parameters, { ...request, context: contextOf({ attempt: 2 }) })).toThrow(
      expect.objectContaining({ code: "lattice/worn-out" }),
    )
  })

  it("comes back from its bytes, which have one form", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 12 }), (attempts) => {
        let own = begin
        for (const attempt of attempts) {
          const admission = own.open(parameters, { ...request, context: contextOf({ attempt }) })
          if (admission.kind === "first") own = admission.ledger
        }
        const again = SeedLedger.decode(own.encode())
        expect(again.encode()).toEqual(own.encode())
        expect(again.polynomialsLeft).toBe(begin.polynomialsLeft - new Set(attempts).size)
        for (const attempt of attempts)
          expect(again.open(parameters, { ...request, context: contextOf({ attempt }) }).kind).toBe(
            "repeated",
          )
      }),
      { numRuns: 30 },
    )
    const bytes = ledger.encode()
    for (const wrong of [bytes.subarray(1), bytes.subarray(0, -1), new Uint8Array([...bytes, 0])])
      expect(() => SeedLedger.decode(wrong)).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^encoding\//) }),
      )
  })
})

describe("permits", () => {
  it("allow one protection, of the sum they were given for", () => {
    const values = new Int32Array(100)
    const permit = permitOf(begin.protect(context, values))
    const protect = (where = context) =>
      sum.protect(where, keys[0] as EpochKey, permit, values, insecureSeededRandom("permit"))
    expect(() => protect(contextOf({ attempt: 2 }))).toThrow(used)
    protect()
    expect(() => protect()).toThrow(used)
  })

  it("allow one answer, to the request they were given for", () => {
    const permit = permitOf(begin.open(parameters, request))
    const answer = (asked = request) => sum.partial(asked, 1, held[0] as readonly HeldShare[], permit, random)
    expect(() => answer({ ...request, active: [1, 2, 4] })).toThrow(used)
    expect(() => answer({ ...request, cohort: [1, 2] })).toThrow(used)
    answer()
    expect(() => answer()).toThrow(used)
  })

  it("are not used up by what is refused for another reason", () => {
    const permit = permitOf(begin.open(parameters, request))
    const bad = expect.objectContaining({ code: "lattice/bad-opening" })
    expect(() => sum.partial(request, 4, held[3] as readonly HeldShare[], permit, random)).toThrow(bad)
    expect(() => sum.partial(request, 1, held[1] as readonly HeldShare[], permit, random)).toThrow(bad)
    expect(() => sum.partial(request, 1, [], permit, random)).toThrow(bad)
    expect(sum.partial(request, 1, held[0] as readonly HeldShare[], permit, random).length).toBe(
      sum.payloadLength,
    )
  })

  it("are not given to more or fewer facilities than t", () => {
    for (const active of [
      [1, 2],
      [1, 2, 3, 4],
    ]) {
      const wrong = { ...request, active }
      const permit = permitOf(begin.open(parameters, wrong))
      expect(() => sum.partial(wrong, 1, held[0] as readonly HeldShare[], permit, random)).toThrow(
        expect.objectContaining({
          code: "lattice/bad-opening",
          message: expect.stringContaining("exactly 3"),
        }),
      )
    }
  })

  it("do not let a key of another epoch be used", () => {
    const other = thresholdSetup("ckks", demand, random, {}, 2)
    const permit = permitOf(begin.protect(context, new Int32Array(100)))
    expect(() =>
      sum.protect(context, other.keys[0] as EpochKey, permit, new Int32Array(100), random),
    ).toThrow(expect.objectContaining({ code: "lattice/other-sum" }))
  })
})

describe("a mask key", () => {
  const masked = MaskedParameters.of(chooseMaskedParameters(demand).literal as MaskedLiteral)
  const scheme = new MaskedSum(masked)
  const protect = (key: MaskKey, values = new Int32Array(100)) =>
    scheme.protect(context, 1, key, values, random)

  it("is used once, and not at all for parameters that are not its own", () => {
    const key = new MaskKey(masked, random)
    const other = MaskedParameters.of(
      chooseMaskedParameters({ ...demand, keys: "uniform" }).literal as MaskedLiteral,
    )
    expect(() => new MaskedSum(other).protect(context, 1, key, new Int32Array(100), random)).toThrow(
      expect.objectContaining({ code: "lattice/other-sum" }),
    )
    expect(() => protect(key, new Int32Array(99))).toThrow(
      expect.objectContaining({ code: "lattice/bad-polynomial" }),
    )
    const { shares } = protect(key)
    expect(() => protect(key)).toThrow(used)
    expect(JSON.stringify(key)).toBe('"[secret]"')
    expect(scheme.isShare(context, 1, 2, shares[1] as Uint8Array)).toBe(true)
    expect(scheme.isShare(context, 1, 3, shares[1] as Uint8Array)).toBe(false)
    expect(scheme.isShare(contextOf({ attempt: 2 }), 1, 2, shares[1] as Uint8Array)).toBe(false)
    const erased = new MaskKey(masked, random)
    erased.erase()
    expect(() => protect(erased)).toThrow(used)
  })

  it("is shared so that a false answer among more than t is found", () => {
    const dealt = [1, 2].map((dealer) => ({
      dealer,
      ...scheme.protect(
        context,
        dealer,
        new MaskKey(masked, random),
        new Int32Array(100).fill(dealer),
        random,
      ),
    }))
    const both = { context, cohort: [1, 2] }
    const answers = [1, 2, 3, 4].map((point) => ({
      point,
      opening: scheme.answer(
        both,
        point,
        dealt.map(({ dealer, shares }) => ({ dealer, share: shares[point - 1] as Uint8Array })),
        permitOf(SeedLedger.begin(0).unmask(masked, both)),
      ),
    }))
    const total = scheme.add(
      context,
      dealt.map(({ update }) => update),
    )
    expect(scheme.open(both, total, answers)).toEqual(new Int32Array(100).fill(3))
    expect(scheme.open(both, total, answers.slice(1))).toEqual(new Int32Array(100).fill(3))
    // facility 3 gives facility 4's share
    const point4 = { dealer: 1, share: dealt[0]?.shares[3] as Uint8Array }
    expect(() =>
      scheme.answer(both, 3, [point4], permitOf(SeedLedger.begin(0).unmask(masked, both))),
    ).toThrow(expect.objectContaining({ code: "lattice/other-sum" }))
    const other = scheme.protect(context, 1, new MaskKey(masked, random), new Int32Array(100), random)
    const lying = scheme.answer(
      both,
      4,
      [
        { dealer: 1, share: other.shares[3] as Uint8Array },
        { dealer: 2, share: dealt[1]?.shares[3] as Uint8Array },
      ],
      permitOf(SeedLedger.begin(0).unmask(masked, both)),
    )
    expect(() => scheme.open(both, total, [...answers.slice(0, 3), { point: 4, opening: lying }])).toThrow(
      expect.objectContaining({
        code: "lattice/bad-opening",
        message: expect.stringContaining("one is false"),
      }),
    )
  })
})
