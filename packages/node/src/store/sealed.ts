import { randomBytes } from "node:crypto"
import { type FileHandle, link, open, readdir, readFile, rename, unlink } from "node:fs/promises"
import { dirname, join, resolve } from "node:path"
import { concatBytes, fromHex, toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { framedParts } from "@consilium/base/framing"
import { utf8 } from "@consilium/base/platform"
import { newSecretKey, type RandomSource, SecretKey, systemRandom } from "@consilium/base/random"
import {
  errno,
  makePrivateFolder,
  overwrite,
  readPrivateFile,
  storeError,
  sweepTemporary,
  syncFolder,
  writeFileAtomic,
  writeTemporary,
} from "./files.js"
import { xchachaDecrypt, xchachaEncrypt } from "./xchacha.js"

const VERSION = 1
const NONCE_BYTES = 24
const TAG_BYTES = 16
const NOTHING = new Uint8Array(0)

/** Seals and opens byte strings under a storage key; the name is bound in, so sealed bytes cannot change places. */
export interface SealedBox {
  /** `before` comes first, as it is. */
  seal(name: string, plaintext: Uint8Array, before?: Uint8Array): Uint8Array
  /** @throws {ConsiliumError} "store/unsealable" if the bytes were changed or belong to another name or key */
  open(name: string, sealed: Uint8Array): Uint8Array
}

/**
 * Sealing with XChaCha20-Poly1305: version (1), random nonce (24), ciphertext and tag (16).
 *
 * Source: draft-irtf-cfrg-xchacha-03; RFC 8439
 */
export const sealedBox = (key: SecretKey, random: RandomSource = systemRandom): SealedBox => {
  const cipher = <T>(
    work: (key: Uint8Array, nonce: Uint8Array, associated: Uint8Array, bytes: Uint8Array) => T,
    name: string,
    nonce: Uint8Array,
    bytes: Uint8Array,
  ): T => {
    const secret = key.expose()
    try {
      return work(secret, nonce, framedParts([utf8("consilium/sealed/1"), utf8(name)]), bytes)
    } finally {
      secret.fill(0)
    }
  }
  return {
    seal(name, plaintext, before = NOTHING) {
      const nonce = random.bytes(NONCE_BYTES)
      const sealed = cipher(xchachaEncrypt, name, nonce, plaintext)
      return concatBytes(before, Uint8Array.of(VERSION), nonce, ...sealed)
    },
    open(name, sealed) {
      const fail = (cause?: unknown): never => {
        throw new ConsiliumError(
          "store/unsealable",
          `The ${sealed.length} sealed bytes of ${name} do not open.`,
          {
            cause,
          },
        )
      }
      if (sealed.length < 1 + NONCE_BYTES + TAG_BYTES || sealed[0] !== VERSION) return fail()
      const nonce = sealed.slice(1, 1 + NONCE_BYTES)
      try {
        return cipher(xchachaDecrypt, name, nonce, sealed.subarray(1 + NONCE_BYTES))
      } catch (error) {
        return fail(error)
      }
    },
  }
}

const SUFFIX = ".sealed"
const sealedNames = async (folder: string): Promise<string[]> => {
  try {
    return (await readdir(folder))
      .filter((name) => name.endsWith(SUFFIX))
      .map((name) => name.slice(0, -SUFFIX.length))
      .sort()
  } catch (error) {
    if (errno(error) === "ENOENT") return []
    throw error
  }
}

export interface StorageKeyOptions {
  /** Folders that this key seals: if one holds sealed files, a missing key is an error and no new key is made. */
  readonly sealedFolders?: readonly string[]
  readonly random?: RandomSource
}

/** A storage key as a file holds it: 64 hexadecimal digits on one line. */
export const parseStorageKey = (text: string, path: string): SecretKey => {
  const digits = /^([0-9a-f]{64})\r?\n?$/.exec(text)?.[1]
  if (digits === undefined)
    throw new ConsiliumError("store/bad-key-file", `The key file ${path} is not 64 hexadecimal digits.`)
  const bytes = fromHex(digits)
  const key = new SecretKey(bytes)
  bytes.fill(0)
  return key
}

const readStorageKey = async (path: string): Promise<SecretKey | null> => {
  const file = await readPrivateFile(path)
  return file === null ? null : parseStorageKey(file.toString("latin1"), path)
}

/**
 * Makes sure that no sealed data waits for a key that is not there: otherwise a fresh key would take the place of the lost one.
 * @throws {ConsiliumError} "store/key-missing" if one of the folders holds sealed files
 */
export const refuseOrphans = async (sealedFolders: readonly string[], missing: string): Promise<void> => {
  for (const folder of sealedFolders) {
    const names = await sealedNames(folder)
    if (names.length > 0)
      throw new ConsiliumError(
        "store/key-missing",
        `${folder} holds ${names.length} sealed files, but their key file ${missing} is not there.`,
      )
  }
}

/**
 * The storage key of a file: 64 hexadecimal digits, readable by its owner only. A file that is not there is made with
 * a fresh key.
 * @throws {ConsiliumError} "store/open-permissions", "store/bad-key-file", "store/key-missing"
 */
export const storageKeyFromFile = async (
  path: string,
  options: StorageKeyOptions = {},
): Promise<SecretKey> => {
  try {
    const present = await readStorageKey(path)
    if (present !== null) return present
    await refuseOrphans(options.sealedFolders ?? [], path)
    const folder = dirname(resolve(path))
    await makePrivateFolder(folder)
    const secret = newSecretKey(options.random).expose()
    const temporary = await writeTemporary(folder, utf8(`${toHex(secret)}\n`))
    secret.fill(0)
    try {
      // link does not replace: if another process was faster, its key is the key
      await link(temporary, path)
    } catch (error) {
      if (errno(error) !== "EEXIST") throw error
    } finally {
      await unlink(temporary)
    }
    await syncFolder(folder)
    return (await readStorageKey(path)) as SecretKey
  } catch (error) {
    throw storeError(error, `read or make the key file ${path}`)
  }
}

/** What the names of files begin with that are to be overwritten and deleted. */
const DOOMED = ".erase-"

const destroy = async (path: string): Promise<void> => {
  const handle = await open(path, "r+")
  try {
    await overwrite(handle)
  } finally {
    await handle.close()
  }
  await unlink(path)
}

const KEY_CHECK = "key-check"
const NAME = /^[a-z0-9][a-z0-9._-]{0,99}$/

/** Byte strings by name, sealed where they are kept. */
export interface Sealed {
  /** Seals bytes under a name, durably and whole; bytes that were there before are destroyed. */
  put(name: string, plaintext: Uint8Array): Promise<void>
  /** The bytes of a name; null if there are none. */
  get(name: string): Promise<Uint8Array | null>
  /** The names that have bytes, in order. */
  names(): Promise<string[]>
  /** Destroys the bytes of a name; true if there were any. */
  erase(name: string): Promise<boolean>
}

/** A folder of sealed files. What their names and lengths tell is not hidden. */
export class SealedFiles implements Sealed {
  readonly folder: string
  readonly #box: SealedBox

  private constructor(folder: string, box: SealedBox) {
    this.folder = folder
    this.#box = box
  }

  /**
   * Opens a folder of sealed files, making it if it is not there.
   * @throws {ConsiliumError} "store/wrong-key" if the files in it were sealed under another key
   */
  static async open(
    folder: string,
    key: SecretKey,
    random: RandomSource = systemRandom,
  ): Promise<SealedFiles> {
    const files = new SealedFiles(folder, sealedBox(key, random))
    try {
      await makePrivateFolder(folder)
      await sweepTemporary(folder)
      for (const name of await readdir(folder)) if (name.startsWith(DOOMED)) await destroy(join(folder, name))
      const names = await sealedNames(folder)
      if (names.length === 0) {
        await writeFileAtomic(files.#path(KEY_CHECK), files.#box.seal(KEY_CHECK, new Uint8Array(0)))
        return files
      }
      if (!names.includes(KEY_CHECK))
        throw new ConsiliumError("store/corrupt", `${files.#path(KEY_CHECK)} is missing at byte 0 of it.`)
      const check = new Uint8Array(await readFile(files.#path(KEY_CHECK)))
      try {
        files.#box.open(KEY_CHECK, check)
      } catch (cause) {
        throw new ConsiliumError(
          "store/wrong-key",
          `The ${names.length} sealed files in ${folder} do not belong to this storage key.`,
          { cause },
        )
      }
      return files
    } catch (error) {
      throw storeError(error, `open the sealed folder ${folder}`)
    }
  }

  #path(name: string): string {
    return join(this.folder, `${name}${SUFFIX}`)
  }
  #checked(name: string): string {
    if (!NAME.test(name) || name === KEY_CHECK)
      throw new ConsiliumError("store/bad-name", `A sealed file cannot be called ${JSON.stringify(name)}.`)
    return this.#path(name)
  }

  /** Seals bytes under a name, durably and whole; bytes that were there before are overwritten as `erase` does. */
  async put(name: string, plaintext: Uint8Array): Promise<void> {
    const path = this.#checked(name)
    let old: FileHandle | null = null
    try {
      old = await open(path, "r+").catch((error) => {
        if (errno(error) === "ENOENT") return null
        throw error
      })
      await writeFileAtomic(path, this.#box.seal(name, plaintext))
      if (old !== null) await overwrite(old)
    } catch (error) {
      throw storeError(error, `seal ${name}`)
    } finally {
      await old?.close()
    }
  }

  /**
   * The bytes of a name; null if there are none.
   * @throws {ConsiliumError} "store/unsealable" if the file was changed or renamed
   */
  async get(name: string): Promise<Uint8Array | null> {
    const path = this.#checked(name)
    let sealed: Uint8Array
    try {
      sealed = new Uint8Array(await readFile(path))
    } catch (error) {
      if (errno(error) === "ENOENT") return null
      throw storeError(error, `read ${name}`)
    }
    return this.#box.open(name, sealed)
  }

  /** The names that have bytes, in order. */
  async names(): Promise<string[]> {
    try {
      return (await sealedNames(this.folder)).filter((name) => name !== KEY_CHECK)
    } catch (error) {
      throw storeError(error, `list ${this.folder}`)
    }
  }

  /**
   * Overwrites a sealed file with zeros, then deletes it; true if there was one. Overwriting reaches the old bytes only
   * where the file system writes in place: an SSD keeps old cells for a while, and copy-on-write file systems,
   * snapshots and backups keep old blocks. There the erased bytes stay sealed, so they are as safe as the storage key.
   */
  async erase(name: string): Promise<boolean> {
    const path = this.#checked(name)
    const doomed = join(this.folder, `${DOOMED}${toHex(randomBytes(12))}`)
    try {
      // Under its own name a file is whole or not there, also after a crash: half overwritten it would look damaged.
      await rename(path, doomed)
      await syncFolder(this.folder)
      await destroy(doomed)
      await syncFolder(this.folder)
      return true
    } catch (error) {
      if (errno(error) === "ENOENT") return false
      throw storeError(error, `erase ${name}`)
    }
  }
}
