import { expect, it } from "vitest"
import { exchangeWithSeal, tolerance } from "./seal-exchange.js"

it("exchanges keys and ciphertexts with SEAL 4.1 (node-seal), both ways", async () => {
  const differences = await exchangeWithSeal(2)
  expect(Object.keys(differences)).toHaveLength(14)
  for (const [what, difference] of Object.entries(differences))
    expect(difference, what).toBeLessThan(tolerance(what))
}, 60_000)
