import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { buildChild, startChild, temporaryFolder } from "../store-children.js"
import { crash, judge, newStory, tellStory } from "../store-crash-story.js"

let folder: string
let remove: () => Promise<void>
beforeAll(async () => {
  const made = await temporaryFolder("crashes")
  folder = made.path
  remove = made.remove
})
afterAll(() => remove())

describe("a long story in segment files", () => {
  for (const torn of [false, true])
    it(`holds whole steps, and all acknowledged ones, wherever it is ${torn ? "cut off inside a write" : "stopped"}`, async () => {
      const wrong: string[] = []
      let at = 0
      for (; ; at++) {
        const result = await crash(join(folder, `${torn}-${at}`), { at, torn, length: "long" })
        wrong.push(...result.wrong)
        if (result.over) break
      }
      expect(wrong).toEqual([])
      expect(at).toBeGreaterThan(90)
    })

  it("holds whole steps, and all acknowledged ones, after kill -9 of its process before any operation", async () => {
    const script = await buildChild("story", join(folder, "built"))
    const whole = newStory()
    await tellStory(await made("whole"), whole, "long")
    const wrong: string[] = []
    for (let at = 0; ; at++) {
      const path = await made(`killed-${at}`)
      const child = startChild(process.execPath, [script, path, String(at)])
      await child.ended()
      const over = child.lines.includes("over")
      expect(child.process.signalCode).toBe(over ? null : "SIGKILL")
      const done = child.lines.filter((line) => line.startsWith("done")).length
      const verdict = await judge(path, { states: whole.states, done }).catch((error) => String(error))
      if (verdict !== null) wrong.push(`before operation ${at}: ${verdict}`)
      if (over) break
    }
    expect(wrong).toEqual([])
  })
})

const made = async (name: string): Promise<string> => {
  const path = join(folder, name)
  await mkdir(path)
  return path
}
