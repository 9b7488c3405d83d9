import { toHex } from "@consilium/base/bytes"
import { encode } from "@consilium/base/encoding"
import { describe, expect, it } from "vitest"
import {
  isKeyed,
  isLattice,
  PROTECTIONS,
  type Protection,
  protectionCodec,
  valueBound,
} from "../src/study.js"
import type { ProtectedUpdate } from "../src/sums/facility/facility-scheme.js"
import { protectionOf } from "../src/sums/protections.js"
import type { SumSetting } from "../src/sums/secure-sum.js"
import { codeOf, errorOf } from "./errors.js"
import { facilityNames, spoiled } from "./members.js"
import {
  answerAll,
  asIntegers,
  combined,
  digestOf,
  digestsOf,
  digestsOfUpdate,
  KINDS,
  NAMES,
  OTHER_LENGTH,
  obviousSum,
  otherSettings,
  parametersOf,
  protectAll,
  protectionStream,
  sideOf,
  sumScene,
  those,
  updatesOf,
  wholeSum,
  without,
} from "./sum-runs.js"

const wrongLength = (protection: Protection): string =>
  isLattice({ protection }) ? "lattice/bad-polynomial" : "sharing/wrong-length"

/** Values of one polynomial; where there are no polynomials, of one of the most common degree. */
const polynomialOf = (protection: Protection): number =>
  isLattice({ protection }) ? parametersOf(sumScene(protection, 3, 1)).codec.capacity : 4096

it("each protection says what it is made of", () => {
  const table = PROTECTIONS.map((protection) => {
    const { kind, keyed, added, checked, opened } = protectionOf({ protection })
    expect(kind).toBe(protection)
    expect(keyed).toBe(isKeyed({ protection }))
    expect(encode(protectionCodec, protection).length).toBe(1)
    const { answer, openPart, partial } = sumScene(protection, 5, 14).scheme
    // whoever is challenged deals, and whoever opens answers
    expect(answer === null).toBe(checked === null)
    expect(partial === null).toBe(opened === null)
    return [
      kind,
      added ? "added" : "dealt",
      checked ? "checked" : "-",
      openPart ? "parts" : "-",
      opened ?? "-",
    ].join(" ")
  })
  expect(table).toMatchInlineSnapshot(`
    [
      "plain added - - -",
      "shamir dealt checked parts any",
      "ckks added - - named",
      "bfv added - - named",
      "masked added - parts any",
    ]
  `)
})

describe.each(PROTECTIONS)("%s", (protection) => {
  const scene = sumScene(protection, 5, 15)
  const { setting, sum, scheme, directory, threshold } = scene
  const updates = updatesOf(NAMES, 15, "random")
  const expected = obviousSum(updates, 15)
  const sent = protectAll(scene, updates)
  const answered = answerAll(scene, sent)

  const lattice = isLattice({ protection })
  const polynomial = polynomialOf(protection)
  const edges = [polynomial - 1, polynomial, polynomial + 1]
  // 4097 values, one more than a study has features, are in two lanes or in several polynomials
  const lengths = [...new Set([1, 2, ...edges, 4095, 4096, 4097])]
  const kindsOf = (length: number) =>
    length > 2049 && !sum.keyed ? (["random", "opposite"] as const) : KINDS

  it.each(lengths.flatMap((length) => kindsOf(length).map((kind) => [length, kind] as const)))(
    "adds %d values exactly: %s",
    (length, kind) => {
      const scene = sumScene(protection, 3, length)
      const updates = updatesOf(facilityNames(3), length, kind, valueBound(scene.study))
      expect(wholeSum(scene, updates)).toEqual(obviousSum(updates, length))
    },
  )

  it.each(KINDS)("[S15] adds five vectors exactly: %s", (kind) => {
    const updates = updatesOf(NAMES, 15, kind)
    expect(wholeSum(sumScene(protection, 5, 15), updates)).toEqual(obviousSum(updates, 15))
  })

  it("adds values as large as weights can make them", () => {
    // sums of 31 bits; lattices have room for half of that
    const quantisation = { largestWeight: lattice ? 8192 : 16_384 }
    const scene = sumScene(protection, 4, 14, { quantisation })
    for (const kind of ["opposite", "largest", "smallest", "random"] as const) {
      const updates = updatesOf(facilityNames(4), 15, kind, valueBound(scene.study))
      expect(wholeSum(scene, updates)).toEqual(obviousSum(updates, 15))
    }
  })

  it.each(NAMES)("adds the others exactly when %s sends nothing and opens nothing", (missing) => {
    expect(threshold).toBe(4)
    const others = updatesOf(without(missing), 15, "random")
    expect(wholeSum(scene, others, without(missing))).toEqual(obviousSum(others, 15))
  })

  it.each(NAMES)("is opened by the t that are left when %s is gone after it has sent", (gone) => {
    expect(wholeSum(scene, updates, without(gone))).toEqual(expected)
  })

  it("adds nothing where a region sent nothing", () => {
    const [fog] = directory.fogs
    const children = directory.childrenOf(fog?.id as Uint8Array).map(({ name }) => name)
    const others = new Map([...updates].filter(([name]) => !children.includes(name)))
    expect(wholeSum(scene, others)).toEqual(obviousSum(others, 15))
  })

  it("is the same bytes from the same streams, and adds in any order", () => {
    const again = protectAll(scene, updates)
    expect(digestsOf(again, answerAll(scene, again))).toEqual(digestsOf(sent, answered))
    const backwards = {
      request: { cohort: [...sent.cohort].reverse(), openers: [...answered.request.openers].reverse() },
      partials: [...answered.partials].reverse(),
    }
    expect(asIntegers(combined(scene, { regions: [...sent.regions].reverse() }, backwards))).toEqual(expected)
  })

  it("is other bytes from other streams, unless it is readable", () => {
    const others = protectAll(scene, updates, 2)
    for (const name of NAMES) {
      const [one, other] = [sent, others].map(({ updates: all }) =>
        digestsOfUpdate(all.get(name) as ProtectedUpdate),
      ) as [readonly string[], readonly string[]]
      expect(other).toHaveLength(one.length)
      other.forEach((digest, i) => {
        expect(digest === one[i]).toBe(protection === "plain")
      })
    }
    expect(asIntegers(combined(scene, others, answerAll(scene, others)))).toEqual(expected)
  })

  it("refuses an update of another length before anything is sent, and is as before", () => {
    const side = sideOf(scene, "clinic-1")
    const before = side.epochKeys?.ledger.encode()
    for (const length of [0, 14, 16])
      expect(
        codeOf(() => scheme.protect(setting, side, new Int32Array(length), protectionStream("clinic-1"))),
      ).toBe(wrongLength(protection))
    expect(side.epochKeys?.ledger.encode()).toEqual(before)
    const honest = updates.get("clinic-1") as Int32Array
    const after = scheme.protect(setting, side, honest, protectionStream("clinic-1"))
    expect(digestsOfUpdate(after)).toEqual(digestsOfUpdate(sent.updates.get("clinic-1") as ProtectedUpdate))
  })

  it("shows the same number of bytes for any values", () => {
    const sizes = (values: Int32Array) => {
      const { payload, parts } = scheme.protect(
        setting,
        sideOf(scene, "clinic-1"),
        values,
        protectionStream("clinic-1"),
      )
      return [payload?.length ?? 0, ...parts.map(({ sealed }) => sealed.length)]
    }
    for (const fill of [0, 1, -32_767])
      expect(sizes(new Int32Array(15).fill(fill))).toEqual(sizes(updates.get("clinic-1") as Int32Array))
  })
})

describe.each(those((protection) => protectionOf({ protection }).added !== null))(
  "%s, which is added on the way",
  (protection) => {
    const scene = sumScene(protection, 5, 15)
    const { setting, sum } = scene
    const updates = updatesOf(NAMES, 15, "random")
    const sent = protectAll(scene, updates)
    const answered = answerAll(scene, sent)
    const payloads = [...sent.updates.values()].map(({ payload }) => payload as Uint8Array)
    const [first, ...others] = payloads as [Uint8Array, ...Uint8Array[]]
    const readable = protection === "plain"
    // readable integers carry no check: parents compare them with the digest that their facility has signed
    const noticed = [...spoiled(first).keys()].filter((how) => !readable || OTHER_LENGTH.test(how))

    it.each(noticed)("refuses a payload or a sum that is %s, and changes nothing", (how) => {
      const wrong = spoiled(first).get(how) as Uint8Array
      const given = [wrong, ...others, ...sent.regions]
      const before = given.map(digestOf)
      const code = readable ? "sharing/wrong-length" : "lattice/malformed"
      expect(codeOf(() => sum.added?.add(setting, [...others, wrong]))).toBe(code)
      expect(codeOf(() => sum.added?.add(setting, [wrong, ...others]))).toBe(code)
      const [, ...regions] = sent.regions
      expect(codeOf(() => combined(scene, { regions: [wrong, ...regions] }, answered))).toBe(code)
      expect(given.map(digestOf)).toEqual(before)
      expect(asIntegers(combined(scene, sent, answered))).toEqual(obviousSum(updates, 15))
    })

    it("adds sums as it adds updates, whatever the tree", () => {
      const { added } = sum
      if (added === null) throw new Error("This protection is added.")
      const flat = added.add(setting, payloads)
      const chain = payloads.reduce(
        (sums, payload) => added.add(setting, [sums, payload]),
        added.add(setting, []),
      )
      expect(toHex(chain)).toBe(toHex(flat))
      expect(toHex(added.add(setting, sent.regions))).toBe(toHex(flat))
      expect(asIntegers(combined(scene, { regions: [flat] }, answered))).toEqual(obviousSum(updates, 15))
    })

    if (readable)
      it("refuses a sum beyond 32 bits instead of turning it over", () => {
        const most = new Uint8Array(first.length)
        new DataView(most.buffer).setInt32(0, 2 ** 31 - 1, true)
        const one = new Uint8Array(first.length)
        one[0] = 1
        expect(codeOf(() => sum.added?.add(setting, [most, one]))).toBe("sharing/overflow")
        expect(codeOf(() => combined(scene, { regions: [most, one] }, answered))).toBe("sharing/overflow")
      })
    else {
      it.each([...otherSettings(scene).keys()])("refuses what is of another %s", (what) => {
        const other = otherSettings(scene).get(what) as SumSetting
        expect(codeOf(() => sum.added?.add(other, [first]))).toBe("lattice/other-sum")
        expect(codeOf(() => sum.combine(other, answered.request, sent.regions, answered.partials))).toBe(
          "lattice/other-sum",
        )
      })

      it("refuses an epoch or an attempt that is only told to be another", () => {
        for (const other of [
          { ...setting, epoch: setting.epoch + 1 },
          { ...setting, attempt: 2 },
        ])
          expect(codeOf(() => sum.added?.add(other, [first]))).toBe("lattice/other-sum")
      })

      it("refuses what is no update: an answer, or the bytes of another protection", () => {
        const foreign = [...those((other) => isLattice({ protection: other }) && other !== protection)].map(
          (other) => protectAll(sumScene(other, 5, 15), updates).regions[0] as Uint8Array,
        )
        for (const wrong of [answered.partials[0]?.opening as Uint8Array, ...foreign])
          expect(codeOf(() => sum.added?.add(setting, [first, wrong]))).toBe(
            wrong.length === first.length ? "lattice/other-sum" : "lattice/malformed",
          )
      })

      it("refuses a value beyond the study's bound, without naming it", () => {
        const values = new Int32Array(15)
        values[7] = valueBound(scene.study) + 1
        const refusal = errorOf(() =>
          scene.scheme.protect(setting, sideOf(scene, "clinic-1"), values, protectionStream("clinic-1")),
        )
        expect(refusal.code).toBe("lattice/out-of-range")
        expect(refusal.message).not.toContain("32768")
      })

      it("does not open a sum over other facilities than those answered for", () => {
        const fewer = { regions: [sum.added?.add(setting, others) as Uint8Array] }
        expect(codeOf(() => combined(scene, fewer, answered))).toMatch(
          /^lattice\/(bad-opening|out-of-range)$/,
        )
        const twice = { regions: [...sent.regions, first] }
        expect(codeOf(() => combined(scene, twice, answered))).toMatch(
          /^lattice\/(bad-opening|out-of-range)$/,
        )
      })
    }
  },
)
