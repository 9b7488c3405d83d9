import { isConsiliumError } from "@consilium/base/errors"
import { expect, it } from "vitest"
import { fuzzPacked } from "../packed-fuzz.js"

/** A million; fewer where time is short. */
const RUNS = Number(process.env.CONSILIUM_FUZZ_RUNS ?? 1_000_000)

it(`${RUNS} random and altered packed polynomials give what they spell, or a typed error`, () => {
  expect(fuzzPacked(RUNS, "slow", isConsiliumError)).toEqual({ runs: RUNS, problems: [] })
})
