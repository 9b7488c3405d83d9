import { describe, expect, it } from "vitest"
import { isLattice, valueBound } from "../../src/study.js"
import { facilityNames } from "../members.js"
import { obviousSum, parametersOf, sumScene, those, updatesOf, wholeSum } from "../sum-runs.js"

const FACILITIES = 12
/** The most that a study's features, its bias and its record counts make. */
const LONGEST = 4098

describe.each(those(() => true))("%s among twelve", (protection) => {
  const weights = { weights: "exact", largestWeight: 1600 } as const
  const scene = sumScene(protection, FACILITIES, LONGEST - 1, { quantisation: weights })
  const names = facilityNames(FACILITIES)

  it.each(["random", "opposite", "largest"] as const)(
    "adds the longest vector of a study, weighted to 30 bits, exactly: %s",
    (kind) => {
      const updates = updatesOf(names, LONGEST, kind, valueBound(scene.study))
      expect(wholeSum(scene, updates)).toEqual(obviousSum(updates, LONGEST))
    },
  )

  it("and without five, opened by the t that are left", () => {
    const left = scene.names.slice(FACILITIES - scene.threshold)
    const updates = updatesOf(left, LONGEST, "random", valueBound(scene.study))
    expect(left).toHaveLength(7)
    expect(wholeSum(scene, updates, left)).toEqual(obviousSum(updates, LONGEST))
  })

  if (isLattice({ protection }))
    it("takes more than one lane or polynomial for it", () => {
      const { literal, blocks } = parametersOf(scene)
      expect(literal.lanes * blocks).toBeGreaterThan(1)
    })
})
