import { expect, it } from "vitest"
import { exchangeWithSeal, tolerance } from "../seal-exchange.js"

it("exchanges keys and a hundred random vectors with SEAL 4.1 (node-seal), both ways", async () => {
  const differences = await exchangeWithSeal(100)
  expect(Object.keys(differences)).toHaveLength(14)
  for (const [what, difference] of Object.entries(differences))
    expect(difference, what).toBeLessThan(tolerance(what))
})
