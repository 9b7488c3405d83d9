import { readdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { isConsiliumError } from "@consilium/base/errors"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { claimGeneration, lockFolder } from "../src/store/lock.js"
import { buildChild, type Child, startChild, temporaryFolder } from "./store-children.js"

let folder: string
let remove: () => Promise<void>
let script: string
beforeAll(async () => {
  const made = await temporaryFolder("lock")
  folder = made.path
  remove = made.remove
  script = await buildChild("lock", join(folder, "built"))
})
afterAll(() => remove())

const holding = async (path: string): Promise<Child> => {
  const child = startChild(process.execPath, [script, path])
  await child.line("locked")
  return child
}
const lockFiles = async (path: string): Promise<string[]> =>
  (await readdir(path)).filter((name) => /^\.lock\.\d+$/.test(name))

/** Changes what the lock file of a folder says. */
const edit = async (path: string, change: Record<string, unknown>): Promise<void> => {
  const [name] = await lockFiles(path)
  const file = join(path, name as string)
  await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, "utf8")), ...change }))
}

describe("[S16] the lock of a data folder", () => {
  it("refuses a second opener in this process and says who holds it", async () => {
    const path = join(folder, "own")
    const lock = await lockFolder(path, () => Date.UTC(2026, 0, 2))
    const refusal = await lockFolder(path).catch((error) => error)
    expect(isConsiliumError(refusal, "store/locked")).toBe(true)
    expect(refusal.message).toBe(
      `The data folder ${path} is in use by process ${process.pid} since 2026-01-02T00:00:00.000Z.`,
    )
    await lock.close()
    await lock.close()
    expect(await readdir(path)).toEqual([])
    await (await lockFolder(path)).close()
  })

  it("refuses while another process lives and takes over when it was killed", async () => {
    const path = join(folder, "killed")
    const child = await holding(path)
    await expect(lockFolder(path)).rejects.toThrow(`in use by process ${child.process.pid} since`)
    await child.kill()
    const lock = await lockFolder(path)
    expect(await lockFiles(path)).toEqual([".lock.2"])
    await lock.close()
    expect(await readdir(path)).toEqual([])
  })

  it("takes over from before a restart of the machine and from a process whose id was given to another", async () => {
    for (const [name, change] of [
      ["boot", { boot: "00000000-0000-0000-0000-000000000000" }],
      ["reused", { started: "1" }],
    ] as const) {
      const path = join(folder, name)
      const child = await holding(path)
      await edit(path, change)
      await (await lockFolder(path)).close()
      await child.kill()
    }
  })

  it("asks the holder's socket when process ids mean nothing here", async () => {
    const path = join(folder, "container")
    const child = await holding(path)
    await edit(path, { namespace: "pid:[1]" })
    const refusal = await lockFolder(path).catch((error) => error)
    expect(isConsiliumError(refusal, "store/locked")).toBe(true)
    expect(refusal.remedy).toMatch(/^Stop the container/)
    await child.kill()
    const lock = await lockFolder(path)
    await lock.close()
    expect(await readdir(path)).toEqual([])
  })

  it("refuses when a holder in another container cannot be asked, or the lock cannot be read", async () => {
    const path = join(folder, "unknown")
    const child = await holding(path)
    await child.kill()
    await edit(path, { namespace: "pid:[1]", socket: null })
    await expect(lockFolder(path)).rejects.toMatchObject({ code: "store/locked" })
    await writeFile(join(path, ".lock.1"), "{")
    await expect(lockFolder(path)).rejects.toMatchObject({ code: "store/locked" })
  })

  it("lets exactly one of several openers take over from a dead holder", async () => {
    const path = join(folder, "race")
    await (await holding(path)).kill()
    const children = Array.from({ length: 4 }, () => startChild(process.execPath, [script, path]))
    await Promise.all(children.map((child) => Promise.race([child.line("locked"), child.ended()])))
    const said = children.flatMap((child) => child.lines).map((line) => line.split(" ")[0])
    await Promise.all(children.map((child) => child.kill()))
    expect(said.sort()).toEqual(["locked", "refused", "refused", "refused"])
  })

  it("turns a slow opener away who comes with a higher or lower number than the holder's", async () => {
    const path = join(folder, "slow")
    await (await holding(path)).kill()
    const child = await holding(path)
    expect(await lockFiles(path)).toEqual([".lock.2"])
    const file = join(path, "late")
    await writeFile(file, await readFile(join(path, ".lock.2")))
    for (const generation of [1, 3])
      await expect(claimGeneration(path, file, generation)).rejects.toMatchObject({ code: "store/locked" })
    expect(await claimGeneration(path, file, 2)).toBe(false)
    expect(await lockFiles(path)).toEqual([".lock.2"])
    await child.kill()
    expect(await claimGeneration(path, file, 3)).toBe(true)
  })

  it("lets one of many openers in this process in", async () => {
    const path = join(folder, "many")
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(path)))
    const held = results.filter((result) => result.status === "fulfilled")
    expect(held).toHaveLength(1)
    for (const { value } of held) await value.close()
    expect(await readdir(path)).toEqual([])
  })
})
