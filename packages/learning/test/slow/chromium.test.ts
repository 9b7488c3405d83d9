import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"
import { GOLDEN_TRAININGS, goldenHash } from "@consilium/learning/network/golden"
import { chromium } from "playwright-core"
import { build } from "vite"
import { describe, expect, it } from "vitest"

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
const CHROMIUM = (process.env.PATH ?? "")
  .split(delimiter)
  .flatMap((folder) => ["chromium", "chromium-browser", "google-chrome"].map((name) => join(folder, name)))
  .find(isExecutable)
const skipped = CHROMIUM === undefined && !process.env.CI
const why = skipped ? " (skipped: no Chromium on the PATH)" : ""

/** The page's script, bundled from the sources into one text. */
const bundle = async (): Promise<string> => {
  const entry = fileURLToPath(new URL("./golden-page.ts", import.meta.url))
  const conditions = ["source", "import", "browser", "default"]
  const results = await build({
    configFile: false,
    logLevel: "error",
    resolve: { conditions },
    build: { write: false, minify: false, lib: { entry, name: "page", formats: ["iife"] } },
  })
  const [result] = Array.isArray(results) ? results : [results]
  if (result === undefined || !("output" in result)) throw new Error("nothing was bundled")
  return result.output[0].code
}

describe.skipIf(skipped)(`Chromium${why}`, () => {
  it.each([
    ["as it is", []],
    ["with its first compiler only", ["--js-flags=--liftoff --no-wasm-tier-up --no-opt"]],
  ])("%s gives the golden hashes, on WebAssembly and in plain JavaScript", async (_, flags) => {
    const script = await bundle()
    const browser = await chromium.launch({
      executablePath: CHROMIUM ?? "chromium",
      headless: true,
      args: [
        "--no-sandbox",
        "--disable-background-networking",
        "--no-first-run",
        "--disable-dev-shm-usage",
        ...flags,
      ],
    })
    try {
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
    } finally {
      await browser.close()
    }
  })
})
