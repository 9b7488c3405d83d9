import { readdirSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { type AddressInfo, createServer } from "node:net"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { startApi } from "@consilium/node/api/start-api"
import { OLDER_MS } from "@consilium/node/inference/model-shelf"
import type { AxeResults } from "axe-core"
import type { Browser, Page } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { randomPatient, testRandom } from "../../../../packages/inference/test/heart.js"
import { bearer } from "../../../../packages/node/test/api-server.js"
import { serveModelsInTest, type TestInference } from "../../../../packages/node/test/inference-server.js"
import { browserMissing, whyMissing } from "../../../../test/browser.js"
import { buildPage, LOOKS, type Look, launch, open, type Watched } from "./browser.js"
import {
  ask,
  askButton,
  fillIn,
  linearModel,
  markedModel,
  networkModel,
  ORIGIN,
  patientsCsv,
  QUESTIONS,
  ready,
  SOMEBODY,
} from "./prediction-scene.js"
import { leaderOf } from "./recorded-study.js"

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")
/** Where pictures of the page go, for a person to look at; nowhere unless asked for. */
const SHOTS = process.env.CONSILIUM_SHOTS
const WIDTHS: readonly Look[] = [
  ...LOOKS,
  { width: 1024, height: 768, theme: "light" },
  { width: 1024, height: 768, theme: "dark" },
]

/** A port that nobody listens on now. */
const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })

/** Notes, by the page's own clock, the milliseconds from each click on the button to the answer on the page. */
const TIMER = `(() => {
  const times = (globalThis.timesFromClick = [])
  let clicked = 0
  document.querySelector("#patient form").addEventListener("click", ({ timeStamp }) => { clicked = timeStamp }, true)
  new MutationObserver(() => times.push(performance.now() - clicked))
    .observe(document.querySelector("[data-asked]"), { attributes: true, attributeFilter: ["data-asked"] })
})()`

describe.skipIf(browserMissing)(`the prediction page in Chromium${whyMissing}`, () => {
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
    server.service.shelf.offer("heart", markedModel(), ORIGIN)
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
    await sees(page, "This model was trained on made-up patients. Do not use it for real ones.")
    await sees(page, /It is a demonstration: do not use it for real patients/)
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

  it("answers within 40 ms after the click, by the browser's own clock", async () => {
    const page = await visit(await serve({ heart: linearModel() }))
    await ready(page)
    await fillIn(page, SOMEBODY)
    await page.evaluate(TIMER)
    await ask(page)
    // others may have the machine for a while: the bar is the page's, so one undisturbed series of three is enough
    const medians: number[] = []
    while (medians.length < 3 && !medians.some((ms) => ms <= 40)) {
      await page.evaluate("timesFromClick.length = 0")
      for (let i = 0; i < 20; i++) {
        await ask(page)
        // blanks are made again when nothing else is to be done
        await page.waitForTimeout(100)
      }
      const times = await page.evaluate<readonly number[]>("timesFromClick")
      expect(times).toHaveLength(20)
      medians.push(times.toSorted((a, b) => a - b)[9] as number)
    }
    if (SHOTS !== undefined) console.log(`median ms from click to answer: ${medians}`)
    expect(Math.min(...medians)).toBeLessThanOrEqual(40)
  })

  it("answers a file of 2,048 patients within 3 s, and gives results without the patients' values", async () => {
    const page = await visit(await serve({ heart: linearModel() }))
    await ready(page)
    const random = testRandom("ward")
    const patients = Array.from({ length: 2048 }, () => randomPatient(random))
    const buffer = Buffer.from(patientsCsv(patients))
    const began = Date.now()
    await page.getByLabel("Table of patients").setInputFiles({ name: "w.csv", mimeType: "text/csv", buffer })
    await page.getByRole("button", { name: "Encrypt and ask about 2,048 patients" }).click()
    await page.locator("[data-batch]").waitFor()
    const seconds = (Date.now() - began) / 1000
    if (SHOTS !== undefined) console.log(`s for a file of 2,048: ${seconds}`)
    expect(seconds).toBeLessThanOrEqual(3)
    const saving = page.waitForEvent("download")
    await page.getByRole("button", { name: "Save the results" }).click()
    const saved = readFileSync(await (await saving).path(), "utf8")
    const lines = saved.trimEnd().split("\r\n")
    expect(lines[0]).toBe("line,bed,risk_percent,problem")
    expect(lines).toHaveLength(2049)
    expect(
      lines.slice(1).every((line, i) => new RegExp(`^${i + 2},bed-${i + 1},\\d+\\.\\d,$`).test(line)),
    ).toBe(true)
  })

  it("stops a file on its way, and tells of one that cannot be read", async () => {
    const page = await visit(await serve({ heart: linearModel() }))
    await ready(page)
    const give = (text: string) =>
      page
        .getByLabel("Table of patients")
        .setInputFiles({ name: "w.csv", mimeType: "text/csv", buffer: Buffer.from(text) })
    await give("age;sex\n1;male\n")
    await sees(page, /there is none for: cp, trestbps/)
    await give("")
    await sees(page, "The file is empty.")
    await give(patientsCsv([SOMEBODY]))
    await page.route("**/predict", () => undefined)
    await page.getByRole("button", { name: "Encrypt and ask about 1 patient" }).click()
    await page.getByRole("button", { name: "Stop" }).click()
    await page.getByRole("button", { name: "Encrypt and ask about 1 patient" }).waitFor()
    expect(await page.locator("[data-batch]").count()).toBe(0)
  })

  it("is used with the keyboard alone", async () => {
    const page = await visit(await serve({ heart: linearModel() }))
    await ready(page)
    const focused = () =>
      page.evaluate<string>("document.activeElement.textContent + '|' + document.activeElement.id")
    await page.keyboard.press("Tab")
    expect(await focused()).toContain("Skip to the form")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    expect(await focused()).toContain("tab-prediction")
    await page.keyboard.press("ArrowRight")
    expect(await focused()).toContain("tab-analytics")
    await page.keyboard.press("End")
    await sees(page, "How it is encrypted")
    await page.keyboard.press("Home")
    await page.keyboard.press("Tab")
    for (const field of QUESTIONS.fields) {
      const value = SOMEBODY[field.name as keyof typeof SOMEBODY]
      await page.keyboard.type(typeof value === "boolean" ? (value ? "yes" : "no") : String(value))
      await page.keyboard.press("Tab")
    }
    expect(await focused()).toContain("Encrypt and ask")
    await page.keyboard.press("Enter")
    await page.locator('[data-asked="1"]').waitFor()
    await sees(page, /^Risk/)
    // an entry that is wrong takes the focus back to itself
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("Enter")
    expect(await page.evaluate("document.activeElement.closest('.field').textContent")).toContain("Age")
  })

  it("says in words what an answer means, with and without a calibration, and marks an old one", async () => {
    const server = await serve({ calibrated: linearModel(), plain: linearModel("1", null) })
    const page = await visit(server)
    await ready(page)
    await fillIn(page, SOMEBODY)
    await ask(page)
    await sees(page, /^Of 100 patients with this number, about \d+ should be ill/)
    await sees(page, /does not say how sure the model is of this patient/)
    await page.getByLabel("Blood pressure at rest").fill("120")
    await sees(page, /You have changed the form since/)
    await page.locator(".chooser select").selectOption("plain")
    await page.locator('[data-asked="0"]').waitFor()
    await ready(page)
    await fillIn(page, SOMEBODY)
    await ask(page)
    await sees(page, /^A score for ranking, not a true probability/)
    expect(await page.locator("#history tbody tr").count()).toBe(2)
    await page.getByRole("button", { name: "Forget them all" }).click()
    await page.locator('[data-asked="0"]').waitFor()
    expect(await page.locator("#history tbody tr").count()).toBe(0)
  })

  it("compares with plain computing where an answer tells the model, and says why not elsewhere", async () => {
    const server = await serve({
      kept: linearModel("1", null, "kept"),
      network: networkModel(),
      shared: linearModel(),
    })
    const page = await visit(server)
    for (const [model, why] of [
      ["kept", "This model is kept from you"],
      ["network", "cannot compute a network in the clear"],
    ] as const) {
      await page.locator(".chooser select").selectOption(model)
      await ready(page)
      await tab(page, "Analytics")
      await sees(page, new RegExp(why))
      await tab(page, "Prediction")
      await fillIn(page, SOMEBODY)
      await ask(page)
    }
    await page.locator(".chooser select").selectOption("shared")
    await ready(page)
    await tab(page, "Analytics")
    await page.getByLabel("Compare what I ask from now on").check()
    await sees(page, "Ask about a patient to see the first point.")
    await tab(page, "Prediction")
    await fillIn(page, SOMEBODY)
    await ask(page)
    await tab(page, "Analytics")
    await page.locator("#comparison .dot").waitFor()
    const [told = ""] = await page
      .locator("#comparison svg")
      .evaluateAll((found) => found.map((svg) => svg.getAttribute("aria-label") ?? ""))
    const worst = Number(/at most (\S+)\.$/.exec(told)?.[1])
    expect(worst).toBeLessThanOrEqual(linearModel().plan.errorBound)
  })

  it("asks for a token where the server wants one, and keeps it in memory only", async () => {
    const server = await serve({ heart: linearModel() })
    const watched = await open(browser, "about:blank")
    opened.push({ ...watched, foreign: [] })
    const { page, context } = watched
    await context.setExtraHTTPHeaders({ via: "1.1 gateway" })
    await page.goto(`${server.url}/predict/`)
    await sees(page, "Who are you?")
    await sound(page)
    const field = page.getByLabel("Token")
    expect([await field.getAttribute("type"), await field.getAttribute("autocomplete")]).toEqual([
      "password",
      "off",
    ])
    await field.fill("not-a-token-of-anybody")
    await page.getByRole("button", { name: "Use this token" }).click()
    await sees(page, /does not take this token/)
    await sound(page)
    await field.fill(bearer("clinician").authorization.slice("Bearer ".length))
    await page.getByRole("button", { name: "Use this token" }).click()
    await ready(page)
    await fillIn(page, SOMEBODY)
    await ask(page)
    const kept = await page.evaluate<string>(
      "JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])",
    )
    expect(kept).toBe('[{},{},""]')
    await page.reload()
    await sees(page, "Who are you?")
  })

  it("tells what it waits for, that there is nothing, and why a model cannot be asked", async () => {
    const server = await serve({})
    const watched = await open(browser, "about:blank")
    opened.push({ ...watched, foreign: [] })
    const { page } = watched
    let release = (): void => undefined
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    await page.route("**/v1/models", async (route) => {
      await held
      await route.continue()
    })
    await page.goto(`${server.url}/predict/`)
    await sees(page, "Loading the server's models …")
    await sound(page)
    release()
    await sees(page, "This server offers no model yet")
    await sound(page)
    server.service.shelf.refuse("heart", "Its study has not finished. Wait for its end.", ORIGIN)
    await page.reload()
    await sees(page, "The model “heart” cannot be asked")
    await sees(page, "Its study has not finished. Wait for its end.")
    await sound(page)
    server.service.shelf.offer("heart", linearModel(), ORIGIN)
    // by itself
    await ready(page)
  })

  it("says that the server cannot be asked, and goes on when it can", async () => {
    const server = await serve({ heart: linearModel() })
    const watched = await open(browser, "about:blank")
    opened.push({ ...watched, foreign: [] })
    const { page, context } = watched
    await page.route("**/v1/models", (route) => route.abort())
    await page.goto(`${server.url}/predict/`)
    await sees(page, "The server cannot be asked")
    await sound(page)
    await page.unroute("**/v1/models")
    await page.getByRole("button", { name: "Try again" }).click()
    await ready(page)
    await fillIn(page, SOMEBODY)
    await context.setOffline(true)
    await askButton(page).click()
    await sees(page, "No answer came")
    await sees(page, /^No answer from the server since \d\d:\d\d:\d\d UTC$/)
    await page.locator(".pill", { hasText: "Not connected" }).waitFor()
    await sound(page)
    if (SHOTS !== undefined) await page.screenshot({ path: `${SHOTS}/predict-offline.png` })
    await context.setOffline(false)
    await page.locator(".pill", { hasText: /^Connected/ }).waitFor()
    // what was written is still there
    await ask(page)
  })

  it("notices that the model was replaced, asks the new one, and shows which answer is whose", async () => {
    const server = await serve({ heart: linearModel() })
    const page = await visit(server)
    await ready(page)
    await fillIn(page, SOMEBODY)
    await ask(page)
    server.service.shelf.offer("heart", linearModel("2", null), ORIGIN)
    await page.evaluate("dispatchEvent(new Event('online'))")
    await sees(page, "The model was replaced: the server now has version 2")
    await sound(page)
    if (SHOTS !== undefined) await page.screenshot({ path: `${SHOTS}/predict-stale.png` })
    await page.getByRole("button", { name: "Use the new version" }).click()
    await sees(page, "This answer is of version 1; the model has been replaced since")
    await ready(page)
    // what was written is still there
    await ask(page)
    await sees(page, /^A score for ranking/)
    // a version that comes while nobody looks is asked by itself, once the old one is no longer answered
    server.service.shelf.offer("heart", linearModel("3"), ORIGIN)
    server.clock.ms += OLDER_MS
    await ask(page)
    expect(await page.locator("#history tbody tr").first().textContent()).toContain("version 3")
    await sees(page, /^Of 100 patients/)
  })

  it("is served by a leader, which may let nobody ask its models", async () => {
    const api = await startApi({
      service: leaderOf([]),
      presets: () => ({ missing: "this leader only shows" }),
      tokens: [],
      page: built.folder,
      listen: { hosts: ["127.0.0.1"], ports: [0], tls: null },
    })
    try {
      const watched = await open(browser, api.url)
      opened.push(watched)
      await watched.page.getByRole("link", { name: "Ask a model about a patient" }).click()
      await sees(watched.page, "This server lets nobody ask models")
      expect(watched.page.url()).toBe(`${api.url}/predict/`)
      await sound(watched.page)
    } finally {
      await api.close()
    }
  })

  it("says that a kept model's answers are used up, and marks the last one as the one before", async () => {
    const server = await serve({ heart: linearModel("1", null, "kept") })
    const page = await visit(server)
    await ready(page)
    await tab(page, "Technical")
    await sees(page, "Answers left to you")
    await tab(page, "Prediction")
    await fillIn(page, SOMEBODY)
    for (let i = 0; i < QUESTIONS.columns.length; i++) await ask(page)
    await askButton(page).click()
    await sees(page, "inference/budget-spent")
    await sees(page, "This is the answer to the question before")
    await sound(page)
    expect(await page.locator("#history tbody tr").count()).toBe(QUESTIONS.columns.length)
  })

  it("asks another server that the operator named, and gives it no token of this one's", async () => {
    const ports = [await freePort(), await freePort()]
    const [own, other] = ports.map((port) => `http://127.0.0.1:${port}`) as [string, string]
    const at = (port: number | undefined) => ({
      listen: { hosts: ["127.0.0.1"], ports: [port as number], tls: null },
    })
    running.push(
      await serveModelsInTest(
        { here: linearModel() },
        { page: built.folder, pageServers: [other], ...at(ports[0]) },
      ),
      await serveModelsInTest({ there: linearModel("7", null) }, { origins: [own], ...at(ports[1]) }),
    )
    const watched = await open(browser, "about:blank")
    opened.push({ ...watched, foreign: [] })
    const { page } = watched
    const tokens = new Map<string, boolean[]>([own, other].map((url) => [url, []]))
    page.on("request", (request) => {
      tokens.get(new URL(request.url()).origin)?.push(request.headers().authorization !== undefined)
    })
    // as through another machine: the server then wants a token
    await page.route(`${own}/v1/**`, (route) =>
      route.continue({ headers: { ...route.request().headers(), "x-real-ip": "192.0.2.1" } }),
    )
    await page.goto(`${own}/predict/`)
    await page.getByLabel("Token").fill(bearer("clinician").authorization.slice("Bearer ".length))
    await page.getByRole("button", { name: "Use this token" }).click()
    await ready(page)
    await fillIn(page, SOMEBODY)
    await ask(page)
    await page.getByLabel("Server").selectOption(other)
    await page.locator(".pill", { hasText: other }).waitFor()
    await page.locator('[data-asked="0"]').waitFor()
    await ready(page)
    await fillIn(page, SOMEBODY)
    await ask(page)
    await sees(page, /Model there, version 7/)
    expect(await page.locator("#history tbody tr").first().textContent()).toContain(other)
    expect([tokens.get(own)?.includes(true), tokens.get(other)?.includes(true)]).toEqual([true, false])
    expect(tokens.get(other)?.length).toBeGreaterThanOrEqual(3)
    await sound(page)
    // back, the token is asked for again
    await page.getByLabel("Server").selectOption({ index: 0 })
    await sees(page, "Who are you?")
  })

  it("is small enough, and the live page has nothing of it", () => {
    const packed = (folder: string, name: RegExp): number => {
      const files = readdirSync(join(built.folder, folder)).filter((file) => name.test(file))
      expect(files.length).toBeGreaterThan(0)
      return files.reduce(
        (sum, file) => sum + gzipSync(readFileSync(join(built.folder, folder, file))).length,
        0,
      )
    }
    expect(packed("predict/assets", /\.(js|css)$/)).toBeLessThan(190_000)
    expect(packed("assets", /\.(js|css)$/)).toBeLessThan(165_000)
    const live = readdirSync(join(built.folder, "assets")).map((file) =>
      readFileSync(join(built.folder, "assets", file), "latin1"),
    )
    expect(live.filter((text) => /WebAssembly|new Worker/.test(text))).toEqual([])
  })
})
