import { isConsiliumError } from "@consilium/base/errors"
import { expect, it } from "vitest"
import { fuzzPacked } from "../packed-fuzz.js"

it("a million random and altered packed polynomials give what they spell, or a typed error", () => {
  expect(fuzzPacked(1_000_000, "slow", isConsiliumError)).toEqual({ runs: 1_000_000, problems: [] })
})
