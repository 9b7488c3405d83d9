import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { expect, it } from "vitest"
import { simulatorTables } from "./simulator-tables.js"

it("the README shows what the simulator draws from", () => {
  const readme = readFileSync(fileURLToPath(new URL("../README.md", import.meta.url)), "utf8")
  for (const [name, text] of Object.entries(simulatorTables())) expect(readme.includes(text), name).toBe(true)
})
