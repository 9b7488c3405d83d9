import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import fc from "fast-check"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { AnswerLedger } from "../src/inference/answer-ledger.js"
import { AskingFolder } from "../src/inference/asking-folder.js"
import { askingStateSchema } from "../src/inference/asking-state.js"

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "answers-"))
})
afterEach(() => rm(folder, { recursive: true }))

const onDisk = async (): Promise<number> => {
  const text = await readFile(join(folder, "asking.json"), "utf8").catch(() => null)
  if (text === null) return 0
  const { spendings } = askingStateSchema.parse(JSON.parse(text))
  return spendings.find(({ asker, model }) => asker === "ward" && model === "heart")?.spent ?? 0
}

it("a folder of askers keeps no file of a key that it does not know, such as a crash leaves behind", async () => {
  const [known, unknown] = ["a", "b"].map((digit) => digit.repeat(64)) as [string, string]
  const before = await AskingFolder.open(folder)
  for (const id of [known, unknown]) await before.writeKey(id, new Uint8Array(8))
  const key = { id: known, nonce: known, asker: "ward", model: "heart", plan: known }
  await before.change((state) => ({ ...state, keys: [key] }))
  await before.close()
  const after = await AskingFolder.open(folder)
  expect(await after.readKey(known)).toHaveLength(8)
  await expect(after.readKey(unknown)).rejects.toMatchObject({ code: "store/missing" })
  await after.close()
})

describe("a ledger of answers", () => {
  it("[S31] has answers on disk before they are given, whatever is asked for at once", async () => {
    const state = await AskingFolder.open(folder)
    const ledger = new AnswerLedger(state)
    let given = 0
    await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        await ledger.take("ward", "heart", 10_000, 1 + (i % 3))
        given += 1 + (i % 3)
        expect(await onDisk()).toBeGreaterThanOrEqual(given)
      }),
    )
    expect(ledger.given("ward", "heart")).toBe(given)
    await state.close()
  })

  it("[S31] never gives more than the budget, in any order, over ends in good and in bad order", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 400 }),
        fc.array(fc.oneof(fc.integer({ min: 1, max: 60 }), fc.constantFrom("crash", "close")), {
          minLength: 1,
          maxLength: 25,
        }),
        async (allowed, story) => {
          await rm(join(folder, "asking.json"), { force: true })
          let state = await AskingFolder.open(folder)
          let ledger = new AnswerLedger(state)
          let given = 0
          for (const step of story) {
            if (typeof step === "number") {
              const before = ledger.given("ward", "heart")
              const taken = await ledger.take("ward", "heart", allowed, step).then(
                () => true,
                (error) => {
                  expect(error).toMatchObject({ code: "inference/budget-spent" })
                  return false
                },
              )
              expect(taken).toBe(before + step <= allowed)
              if (taken) given += step
            } else {
              if (step === "close") await ledger.close()
              const [lost, kept] = [await onDisk(), ledger.given("ward", "heart")]
              await state.close()
              state = await AskingFolder.open(folder)
              ledger = new AnswerLedger(state)
              // after a crash what was set aside counts as given; after a good end just what was given
              expect(ledger.given("ward", "heart")).toBe(step === "close" ? kept : lost)
            }
            expect(given).toBeLessThanOrEqual(ledger.given("ward", "heart"))
            expect(given).toBeLessThanOrEqual(allowed)
          }
          await state.close()
        },
      ),
      { numRuns: 20 },
    )
  })

  it("gives nothing when the disk refuses, and counts what it set aside", async () => {
    const state = await AskingFolder.open(folder)
    const ledger = new AnswerLedger(state)
    await ledger.take("ward", "heart", 1000, 1)
    // a folder in the place of the file: it cannot be written until that is gone
    await rm(join(folder, "asking.json"))
    await mkdir(join(folder, "asking.json", "in the way"), { recursive: true })
    await expect(ledger.take("ward", "heart", 1000, 50)).rejects.toMatchObject({ code: "store/failed" })
    await expect(ledger.take("ward", "heart", 1000, 1)).rejects.toMatchObject({ code: "store/failed" })
    await rm(join(folder, "asking.json"), { recursive: true })
    await ledger.take("ward", "heart", 1000, 1)
    expect(await onDisk()).toBeGreaterThanOrEqual(52)
    await state.close()
  })

  it("counts nothing where any number may be asked", async () => {
    const state = await AskingFolder.open(folder)
    const ledger = new AnswerLedger(state)
    await ledger.take("ward", "heart", null, 1_000_000)
    expect([ledger.given("ward", "heart"), await onDisk()]).toEqual([0, 0])
    await state.close()
  })
})

describe("the folder of a server's askers", () => {
  it("is held by one process", async () => {
    const state = await AskingFolder.open(folder)
    await expect(AskingFolder.open(folder)).rejects.toMatchObject({ code: "store/locked" })
    await state.close()
    await (await AskingFolder.open(folder)).close()
  })

  it.each([
    ["no JSON", "{"],
    ["another form", '{"format":"consilium-asking/2","keys":[],"spendings":[]}'],
    [
      "a negative count",
      '{"format":"consilium-asking/1","keys":[],"spendings":[{"asker":"a","model":"m","spent":-1}]}',
    ],
  ])("with %s is refused, and stays as it is", async (_, text) => {
    await writeFile(join(folder, "asking.json"), text)
    await expect(AskingFolder.open(folder)).rejects.toMatchObject({ code: "store/corrupt" })
    expect(await readFile(join(folder, "asking.json"), "utf8")).toBe(text)
  })
})
