import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"
import { type Browser, chromium } from "playwright-core"
import { build } from "vite"

const executable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The Chromium of this machine, or null. */
export const CHROMIUM: string | null =
  (process.env.PATH ?? "")
    .split(delimiter)
    .flatMap((folder) => ["chromium", "chromium-browser", "google-chrome"].map((name) => join(folder, name)))
    .find(executable) ?? null

/** Whether tests in a browser are left out: never where tests are to show everything. */
export const browserMissing = CHROMIUM === null && !process.env.CI
/** Goes behind the name of a test that is left out. */
export const whyMissing = browserMissing ? " (skipped: no Chromium on the PATH)" : ""

/** How Chromium is started: as anybody, without a window, and asking nobody for anything by itself. */
export const chromiumOptions = (flags: readonly string[] = []) => ({
  executablePath: CHROMIUM ?? "chromium",
  headless: true,
  args: [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-dev-shm-usage",
    ...flags,
  ],
})

/** Starts Chromium, with further flags, for as long as the work takes. */
export const inChromium = async <T>(
  work: (browser: Browser) => Promise<T>,
  flags: readonly string[] = [],
): Promise<T> => {
  const browser = await chromium.launch(chromiumOptions(flags))
  try {
    return await work(browser)
  } finally {
    await browser.close()
  }
}

/** A module and all it needs, from the sources, as the text of one script that leaves what is exported in `name`. */
export const bundled = async (module: URL, name: string): Promise<string> => {
  const results = await build({
    configFile: false,
    logLevel: "error",
    resolve: { conditions: ["source", "browser", "import", "default"] },
    build: { write: false, minify: false, lib: { entry: fileURLToPath(module), name, formats: ["iife"] } },
  })
  const [output] = [results].flat().flatMap((result) => ("output" in result ? result.output : []))
  if (output?.type !== "chunk") throw new Error("the bundler made no script")
  return output.code
}

/** What a function of a module, called without arguments, gives in Chromium. */
export const answerInChromium = async (module: URL, name: string): Promise<unknown> => {
  const script = await bundled(module, "answers")
  return inChromium(async (browser) => {
    const page = await browser.newPage()
    return page.evaluate(`${script}\n;answers.${name}()`)
  })
}
