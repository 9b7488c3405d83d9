import { execFileSync } from "node:child_process"
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { buildChild, startChild, temporaryFolder } from "./store-children.js"

let folder: string
let remove: () => Promise<void>
beforeAll(async () => {
  const made = await temporaryFolder("full")
  folder = made.path
  remove = made.remove
})
afterAll(() => remove())

/** Bytes per unit of this shell's `ulimit -f`: 512 in some shells, 1024 in others. */
const blockSize = async (): Promise<number> => {
  const at = join(folder, "blocks")
  await mkdir(at)
  const script = `ulimit -f 8; exec "$0" -e 'const fs = require("fs"); const f = fs.openSync(process.argv[1], "w"); try { for (;;) fs.writeSync(f, Buffer.alloc(512)) } catch {} console.log(fs.fstatSync(f).size)' "$1"`
  return Number(execFileSync("sh", ["-c", script, process.execPath, join(at, "x")]).toString()) / 8
}

describe("a store without room", () => {
  it.skipIf(process.platform === "win32")(
    "adds nothing of a step, says so, and takes steps that fit",
    async () => {
      const script = await buildChild("full-stores", join(folder, "built"))
      const child = startChild("sh", [
        "-c",
        `ulimit -f ${Math.floor(60_000 / (await blockSize()))}; exec "$0" "$1" "$2"`,
        process.execPath,
        script,
        join(folder, "stores"),
      ])
      expect(JSON.parse((await child.line("result")).slice(7))).toEqual({
        seen: [
          "ok 1",
          "store/full 1",
          "ok 2",
          "store/full",
          "ok",
          "store/full 2",
          "store/full 2",
          "ok 3",
          "store/full 3",
          "ok 4",
        ],
        live: "state j6 j7 | a25000 c1 g1 i1",
        same: true,
      })
    },
  )
})
