import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { type RunningApi, startApi } from "@consilium/node/api/start-api"
import type { BudgetView } from "@consilium/node/api/study-view"
import type { AxeResults } from "axe-core"
import type { Browser, Page } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import type { Hop, Options, Utterance } from "../../../../packages/federation/test/harness.js"
import { withPrivacy } from "../../../../packages/federation/test/private-study.js"
import { browserMissing, whyMissing } from "../../../../test/browser.js"
import { buildPage, LOOKS, type Look, launch, open, type Watched } from "./browser.js"
import { leaderOf, RecordedStudy } from "./recorded-study.js"

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")

/** Where the pictures of the privacy panel go, for a person to look at; nowhere unless asked for. */
const SHOTS = process.env.CONSILIUM_SHOTS
const MONTH = { epsilon: 16, delta: 1e-5 }
const LEFTS = "[...document.querySelectorAll('.budget-mark')].map(({ style }) => style.left)"

/** Latencies that differ, so that lanes do. */
const schedule = (hop: Hop): readonly number[] => [10 + ((hop.index * 7919) % 613)]
const nonce = (fill: number): Uint8Array => new Uint8Array(32).fill(fill)

/** Six clinics below two fogs, with fine-tuned copies at the end. */
const study = (name: string, shown?: number, rounds = 3): RecordedStudy =>
  new RecordedStudy(
    { facilities: 6, fogs: 2, schedule, study: { name, rounds, training: { fineTuneSteps: 2 } } },
    shown,
  )

/** A private study that counts its patients before training and evaluates every round's model. */
const COUNTED: Options = {
  facilities: 6,
  fogs: 2,
  study: {
    name: "counted",
    rounds: 3,
    ...withPrivacy({ epsilon: 60 }),
    statistics: {
      bins: 8,
      ranges: [0, 1, 2].map(() => ({ low: -4, high: 4 })),
      mostRows: 200,
      noiseMultiplier: 2,
    },
    evaluation: { bins: 10, every: 1, mostRows: 200, noiseMultiplier: 4, stop: null },
  },
}

/** A study in which an attempt is given up for want of submissions, and a message comes whose signature is wrong. */
const troubled = (): RecordedStudy => {
  const done = new Set<string>()
  const once = (what: string): boolean => done.size < done.add(what).size
  const options: Options = {
    facilities: 4,
    fogs: 2,
    study: { name: "troubled", rounds: 2, attempts: 2, nonce: nonce(3) },
    speak: (said: Utterance) =>
      said.message.type === "submit" && ["clinic-1", "clinic-2"].includes(said.by) && once(said.by)
        ? []
        : [said],
    wire: (hop, bytes) =>
      hop.sender === "clinic-3" && hop.message.type === "report" && once("wire")
        ? Uint8Array.from(bytes, (byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte))
        : bytes,
  }
  return new RecordedStudy(options)
}

describe.skipIf(browserMissing)(`the page in Chromium${whyMissing}`, () => {
  let browser: Browser
  let built: Awaited<ReturnType<typeof buildPage>>
  const opened: Watched[] = []
  const running: RunningApi[] = []
  beforeAll(async () => {
    ;[browser, built] = await Promise.all([launch(), buildPage()])
  })
  afterAll(async () => {
    await browser?.close()
    built?.remove()
  })
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((one) => one.close()))
    await Promise.all(running.splice(0).map((one) => one.close()))
  })

  interface Serving {
    readonly studies: readonly RecordedStudy[]
    readonly port?: number
    readonly ready?: () => boolean
    /** Paths whose caller has no rights. */
    readonly closed?: () => RegExp
  }
  const serve = async ({ studies, port = 0, ready, closed }: Serving): Promise<RunningApi> => {
    const api = await startApi({
      service: leaderOf(studies, ready),
      presets: () => ({ missing: "this leader only shows" }),
      tokens: [],
      page: built.folder,
      listen: { hosts: ["127.0.0.1"], ports: [port], tls: null },
      identify: ({ url }) => (closed?.().test(url) ? { name: "somebody", rights: [] } : null),
    })
    running.push(api)
    return api
  }
  const visit = async (url: string, look?: Look): Promise<Page> => {
    const watched = await open(browser, url, look)
    opened.push(watched)
    return watched.page
  }
  const stop = async (api: RunningApi): Promise<void> => {
    running.splice(running.indexOf(api), 1)
    await api.close()
  }
  /** Nothing was refused, complained about, or asked of anybody but the leader. */
  const undisturbed = (): void => {
    for (const { complaints, foreign } of opened) expect([complaints, foreign]).toEqual([[], []])
  }
  const sees = (page: Page, text: string | RegExp): Promise<void> =>
    page.getByText(text).first().waitFor({ timeout: 15_000 })
  const sound = async (page: Page): Promise<void> => {
    await page.evaluate(AXE)
    const { violations } = await page.evaluate<AxeResults>("axe.run({ resultTypes: ['violations'] })")
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`)
    expect(found).toEqual([])
    // nothing is cut off at the side
    expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBeLessThanOrEqual(0)
  }

  it.each(LOOKS)("is clean for axe and whole at $width pixels, $theme", async (look) => {
    const running = study("heart-disease")
    running.show(running.find("candidate", running.find("closed")) + 3)
    const { url } = await serve({ studies: [troubled(), running] })
    const page = await visit(url, look)
    await page.locator("#log li").first().waitFor()
    await page.locator("summary").click()
    await sound(page)
    // a study with an attempt given up and a security event
    await page
      .getByLabel("Study")
      .selectOption({ label: (await page.locator("option").allTextContents())[0] as string })
    await sees(page, "identity/bad-signature")
    await page.getByRole("button", { name: "Round 1, given up" }).click()
    await sees(page, "Why this attempt was given up")
    await sound(page)
    const colours = await page.evaluate<string>("getComputedStyle(document.body).backgroundColor")
    const [red = 0] = colours.match(/\d+/g)?.map(Number) ?? []
    expect(red > 128).toBe(look.theme === "light")
    undisturbed()
  })

  it("shows who takes part, what crosses each edge, rounds, figures, privacy, security and the log", async () => {
    const recorded = study("heart-disease")
    const { url } = await serve({ studies: [recorded] })
    const page = await visit(url)
    await sees(page, "Six hospitals and clinics have trained one model together in 3 rounds.")
    await page.locator("#log li").first().waitFor()
    const view = (await (await fetch(`${url}/v1/studies/${recorded.id}`)).json()) as {
      edges: { from: string; carries: string[]; bytes: Record<string, number> }[]
      rounds: { metrics: { facility: string; accuracy: number }[]; modelHash: string }[]
      log: { events: number; head: string }
    }
    await page.locator("summary").click()
    for (const { from, carries, bytes } of view.edges) {
      const row = page.locator("#topology tbody tr", {
        has: page.getByRole("rowheader", { name: from, exact: true }),
      })
      expect(await row.textContent()).toContain(carries.join(", "))
      const shown = await row.locator(".number").allTextContents()
      expect(shown.map((text) => Number(text.replaceAll(",", "").replace("–", "0")))).toEqual([
        bytes.update,
        bytes.relayed,
        bytes.opening,
        bytes.metadata,
      ])
    }
    for (const name of ["authority", "leader", "fog-1", "fog-2", "clinic-1", "clinic-6"])
      expect(await page.locator("#topology .node-name", { hasText: name }).count()).toBe(1)
    expect(await page.locator("#rounds .lanes li.lane").count()).toBe(8)
    for (const { facility, accuracy } of view.rounds.at(-1)?.metrics ?? [])
      expect(await page.locator("#learning tr", { hasText: facility }).first().textContent()).toContain(
        accuracy.toFixed(3),
      )
    expect(await page.locator("#learning table").count()).toBe(2)
    await sees(page, "own copy")
    await sees(page, "This study trains without differential privacy")
    await sees(page, "Nothing has been reported")
    await sees(page, "The patients in this study are made up.")
    expect(await page.locator(`[title="${view.log.head}"]`).count()).toBe(1)
    expect(await page.locator(`[title="${view.rounds.at(-1)?.modelHash}"]`).count()).toBe(1)
    expect(await page.locator("#log li").count()).toBe(Math.min(200, view.log.events))
    // "records" are what never leaves; the page counts bytes
    expect(await page.locator("main").innerText()).not.toMatch(/\d+ (patient )?records/)
    undisturbed()
  })

  it("follows a study live, without asking more than twice a second", async () => {
    const recorded = study("growing", 0)
    const { url } = await serve({ studies: [recorded] })
    const page = await visit(url)
    await sees(page, "The first round begins when everybody is there.")
    await sees(page, "Nothing has been said yet")
    await sees(page, "The first round has not begun")
    await sees(page, "Nothing measured yet")
    await page.locator(".pill", { hasText: "Live" }).waitFor()
    await page.evaluate("window.same = true")
    let asked = 0
    page.on("request", (request) => {
      if (request.url().endsWith(`/v1/studies/${recorded.id}`)) asked += 1
    })
    const began = Date.now()
    recorded.show(2)
    await sees(page, "Round 1 of 3 is under way: training at the facilities.")
    for (let shown = 3; shown <= recorded.log.length; shown++) {
      recorded.show(shown)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    await sees(page, "have trained one model together in 3 rounds")
    expect(asked).toBeLessThanOrEqual(2 * ((Date.now() - began) / 1000) + 2)
    expect(asked).toBeGreaterThan(2)
    // nothing is missing from the log's end, though it came in many pieces
    const numbers = await page.locator("#log li code").allTextContents()
    const { length } = recorded
    expect(numbers.map((text) => Number(text.split(" ")[0]))).toEqual(
      Array.from({ length: Math.min(200, length) }, (_, i) => length - i),
    )
    expect(await page.evaluate("window.same")).toBe(true)
    undisturbed()
  })

  it("says since when it is stale while the leader is gone, and goes on without a reload when it is back", async () => {
    const recorded = study("restarted")
    recorded.show(recorded.find("closed"))
    const first = await serve({ studies: [recorded] })
    const page = await visit(first.url)
    await page.locator(".pill", { hasText: "Live" }).waitFor()
    await page.evaluate("window.same = true")
    const before = Date.now()
    await stop(first)
    const told = page.getByText(/^No news from the leader since \d\d:\d\d:\d\d UTC$/)
    await told.waitFor()
    const since = (await told.textContent())?.match(/\d\d:\d\d:\d\d/)?.[0]
    const possible = Array.from({ length: 5 }, (_, i) =>
      new Date(before + i * 1000).toISOString().slice(11, 19),
    )
    expect(possible).toContain(since)
    await page.locator(".pill", { hasText: "Not connected" }).waitFor()
    // the last data stay
    await sees(page, "Round 1 of 3 is over.")
    await sound(page)
    // it comes back, but is not ready at first
    let ready = false
    await serve({ studies: [recorded], port: first.port, ready: () => ready })
    await page.waitForTimeout(1500)
    expect(await told.count()).toBe(1)
    ready = true
    recorded.show(recorded.log.length)
    await told.waitFor({ state: "detached", timeout: 30_000 })
    await sees(page, "have trained one model together in 3 rounds")
    expect(await page.locator("#log li code").first().textContent()).toContain(`${recorded.log.length} ended`)
    expect(await page.evaluate("window.same")).toBe(true)
    undisturbed()
  })

  it("goes on with other studies, or none, where the leader comes back without the one that was shown", async () => {
    const [old, fresh] = [study("old", undefined, 2), study("fresh", undefined, 1)]
    const first = await serve({ studies: [old] })
    const page = await visit(`${first.url}/?study=${old.id}`)
    await page.getByRole("heading", { name: "old" }).waitFor()
    await page.locator(".pill", { hasText: "Live" }).waitFor()
    await stop(first)
    await sees(page, /^No news from the leader since/)
    const second = await serve({ studies: [fresh], port: first.port })
    await page.getByRole("button", { name: "Try now" }).click()
    await page.getByRole("heading", { name: "fresh" }).waitFor()
    await sees(page, "The study you had chosen is not on this leader")
    await stop(second)
    await serve({ studies: [], port: first.port })
    await page.getByText("No study has started yet").waitFor({ timeout: 30_000 })
    await sound(page)
    undisturbed()
  })

  it("waits in words while it loads", async () => {
    const slow = study("slow")
    const { url } = await serve({ studies: [slow] })
    let release: () => void = () => undefined
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    slow.before = () => gate
    const page = await visit(url)
    await sees(page, "Loading the studies …")
    await sound(page)
    release()
    await page.getByRole("heading", { name: "slow" }).waitFor()
    undisturbed()
  })

  it("shows the leader's own words and remedy where it fails, and recovers when asked again", async () => {
    const failing = study("failing")
    failing.before = () => Promise.reject(new Error("the disk is gone"))
    const { url } = await serve({ studies: [failing] })
    const page = await visit(url)
    await sees(page, "Sorry, the studies could not be loaded")
    await sees(page, "The leader failed at this request.")
    await sees(page, "What to do:")
    expect(await page.locator("main").innerText()).not.toContain("disk")
    await sound(page)
    failing.before = () => Promise.resolve()
    await page.getByRole("button", { name: "Try again" }).click()
    await page.getByRole("heading", { name: "failing" }).waitFor()
    undisturbed()
  })

  it("says where somebody may not look, and shows nothing of it", async () => {
    const recorded = study("secret")
    const { url } = await serve({ studies: [recorded], closed: () => /^\/v1\/studies\/\w+$/ })
    const page = await visit(url)
    await sees(page, "You may not see this study")
    await sees(page, 'Somebody may not do this: it needs the right "read".')
    await sees(page, "What to do:")
    expect(await page.locator("section").count()).toBe(0)
    await sound(page)
    const everything = await serve({ studies: [recorded], closed: () => /^\/v1\/studies/ })
    await sees(await visit(everything.url), "You may not see the studies")
    const log = await serve({ studies: [recorded], closed: () => /\/events\?/ })
    const other = await visit(log.url)
    await sees(other, "You may not see the log")
    await sees(other, "have trained one model together")
    undisturbed()
  })

  it("shows nothing on of a study from the moment at which somebody may no longer look", async () => {
    const recorded = study("withdrawn")
    recorded.show(recorded.find("closed"))
    let closed = /^nothing$/
    const { url } = await serve({ studies: [recorded], closed: () => closed })
    const page = await visit(url)
    await sees(page, "Round 1 of 3 is over.")
    await page.locator(".pill", { hasText: "Live" }).waitFor()
    closed = /^\/v1\/studies\/\w+$/
    recorded.show(recorded.length + 1)
    await sees(page, "You may not see this study")
    expect(await page.locator("section").count()).toBe(0)
    undisturbed()
  })

  it.each(LOOKS)(
    "shows how far each facility’s privacy budget goes, at $width pixels, $theme",
    async (look) => {
      const policies = { "clinic-2": { privacy: { study: { epsilon: 0.1, delta: 1e-5 }, month: MONTH } } }
      const recorded = new RecordedStudy({
        facilities: 6,
        fogs: 2,
        schedule,
        policies,
        study: { name: "private", rounds: 6, ...withPrivacy({ epsilon: 4.6 }), nonce: nonce(9) },
      })
      // under way: two rounds are closed
      recorded.show(recorded.find("closed", recorded.find("closed")) + 1)
      const { url } = await serve({ studies: [recorded] })
      const page = await visit(url, look)
      const rows = page.locator("#privacy tbody tr")
      await rows.first().waitFor()
      expect(await rows.count()).toBe(6)
      const { budget } = (await (await fetch(`${url}/v1/studies/${recorded.id}`)).json()) as {
        budget: BudgetView
      }
      for (const { facility, epsilon, room } of budget.facilities) {
        const row = await rows.filter({ hasText: facility }).innerText()
        expect(row).toContain(`${((100 * epsilon) / budget.epsilon).toFixed(1)} %`)
        expect(row.trim().split(/\s+/).at(-1)).toBe(String(room?.rounds))
      }
      expect(budget.facilities.map(({ epsilon }) => epsilon).filter((epsilon) => epsilon === 0)).toHaveLength(
        1,
      )
      // five of six facilities have spent the same, and one sentence says it for all of them
      await sees(page, /: The privacy budget for the study private is 8\d % used: epsilon \d\.\d\d of 4\.60/)
      expect(await page.locator("#privacy .notice li strong").first().textContent()).toBe(
        "clinic-1, clinic-3, clinic-4, clinic-5, clinic-6",
      )
      await sees(page, "Any one patient of a facility, with all of that patient’s records.")
      await sees(page, "noise multiplier 1.5, gradients clipped to 1")
      await sees(page, budget.mechanism.slice(2))
      await sees(
        page,
        /^At the pace so far, \d\.\d rounds a minute, clinic-\d is the first whose budget is used up/,
      )
      await sees(page, /Each facility’s own ledger is what counts/)
      // all marks stand where the budget is: at the end, since nobody is beyond it
      const marks = await page.evaluate<string[]>(LEFTS)
      expect(marks).toEqual(Array(6).fill("100%"))
      await sound(page)
      if (SHOTS !== undefined)
        await page
          .locator("#privacy")
          .screenshot({ path: `${SHOTS}/privacy-${look.width}-${look.theme}.png` })
      // over: nothing more is to fit, and nobody is warned
      recorded.show(recorded.log.length)
      await rows.filter({ hasText: /over$/ }).first().waitFor({ timeout: 15_000 })
      expect(await page.locator("#privacy .notice").count()).toBe(0)
      undisturbed()
    },
  )

  it.each(LOOKS)(
    "[S27] shows statistics and evaluations of all patients together, $width $theme",
    async (look) => {
      const recorded = new RecordedStudy({ ...COUNTED, schedule })
      recorded.show(recorded.find("finish"))
      const { url } = await serve({ studies: [recorded] })
      const page = await visit(url, look)
      await sees(page, "All patients together")
      await sees(page, /^All training patients as one group: \d+, of which \d+ are ill/)
      const rows = page.locator("#figures table").first().locator("tbody tr")
      expect(await rows.count()).toBe(3)
      await sees(page, /noise of \d+\.\d rows/)
      await sound(page)
      if (SHOTS !== undefined)
        await page
          .locator("#figures")
          .screenshot({ path: `${SHOTS}/figures-${look.width}-${look.theme}.png` })
      undisturbed()
    },
  )

  it("is used with the keyboard alone", async () => {
    const { url } = await serve({ studies: [troubled(), study("heart-disease")] })
    const page = await visit(url)
    await page.locator("#log li").first().waitFor()
    const focused = (): Promise<string> =>
      page.evaluate<string>("(document.activeElement.textContent || document.activeElement.tagName).trim()")
    await page.keyboard.press("Tab")
    expect(await focused()).toBe("Skip to the study")
    await page.keyboard.press("Enter")
    expect(await page.evaluate("document.activeElement.id")).toBe("main")
    const names: string[] = []
    const reach = async (text: RegExp): Promise<void> => {
      for (let i = 0; i < 60; i++) {
        await page.keyboard.press("Tab")
        names.push(await focused())
        if (text.test(names.at(-1) as string)) return
      }
      throw new Error(`not reached: ${text} among ${names.join(", ")}`)
    }
    await reach(/^All figures/)
    await page.keyboard.press("Enter")
    await page.locator("#topology table").waitFor()
    await reach(/^Round 1, finished/)
    await page.keyboard.press("Space")
    expect(await page.getByRole("button", { name: "Round 1" }).getAttribute("aria-pressed")).toBe("true")
    await sees(page, "Follow the newest round")
    await reach(/^INPUT$/)
    await page.keyboard.press("ArrowRight")
    await sees(page, /^With ill and healthy patients counting equally/)
    await reach(/^clinic-1$/)
    await page.keyboard.press("Enter")
    expect(await page.locator(".line-marked").count()).toBe(1)
    // what has the focus is seen to have it
    const outline = await page.evaluate<string>("getComputedStyle(document.activeElement).outlineStyle")
    expect(outline).toBe("solid")
    undisturbed()
  })

  it("keeps the chosen study in its address, and follows the newest where none was chosen", async () => {
    const [first, second] = [troubled(), study("heart-disease")]
    const { url } = await serve({ studies: [first, second] })
    const page = await visit(url)
    await page.getByRole("heading", { name: "heart-disease" }).waitFor()
    expect(await page.title()).toBe("heart-disease · Consilium")
    await page.getByLabel("Study").selectOption(first.id)
    await page.getByRole("heading", { name: "troubled" }).waitFor()
    expect(page.url()).toBe(`${url}/?study=${first.id}`)
    await page.reload()
    await page.getByRole("heading", { name: "troubled" }).waitFor()
    undisturbed()
  })

  it("moves nothing for those who asked for less motion", async () => {
    const recorded = study("moving")
    recorded.show(5)
    const { url } = await serve({ studies: [recorded] })
    const page = await visit(url)
    await page.locator(".edge-active").first().waitFor({ state: "attached" })
    const moving = "document.getAnimations().length"
    expect(await page.evaluate(moving)).toBe(0)
    await page.emulateMedia({ reducedMotion: "no-preference" })
    expect(await page.evaluate(moving)).toBeGreaterThan(0)
    undisturbed()
  })

  it("would have been stopped by the content security policy had it done anything else", async () => {
    const { url } = await serve({ studies: [] })
    const page = await visit(url)
    await sees(page, "No study has started yet")
    undisturbed()
    await page.evaluate(
      "document.head.append(Object.assign(document.createElement('style'), { textContent: 'p{}' }))",
    )
    await page.evaluate("fetch('https://elsewhere.example/').catch(() => undefined)")
    const [watched] = opened.splice(0)
    await expect.poll(() => watched?.complaints.join()).toMatch(/style-src[\s\S]*connect-src/)
    await watched?.close()
  })
})
