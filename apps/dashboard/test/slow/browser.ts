import { execFile } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core"
import { chromiumOptions } from "../../../../test/browser.js"

export const launch = (): Promise<Browser> => chromium.launch(chromiumOptions())

/** Builds the page from its sources into a folder of its own. */
export const buildPage = async (): Promise<{ readonly folder: string; readonly remove: () => void }> => {
  const folder = mkdtempSync(join(tmpdir(), "consilium-page-"))
  const script = fileURLToPath(new URL("../../build-page.mjs", import.meta.url))
  await promisify(execFile)(process.execPath, [script, folder])
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

export interface Look {
  readonly width: number
  readonly height: number
  readonly theme: "light" | "dark"
}
export const LOOKS: readonly Look[] = [
  { width: 1440, height: 900, theme: "light" },
  { width: 1440, height: 900, theme: "dark" },
  { width: 390, height: 844, theme: "light" },
  { width: 390, height: 844, theme: "dark" },
]

/** What a browser complains of while a page is open, and what it asks for elsewhere. */
export interface Watched {
  readonly context: BrowserContext
  readonly page: Page
  readonly complaints: string[]
  readonly foreign: string[]
  close(): Promise<void>
}

/** Opens a page in a context of its own. The leader being gone is no complaint; it is what some tests are about. */
export const open = async (
  browser: Browser,
  url: string,
  look: Look = LOOKS[0] as Look,
): Promise<Watched> => {
  const context = await browser.newContext({
    viewport: { width: look.width, height: look.height },
    colorScheme: look.theme,
    reducedMotion: "reduce",
  })
  const page = await context.newPage()
  const complaints: string[] = []
  const foreign: string[] = []
  page.on("console", (message) => {
    const gone = /Failed to load resource/.test(message.text())
    if (["error", "warning"].includes(message.type()) && !gone)
      complaints.push(`${message.type()}: ${message.text()}`)
  })
  page.on("pageerror", (error) => complaints.push(`uncaught: ${error.message}`))
  page.on("request", (request) => {
    const { origin } = new URL(url)
    if (new URL(request.url()).origin !== origin) foreign.push(request.url())
  })
  await page.goto(url, { waitUntil: "domcontentloaded" })
  return { context, page, complaints, foreign, close: () => context.close() }
}
