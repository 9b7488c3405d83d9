import { isConsiliumError } from "@consilium/base/errors"
import { insecureSeededRandom } from "@consilium/base/testing"
import { describe, expect, it } from "vitest"
import { chiSquareRatio } from "./reference.js"
import { contextOf, SCHEMES, vectorsOf, wholeSum } from "./sum-schemes.js"

const FIVE = { facilities: 5, threshold: 3, values: 100, largest: 1000 }
const ALL = [1, 2, 3, 4, 5]
const codeOf = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    return isConsiliumError(error) ? error.code : String(error)
  }
  return "nothing thrown"
}

describe.each(Object.entries(SCHEMES))("%s", (_, make) => {
  it.each(["random", "extreme", "equal"] as const)("gives exact sums of %s vectors", (kind) => {
    const scheme = make({ ...FIVE, values: 9000, largest: 32_767 }, kind)
    const { vectors, sum } = vectorsOf(5, 9000, 32_767, kind, kind)
    expect(wholeSum(scheme, contextOf(), ALL, [1, 3, 5], vectors)).toEqual(sum)
  })

  it.each([0, 1, 4095, 4096, 4097])("sums vectors of %d values", (values) => {
    const scheme = make({ ...FIVE, values }, String(values))
    const { vectors, sum } = vectorsOf(5, values, 1000, "random", String(values))
    expect(wholeSum(scheme, contextOf(), ALL, [2, 3, 4], vectors)).toEqual(sum)
  })

  it("sums part of the facilities, opened by others, with one missing and t left", () => {
    const scheme = make(FIVE, "part")
    const { vectors, sum } = vectorsOf(3, 100, 1000, "random", "part")
    for (const [attempt, active] of [
      [1, [1, 2, 3]],
      [2, [5, 4, 1]],
    ] as const)
      expect(wholeSum(scheme, contextOf({ attempt }), [2, 5, 3], active, vectors)).toEqual(sum)
  })

  const scheme = make(FIVE, "hostile")
  const context = contextOf()
  const { vectors, sum } = vectorsOf(5, 100, 1000, "random", "hostile")
  const updates = ALL.map((point, i) => scheme.protect(context, point, vectors[i] as Int32Array))
  const total = scheme.add(context, updates)
  const active = [1, 2, 3]
  const answers = active.map((point) => ({ point, opening: scheme.answer(context, ALL, active, point) }))
  const opened = () => scheme.open(context, ALL, active, total, answers)
  const good = updates[0] as Uint8Array

  const damaged = (bytes: Uint8Array): readonly (readonly [string, Uint8Array])[] => [
    ...[0, 5, 16, 100, bytes.length - 20, bytes.length - 1].map((at) => {
      const flipped = bytes.slice()
      flipped[at] = (flipped[at] as number) ^ 16
      return [`bit of byte ${at} flipped`, flipped] as const
    }),
    ["truncated", bytes.subarray(0, bytes.length - 1)],
    ["empty", new Uint8Array(0)],
    ["longer", new Uint8Array([...bytes, 0])],
    ["zeros", new Uint8Array(bytes.length)],
    ["noise", insecureSeededRandom("noise").bytes(bytes.length)],
  ]

  it("refuses damaged and foreign updates, and nothing is changed", () => {
    const before = updates.map((update) => update.slice())
    for (const [name, bytes] of damaged(good)) {
      expect(
        codeOf(() => scheme.add(context, [...updates, bytes])),
        name,
      ).toBe("lattice/malformed")
      expect(
        codeOf(() => scheme.open(context, ALL, active, bytes, answers)),
        name,
      ).toBe("lattice/malformed")
    }
    expect(updates).toEqual(before)
    expect(opened()).toEqual(sum)
  })

  it("refuses damaged answers", () => {
    for (const [name, bytes] of damaged(answers[0]?.opening as Uint8Array)) {
      const wrong = [{ point: 1, opening: bytes }, ...answers.slice(1)]
      expect(
        codeOf(() => scheme.open(context, ALL, active, total, wrong)),
        name,
      ).toBe("lattice/malformed")
    }
    expect(opened()).toEqual(sum)
  })

  it("refuses what belongs to another epoch, attempt, study or specification, or is something else", () => {
    const others = [
      contextOf({ epoch: 2 }),
      contextOf({ attempt: 2 }),
      contextOf({ study: new Uint8Array(32) }),
      contextOf({ spec: new Uint8Array(32) }),
    ]
    for (const other of others) {
      expect(codeOf(() => scheme.add(other, updates))).toBe("lattice/other-sum")
      expect(codeOf(() => scheme.open(other, ALL, active, total, answers))).toBe("lattice/other-sum")
    }
    const [first, second] = answers
    const swapped = [
      { point: 1, opening: second?.opening as Uint8Array },
      { point: 2, opening: first?.opening as Uint8Array },
      answers[2] as (typeof answers)[0],
    ]
    expect(codeOf(() => scheme.open(context, ALL, active, total, swapped))).toBe("lattice/other-sum")
    expect(codeOf(() => scheme.open(context, [1, 2, 3, 4], active, total, answers))).toBe("lattice/other-sum")
    if (scheme.openingLength === scheme.payloadLength)
      expect(codeOf(() => scheme.add(context, [first?.opening as Uint8Array]))).toBe("lattice/other-sum")
  })

  it("refuses a sum over other facilities than those whose keys are opened", () => {
    const partial = scheme.add(context, updates.slice(1))
    expect(["lattice/out-of-range", "lattice/bad-opening"]).toContain(
      codeOf(() => scheme.open(context, ALL, active, partial, answers)),
    )
  })

  it("refuses vectors of another length or with a value too large, without naming it", () => {
    const wrong = (values: Int32Array) => codeOf(() => scheme.protect(context, 1, values))
    expect(wrong(new Int32Array(99))).toBe("lattice/bad-polynomial")
    expect(wrong(new Int32Array(101))).toBe("lattice/bad-polynomial")
    expect(() => scheme.protect(context, 1, new Int32Array(100).fill(1001))).toThrow(
      expect.objectContaining({
        code: "lattice/out-of-range",
        message: "A value is larger than the agreed 1000.",
      }),
    )
    expect(wrong(new Int32Array(100).fill(-(2 ** 31)))).toBe("lattice/out-of-range")
  })

  it("refuses to open a single update, with too few answers, or twice the same", () => {
    expect(codeOf(() => scheme.answer(context, [1], active, 1))).toBe("lattice/bad-opening")
    for (const few of [answers.slice(1), [], [answers[0], answers[0], answers[1]] as typeof answers])
      expect(codeOf(() => scheme.open(context, ALL, active, total, few))).toBe("lattice/bad-opening")
    expect(codeOf(() => scheme.answer(context, [1, 6], active, 1))).toBe("lattice/bad-opening")
    expect(codeOf(() => scheme.answer(context, [1, 2, 2], active, 1))).toBe("lattice/bad-opening")
  })

  // that the plain kernels give them too: sums.vectors.test.ts
  it("gives the same bytes for the same seed", () => {
    const run = () => {
      const own = make({ ...FIVE, facilities: 2, threshold: 2 }, "bytes")
      const sent = [1, 2].map((point) => own.protect(context, point, vectors[0] as Int32Array))
      return [...sent, own.add(context, sent), own.answer(context, [1, 2], [1, 2], 1)]
    }
    expect(run()).toEqual(run())
  })

  // false alarms: below 10^-6 for each of the comparisons on fresh randomness; the seeds are fixed
  it("tells t - 1 parties nothing of which of two updates was sent", () => {
    const coins = [new Int32Array(100), new Int32Array(100).fill(1000)].map((values, which) => {
      const own = make(FIVE, `nothing ${which}`)
      const bytes = own.protect(context, 1, values).subarray(16, -8)
      return [bytes, ...own.sharesOf(context, 1, [2, 4])]
    })
    for (const [update, ...shares] of coins) {
      const counts = (numbers: Iterable<number>) => {
        const out = new Array<number>(16).fill(0)
        for (const number of numbers) out[number % 16] = (out[number % 16] as number) + 1
        return out
      }
      const [one, two] = shares as [Uint32Array, Uint32Array]
      const difference = one.map((word, i) => (word + 3 * (two[i] as number)) >>> 3)
      // 26 or 27 bits of the residue at all places of a byte; residues are even on 0 to 15 but for 16 / 2^26
      for (const numbers of [update as Uint8Array, one, two, difference]) {
        const observed = counts(numbers as Iterable<number>)
        const each = (numbers as Uint32Array).length / 16
        expect(
          chiSquareRatio(
            observed,
            observed.map(() => each),
          ),
        ).toBeLessThan(1)
      }
    }
    // the two worlds against each other, place by place
    const [zero, large] = coins as [(typeof coins)[0], (typeof coins)[0]]
    let [agreeing, bits] = [0, 0]
    ;(zero[0] as Uint8Array).forEach((byte, i) => {
      for (let bit = 0; bit < 8; bit++)
        agreeing += ((byte ^ ((large[0] as Uint8Array)[i] as number)) >> bit) & 1
      bits += 8
    })
    expect(Math.abs(agreeing - bits / 2) / Math.sqrt(bits / 4)).toBeLessThan(4.9)
  })
})
