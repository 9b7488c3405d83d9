import { GOLDEN_TRAININGS, goldenHash } from "@consilium/learning/network/golden"
import { describe, expect, it } from "vitest"
import { browserMissing, bundled, inChromium, whyMissing } from "../../../../test/browser.js"

describe.skipIf(browserMissing)(`Chromium${whyMissing}`, () => {
  it.each([
    ["as it is", []],
    ["with its first compiler only", ["--js-flags=--liftoff --no-wasm-tier-up --no-opt"]],
  ])("%s gives the golden hashes, on WebAssembly and in plain JavaScript", async (_, flags) => {
    const script = await bundled(new URL("./golden-page.ts", import.meta.url), "page")
    await inChromium(async (browser) => {
      const page = await browser.newPage()
      const complaints: string[] = []
      page.on("pageerror", (error) => complaints.push(error.message))
      await page.goto("about:blank")
      await page.addScriptTag({ content: script })
      const found = await page.evaluate(
        () => (globalThis as unknown as { goldenHashes: unknown }).goldenHashes,
      )
      expect(complaints).toEqual([])
      const names = Object.keys(GOLDEN_TRAININGS) as (keyof typeof GOLDEN_TRAININGS)[]
      expect(found).toEqual(names.map((name) => ({ name, wasm: goldenHash(name), plain: goldenHash(name) })))
      process.stdout.write(`golden hashes equal in Chromium ${browser.version()}\n`)
    }, flags)
  })
})
