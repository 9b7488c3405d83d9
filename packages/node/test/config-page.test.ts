import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"
import { configKeys, configPage } from "../src/config/config-page.js"
import { CONFIG_WORDS } from "../src/config/config-words.js"
import { CONFIG_KINDS } from "../src/config/kinds.js"

const PAGE = join(fileURLToPath(new URL("../../..", import.meta.url)), "docs", "reference", "config.md")

describe("the reference page of configuration files", () => {
  it.each(CONFIG_KINDS)("has a sentence for every key of %s.yaml, and for nothing else", (kind) => {
    const keys = configKeys(kind).map(({ key }) => key)
    expect(Object.keys(CONFIG_WORDS[kind].keys).sort()).toEqual([...keys].sort())
  })

  it("is the one that the schemas make; `node scripts/config-page.mjs --write` makes it anew", () => {
    expect(readFileSync(PAGE, "utf8")).toBe(configPage())
  })

  it("names defaults and limits", () => {
    expect(configPage()).toContain(
      "| `epsilon` | most that each facility may spend in the study, in nats at `delta`: a hard cap | number above 0 | `1` |",
    )
    expect(configKeys("authority").find(({ key }) => key === "study")?.otherwise).toBeNull()
  })
})
