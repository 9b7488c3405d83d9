import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"
import { chromium } from "playwright-core"
import { build } from "vite"
import { expect, it } from "vitest"
import { exchanges } from "../exchanges.js"

const executable = (path: string): boolean => {
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
  .find(executable)
const missing = CHROMIUM === undefined && !process.env.CI

/** The module of the exchanges and all it needs, as one script that leaves the function in `globalThis`. */
const script = async (): Promise<string> => {
  const results = await build({
    configFile: false,
    logLevel: "error",
    resolve: { conditions: ["source", "browser", "import", "default"] },
    build: {
      write: false,
      minify: false,
      lib: {
        entry: fileURLToPath(new URL("../exchanges.ts", import.meta.url)),
        formats: ["iife"],
        name: "made",
      },
    },
  })
  const [output] = [results].flat().flatMap((result) => ("output" in result ? result.output : []))
  if (output?.type !== "chunk") throw new Error("the bundler made no script")
  return output.code
}

it.skipIf(missing)(
  `requests, answers and keys are the same bytes in Node and in Chromium${missing ? " (skipped: no Chromium on the PATH)" : ""}`,
  async () => {
    const browser = await chromium.launch({
      executablePath: CHROMIUM ?? "chromium",
      headless: true,
      args: ["--no-sandbox", "--disable-background-networking", "--no-first-run", "--disable-dev-shm-usage"],
    })
    try {
      const page = await browser.newPage()
      const found: unknown = await page.evaluate(`${await script()}\n;made.exchanges()`)
      expect(found).toEqual(exchanges())
    } finally {
      await browser.close()
    }
  },
)
