import { chmod, link, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fromHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { utf8 } from "@consilium/base/platform"
import { newSecretKey, SecretKey } from "@consilium/base/random"
import { insecureSeededRandom } from "@consilium/base/testing"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { SealedFiles, sealedBox, storageKeyFromFile } from "../src/store/sealed.js"
import { temporaryFolder } from "./store-children.js"

let folder: string
let remove: () => Promise<void>
beforeAll(async () => {
  const made = await temporaryFolder("sealed")
  folder = made.path
  remove = made.remove
})
afterAll(() => remove())

const codeOf = (work: () => unknown): string => {
  try {
    work()
    return "ok"
  } catch (error) {
    return error instanceof ConsiliumError ? error.code : String(error)
  }
}

describe("sealed bytes", () => {
  const key = new SecretKey(new Uint8Array(32).fill(7))
  const box = sealedBox(key, insecureSeededRandom(3))

  it("open under the same key and name only, and show every change", () => {
    const sealed = box.seal("round-7", utf8("canary-4711"))
    expect(Buffer.from(sealed).includes("canary-4711")).toBe(false)
    expect(sealed).toHaveLength(1 + 24 + 11 + 16)
    expect(box.open("round-7", sealed)).toEqual(utf8("canary-4711"))
    expect(codeOf(() => box.open("round-8", sealed))).toBe("store/unsealable")
    expect(codeOf(() => sealedBox(newSecretKey()).open("round-7", sealed))).toBe("store/unsealable")
    for (let at = 0; at < sealed.length; at++) {
      const changed = sealed.slice()
      changed[at] = (changed[at] as number) ^ 1
      expect(codeOf(() => box.open("round-7", changed))).toBe("store/unsealable")
      expect(codeOf(() => box.open("round-7", sealed.slice(0, at)))).toBe("store/unsealable")
    }
  })

  it("never repeat a nonce", () => {
    const nonces = new Set(
      Array.from({ length: 50 }, () =>
        Buffer.from(box.seal("x", new Uint8Array(0)).subarray(1, 25)).toString("hex"),
      ),
    )
    expect(nonces.size).toBe(50)
  })
})

describe("the storage key", () => {
  it("is made once, for this user only, and read back", async () => {
    const path = join(folder, "a", "storage.key")
    const made = await storageKeyFromFile(path, { random: insecureSeededRandom(1) })
    expect(made.expose()).toEqual(insecureSeededRandom(1).bytes(32))
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await storageKeyFromFile(path)).expose()).toEqual(made.expose())
    expect(await readFile(path, "utf8")).toMatch(/^[0-9a-f]{64}\n$/)
    expect(await readdir(join(folder, "a"))).toEqual(["storage.key"])
  })

  it("is one key when several processes start at once", async () => {
    const path = join(folder, "b", "storage.key")
    const keys = await Promise.all(Array.from({ length: 6 }, () => storageKeyFromFile(path)))
    expect(new Set(keys.map((key) => Buffer.from(key.expose()).toString("hex"))).size).toBe(1)
  })

  it("is refused when others can read it, when it is no key, and when it is gone but sealed data is there", async () => {
    const path = join(folder, "c", "storage.key")
    const key = await storageKeyFromFile(path)
    for (const mode of [0o640, 0o604, 0o620, 0o666]) {
      await chmod(path, mode)
      await expect(storageKeyFromFile(path)).rejects.toMatchObject({ code: "store/open-permissions" })
    }
    await chmod(path, 0o400)
    await storageKeyFromFile(path)
    const sealed = join(folder, "c", "sealed")
    await SealedFiles.open(sealed, key)
    await rm(path)
    const refusal = await storageKeyFromFile(path, { sealedFolders: [join(folder, "none"), sealed] }).catch(
      (e) => e,
    )
    expect(refusal.code).toBe("store/key-missing")
    expect(refusal.message).toBe(`${sealed} holds 1 sealed files, but their key file ${path} is not there.`)
    await writeFile(path, "0123", { mode: 0o600 })
    await expect(storageKeyFromFile(path)).rejects.toMatchObject({ code: "store/bad-key-file" })
  })
})

describe("[S13] sealed files", () => {
  const key = new SecretKey(fromHex("11".repeat(32)))

  it("are put, read, listed and erased", async () => {
    const path = join(folder, "files")
    const files = await SealedFiles.open(path, key)
    await files.put("round-1.secret", utf8("one"))
    await files.put("round-1.secret", utf8("two"))
    await files.put("round-2", new Uint8Array(0))
    expect((await stat(join(path, "round-1.secret.sealed"))).mode & 0o777).toBe(0o600)
    const again = await SealedFiles.open(path, key)
    expect(await again.get("round-1.secret")).toEqual(utf8("two"))
    expect(await again.names()).toEqual(["round-1.secret", "round-2"])
    expect([await again.erase("round-2"), await again.erase("round-2")]).toEqual([true, false])
    expect(await again.get("round-2")).toBeNull()
  })

  it("leave zeros where erased or replaced bytes were", async () => {
    const path = join(folder, "zeros")
    const files = await SealedFiles.open(path, key)
    await files.put("secret", utf8("first"))
    // a second name for the same blocks shows what becomes of them
    await link(join(path, "secret.sealed"), join(folder, "replaced"))
    await files.put("secret", utf8("second"))
    await link(join(path, "secret.sealed"), join(folder, "erased"))
    await files.erase("secret")
    expect((await readFile(join(folder, "replaced"))).equals(Buffer.alloc(41 + 5))).toBe(true)
    expect((await readFile(join(folder, "erased"))).equals(Buffer.alloc(41 + 6))).toBe(true)
  })

  it("are refused under another key, another name, and a name that is a path", async () => {
    const path = join(folder, "wrong")
    const files = await SealedFiles.open(path, key)
    await files.put("a", utf8("a"))
    await rename(join(path, "a.sealed"), join(path, "b.sealed"))
    await expect(files.get("b")).rejects.toMatchObject({ code: "store/unsealable" })
    await expect(SealedFiles.open(path, newSecretKey())).rejects.toMatchObject({ code: "store/wrong-key" })
    for (const name of ["../a", "", ".hidden", "A", "key-check", "a/b", "x".repeat(101)])
      await expect(files.put(name, utf8("x"))).rejects.toMatchObject({ code: "store/bad-name" })
    await rm(join(path, "key-check.sealed"))
    await expect(SealedFiles.open(path, key)).rejects.toMatchObject({ code: "store/corrupt" })
  })
})
