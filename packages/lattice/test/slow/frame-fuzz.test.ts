import { isConsiliumError } from "@consilium/base/errors"
import { insecureSeededRandom } from "@consilium/base/testing"
import { expect, it } from "vitest"
import { SeedLedger } from "../../src/sums/seed-ledger.js"
import { contextOf, SCHEMES } from "../sum-schemes.js"

/** A million; fewer where time is short. */
const RUNS = Number(process.env.CONSILIUM_FUZZ_RUNS ?? 1_000_000)

it(`${RUNS} random and altered updates are the one that was sent, or a typed error`, () => {
  const make = SCHEMES["masked, gaussian keys"] as (typeof SCHEMES)[string]
  const scheme = make({ facilities: 2, threshold: 2, values: 100, largest: 100 }, "fuzz")
  const context = contextOf()
  const good = scheme.protect(context, 1, new Int32Array(100))
  const same = scheme.add(context, [good])
  const random = insecureSeededRandom("frame-fuzz")
  let accepted = 0
  for (let run = 0; run < RUNS; run++) {
    const [kind = 0, at0 = 0, at1 = 0, value = 0, size = 0] = random.bytes(5)
    let bytes: Uint8Array = good.slice()
    const at = (256 * at0 + at1) % bytes.length
    if (kind % 4 === 0) bytes[at] = value
    else if (kind % 4 === 1) bytes.fill(value, at, at + size)
    else if (kind % 4 === 2) bytes = bytes.subarray(0, bytes.length - size)
    else bytes = random.bytes(kind % 8 === 3 ? size : good.length)
    try {
      const sum = scheme.add(context, [bytes])
      accepted++
      if (sum.some((byte, i) => byte !== same[i]))
        throw new Error(`run ${run}: a changed update was accepted`)
    } catch (error) {
      if (!isConsiliumError(error, "lattice/malformed")) throw error
    }
  }
  // those that a change left as they were
  expect(accepted).toBeGreaterThan(0)
})

it(`${RUNS / 10} random and altered ledgers give a ledger or a typed error`, () => {
  const random = insecureSeededRandom("ledger-fuzz")
  let ledger = SeedLedger.begin(100)
  for (let attempt = 0; attempt < 5; attempt++) {
    const admission = ledger.protect(contextOf({ attempt }), new Int32Array(1))
    if (admission.kind === "first") ledger = admission.ledger
  }
  const good = ledger.encode()
  for (let run = 0; run < RUNS / 10; run++) {
    const [kind = 0, at0 = 0, at1 = 0, value = 0, size = 0] = random.bytes(5)
    let bytes: Uint8Array = good.slice()
    if (kind % 3 === 0) bytes[(256 * at0 + at1) % bytes.length] = value
    else if (kind % 3 === 1) bytes = bytes.subarray(0, bytes.length - size)
    else bytes = random.bytes(size)
    try {
      expect(SeedLedger.decode(bytes).encode()).toEqual(bytes)
    } catch (error) {
      if (!isConsiliumError(error) || !error.code.startsWith("encoding/")) throw error
    }
  }
})
