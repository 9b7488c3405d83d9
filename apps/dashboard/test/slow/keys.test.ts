import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { type RunningApi, startApi } from "@consilium/node/api/start-api"
import type { KeysView, StudyView } from "@consilium/node/api/study-view"
import type { AxeResults } from "axe-core"
import type { Browser, Page } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import type { Options, Utterance } from "../../../../packages/federation/test/harness.js"
import { browserMissing, whyMissing } from "../../../../test/browser.js"
import { buildPage, LOOKS, type Look, launch, open, type Watched } from "./browser.js"
import { leaderOf, RecordedStudy } from "./recorded-study.js"

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")

/** Six clinics that encrypt; clinic-3 sleeps through the first ceremony, and later a person asks for new keys. */
const encrypted = (name: string): RecordedStudy => {
  let asleep = true
  const speak = (said: Utterance): readonly Utterance[] => {
    const { by, message } = said
    if (by === "leader" && message.type === "announce" && message.spec.purpose === "update") asleep = false
    return by === "clinic-3" && asleep ? [] : [said]
  }
  const options: Options = {
    facilities: 6,
    fogs: 2,
    schedule: (hop) => [10 + ((hop.index * 7919) % 613)],
    study: { name, protection: "ckks", rounds: 4 },
    rotations: [{ during: 1, after: 3000 }],
    speak,
  }
  return new RecordedStudy(options)
}
const without = (protection: "shamir" | "masked"): RecordedStudy =>
  new RecordedStudy({ facilities: 4, fogs: 1, study: { name: protection, protection, rounds: 1 } })

describe.skipIf(browserMissing)(`the keys on the page, in Chromium${whyMissing}`, () => {
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
    for (const { complaints, foreign } of opened) expect([complaints, foreign]).toEqual([[], []])
    await Promise.all(opened.splice(0).map((one) => one.close()))
    await Promise.all(running.splice(0).map((one) => one.close()))
  })

  const visit = async (study: RecordedStudy, look?: Look): Promise<Page> => {
    const api = await startApi({
      service: leaderOf([study]),
      presets: () => ({ missing: "this leader only shows" }),
      tokens: [],
      page: built.folder,
      listen: { hosts: ["127.0.0.1"], ports: [0], tls: null },
    })
    running.push(api)
    const watched = await open(browser, api.url, look)
    opened.push(watched)
    await watched.page.locator("#keys").waitFor()
    return watched.page
  }
  const keysOf = async (study: RecordedStudy): Promise<KeysView> => {
    const answer = await fetch(`${running.at(-1)?.url}/v1/studies/${study.id}`)
    return ((await answer.json()) as StudyView).keys as KeysView
  }
  const text = (page: Page): Promise<string> => page.locator("#keys").innerText()
  const sees = (page: Page, words: string | RegExp): Promise<void> =>
    page.locator("#keys").getByText(words).first().waitFor({ timeout: 15_000 })
  const sound = async (page: Page): Promise<void> => {
    await page.evaluate(AXE)
    const { violations } = await page.evaluate<AxeResults>("axe.run({ resultTypes: ['violations'] })")
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`)).toEqual(
      [],
    )
    expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBeLessThanOrEqual(0)
  }

  it.each(LOOKS)("are clean for axe and whole at $width pixels, $theme", async (look) => {
    const study = encrypted("heart-disease")
    // in a round under the first keys, without clinic-3, and with the wish for new ones
    study.show(study.find("key-rotation-asked"))
    const page = await visit(study, look)
    await sees(page, "Without a key, and so in no sum")
    await page.locator("#keys summary").click()
    await sound(page)
    study.show(study.find("key-test", study.find("key-rotation-asked")) + 4)
    await sees(page, /is at: testing every key/)
    await sound(page)
  })

  it("are shown with scheme, numbers, who has them and what is left", async () => {
    const study = encrypted("heart-disease")
    study.show(study.find("key-rotation-asked"))
    const page = await visit(study)
    const keys = await keysOf(study)
    const words = await text(page)
    const { scheme, openings } = keys
    for (const exact of [
      `CKKS, degree ${String(scheme.degree).replace(/(\d)(\d{3})$/, "$1,$2")}, modulus of ${scheme.modulusBits} bits`,
      `${scheme.lanes} lane of ${scheme.laneBits} bits`,
      "128-bit security",
      `epoch ${keys.epoch}, until`,
      `${openings.used} opening used, ${openings.left} left`,
      "clinic-1, clinic-2, clinic-4, clinic-5, clinic-6",
      "5 hold a piece of every key; 4 of them open a sum",
    ])
      expect(words).toContain(exact)
    expect(words).toContain(
      "clinic-3: It was not there for the whole ceremony. It gets one when new keys are made",
    )
    expect(words).toContain("R. Person asked for it: a laptop was lost")
    await page.locator("#keys summary").click()
    expect(await page.locator("#keys .because li").allTextContents()).toEqual(scheme.because)
    // the words link to what they mean
    await page.locator("#keys a", { hasText: "key ceremony" }).click()
    expect(await page.evaluate("location.hash")).toBe("#word-key-ceremony")
    // rounds are rounds, and say who was named to open
    expect(await page.getByRole("list", { name: "Rounds" }).getByRole("button").count()).toBe(1)
    study.show(study.log.length)
    await page.getByText("have trained one model together in 4 rounds").waitFor()
    expect(await page.getByRole("list", { name: "Rounds" }).getByRole("button").count()).toBe(4)
    expect(await page.locator("#rounds").innerText()).toMatch(/Named to open their sum: clinic-\d/)
  })

  it("follow a ceremony live, with a line for each facility", async () => {
    const study = encrypted("growing")
    study.show(0)
    const page = await visit(study)
    await sees(page, "None yet. Facilities make the first ones before round 1.")
    study.show(study.find("submit") + 1)
    await sees(page, /The ceremony for epoch 1.*is at: making keys/)
    await page.getByText("are making new keys, before round 1 of 4: making keys.").waitFor()
    expect(await page.locator("#rounds").innerText()).toContain("The first round has not begun")
    expect(await page.locator("#keys .lanes li.lane").count()).toBe(6)
    expect(await page.locator("#keys .lane-empty", { hasText: "nothing yet" }).count()).toBeGreaterThan(0)
    study.show(study.find("certificate"))
    await sees(page, /was held after/)
    const lane = page.locator("#keys li.lane", { hasText: "clinic-1" })
    expect(await lane.locator(".mark").allTextContents()).toEqual([
      expect.stringMatching(/^1made a key and gave each of the others a piece of it/),
      expect.stringMatching(/^2answered the check of its own pieces/),
      expect.stringMatching(/^3checked the pieces from the others/),
      expect.stringMatching(/^4put keys to the test/),
      expect.stringMatching(/^5signed the list/),
    ])
    expect(await page.locator("#keys li.lane", { hasText: "clinic-3" }).innerText()).toContain("nothing came")
    study.show(study.log.length)
    await sees(page, "The study is over: every facility has destroyed its keys.")
    expect(await text(page)).not.toContain("Without a key")
    expect(await page.getByRole("list", { name: "Key ceremonies" }).getByRole("button").count()).toBe(2)
  })

  it("are chosen among with the keyboard alone", async () => {
    const study = encrypted("heart-disease")
    const page = await visit(study)
    const first = page.getByRole("button", { name: /^Ceremony for epoch 1, held/ })
    await first.focus()
    await page.keyboard.press("Space")
    expect(await first.getAttribute("aria-pressed")).toBe("true")
    await sees(page, /came before round 1, because the study had no keys yet/)
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await sees(page, /came before round 2, because R\. Person asked for it: a laptop was lost/)
    await page.keyboard.press("Tab")
    expect(await page.evaluate("document.activeElement.tagName")).toBe("SUMMARY")
    await page.keyboard.press("Enter")
    await sees(page, /facilities, any 4 of them open/)
    expect(await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")).toBe("solid")
  })

  it.each(["shamir", "masked"] as const)("are said to be none under %s", async (protection) => {
    const page = await visit(without(protection))
    await sees(page, "This study needs no keys")
    await sees(page, /nothing has to be kept from round to round/)
    expect(await page.locator("#keys .lanes").count()).toBe(0)
    await sound(page)
  })
})
