import { createCipheriv, createHash, hkdfSync } from "node:crypto"
import { constants } from "node:fs"
import { open, readdir, readFile, rm, rmdir, stat, unlink } from "node:fs/promises"
import { dirname, join } from "node:path"
import { addAbortSignal, type Readable } from "node:stream"
import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { type Milliseconds, milliseconds } from "@consilium/base/units"
import { errno, makePrivateFolder, storeError, writeFully } from "../store/files.js"
import { CHUNK_BYTES, MAX_PARCEL_BYTES } from "./wire.js"

/** What each child may leave in the folder. */
export interface UploadLimits {
  readonly number: number
  /** Bytes of all its uploads together. */
  readonly bytes: number
  /** Bytes of one upload. */
  readonly largest: number
  /** How long an upload is kept after the last bytes came. */
  readonly age: Milliseconds
}

const LIMITS: UploadLimits = {
  number: 16,
  bytes: 256 << 20,
  largest: MAX_PARCEL_BYTES,
  age: milliseconds(3_600_000),
}

export interface UploadFolderOptions {
  readonly folder: string
  /** Secret that the key of the files is derived from; the same after a restart. */
  readonly secret: string
  readonly limits?: UploadLimits
  readonly now?: () => number
}

interface Turn {
  readonly stop: AbortController
  readonly done: Promise<void>
}

/**
 * Parcels on their way up, under the children that send them and the SHA-256 digest of the whole. How far one has come is
 * the length of its file, so an upload goes on from any byte at which either side has stopped. Files are enciphered;
 * that they are whole and unchanged shows when their digest is checked, before they are used.
 */
export class UploadFolder {
  readonly #folder: string
  readonly #key: Buffer
  readonly #limits: UploadLimits
  readonly #now: () => number
  readonly #turns = new Map<string, Turn>()

  private constructor({ folder, secret, limits = LIMITS, now = Date.now }: UploadFolderOptions) {
    this.#folder = folder
    this.#key = Buffer.from(hkdfSync("sha256", secret, "", "consilium/uploads", 32))
    this.#limits = limits
    this.#now = now
  }

  /** Opens the folder and deletes what is too old in it. */
  static async open(options: UploadFolderOptions): Promise<UploadFolder> {
    const uploads = new UploadFolder(options)
    try {
      await makePrivateFolder(options.folder)
      for (const child of await readdir(options.folder)) await uploads.#sweep(join(options.folder, child))
    } catch (error) {
      throw storeError(error, `open the uploads ${options.folder}`)
    }
    return uploads
  }

  /** How many bytes of a child's upload are here. */
  length(child: Uint8Array, digest: string): Promise<number> {
    const path = this.#path(child, digest)
    return this.#alone(child, () => lengthOf(path))
  }

  /**
   * Adds some bytes at the end of an upload; what came before an interruption stays. Gives its length.
   * @throws {ConsiliumError} "network/wrong-offset", "network/too-large", "network/too-many-uploads", "store/full"
   */
  append(
    child: Uint8Array,
    digest: string,
    at: { readonly offset: number; readonly size: number },
    body: Readable,
  ): Promise<number> {
    const path = this.#path(child, digest)
    // it may break off before anybody reads it
    body.on("error", () => undefined)
    return this.#alone(child, async (signal) => {
      const lengths = await this.#sweep(this.#childFolder(child))
      const length = await lengthOf(path)
      if (at.offset !== length)
        throw new ConsiliumError(
          "network/wrong-offset",
          `Bytes of an upload came for offset ${at.offset}; ${length} of it are here.`,
        )
      this.#checkRoom(lengths, length, at.size)
      return await this.#write(path, length, addAbortSignal(signal, body))
    })
  }

  /**
   * The bytes of an upload that is whole.
   * @throws {ConsiliumError} "network/unknown-upload"; "network/wrong-digest", and the upload is gone then
   */
  read(child: Uint8Array, digest: string): Promise<Uint8Array> {
    const path = this.#path(child, digest)
    return this.#alone(child, async () => {
      const sealed = await readFile(path).catch((error) => {
        if (errno(error) === "ENOENT")
          throw new ConsiliumError("network/unknown-upload", "Nothing is here of the upload that is named.")
        throw storeError(error, `read ${path}`)
      })
      const bytes = this.#cipher(path, 0)(sealed)
      const found = createHash("sha256").update(bytes).digest("hex")
      if (found === digest) return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
      await rm(path, { force: true })
      throw new ConsiliumError(
        "network/wrong-digest",
        `The ${bytes.length} bytes of an upload do not have the digest that it was sent under; it was dropped.`,
      )
    })
  }

  /** Deletes an upload that is not needed any more. */
  remove(child: Uint8Array, digest: string): Promise<void> {
    const path = this.#path(child, digest)
    return this.#alone(child, () => rm(path, { force: true }))
  }

  /** Ends what is under way, and waits for it. */
  async close(): Promise<void> {
    for (const { stop } of this.#turns.values()) stop.abort()
    await Promise.all([...this.#turns.values()].map(({ done }) => done))
  }

  #childFolder(child: Uint8Array): string {
    return join(this.#folder, toHex(child))
  }

  #path(child: Uint8Array, digest: string): string {
    if (!/^[0-9a-f]{64}$/.test(digest))
      throw new ConsiliumError(
        "network/bad-request",
        "The name of an upload is not a digest of 64 hexadecimal digits in lower case.",
      )
    return join(this.#childFolder(child), digest)
  }

  /** One thing at a time for each child. A child asks again only when its last connection is gone: that one gives way. */
  #alone<T>(child: Uint8Array, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const name = toHex(child)
    const stop = new AbortController()
    const before = this.#turns.get(name)
    before?.stop.abort()
    const result = (before?.done ?? Promise.resolve()).then(() => work(stop.signal))
    const turn: Turn = {
      stop,
      done: result.then(
        () => undefined,
        () => undefined,
      ),
    }
    this.#turns.set(name, turn)
    return result.finally(() => {
      if (this.#turns.get(name) === turn) this.#turns.delete(name)
    })
  }

  #checkRoom(lengths: readonly number[], length: number, size: number): void {
    const { number, bytes, largest } = this.#limits
    if (size > CHUNK_BYTES || length + size > largest)
      throw new ConsiliumError(
        "network/too-large",
        `${size} bytes were to follow the ${length} of an upload; it may grow by ${CHUNK_BYTES} at once, up to ${largest}.`,
      )
    const held = lengths.reduce((sum, each) => sum + each, 0)
    if ((length === 0 && lengths.length >= number) || held + size > bytes)
      throw new ConsiliumError(
        "network/too-many-uploads",
        `${lengths.length} uploads with ${held} bytes are unfinished; ${number} and ${bytes} are the limits.`,
      )
  }

  async #write(path: string, length: number, body: Readable): Promise<number> {
    await makePrivateFolder(dirname(path))
    const handle = await open(path, constants.O_WRONLY | constants.O_CREAT, 0o600).catch((error) => {
      throw storeError(error, `begin ${path}`)
    })
    const encipher = this.#cipher(path, length)
    let at = length
    try {
      // not destroyed, so that a refusal can still be answered on its connection
      for await (const piece of body.iterator({ destroyOnReturn: false })) {
        await writeFully(handle, encipher(piece), at).catch((error) => {
          throw storeError(error, `add to ${path}`)
        })
        at += piece.length
      }
    } finally {
      await handle.close()
    }
    return at
  }

  /**
   * Enciphers, and deciphers, bytes from an offset on: AES-256 in counter mode, under a key of the upload's own. An upload
   * has one content, so no part of its key stream is used for two.
   *
   * Source: NIST SP 800-38A, section 6.5
   */
  #cipher(path: string, offset: number): (bytes: Uint8Array) => Buffer {
    const name = path.slice(this.#folder.length)
    const key = createHash("sha256").update(this.#key).update(name).digest()
    const counter = Buffer.alloc(16)
    counter.writeBigUInt64BE(BigInt(Math.floor(offset / 16)), 8)
    const cipher = createCipheriv("aes-256-ctr", key, counter)
    cipher.update(Buffer.alloc(offset % 16))
    return (bytes) => cipher.update(bytes)
  }

  /** Deletes what is too old in a child's folder, and what is no upload; gives the lengths of the rest. */
  async #sweep(folder: string): Promise<readonly number[]> {
    const names = await readdir(folder).catch((error) => {
      if (errno(error) === "ENOENT") return []
      if (errno(error) === "ENOTDIR") return null
      throw error
    })
    if (names === null) {
      await unlink(folder)
      return []
    }
    const lengths: number[] = []
    for (const name of names) {
      const path = join(folder, name)
      const found = await stat(path)
      if (!/^[0-9a-f]{64}$/.test(name) || this.#now() - found.mtimeMs > this.#limits.age)
        await rm(path, { recursive: true, force: true })
      else lengths.push(found.size)
    }
    if (lengths.length === 0 && names.length > 0) await rmdir(folder)
    return lengths
  }
}

const lengthOf = async (path: string): Promise<number> => {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (errno(error) === "ENOENT") return 0
    throw storeError(error, `look for ${path}`)
  }
}
