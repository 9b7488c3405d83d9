import { expect, it } from "vitest"
import { exchanges } from "./exchanges.js"

it("the bytes of an exchange follow from model, patients and randomness; a change is a change of the protocol", () => {
  expect(exchanges()).toMatchInlineSnapshot(`
    {
      "linearKept": {
        "answer": "9071eadf843be76d",
        "key": "3bee4be5f5e1714f",
        "plan": "04e311c9a3c95bcb",
        "request": "3858dec6c6a709cc",
        "rounded": [
          0,
          0.582,
          1,
        ],
      },
      "linearShared": {
        "answer": "c872819517a96d5d",
        "plan": "d756a292c9913d67",
        "request": "fc1aa3be6f6be2e5",
        "rounded": [
          0,
          0.582,
          1,
        ],
      },
      "network": {
        "answer": "d5b0ab2f7318a1b1",
        "plan": "08572e8cf09c975a",
        "request": "db12dce58aa59a06",
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
