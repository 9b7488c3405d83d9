import { chmod, cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { isConsiliumError } from "@consilium/base/errors"
import { utf8 } from "@consilium/base/platform"
import type { SecretKey } from "@consilium/base/random"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { SealedFiles } from "../src/store/sealed.js"
import { type StorageKeySource, storageKey } from "../src/store/storage-key.js"
import { temporaryFolder } from "./store-children.js"

let folder: string
let remove: () => Promise<void>
beforeAll(async () => {
  const made = await temporaryFolder("storage-key")
  folder = made.path
  remove = made.remove
})
afterAll(() => remove())

const codeOf = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "ok",
    (error) => (isConsiliumError(error) ? error.code : String(error)),
  )

/** A data folder with something sealed, under a key from a source. */
const sealSomething = async (data: string, source: StorageKeySource): Promise<SecretKey> => {
  const sealed = join(data, "sealed")
  const key = await storageKey({ source, sealedFolders: [sealed] })
  await (await SealedFiles.open(sealed, key)).put("kept", utf8("canary-4711"))
  return key
}
const openCopy = async (data: string, source: StorageKeySource): Promise<string> => {
  const sealed = join(data, "sealed")
  const key = await storageKey({ source, sealedFolders: [sealed] })
  return Buffer.from((await (await SealedFiles.open(sealed, key)).get("kept")) ?? []).toString()
}
const passphraseFile = async (name: string, passphrase: string): Promise<StorageKeySource> => {
  const path = join(folder, name)
  await writeFile(path, passphrase, { mode: 0o600 })
  return { kind: "passphrase-file", path }
}

describe("a storage key in a file elsewhere", () => {
  it("[S13] is missing from a copied data folder, which then cannot be opened and shows nothing", async () => {
    const data = join(folder, "data")
    const path = join(folder, "config", "a.key")
    const key = await sealSomething(data, { kind: "file", path })
    const copy = join(folder, "copy")
    await cp(data, copy, { recursive: true })
    const elsewhere: StorageKeySource = { kind: "file", path: join(folder, "other-machine", "a.key") }
    const refusal = await openCopy(copy, elsewhere).catch((error) => error)
    expect(isConsiliumError(refusal, "store/key-missing")).toBe(true)
    expect(refusal.message).toBe(
      `${join(copy, "sealed")} holds 2 sealed files, but their key file ${elsewhere.path} is not there.`,
    )
    expect(refusal.remedy).toBe(
      "Put the key file back from its backup; without it the sealed data cannot be opened by anybody.",
    )
    await storageKey({ source: elsewhere, sealedFolders: [join(folder, "empty")] })
    expect(await codeOf(openCopy(copy, elsewhere))).toBe("store/wrong-key")
    for (const entry of await readdir(copy, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      const bytes = await readFile(join(entry.parentPath, entry.name))
      for (const secret of ["canary-4711", toHex(key.expose()), Buffer.from(key.expose())])
        expect(bytes.includes(secret), entry.name).toBe(false)
    }
    expect(await openCopy(copy, { kind: "file", path })).toBe("canary-4711")
  })
})

describe("a storage key from a passphrase", () => {
  it("is the same again, and the folder opens with it only", async () => {
    const data = join(folder, "phrase")
    const source = await passphraseFile("phrase.txt", "six words of which none is known\n")
    const key = await sealSomething(data, source)
    const same = await passphraseFile("same.txt", "six words of which none is known")
    expect(await openCopy(data, same)).toBe("canary-4711")
    const refusal = await openCopy(
      data,
      await passphraseFile("other.txt", "six words of which one is known"),
    ).catch((error) => error)
    expect(isConsiliumError(refusal, "store/wrong-key")).toBe(true)
    expect(refusal.message).toBe(
      `The passphrase in ${join(folder, "other.txt")} is not the one that ${join(data, "sealed")} was sealed with.`,
    )
    expect(refusal.remedy).toMatch(/no data was changed/)
    const file = join(data, "sealed", "passphrase.json")
    const kept = await readFile(file, "utf8")
    expect(JSON.parse(kept)).toMatchObject({ version: 1, n: 131072, r: 8, p: 1 })
    expect(kept).not.toContain(toHex(key.expose()))
    expect(kept).not.toContain("six words")
    // Damage is not taken for another passphrase, nor a lost file for an empty folder.
    const salt: string = JSON.parse(kept).salt
    for (const damaged of [
      kept.replace(salt, `${salt.startsWith("0") ? "1" : "0"}${salt.slice(1)}`),
      kept.replace("131072", "262144"),
      kept.replace("131072", "16"),
      kept.slice(0, 40),
    ]) {
      await writeFile(file, damaged)
      expect(await codeOf(openCopy(data, source))).toBe("store/corrupt")
    }
    await rm(file)
    expect(await codeOf(openCopy(data, source))).toBe("store/key-missing")
    await writeFile(file, kept)
    expect(await openCopy(data, source)).toBe("canary-4711")
  })

  it("is refused when others can read the file, and when it is missing, short or several lines", async () => {
    const sealedFolders = [join(folder, "none")] as const
    const source = await passphraseFile("bad.txt", "six words of which none is known")
    const path = join(folder, "bad.txt")
    for (const mode of [0o640, 0o604]) {
      await chmod(path, mode)
      expect(await codeOf(storageKey({ source, sealedFolders }))).toBe("store/open-permissions")
    }
    await chmod(path, 0o600)
    for (const text of ["", "short\n", "eleven char", "twelve chars\nand a second line\n"]) {
      await writeFile(path, text)
      expect(await codeOf(storageKey({ source, sealedFolders }))).toBe("store/bad-key-file")
    }
    await rm(path)
    expect(await codeOf(storageKey({ source, sealedFolders }))).toBe("store/key-missing")
    await expect(readdir(sealedFolders[0])).rejects.toThrow("ENOENT")
  })
})

describe("a storage key that systemd hands over", () => {
  const ask = (name: string, environment: NodeJS.ProcessEnv) =>
    storageKey({
      source: { kind: "systemd-credential", name },
      sealedFolders: [join(folder, "credential")],
      environment,
    })

  it("is read from the folder of credentials, and never made", async () => {
    const credentials = join(folder, "credentials")
    await mkdir(credentials)
    await writeFile(join(credentials, "storage-key"), `${"0f".repeat(32)}\n`, { mode: 0o440 })
    const environment = { CREDENTIALS_DIRECTORY: credentials }
    expect(toHex((await ask("storage-key", environment)).expose())).toBe("0f".repeat(32))
    await writeFile(join(credentials, "other"), "no key")
    expect(await codeOf(ask("other", environment))).toBe("store/bad-key-file")
    expect(await codeOf(ask("../a", environment))).toBe("store/bad-name")
    for (const [name, given] of [
      ["missing", environment],
      ["storage-key", {}],
    ] as const) {
      const refusal = await ask(name, given).catch((error) => error)
      expect(isConsiliumError(refusal, "store/key-missing")).toBe(true)
      expect(refusal.remedy).toBe(
        `Add LoadCredentialEncrypted=${name}:FILE to the service and start it with systemctl.`,
      )
    }
    expect(await readdir(credentials)).toEqual(["other", "storage-key"])
  })
})
