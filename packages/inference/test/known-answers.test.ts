import { expect, it } from "vitest"
import { exchanges } from "./exchanges.js"

it("the bytes of an exchange follow from model, patients and randomness; a change is a change of the protocol", () => {
  expect(exchanges()).toMatchInlineSnapshot(`
    {
      "features": {
        "answer": "4c245af14855b550",
        "key": "44aaeb4f17b8efda",
        "plan": "3094ac528a9f0c8f",
        "request": "e93795512f3a6cb2",
        "rounded": [
          0.339,
          0.338,
          0.337,
        ],
      },
      "linearKept": {
        "answer": "1f3bd2c8a82058ad",
        "key": "9fb8698d4781fd50",
        "plan": "85dfaf27f38c0e5f",
        "request": "b4de9623114ecc62",
        "rounded": [
          0,
          0.582,
          1,
        ],
      },
      "linearShared": {
        "answer": "da1d2c843c2324b4",
        "plan": "6794c13c3ff0b60e",
        "request": "6768ecfe1b616bf6",
        "rounded": [
          0,
          0.582,
          1,
        ],
      },
      "network": {
        "answer": "060a145c42706531",
        "plan": "bd29544f5376abcf",
        "request": "7755adcbeb1726ed",
        "rounded": [
          0.505,
          0.505,
          0.508,
        ],
      },
    }
  `)
})
it("and are the same when made again", () => {
  expect(exchanges()).toEqual(exchanges())
})
