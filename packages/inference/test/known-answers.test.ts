import { expect, it } from "vitest"
import { exchanges } from "./exchanges.js"

it("the bytes of an exchange follow from model, patients and randomness; a change is a change of the protocol", () => {
  expect(exchanges()).toMatchInlineSnapshot(`
    {
      "features": {
        "answer": "fbafcf5062a7c0f2",
        "key": "f1fbca4ff7942042",
        "plan": "b4369b0b29df0fde",
        "request": "b3f3c97aab74488f",
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
        "answer": "032adbf9ca6e2595",
        "plan": "d8285e9d62bbddcf",
        "request": "ba6d5356ef8b11e5",
        "rounded": [
          0,
          0.582,
          1,
        ],
      },
      "network": {
        "answer": "3f6f52efa3401bcd",
        "plan": "8d08152d1be259a0",
        "request": "1208781d7dd3378a",
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
