import { cp, mkdir, readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import { utf8 } from "@consilium/base/platform"
import { SecretKey } from "@consilium/base/random"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type JournalBox, openJournalBox } from "../src/store/journal-box.js"
import { SealedFiles } from "../src/store/sealed.js"
import { openSegmentStores } from "../src/store/segment-stores.js"
import type { StudyStore } from "../src/store/study-store.js"
import { temporaryFolder } from "./store-children.js"
import { digestOf, readAll } from "./store-contract.js"
import { injectFaults } from "./store-faults.js"

let folder: string
let remove: () => Promise<void>
beforeAll(async () => {
  const made = await temporaryFolder("journal-box")
  folder = made.path
  remove = made.remove
})
afterAll(() => remove())

const study = digestOf("study")
const storageKey = (): SecretKey => new SecretKey(new Uint8Array(32).fill(5))
const filesAt = (path: string): Promise<SealedFiles> => SealedFiles.open(path, storageKey())
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
const codeOf = (work: () => unknown): string => {
  try {
    work()
    return "ok"
  } catch (error) {
    return error instanceof ConsiliumError ? error.code : String(error)
  }
}

describe("[S13] a journal box", () => {
  it("opens what it sealed, also after it was opened again, and nothing that was changed", async () => {
    const path = join(folder, "again")
    const box = await openJournalBox(await filesAt(path), study)
    const sealed = box.seal(utf8("canary-4711"))
    expect(Buffer.from(sealed).includes("canary-4711")).toBe(false)
    expect(text(box.open(sealed))).toBe("canary-4711")
    const again = await openJournalBox(await filesAt(path), study)
    expect(text(again.open(sealed))).toBe("canary-4711")
    for (let at = 0; at < sealed.length; at++) {
      const changed = sealed.slice()
      changed[at] = (changed[at] as number) ^ 1
      expect(codeOf(() => box.open(changed))).toBe("store/unsealable")
      expect(codeOf(() => box.open(sealed.slice(0, at)))).toBe("store/unsealable")
    }
    const other = await openJournalBox(await filesAt(path), digestOf("another"))
    expect(codeOf(() => other.open(sealed))).toBe("store/unsealable")
  })

  it("gives each checkpoint a key of its own and erases the one before, also from a copied disk", async () => {
    const path = join(folder, "checkpoint")
    const first = await openJournalBox(await filesAt(path), study)
    const old = first.seal(utf8("old"))
    const second = await first.next()
    expect(second.generation).toBe(first.generation + 1)
    expect(text(second.open(old))).toBe("old")
    // A checkpoint that failed: the old box goes on, and its key outlives the fresh one's.
    const third = await first.next()
    expect(text(third.open(first.seal(utf8("more"))))).toBe("more")
    const kept = third.seal(utf8("kept"))
    await expect(first.retire(third)).rejects.toMatchObject({ code: "store/failed" })
    await third.retire(first)
    expect(codeOf(() => third.open(old))).toBe("store/unsealable")
    expect(codeOf(() => first.seal(utf8("late")))).toBe("store/failed")
    expect(text(third.open(kept))).toBe("kept")
    await cp(path, join(folder, "copied"), { recursive: true })
    const copied = await openJournalBox(await filesAt(join(folder, "copied")), study)
    expect(copied.generation).toBe(third.generation)
    expect(text(copied.open(kept))).toBe("kept")
    expect(codeOf(() => copied.open(old))).toBe("store/unsealable")
  })

  it("settles after a crash: it keeps the keys that the journal needs, and the latest", async () => {
    const path = join(folder, "settle")
    const first = await openJournalBox(await filesAt(path), study)
    const old = first.seal(utf8("old"))
    const fresh = (await first.next()).seal(utf8("fresh"))
    const keys = async (): Promise<number> =>
      (await readdir(path)).filter((name) => name.startsWith("journal-key")).length
    const before = await openJournalBox(await filesAt(path), study)
    before.open(old)
    await before.settle()
    expect(await keys()).toBe(2)
    const after = await openJournalBox(await filesAt(path), study)
    after.open(fresh)
    await after.settle()
    expect(await keys()).toBe(1)
    expect(codeOf(() => after.open(old))).toBe("store/unsealable")
  })

  it("opens its journal wherever a checkpoint is cut off, and leaves no key of the past", async () => {
    const opened = async (
      path: string,
    ): Promise<{ box: JournalBox; store: StudyStore; close(): Promise<void> }> => {
      const box = await openJournalBox(await filesAt(join(path, "sealed")), study)
      const stores = await openSegmentStores(join(path, "stores"))
      return { box, store: await stores.study(study), close: () => stores.close() }
    }
    const seen = new Set<string>()
    for (let at = 0; ; at++) {
      const path = join(folder, `cut-${at}`)
      await mkdir(path)
      const start = await opened(path)
      const old = start.box.seal(utf8("old"))
      await start.store.commit({ journal: [old], entries: [] })
      await start.close()
      let retired = false
      const faults = await injectFaults({ folder: path, at, torn: true })
      const work = (async () => {
        const { box, store, close } = await opened(path)
        for await (const record of store.journal()) box.open(record)
        await box.settle()
        const fresh = await box.next()
        await store.checkpoint([fresh.seal(utf8("state"))])
        await fresh.retire(box)
        retired = true
        await store.commit({ journal: [fresh.seal(utf8("new"))], entries: [] })
        await close()
      })()
      await Promise.race([work, faults.stopped])
      await faults.end()
      const { box, store, close } = await opened(path)
      const journal = (await readAll(store.journal())).map((record) => text(box.open(record)))
      await box.settle()
      await close()
      seen.add(journal.join("+"))
      expect(["old", "state", "state+new"]).toContain(journal.join("+"))
      if (retired) expect(journal[0]).toBe("state")
      expect(
        codeOf(() => box.open(old)),
        `operation ${at}`,
      ).toBe(journal[0] === "old" ? "ok" : "store/unsealable")
      // What the next checkpoint of the survivor leaves is one key.
      const fresh = await box.next()
      await fresh.retire(box)
      const names = await readdir(join(path, "sealed"))
      expect(names.filter((name) => name.startsWith("journal-key"))).toHaveLength(1)
      if (faults.operations.length <= at) break
    }
    expect([...seen]).toEqual(["old", "state", "state+new"])
  })

  it("keeps no record and no key in the clear", async () => {
    const path = join(folder, "clear")
    const files = await filesAt(path)
    const bytes = new Uint8Array(32).fill(0xa7)
    const box = await openJournalBox(files, study, { bytes: (length) => bytes.slice(0, length) })
    box.seal(utf8("canary"))
    for (const name of await readdir(path))
      expect((await readFile(join(path, name))).includes(Buffer.from(bytes)), name).toBe(false)
  })
})
