import { once } from "node:events"
import { chmod, lstat, mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises"
import { connect, createServer } from "node:net"
import { dirname, join } from "node:path"
import { ConsiliumError } from "@consilium/base/errors"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { z } from "zod"
import { callAdmin } from "../src/admin/client.js"
import {
  type AdminCommands,
  type AdminOptions,
  type AdminSocket,
  adminCommand,
  startAdmin,
} from "../src/admin/server.js"
import { buildChild, startChild, temporaryFolder } from "./store-children.js"

let root: string
let remove: () => Promise<void>
beforeAll(async () => {
  const made = await temporaryFolder("admin")
  root = made.path
  remove = made.remove
})
afterAll(() => remove())

let n = 0
let folder: string
let failures: string[]
beforeEach(async () => {
  folder = join(root, String(n++))
  await mkdir(folder, { mode: 0o700 })
  failures = []
})

const commands: AdminCommands = {
  add: adminCommand(z.strictObject({ a: z.number(), b: z.number() }), ({ a, b }) => ({ sum: a + b })),
  nothing: adminCommand(z.strictObject({}), () => undefined),
  refuse: adminCommand(z.strictObject({}), () => {
    throw new ConsiliumError("identity/name-taken", "north is taken.", { remedy: "Another name." })
  }),
  break: adminCommand(z.strictObject({}), () => {
    throw new TypeError("secret of the inside")
  }),
  slow: adminCommand(z.strictObject({ ms: z.number() }), async ({ ms }, signal) => {
    await new Promise((resolve) => setTimeout(resolve, ms))
    return signal.aborted
  }),
}
const start = (options: AdminOptions = {}): Promise<AdminSocket> =>
  startAdmin(folder, commands, { onFailed: (command) => failures.push(command), ...options })

/** Bytes over the socket as they are, until the other side ends. */
const say = async (path: string, bytes: string | Uint8Array): Promise<string> => {
  const socket = connect({ path, allowHalfOpen: true })
  socket.on("error", () => undefined)
  let heard = ""
  socket.on("data", (data) => {
    heard += data
  })
  socket.end(bytes)
  await once(socket, "close")
  return heard
}

describe("the admin socket", () => {
  it("[S19] answers commands with their results, to this user only", async () => {
    const admin = await start()
    expect(admin.path).toBe(join(folder, "admin.sock"))
    expect((await lstat(admin.path as string)).mode & 0o777).toBe(0o600)
    expect(await callAdmin(folder, "add", { a: 2, b: 3 })).toEqual({ sum: 5 })
    expect(await callAdmin(folder, "add", { a: 2, b: 3 }, { result: z.object({ sum: z.number() }) })).toEqual(
      { sum: 5 },
    )
    expect(await callAdmin(folder, "nothing")).toBe(null)
    await expect(callAdmin(folder, "add", { a: 1, b: 1 }, { result: z.string() })).rejects.toMatchObject({
      code: "admin/no-answer",
    })
    await admin.close()
    expect(await readdir(folder)).toEqual([])
  })

  it("gives errors with code, message and remedy; what a command did not mean to say it keeps", async () => {
    const admin = await start()
    await expect(callAdmin(folder, "refuse")).rejects.toMatchObject({
      code: "identity/name-taken",
      message: "north is taken.",
      remedy: "Another name.",
    })
    const error = await callAdmin(folder, "break").catch((e) => e)
    expect(error).toMatchObject({ code: "admin/failed", message: "break failed inside the role." })
    expect(JSON.stringify(error) + String(error)).not.toMatch(/secret/)
    expect(failures).toEqual(["break"])
    await admin.close()
  })

  it("[S18] refuses what is malformed, unknown, too long or of other types, and goes on", async () => {
    const admin = await start()
    const path = admin.path as string
    for (const [line, code] of [
      ["", "admin/bad-request"],
      ["{", "admin/bad-request"],
      ["null", "admin/bad-request"],
      ["[]", "admin/bad-request"],
      ['{"command":5}', "admin/bad-request"],
      [`{"command":"${"x".repeat(65)}"}`, "admin/bad-request"],
      ['{"command":"other"}', "admin/unknown-command"],
      ['{"command":"constructor"}', "admin/unknown-command"],
      ['{"command":"__proto__"}', "admin/unknown-command"],
      ['{"command":"toString"}', "admin/unknown-command"],
      ['{"command":"add","a":1}', "admin/bad-request"],
      ['{"command":"add","a":1,"b":"2"}', "admin/bad-request"],
      ['{"command":"add","a":1,"b":2,"c":3}', "admin/bad-request"],
      [`{"command":"add","a":${"[".repeat(30_000)}`, "admin/bad-request"],
      ["x".repeat(70_000), "admin/bad-request"],
    ] as const) {
      const answer = JSON.parse(await say(path, `${line}\n`))
      expect([line.slice(0, 50), answer.ok, answer.error.code]).toEqual([line.slice(0, 50), false, code])
      expect(Object.keys(answer.error).sort()).toEqual(["code", "message", "remedy"])
    }
    const named = await say(path, '{"command":"add","a":1,"b":2,"__proto__":{"a":5}}\n')
    expect(JSON.parse(named)).toEqual({ ok: true, result: { sum: 3 } })
    // no end of line, not UTF-8, nothing at all
    expect(await say(path, '{"command":"nothing"}')).toBe("")
    expect(JSON.parse(await say(path, new Uint8Array([0xff, 0xfe, 10]))).error.code).toBe("admin/bad-request")
    expect(await say(path, "")).toBe("")
    await expect(callAdmin(folder, "add", { a: "x".repeat(70_000) })).rejects.toMatchObject({
      code: "admin/bad-request",
    })
    expect(await callAdmin(folder, "add", { a: 1, b: 1 })).toEqual({ sum: 2 })
    expect(failures).toEqual([])
    await admin.close()
  })

  it("serves several clients side by side, and one client's requests in order", async () => {
    const admin = await start()
    const begun = performance.now()
    const slow = callAdmin(folder, "slow", { ms: 400 })
    expect(await callAdmin(folder, "add", { a: 1, b: 2 })).toEqual({ sum: 3 })
    expect(performance.now() - begun).toBeLessThan(400)
    const many = await Promise.all(
      Array.from({ length: 10 }, (_, i) => callAdmin(folder, "add", { a: i, b: 0 })),
    )
    expect(many).toEqual(Array.from({ length: 10 }, (_, i) => ({ sum: i })))
    const lines = await say(
      admin.path as string,
      '{"command":"slow","ms":50}\n{"command":"nothing"}\n{"command":"other"}\n',
    )
    expect(
      lines
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).ok),
    ).toEqual([true, true, false])
    expect(await slow).toBe(false)
    await admin.close()
  })

  it("waits neither for ever for a client nor for a command", async () => {
    const admin = await start({ idleMs: 150, runMs: 200 })
    const socket = connect(admin.path as string)
    await once(socket, "connect")
    socket.write('{"command":')
    await once(socket, "close")
    await expect(callAdmin(folder, "slow", { ms: 5000 })).rejects.toMatchObject({
      code: "admin/no-answer",
      message: "slow took longer than 200 ms.",
    })
    await expect(
      callAdmin(folder, "slow", { ms: 150 }, { timeoutMs: 50, result: z.unknown() }),
    ).rejects.toMatchObject({
      code: "admin/no-answer",
    })
    await admin.close()
  })

  it("that goes away in the middle of an answer leaves a typed error", async () => {
    const admin = await start()
    const asked = callAdmin(folder, "slow", { ms: 5000 })
    setTimeout(() => void admin.close(), 100)
    await expect(asked).rejects.toMatchObject({ code: "admin/no-answer" })
  })
})

describe("a folder in which nobody runs", () => {
  it("says so: never started, closed, left behind by a crash, or not there at all", async () => {
    const nobody = { code: "admin/not-running" }
    await expect(callAdmin(folder, "nothing")).rejects.toMatchObject({
      ...nobody,
      message: `Nobody runs in the folder ${folder}.`,
    })
    await (await start()).close()
    await expect(callAdmin(folder, "nothing")).rejects.toMatchObject(nobody)
    await expect(callAdmin(join(folder, "none"), "nothing")).rejects.toMatchObject(nobody)
  })

  it("is taken over with the socket of a process that was killed", async () => {
    const script = await buildChild("admin", root)
    const child = startChild(process.execPath, [script, folder])
    await child.line("ready")
    expect(await callAdmin(folder, "pid")).toBe(child.process.pid)
    await child.kill()
    expect(await readdir(folder)).toContain("admin.sock")
    await expect(callAdmin(folder, "nothing")).rejects.toMatchObject({ code: "admin/not-running" })
    // and what an attempt to open it may have left
    await mkdir(join(folder, ".admin-0123abcd"))
    const admin = await start()
    expect(await callAdmin(folder, "add", { a: 1, b: 1 })).toEqual({ sum: 2 })
    expect(await readdir(folder)).toEqual(["admin.sock"])
    await admin.close()
  })
})

describe("a data folder with a long path", () => {
  beforeEach(async () => {
    folder = join(folder, "a long name ".repeat(9).trim())
    await mkdir(folder, { mode: 0o700 })
  })

  it("has its socket in a private folder elsewhere, and a file that says where", async () => {
    const admin = await start()
    const pointer = await readFile(join(folder, "admin.path"), "utf8")
    expect(admin.path).toBe(pointer)
    expect(Buffer.byteLength(pointer)).toBeLessThan(104)
    expect((await lstat(dirname(pointer))).mode & 0o777).toBe(0o700)
    expect((await lstat(pointer)).mode & 0o777).toBe(0o600)
    expect(await callAdmin(folder, "add", { a: 4, b: 3 })).toEqual({ sum: 7 })
    await admin.close()
    await expect(lstat(dirname(pointer))).rejects.toMatchObject({ code: "ENOENT" })
    expect(await readdir(folder)).toEqual([])
  })

  it("clears away the folder elsewhere of a process that was killed", async () => {
    const script = await buildChild("admin", root)
    const child = startChild(process.execPath, [script, folder])
    await child.line("ready")
    const stale = await readFile(join(folder, "admin.path"), "utf8")
    await child.kill()
    await expect(callAdmin(folder, "nothing")).rejects.toMatchObject({ code: "admin/not-running" })
    const admin = await start()
    await expect(lstat(dirname(stale))).rejects.toMatchObject({ code: "ENOENT" })
    await admin.close()
  })

  it("[S19] is not deceived by a folder that is open to others, nor by a link", async () => {
    const trap = join(root, "consilium-admin-abcdef")
    await mkdir(trap, { mode: 0o700 })
    const server = createServer((socket) => socket.end('{"ok":true,"result":"trapped"}\n'))
    server.listen(join(trap, "admin.sock"))
    await once(server, "listening")
    await writeFile(join(folder, "admin.path"), join(trap, "admin.sock"))
    expect(await callAdmin(folder, "nothing")).toBe("trapped")
    await chmod(trap, 0o777)
    await expect(callAdmin(folder, "nothing")).rejects.toMatchObject({ code: "admin/not-running" })
    await chmod(trap, 0o700)
    const link = join(root, "consilium-admin-fedcba")
    await symlink(trap, link)
    await writeFile(join(folder, "admin.path"), join(link, "admin.sock"))
    await expect(callAdmin(folder, "nothing")).rejects.toMatchObject({ code: "admin/not-running" })
    // a pointer to somewhere else never has anything deleted
    const precious = join(root, "precious")
    await mkdir(precious, { mode: 0o700 })
    await writeFile(join(folder, "admin.path"), join(precious, "admin.sock"))
    await (await start()).close()
    expect((await lstat(precious)).isDirectory()).toBe(true)
    server.close()
    await rm(link)
  })
})
