import { expect, it } from "vitest"
import { answerInChromium, browserMissing, whyMissing } from "../../../../test/browser.js"
import { exchanges } from "../exchanges.js"

it.skipIf(browserMissing)(
  `requests, answers and keys are the same bytes in Node and in Chromium${whyMissing}`,
  async () => {
    const found = await answerInChromium(new URL("../exchanges.ts", import.meta.url), "exchanges")
    expect(found).toEqual(exchanges())
  },
)
