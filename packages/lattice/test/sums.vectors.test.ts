import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { expect, it } from "vitest"
import { sumVectors } from "./vectors/sums.js"

const file = fileURLToPath(new URL("vectors/sums.json", import.meta.url))
if (process.env.CONSILIUM_WRITE_VECTORS === "1")
  writeFileSync(file, `${JSON.stringify(sumVectors({ kernel: "plain" }), null, 2)}\n`)

it("one small sum in every scheme has the known bytes", () => {
  expect(sumVectors({})).toEqual(JSON.parse(readFileSync(file, "utf8")))
})
