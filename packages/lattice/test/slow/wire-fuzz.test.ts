import { isConsiliumError } from "@consilium/base/errors"
import { expect, it } from "vitest"
import { fuzzWire } from "../wire-samples.js"

it("a million random and altered keys and ciphertexts give what they spell, or a typed error", () => {
  const typed = (error: unknown): boolean =>
    isConsiliumError(error, "lattice/malformed") || isConsiliumError(error, "lattice/foreign")
  expect(fuzzWire(1_000_000, "slow", typed)).toEqual({ runs: 1_000_000, accepted: true, problems: [] })
})
