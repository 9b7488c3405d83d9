import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import type { AxeResults } from "axe-core"
import type { Browser, Page } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { randomPatient, testRandom } from "../../../../packages/inference/test/heart.js"
import { serveModelsInTest, type TestInference } from "../../../../packages/node/test/inference-server.js"
import { buildPage, CHROMIUM, LOOKS, type Look, launch, open, type Watched } from "./browser.js"
import { ask, askButton, fillIn, linearModel, patientsCsv, ready, SOMEBODY } from "./prediction-scene.js"

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")
/** Where pictures of the page go, for a person to look at; nowhere unless asked for. */
const SHOTS = process.env.CONSILIUM_SHOTS
const WIDTHS: readonly Look[] = [
  ...LOOKS,
  { width: 1024, height: 768, theme: "light" },
  { width: 1024, height: 768, theme: "dark" },
]
const MARKS = { study: "ab".repeat(32), round: 12, marks: ["synthetic-data", "insecure-seed"] }

const where = CHROMIUM === null && !process.env.CI ? describe.skip : describe
const why = CHROMIUM === null && !process.env.CI ? " (skipped: no Chromium on the PATH)" : ""

where(`the prediction page in Chromium${why}`, () => {
  let browser: Browser
  let built: Awaited<ReturnType<typeof buildPage>>
  const opened: Watched[] = []
  const running: TestInference[] = []
  beforeAll(async () => {
    ;[browser, built] = await Promise.all([launch(), buildPage()])
  })
  afterAll(async () => {
    await browser?.close()
    built?.remove()
  })
  afterEach(async () => {
    const told = opened.map(({ complaints, foreign }) => [complaints, foreign])
    await Promise.all(opened.splice(0).map((one) => one.close()))
    await Promise.all(running.splice(0).map((one) => one.close()))
    for (const one of told) expect(one).toEqual([[], []])
  })

  const serve = async (models: Parameters<typeof serveModelsInTest>[0]): Promise<TestInference> => {
    const server = await serveModelsInTest(models, { page: built.folder })
    running.push(server)
    return server
  }
  const visit = async ({ url }: TestInference, look?: Look): Promise<Page> => {
    const watched = await open(browser, `${url}/predict/`, look)
    opened.push(watched)
    return watched.page
  }
  const sees = (page: Page, text: string | RegExp): Promise<void> =>
    page.getByText(text).first().waitFor({ timeout: 15_000 })
  const tab = (page: Page, name: string) => page.getByRole("tab", { name }).click()
  const sound = async (page: Page): Promise<void> => {
    await page.evaluate(AXE)
    const { violations } = await page.evaluate<AxeResults>("axe.run({ resultTypes: ['violations'] })")
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`)
    expect(found).toEqual([])
    expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBeLessThanOrEqual(0)
  }
  const shoot = async (page: Page, look: Look, name: string): Promise<void> => {
    if (SHOTS === undefined) return
    const path = `${SHOTS}/predict-${name}-${look.width}-${look.theme}.png`
    await page.evaluate("scrollTo(0, 0)")
    await page.screenshot({ path, fullPage: true })
  }

  it.each(WIDTHS)("is clean for axe and whole at $width pixels, $theme", async (look) => {
    const server = await serve({})
    server.service.shelf.offer("heart", linearModel(), MARKS)
    const page = await visit(server, look)
    await ready(page)
    await sound(page)
    await shoot(page, look, "empty")
    await askButton(page).click()
    await sees(page, "13 fields to mend; nothing was sent.")
    await sound(page)
    await tab(page, "Analytics")
    await page.getByLabel("Compare what I ask from now on").check()
    await tab(page, "Prediction")
    await fillIn(page, SOMEBODY)
    await ask(page)
    await sees(page, /^Of 100 patients with this number/)
    const random = testRandom("file")
    const rows = patientsCsv(Array.from({ length: 40 }, () => randomPatient(random)))
    const wrong = rows.replace(/^(bed-7,)[^,]*/m, "$1old").replace(/^(bed-9,)[^,]*/m, "$1")
    await page
      .getByLabel("Table of patients")
      .setInputFiles({ name: "p.csv", mimeType: "text/csv", buffer: Buffer.from(wrong) })
    await page.getByRole("button", { name: "Encrypt and ask about 38 patients" }).click()
    await page.locator("[data-batch]").waitFor()
    await sound(page)
    await shoot(page, look, "prediction")
    await tab(page, "Analytics")
    await sees(page, "The two differ by at most")
    await sound(page)
    await shoot(page, look, "analytics")
    await tab(page, "Technical")
    await sees(page, "The newest request begins")
    await sound(page)
    await shoot(page, look, "technical")
    const colours = await page.evaluate<string>("getComputedStyle(document.body).backgroundColor")
    const [red = 0] = colours.match(/\d+/g)?.map(Number) ?? []
    expect(red > 128).toBe(look.theme === "light")
  })
})
