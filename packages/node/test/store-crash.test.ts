import { link, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { utf8 } from "@consilium/base/platform"
import { emptyHead } from "@consilium/federation/log"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { openSegmentStores } from "../src/store/segment-stores.js"
import { temporaryFolder } from "./store-children.js"
import { contents, digestOf, events } from "./store-contract.js"
import { crash } from "./store-crash-story.js"
import { injectFaults } from "./store-faults.js"

let folder: string
let remove: () => Promise<void>
beforeAll(async () => {
  const made = await temporaryFolder("crash")
  folder = made.path
  remove = made.remove
})
afterAll(() => remove())

const made = async (...parts: string[]): Promise<string> => {
  const path = join(folder, ...parts)
  await mkdir(path, { recursive: true })
  return path
}

describe("a store in segment files", () => {
  it("[S16] holds whole steps, and all acknowledged ones, wherever it is stopped or cut off inside a write", async () => {
    const wrong: string[] = []
    let at = 0
    for (; ; at++) {
      const result = await crash(join(folder, `story-${at}`), { at, torn: true, length: "short" })
      wrong.push(...result.wrong)
      if (result.over) break
    }
    expect(wrong).toEqual([])
    expect(at).toBeGreaterThan(40)
  })

  it("syncs twice for a step with events, once for one without", async () => {
    const path = await made("syncs")
    const watched = await injectFaults({ folder: path, at: Number.POSITIVE_INFINITY })
    const stores = await openSegmentStores(path)
    const digest = digestOf("study")
    const store = await stores.study(digest)
    const { entries } = events(emptyHead(digest), [utf8("a"), utf8("b")])
    const before = watched.operations.length
    await store.commit({ journal: [utf8("j")], entries })
    expect(watched.operations.slice(before)).toEqual(["write", "datasync", "write", "datasync"])
    await store.commit({ journal: [utf8("j")], entries: [] })
    expect(watched.operations.slice(before + 4)).toEqual(["write", "datasync"])
    await stores.close()
    await watched.end()
  })

  it("[S13] overwrites the old journal at a checkpoint, and leaves no byte of it even when it is killed there", async () => {
    const digest = digestOf("study")
    const filesOf = async (path: string): Promise<string[]> =>
      (await readdir(path, { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
    const holds = async (path: string, text: string): Promise<boolean> => {
      for (const file of await filesOf(path)) if ((await readFile(file)).includes(text)) return true
      return false
    }
    for (let at = 0; ; at++) {
      const path = await made("erased", String(at))
      let stores = await openSegmentStores(path)
      await (await stores.study(digest)).commit({ journal: [utf8("canary-4711")], entries: [] })
      await stores.close()
      expect(await holds(path, "canary-4711")).toBe(true)
      const kept = join(folder, `kept-${at}`)
      const [old] = (await filesOf(path)).filter((file) => file.includes("journal"))
      await link(old as string, kept)
      const faults = await injectFaults({ folder: path, at })
      const work = (async () => {
        const live = await openSegmentStores(path)
        await (await live.study(digest)).checkpoint([utf8("new")])
        await live.close()
      })()
      await Promise.race([work, faults.stopped])
      await faults.end()
      stores = await openSegmentStores(path)
      const { journal } = await contents(await stores.study(digest))
      await stores.close()
      if (journal[0] === "new") {
        expect(journal).toEqual(["new"])
        expect(await holds(path, "canary-4711")).toBe(false)
        expect((await readFile(kept)).every((byte) => byte === 0)).toBe(true)
      } else expect(journal).toEqual(["canary-4711"])
      if (faults.operations.length <= at) break
    }
  })

  it("finds out when journal and log do not belong together", async () => {
    const digest = digestOf("study")
    const refused = async (name: string, damage: (path: string) => Promise<void>): Promise<string> => {
      const path = await made("damage", name)
      const stores = await openSegmentStores(path)
      const store = await stores.study(digest)
      const one = events(emptyHead(digest), [utf8("a")])
      await store.commit({ journal: [utf8("1")], entries: one.entries })
      await store.checkpoint([])
      await store.commit({ journal: [utf8("2")], entries: events(one.head, [utf8("b")]).entries })
      await stores.close()
      await damage(join(path, Buffer.from(digest).toString("hex").slice(0, 16)))
      const again = await openSegmentStores(path)
      const answer = await again.study(digest).then(
        async (found) => `opens with ${(await contents(found)).log.join("")}`,
        (error) => error.code,
      )
      await again.close()
      return answer
    }
    const log = (path: string): string => join(path, "log", "000000000001.log")
    const journal = (path: string): string => join(path, "journal", "000000000002", "000000000001.log")
    const shorten = async (file: string, by: number): Promise<void> => {
      const bytes = await readFile(file)
      await writeFile(file, bytes.subarray(0, bytes.length - by))
    }
    expect(await refused("whole", async () => {})).toBe("opens with ab")
    // What the journal still has is mended, what it has not is missed.
    expect(await refused("last event", (path) => shorten(log(path), 1))).toBe("opens with ab")
    expect(await refused("all events", (path) => shorten(log(path), 300))).toBe("store/corrupt")
    expect(await refused("last step", (path) => shorten(journal(path), 1))).toBe("store/corrupt")
    expect(
      await refused("no journal", async (path) => {
        await rm(join(path, "journal"), { recursive: true })
      }),
    ).toBe("store/corrupt")
  })

  it("is not opened as another study whose digest begins alike", async () => {
    const path = await made("alike")
    const digest = digestOf("study")
    const stores = await openSegmentStores(path)
    await stores.study(digest)
    const alike = new Uint8Array(digest)
    alike[31] = (alike[31] as number) ^ 1
    await stores.close()
    const again = await openSegmentStores(path)
    await expect(again.study(alike)).rejects.toMatchObject({ code: "store/corrupt" })
    await again.close()
  })
})
