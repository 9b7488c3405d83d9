import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { checkRedone, checkSameCohort, difference, type OpenedCohort } from "../src/redo.js"
import { codeOf, textOf } from "./errors.js"

const id = (place: number): Uint8Array => new Uint8Array(16).fill(place)
/** Facilities whose bits are set. */
const IDS = Array.from({ length: 16 }, (_, place) => id(place))
const cohortOf = (mask: number): readonly Uint8Array[] => IDS.filter((_, place) => (mask >> place) & 1)
const weight = (mask: number): number => cohortOf(mask).length
const MODEL = new Uint8Array(32).fill(1)
const OTHER = new Uint8Array(32).fill(2)
const opened = (mask: number, attempt = 1, model = MODEL): OpenedCohort => ({
  model,
  round: 1,
  attempt,
  facilities: cohortOf(mask),
})

const accepts = (past: readonly OpenedCohort[], mask: number, smallest: number, model = MODEL): boolean => {
  try {
    checkRedone(past, model, cohortOf(mask), smallest)
    return true
  } catch {
    return false
  }
}

/** What a facility has signed after it was asked for some cohorts in turn, for one model. */
const signedAfter = (asked: readonly number[], smallest: number): readonly number[] => {
  const past: OpenedCohort[] = []
  const masks: number[] = []
  asked.forEach((mask, i) => {
    if (weight(mask) < smallest || !accepts(past, mask, smallest)) return
    past.push(opened(mask, i + 1))
    masks.push(mask)
  })
  return masks
}

const holds = (signed: readonly number[], smallest: number): void => {
  const different = [...new Set(signed)]
  expect(different.length).toBeLessThanOrEqual(2)
  for (const a of different)
    for (const b of different) if (a !== b && weight(a ^ b) < smallest) expect([a, b, signed]).toBeNull()
}

describe("[S6] a round that is redone", () => {
  it("counts the facilities in exactly one of two cohorts", () => {
    fc.assert(
      fc.property(fc.nat(0xffff), fc.nat(0xffff), (a, b) => {
        expect(difference(cohortOf(a), cohortOf(b))).toBe(weight(a ^ b))
      }),
    )
  })

  it("may be opened for the same cohort as often as needed, and for any cohort at another model", () => {
    expect(accepts([opened(0b1111), opened(0b1111, 2)], 0b1111, 3)).toBe(true)
    expect(accepts([opened(0b1111, 1, OTHER)], 0b0111, 3)).toBe(true)
  })

  it("is refused for a cohort that differs by one, with the reason", () => {
    expect(textOf(() => checkRedone([opened(0b1111)], MODEL, cohortOf(0b0111), 3))).toMatchInlineSnapshot(`
      "cohort/differencing: A cohort that differs by 1 from the one of round 1, attempt 1 was proposed for the same model; the two sums would show the update of 1.
        remedy: Propose the same cohort again, or one that differs by at least the smallest cohort.
        see: docs/reference/errors.md#cohortdifferencing"
    `)
  })

  it("is refused for a third cohort, with the reason", () => {
    const past = [opened(0b000000111), opened(0b000111000, 2)]
    expect(textOf(() => checkRedone(past, MODEL, cohortOf(0b111000000), 3))).toMatchInlineSnapshot(`
      "cohort/differencing: 2 other cohorts were already opened for the same model; one is allowed.
        remedy: Propose the same cohort again, or one that differs by at least the smallest cohort.
        see: docs/reference/errors.md#cohortdifferencing"
    `)
    expect(accepts(past, 0b000000111, 3)).toBe(true)
    expect(accepts(past, 0b000111000, 3)).toBe(true)
  })

  it("compares with every cohort of the model, not the last alone", () => {
    expect(codeOf(() => checkRedone([opened(0b0111), opened(0b111000, 2)], MODEL, cohortOf(0b1111), 3))).toBe(
      "cohort/differencing",
    )
  })

  // every order of three requests out of all cohorts of 5 facilities, and of two out of 7
  it("never has two cohorts that differ by fewer than the smallest, whatever is asked in whatever order", () => {
    const large = (facilities: number, smallest: number): readonly number[] =>
      Array.from({ length: 1 << facilities }, (_, mask) => mask).filter((mask) => weight(mask) >= smallest)
    const five = large(5, 3)
    for (const a of five) for (const b of five) for (const c of five) holds(signedAfter([a, b, c], 3), 3)
    const four = large(4, 2)
    for (const a of four) for (const b of four) for (const c of four) holds(signedAfter([a, b, c], 2), 2)
    const seven = large(7, 3)
    for (const a of seven) for (const b of seven) holds(signedAfter([a, b], 3), 3)
  })

  it("nor in long sequences over many facilities", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(0x3ff), { maxLength: 12 }),
        fc.integer({ min: 2, max: 5 }),
        (asked, smallest) => {
          holds(signedAfter(asked, smallest), smallest)
        },
      ),
      { numRuns: 500 },
    )
  })
})

describe("[S26] a round that is redone with the noise on its sum", () => {
  it("may be opened for the same cohort alone, whatever other one is asked for", () => {
    fc.assert(
      fc.property(fc.nat(0xffff), fc.nat(0xffff), (a, b) => {
        const asked = () => checkSameCohort([opened(a)], MODEL, cohortOf(b))
        if (a === b) expect(asked()).toBeUndefined()
        else expect(codeOf(asked)).toBe("cohort/differencing")
        expect(checkSameCohort([opened(a, 1, OTHER)], MODEL, cohortOf(b))).toBeUndefined()
      }),
    )
    expect(checkSameCohort([opened(7), opened(7, 2)], MODEL, cohortOf(7))).toBeUndefined()
  })
})
