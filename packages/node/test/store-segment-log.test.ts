import { execFileSync } from "node:child_process"
import { mkdirSync, rmSync } from "node:fs"
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { utf8 } from "@consilium/base/platform"
import { insecureSeededRandom } from "@consilium/base/testing"
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { FRAME_BYTES, HEADER_BYTES } from "../src/store/segment-format.js"
import { openSegmentLog } from "../src/store/segment-log.js"
import { buildChild, startChild, temporaryFolder } from "./store-children.js"

let folder: string
let remove: () => Promise<void>
beforeAll(async () => {
  const made = await temporaryFolder("log")
  folder = made.path
  remove = made.remove
})
afterAll(() => remove())

const words = (...texts: string[]): Uint8Array[] => texts.map(utf8)
const texts = (records: readonly Uint8Array[]): string[] =>
  records.map((r) => Buffer.from(r).toString("utf8"))
const write = async (
  path: string,
  transactions: readonly string[][],
  segmentBytes = 2 ** 24,
): Promise<void> => {
  const log = await openSegmentLog(path, { segmentBytes })
  for (const transaction of transactions) await log.append(words(...transaction))
  await log.close()
}
const first = (path: string): string => join(path, "000000000001.log")

const readBack = async (path: string): Promise<{ records: string[]; torn: unknown }> => {
  const log = await openSegmentLog(path)
  try {
    return { records: texts(await log.readAll()), torn: log.torn }
  } finally {
    await log.close()
  }
}

describe("a segment log", () => {
  it("keeps records in order over many segments, for this user only", async () => {
    const path = join(folder, "order")
    const log = await openSegmentLog(path, { segmentBytes: 400 })
    await Promise.all(Array.from({ length: 60 }, (_, i) => log.append(words(`a${i}`, "", `b${i}`))))
    await log.append([])
    const expected = Array.from({ length: 60 }, (_, i) => [`a${i}`, "", `b${i}`]).flat()
    expect(texts(await log.readAll())).toEqual(expected)
    await log.close()
    await log.close()
    await expect(log.append(words("late"))).rejects.toMatchObject({ code: "store/failed" })
    expect(await readBack(path)).toEqual({ records: expected, torn: null })
    const files = await readdir(path)
    expect(files.length).toBeGreaterThan(8)
    for (const file of files) expect((await stat(join(path, file))).mode & 0o777).toBe(0o600)
    expect((await stat(path)).mode & 0o777).toBe(0o700)
  })

  it("writes what it was given at the time of the call", async () => {
    const path = join(folder, "copy")
    const log = await openSegmentLog(path)
    const record = utf8("before")
    const done = log.append([record])
    record.fill(0)
    await done
    expect(texts(await log.readAll())).toEqual(["before"])
    await log.close()
  })

  it("refuses a transaction that no frame can hold", async () => {
    const log = await openSegmentLog(join(folder, "large"))
    const quarter = new Uint8Array(2 ** 28)
    await expect(log.append([quarter, quarter, quarter, quarter])).rejects.toMatchObject({
      code: "store/too-large",
    })
    await log.close()
  })

  it("gives back any lists of records, whatever the size of segments", async () => {
    let n = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.uint8Array({ maxLength: 60 }), { minLength: 1, maxLength: 4 }), {
          maxLength: 6,
        }),
        fc.integer({ min: 1, max: 600 }),
        async (transactions, segmentBytes) => {
          const path = join(folder, `property-${n++}`)
          for (const transaction of transactions) {
            const log = await openSegmentLog(path, { segmentBytes })
            await log.append(transaction)
            await log.close()
          }
          const log = await openSegmentLog(path, { segmentBytes })
          expect(await log.readAll()).toEqual(transactions.flat().map((r) => Uint8Array.from(r)))
          expect(log.torn).toBeNull()
          await log.close()
        },
      ),
      { numRuns: 15 },
    )
  })
})

describe("after a crash", () => {
  it("cuts a last transaction that is torn at any byte, reports it, and goes on", async () => {
    const path = join(folder, "torn")
    await write(path, [["one", "two"], ["three"]])
    const start = (await stat(first(path))).size
    await write(path, [["four", "five"]])
    const whole = await readFile(first(path))
    const random = insecureSeededRandom(1)
    const endings: Record<string, (at: number) => Buffer> = {
      truncated: (at) => whole.subarray(0, at),
      "zero-filled": (at) => Buffer.concat([whole.subarray(0, at), Buffer.alloc(whole.length - at)]),
      "half-written": (at) => Buffer.concat([whole.subarray(0, at), random.bytes(whole.length - at)]),
      "without its beginning": (at) =>
        Buffer.concat([whole.subarray(0, start), Buffer.alloc(at + 1 - start), whole.subarray(at + 1)]),
    }
    for (const [how, ending] of Object.entries(endings))
      for (let at = start; at < whole.length; at++) {
        const bytes = ending(at)
        await writeFile(first(path), bytes)
        const clean = bytes.length === start
        expect(await readBack(path), `${how} at ${at}`).toEqual({
          records: ["one", "two", "three"],
          torn: clean ? null : { file: first(path), offset: start, bytes: bytes.length - start },
        })
        expect((await stat(first(path))).size).toBe(start)
      }
    await write(path, [["six"]])
    expect(await readBack(path)).toEqual({ records: ["one", "two", "three", "six"], torn: null })
  })

  it("does not take old transactions inside a torn record for later ones", async () => {
    const path = join(folder, "quoted")
    await write(path, [["one"]])
    const old = await readFile(first(path))
    const log = await openSegmentLog(path)
    await log.append([new Uint8Array(old), new Uint8Array(old.subarray(HEADER_BYTES))])
    await log.close()
    const bytes = await readFile(first(path))
    bytes[old.length] = 0
    await writeFile(first(path), bytes)
    expect((await readBack(path)).records).toEqual(["one"])
  })

  it("drops a new segment that has no whole header yet", async () => {
    const path = join(folder, "header")
    await write(path, [["one"], ["two"]], 1)
    const second = join(path, "000000000002.log")
    const header = (await readFile(second)).subarray(0, HEADER_BYTES)
    for (const length of [0, 1, 20, HEADER_BYTES - 1]) {
      await writeFile(second, header.subarray(0, length))
      expect(await readBack(path)).toEqual({
        records: ["one"],
        torn: { file: second, offset: 0, bytes: length },
      })
      expect(await readdir(path)).toEqual(["000000000001.log"])
    }
    await writeFile(second, header)
    expect(await readBack(path)).toEqual({ records: ["one"], torn: null })
    await write(path, [["three"]], 1)
    expect(await readBack(path)).toEqual({ records: ["one", "three"], torn: null })
  })

  it("has whole transactions only, and all that were acknowledged, after kill -9 at any time", async () => {
    const path = join(folder, "killed")
    const script = await buildChild("append", join(folder, "built"))
    let acknowledged = -1
    for (const wait of [3, 11, 24, 40]) {
      const child = startChild(process.execPath, [script, path])
      await child.line("ready")
      await child.line("done")
      await new Promise((resolve) => setTimeout(resolve, wait))
      await child.kill()
      for (const line of child.lines)
        if (line.startsWith("done")) acknowledged = Math.max(acknowledged, Number(line.slice(5)))
      const log = await openSegmentLog(path)
      let at = 0
      for await (const record of log.iterate()) {
        const n = Math.floor(at / 3)
        expect([Buffer.from(record).readUInt32BE(0), record[4], record.length]).toEqual([
          n,
          at % 3,
          100_000 + 1000 * (at % 3),
        ])
        expect(record.at(-1)).toBe(n & 0xff)
        at++
      }
      expect(at % 3).toBe(0)
      expect(at / 3).toBeGreaterThan(acknowledged)
      await log.close()
    }
  })
})

describe("damage", () => {
  it("is found wherever one bit flips before the last transaction, with file and offset", async () => {
    const path = join(folder, "flips")
    await write(path, [["one", "two"], ["three"], ["four"]], 150)
    expect(await readdir(path)).toHaveLength(2)
    const last = join(path, "000000000002.log")
    for (const file of [first(path), last]) {
      const whole = await readFile(file)
      const end = file === last ? HEADER_BYTES : whole.length
      for (let at = 0; at < end; at++) {
        const bytes = Buffer.from(whole)
        bytes[at] = (bytes[at] as number) ^ (1 << (at % 8))
        await writeFile(file, bytes)
        const error = await openSegmentLog(path).catch((e) => e)
        expect(error.code, `${file} ${at}`).toBe("store/corrupt")
        expect(error.message).toContain(file)
        expect(Number(/at byte (\d+)/.exec(error.message)?.[1])).toBeLessThanOrEqual(at)
      }
      await writeFile(file, whole)
    }
    expect((await readBack(path)).records).toEqual(["one", "two", "three", "four"])
  })

  it("in a transaction that another follows is never taken for a torn tail", async () => {
    const path = join(folder, "middle")
    await write(path, [["one"], ["two", "too"], ["three"]])
    const whole = await readFile(first(path))
    const last = whole.length - FRAME_BYTES - 4 - 5
    for (let at = 0; at < last; at++) {
      const bytes = Buffer.from(whole)
      bytes[at] = (bytes[at] as number) ^ 0x10
      await writeFile(first(path), bytes)
      await expect(openSegmentLog(path), `byte ${at}`).rejects.toMatchObject({ code: "store/corrupt" })
      expect((await stat(first(path))).size).toBe(whole.length)
    }
  })

  it("is found when segments are missing, swapped, cut short, or of another log", async () => {
    const path = join(folder, "segments")
    await write(path, [["one"], ["two"], ["three"]], 1)
    const [a, b] = [first(path), join(path, "000000000002.log")]
    const [one, two] = [await readFile(a), await readFile(b)]
    const other = join(folder, "segments-other")
    await write(other, [["uno"], ["due"], ["tre"]], 1)
    const changes: Record<string, () => Promise<void>> = {
      missing: () => rm(b),
      swapped: async () => {
        await writeFile(a, two)
        await writeFile(b, one)
      },
      "cut short": () => writeFile(a, one.subarray(0, one.length - 1)),
      "cut to its header": () => writeFile(a, one.subarray(0, HEADER_BYTES)),
      foreign: () => cp(join(other, "000000000002.log"), b),
    }
    for (const [how, change] of Object.entries(changes)) {
      await change()
      await expect(openSegmentLog(path), how).rejects.toMatchObject({ code: "store/corrupt" })
      await writeFile(a, one)
      await writeFile(b, two)
    }
    expect((await readBack(path)).records).toEqual(["one", "two", "three"])
  })

  it("that happens while the log is open is found by reading", async () => {
    const path = join(folder, "later")
    const log = await openSegmentLog(path)
    await log.append(words("one"))
    const bytes = await readFile(first(path))
    bytes[bytes.length - 1] = 0
    await writeFile(first(path), bytes)
    await expect(log.readAll()).rejects.toMatchObject({ code: "store/corrupt" })
    await log.close()
  })
})

/** Whether a small disk can be mounted here without being root. */
const mountable = ((): boolean => {
  const at = join(tmpdir(), `consilium-mount-${process.pid}`)
  try {
    mkdirSync(at)
    execFileSync("unshare", ["-rm", "mount", "-t", "tmpfs", "tmpfs", at], { stdio: "ignore" })
    return true
  } catch {
    return false
  } finally {
    rmSync(at, { recursive: true, force: true })
  }
})()

const full = {
  seen: ["ok", "store/full", "store/full", "ok", "store/full"],
  kept: 100,
  records: ["40000:1", "500:4"],
  torn: null,
}

describe("a full disk", () => {
  it.skipIf(process.platform === "win32")(
    "by a limit on files leaves the log unchanged and usable",
    async () => {
      const script = await buildChild("full", join(folder, "built"))
      const child = startChild("sh", [
        "-c",
        `ulimit -f ${Math.floor(60_000 / (await blockSize()))}; exec "$0" "$1" "$2"`,
        process.execPath,
        script,
        join(folder, "limited"),
      ])
      expect(JSON.parse((await child.line("result")).slice(7))).toEqual(full)
    },
  )

  it.skipIf(!mountable)(
    `that is a disk of its own leaves the log unchanged and usable${mountable ? "" : " (skipped: cannot mount one here)"}`,
    async () => {
      const script = await buildChild("full", join(folder, "built"))
      const at = join(folder, "disk")
      await mkdir(at)
      const child = startChild("unshare", [
        "-rm",
        "sh",
        "-c",
        `mount -t tmpfs -o size=72k tmpfs "$2" && exec "$0" "$1" "$2"`,
        process.execPath,
        script,
        at,
      ])
      expect(JSON.parse((await child.line("result")).slice(7))).toEqual(full)
    },
  )
})

/** Bytes per unit of this shell's `ulimit -f`: 512 in some shells, 1024 in others. */
const blockSize = async (): Promise<number> => {
  const at = join(folder, "blocks")
  await mkdir(at)
  const script = `ulimit -f 8; exec "$0" -e 'const fs = require("fs"); const f = fs.openSync(process.argv[1], "w"); try { for (;;) fs.writeSync(f, Buffer.alloc(512)) } catch {} console.log(fs.fstatSync(f).size)' "$1"`
  return Number(execFileSync("sh", ["-c", script, process.execPath, join(at, "x")]).toString()) / 8
}
