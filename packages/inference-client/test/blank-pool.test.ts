import { Asker } from "@consilium/inference/client/asker"
import { BlankPool } from "@consilium/inference-client/keys/blank-pool"
import { OwnKeys } from "@consilium/inference-client/keys/own-keys"
import type { HeldBlank } from "@consilium/inference-client/keys/plan-keys"
import { evaluationTime } from "@consilium/inference-client/server/routes"
import { describe, expect, it } from "vitest"
import { testRandom } from "../../inference/test/heart.js"
import { compiledOf, SOMEBODY } from "./models.js"

const asker = new Asker(compiledOf("shared").plan)

/** A pool, and every blank that was made for it. */
const pooling = async () => {
  const keys = await new OwnKeys({ random: testRandom("pool") }).keysFor(asker)
  const made: HeldBlank[] = []
  const pool = new BlankPool(async () => {
    const held = await keys.blank()
    made.push(held)
    return held
  })
  return { pool, made }
}
const isUsable = ({ blank }: HeldBlank): boolean => {
  try {
    asker.fill(blank, [SOMEBODY])
    return true
  } catch {
    return false
  }
}
const settled = () => new Promise((resolve) => setTimeout(resolve, 20))

describe("a pool of blanks", () => {
  it("makes none before it is told how many, and then as many", async () => {
    const { pool, made } = await pooling()
    pool.replenish()
    await settled()
    expect(made).toHaveLength(0)
    await Promise.all([pool.prepare(3), pool.prepare(3)])
    expect([made.length, pool.ready]).toEqual([3, 3])
  })
  it("gives each once, and makes up for it afterwards", async () => {
    const { pool, made } = await pooling()
    await pool.prepare(2)
    const taken = [await pool.take(), await pool.take(), await pool.take()]
    expect(new Set(taken).size).toBe(3)
    expect([made.length, pool.ready]).toEqual([3, 0])
    pool.replenish()
    pool.replenish()
    await settled()
    expect([made.length, pool.ready]).toEqual([5, 2])
    expect(taken.every(isUsable)).toBe(true)
  })
  it("cleared, erases what was ready and what was being made", async () => {
    const { pool, made } = await pooling()
    await pool.prepare(1)
    const making = pool.prepare(2)
    pool.clear()
    await making
    expect(pool.ready).toBe(2)
    expect(made.filter((held) => !isUsable(held))).toHaveLength(made.length - 2)
  })
  it("closed, erases everything and makes no more", async () => {
    const { pool, made } = await pooling()
    await pool.prepare(2)
    const making = pool.prepare(4)
    pool.close()
    await making
    pool.replenish()
    await settled()
    expect(pool.ready).toBe(0)
    expect(made.some(isUsable)).toBe(false)
  })
})

it.each([
  ["evaluate;dur=1.25", 1.25],
  ["queue;dur=3, evaluate;dur=2", 2],
  ['evaluate;desc="on ciphertexts";dur=0.5', 0.5],
  ["evaluate", null],
  ["revaluate;dur=1", null],
  ["evaluate;dur=-1", null],
  ["", null],
  [null, null],
])("the server's time of %j is %j", (header, ms) => {
  expect(evaluationTime(header)).toBe(ms)
})
