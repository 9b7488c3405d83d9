import { execFileSync } from "node:child_process"
import fs from "node:fs"
import { copyFile, cp, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises"
import { syncBuiltinESMExports } from "node:module"
import { dirname, join, relative } from "node:path"
import { utf8 } from "@consilium/base/platform"
import { emptyHead } from "@consilium/federation/log"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { openPgliteStores } from "../../src/store/pglite-stores.js"
import { buildChild, startChild, temporaryFolder } from "../store-children.js"
import { contents, digestOf, events, readAll, storeContract } from "../store-contract.js"

let folder: string
let cache: string
let remove: () => Promise<void>
beforeAll(async () => {
  const made = await temporaryFolder("pglite")
  folder = made.path
  cache = join(folder, "cache")
  remove = made.remove
})
afterAll(() => remove())

const works = (command: string, ...args: string[]): boolean => {
  try {
    execFileSync(command, args, { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}
const limitable = works("prlimit", "--version")
const mountable = works("unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt")

const digest = digestOf("study")
const openAt = (name: string) => openPgliteStores(join(folder, name), { cache })

describe("stores in an embedded database", () => {
  storeContract({ open: openAt, keeps: true })
})

describe("an embedded database", () => {
  it("has every acknowledged step after a power cut that keeps of each file only what was synced", async () => {
    await (await openAt("power")).close()
    const path = join(folder, "power", "pglite", "data")
    const cut = join(folder, "cut")
    const kept = join(cut, "pglite", "data")
    await cp(path, kept, { recursive: true })
    const atStart = new Set(await readdir(path, { recursive: true }))
    const synced = new Set<string>()
    const real = fs.fsyncSync
    fs.fsyncSync = (fd) => {
      real(fd)
      const file = fs.readlinkSync(`/proc/self/fd/${fd}`)
      if (!file.startsWith(path) || !fs.fstatSync(fd).isFile()) return
      const name = relative(path, file)
      synced.add(name)
      fs.mkdirSync(dirname(join(kept, name)), { recursive: true })
      fs.copyFileSync(file, join(kept, name))
    }
    syncBuiltinESMExports()
    let head = emptyHead(digest)
    try {
      const stores = await openAt("power")
      const store = await stores.study(digest)
      for (let i = 0; i < 12; i++) {
        const made = events(head, [new Uint8Array(i === 5 ? 9_000_000 : 1000).fill(i)])
        head = made.head
        synced.clear()
        await store.commit({ journal: [utf8(`j${i}`)], entries: made.entries })
        expect([...synced].some((name) => /^pg_wal\/[0-9A-F]{24}$/.test(name))).toBe(true)
        if (i === 8) await store.checkpoint([utf8("state")])
      }
      // The power fails here: files that are new have their names, and of their bytes what was synced.
      for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
        const name = relative(path, join(entry.parentPath, entry.name))
        if (entry.isDirectory()) await mkdir(join(kept, name), { recursive: true })
        else if (!fs.existsSync(join(kept, name)) && !atStart.has(name)) await writeFile(join(kept, name), "")
      }
      await stores.close()
    } finally {
      fs.fsyncSync = real
      syncBuiltinESMExports()
    }
    const after = await openPgliteStores(cut, { cache })
    const store = await after.study(digest)
    expect(store.length).toBe(12)
    expect((await readAll(store.entries())).map(({ body }) => body[0])).toEqual(
      Array.from({ length: 12 }, (_, i) => i),
    )
    expect((await contents(store)).journal).toEqual(["state", "j9", "j10", "j11"])
    await after.close()
  })

  it("has whole steps only, and all that were acknowledged, after kill -9 at any time", async () => {
    const script = await buildChild("database", join(folder, "built"))
    const path = join(folder, "killed")
    let acknowledged = 0
    for (const wait of [0, 35, 110, 240]) {
      const child = startChild(process.execPath, [script, path, cache])
      await child.line("ready")
      await child.line("done")
      await new Promise((resolve) => setTimeout(resolve, wait))
      await child.kill()
      for (const line of child.lines)
        if (line.startsWith("done")) acknowledged = Math.max(acknowledged, Number(line.slice(5)))
      const stores = await openPgliteStores(path, { cache })
      const store = await stores.study(digest)
      const found = await contents(store)
      expect(store.length).toBeGreaterThanOrEqual(acknowledged)
      expect(store.length).toBeLessThanOrEqual(acknowledged + 1)
      expect(found.log.map((body) => body.length)).toEqual(
        Array.from({ length: store.length }, (_, i) => 50_000 + i),
      )
      expect(Number(found.journal.at(-1)?.slice(1))).toBe(store.length)
      await stores.close()
    }
  })

  it("is held by one process, and says by which", async () => {
    const script = await buildChild("database", join(folder, "built"))
    const path = join(folder, "held")
    const child = startChild(process.execPath, [script, path, cache])
    await child.line("ready")
    await expect(openPgliteStores(path, { cache })).rejects.toThrow(
      `The data folder ${join(path, "pglite")} is in use by process ${child.process.pid} since`,
    )
    await child.kill()
    await (await openPgliteStores(path, { cache })).close()
  })

  it.skipIf(!limitable)(
    `ends, and says why, when it cannot write its log, and has every acknowledged step later${limitable ? "" : " (skipped: no prlimit here)"}`,
    async () => {
      const script = await buildChild("database", join(folder, "built"))
      const path = join(folder, "ended")
      const child = startChild(process.execPath, [script, path, cache])
      await child.line("done 3")
      // Files may not grow beyond this any more: a log file of 16 MB cannot be filled.
      execFileSync("prlimit", ["--pid", String(child.process.pid), "--fsize=9000000"])
      await child.ended()
      const [failed] = child.lines.filter((line) => line.startsWith("failed"))
      expect(failed).toMatch(/^failed store\/failed The embedded database has ended \(PANIC: /)
      const acknowledged = child.lines.filter((line) => line.startsWith("done")).length
      const stores = await openPgliteStores(path, { cache })
      expect((await stores.study(digest)).length).toBeGreaterThanOrEqual(acknowledged)
      await stores.close()
    },
  )

  it.skipIf(!mountable)(
    `refuses a step for which its disk has no room, and goes on with others${mountable ? "" : " (skipped: cannot mount a disk here)"}`,
    async () => {
      const script = await buildChild("full-database", join(folder, "built"))
      const at = join(folder, "disk")
      await mkdir(at)
      await (await openAt("any")).close()
      const child = startChild("unshare", [
        "-rm",
        "sh",
        "-c",
        `mount -t tmpfs -o size=170m tmpfs "$2" && exec "$0" "$1" "$2" "$3"`,
        process.execPath,
        script,
        at,
        cache,
      ])
      const result = JSON.parse((await child.line("result")).slice(7))
      expect(result).toEqual({
        large: "store/full",
        small: "ok",
        checkpoint: "ok",
        same: true,
        journal: ["state"],
      })
    },
  )

  it("is laid out whole or not at all", async () => {
    await (await openAt("laid")).close()
    const own = join(folder, "unfinished", "pglite")
    await mkdir(join(own, ".new-0123", "base"), { recursive: true })
    await (await openAt("unfinished")).close()
    expect(await readdir(own)).toEqual(["data"])
  })
})

describe("the image of an empty database", () => {
  const image = async (at: string): Promise<string> => {
    const names = await readdir(at)
    expect(names).toEqual([expect.stringMatching(/^pglite-\d+\.\d+\.\d+\.image$/)])
    return join(at, names[0] as string)
  }

  it("is made once, and again when it is damaged", async () => {
    const at = join(folder, "own-cache", "deep")
    await (await openPgliteStores(join(folder, "image-1"), { cache: at })).close()
    const path = await image(at)
    const first = await stat(path)
    expect(first.mode & 0o777).toBe(0o600)
    await (await openPgliteStores(join(folder, "image-2"), { cache: at })).close()
    expect((await stat(path)).mtimeMs).toBe(first.mtimeMs)
    await copyFile(path, join(folder, "good"))
    const good = await readFile(path)
    for (const [i, damage] of [
      good.subarray(0, 1_000_000),
      good.map((byte, at) => (at === 5000 ? byte ^ 1 : byte)),
    ].entries()) {
      await writeFile(path, damage)
      const stores = await openPgliteStores(join(folder, `image-damaged-${i}`), { cache: at })
      await (await stores.study(digest)).commit({ journal: [utf8("works")], entries: [] })
      await stores.close()
      expect((await readFile(path)).length).toBeGreaterThan(2_000_000)
    }
  })

  it("is not needed: the database starts without a cache, and with one that cannot be written", async () => {
    await writeFile(join(folder, "a-file"), "")
    for (const [name, at] of [
      ["no-cache", null],
      ["bad-cache", join(folder, "a-file", "cache")],
    ] as const) {
      const stores = await openPgliteStores(join(folder, name), { cache: at })
      await (await stores.study(digest)).commit({ journal: [utf8("works")], entries: [] })
      await stores.close()
    }
  })
})
