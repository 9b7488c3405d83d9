import { expect, it } from "vitest"
import { answerInChromium, browserMissing, whyMissing } from "../../../../test/browser.js"
import { engineAnswers } from "../engine-answers.js"

it.skipIf(browserMissing)(
  `the same bytes for the same seed in Node and in Chromium${whyMissing}`,
  async () => {
    const found = await answerInChromium(new URL("../engine-answers.ts", import.meta.url), "engineAnswers")
    expect(found).toEqual(engineAnswers())
  },
)
