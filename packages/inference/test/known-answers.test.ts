import { expect, it } from "vitest"
import { exchanges } from "./exchanges.js"

it("the bytes of an exchange follow from model, patients and randomness; a change is a change of the protocol", () => {
  expect(exchanges()).toMatchInlineSnapshot(`
    {
      "features": {
        "answer": "78b0ffdccdcbb829",
        "key": "3db7bc0e94c94ba4",
        "plan": "9090bf7f7ee97261",
        "request": "3df297b067a8d187",
        "rounded": [
          0.339,
          0.338,
          0.337,
        ],
      },
      "linearKept": {
        "answer": "96fb7400082006ff",
        "key": "737eb8f3fb6db5a1",
        "plan": "37f78755d0f82f95",
        "request": "2004e8982a9e217d",
        "rounded": [
          0,
          0.582,
          1,
        ],
      },
      "linearShared": {
        "answer": "787e3e8a5f17315d",
        "plan": "e40f84d39d937eeb",
        "request": "61a2a737ef22a0da",
        "rounded": [
          0,
          0.582,
          1,
        ],
      },
      "network": {
        "answer": "8d57c265cd8f2d41",
        "plan": "d53e85848e52b27a",
        "request": "7115e62dd61ecc19",
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
