import { randomBytes } from "node:crypto"
import { type FileHandle, mkdir, open, readdir, readFile, rename, unlink } from "node:fs/promises"
import { dirname, join, resolve } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"

/** The system's name of an error, such as "ENOENT", or null. */
export const errno = (error: unknown): string | null => {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === "string" ? code : null
}

// EFBIG is what a per-file limit (ulimit -f) answers: for the caller it is the same as no room.
const NO_ROOM: ReadonlySet<string | null> = new Set(["ENOSPC", "EDQUOT", "EFBIG"])

/** The bytes of a file; null if it is not there. */
export const readIfThere = async (path: string): Promise<Uint8Array | null> => {
  try {
    return new Uint8Array(await readFile(path))
  } catch (error) {
    if (errno(error) === "ENOENT") return null
    throw storeError(error, `read ${path}`)
  }
}

/** True if the system says that there is no room. */
export const isNoRoom = (error: unknown): boolean => NO_ROOM.has(errno(error))

/** A system error as "store/full" or "store/failed"; errors of the project stay as they are. */
export const storeError = (error: unknown, action: string): ConsiliumError => {
  if (error instanceof ConsiliumError) return error
  if (isNoRoom(error))
    return new ConsiliumError("store/full", `There is no room to ${action}.`, { cause: error })
  return new ConsiliumError("store/failed", `Could not ${action} (${errno(error) ?? "unknown error"}).`, {
    cause: error,
  })
}

/** Makes the entries of a folder durable: files created, renamed or deleted in it stay so after a power cut. */
export const syncFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder, "r")
  try {
    await handle.sync()
  } catch (error) {
    // Windows cannot sync a folder; its file systems journal the entries themselves.
    if (process.platform !== "win32") throw error
  } finally {
    await handle.close()
  }
}

/** Makes a folder, and what is missing above it, for this user only, durably. */
export const makePrivateFolder = async (folder: string): Promise<void> => {
  const path = resolve(folder)
  const first = await mkdir(path, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let made = path; ; made = dirname(made)) {
    await syncFolder(dirname(made))
    if (made === resolve(first)) return
  }
}

/** Writes all bytes at a position, however few the system takes at a time. */
export const writeFully = async (handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> => {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, position + at)
    at += bytesWritten
  }
}

/**
 * The bytes of a file that holds a secret; null if it is not there.
 * @throws {ConsiliumError} "store/open-permissions" if others than its owner can get at it
 */
export const readPrivateFile = async (path: string): Promise<Buffer | null> => {
  let handle: FileHandle
  try {
    handle = await open(path, "r")
  } catch (error) {
    if (errno(error) === "ENOENT") return null
    throw error
  }
  try {
    const { mode } = await handle.stat()
    // Windows has no such bits; there the folder's access list is what protects the file.
    if (process.platform !== "win32" && (mode & 0o077) !== 0)
      throw new ConsiliumError(
        "store/open-permissions",
        `The key file ${path} has mode ${(mode & 0o777).toString(8)}, so others can get at it.`,
      )
    return await handle.readFile()
  } finally {
    await handle.close()
  }
}

const ZEROS = new Uint8Array(2 ** 20)

/** Overwrites the bytes of an open file in place, durably. */
export const overwrite = async (handle: FileHandle): Promise<void> => {
  const { size } = await handle.stat()
  for (let at = 0; at < size; at += ZEROS.length)
    await writeFully(handle, ZEROS.subarray(0, Math.min(ZEROS.length, size - at)), at)
  await handle.sync()
}

const TEMPORARY = ".tmp-"

/** Writes a file that is not yet at its place: durable bytes under a name of its own, for rename or link. */
export const writeTemporary = async (folder: string, bytes: Uint8Array): Promise<string> => {
  const path = join(folder, `${TEMPORARY}${toHex(randomBytes(12))}`)
  const handle = await open(path, "wx", 0o600)
  try {
    await writeFully(handle, bytes, 0)
    await handle.sync()
  } catch (error) {
    await handle.close()
    await unlink(path)
    throw error
  }
  await handle.close()
  return path
}

/** Puts a file in place so that, whenever the machine stops, either the old or the new bytes are there, whole. */
export const writeFileAtomic = async (path: string, bytes: Uint8Array): Promise<void> => {
  const folder = dirname(path)
  const temporary = await writeTemporary(folder, bytes)
  try {
    await rename(temporary, path)
  } catch (error) {
    await unlink(temporary)
    throw error
  }
  await syncFolder(folder)
}

/** Deletes what interrupted writes left behind. Only for the one process that owns the folder. */
export const sweepTemporary = async (folder: string): Promise<void> => {
  for (const name of await readdir(folder)) if (name.startsWith(TEMPORARY)) await unlink(join(folder, name))
}
