import { isConsiliumError } from "@consilium/base/errors"
import { expect, it } from "vitest"
import { fuzzWire } from "../wire-samples.js"

/** A million; fewer where time is short. */
const RUNS = Number(process.env.CONSILIUM_FUZZ_RUNS ?? 1_000_000)

it(`${RUNS} random and altered keys and ciphertexts give what they spell, or a typed error`, () => {
  const typed = (error: unknown): boolean =>
    isConsiliumError(error, "lattice/malformed") || isConsiliumError(error, "lattice/foreign")
  expect(fuzzWire(RUNS, "slow", typed)).toEqual({ runs: RUNS, accepted: true, problems: [] })
})
