import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { expect, it } from "vitest"
import { independentVectors, sumVectors } from "./vectors/sums.js"

const file = fileURLToPath(new URL("vectors/sums.json", import.meta.url))
if (process.env.CONSILIUM_WRITE_VECTORS === "1")
  writeFileSync(file, `${JSON.stringify(independentVectors({ kernel: "plain" }), null, 2)}\n`)

// another digest of the study means another encoding of it, and other bytes everywhere
it("one small sum under each new protection has the known bytes", () => {
  expect(sumVectors()).toEqual(JSON.parse(readFileSync(file, "utf8")))
})
