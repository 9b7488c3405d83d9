import { randomBytes } from "node:crypto"
import { chmod, lstat, mkdtemp, readdir, readFile, rename, rm, rmdir } from "node:fs/promises"
import { createServer, type Server, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { toHex } from "@consilium/base/bytes"
import { ConsiliumError } from "@consilium/base/errors"
import { utf8 } from "@consilium/base/platform"
import { errno, makePrivateFolder, storeError, writeFileAtomic } from "../store/files.js"

const SOCKET = "admin.sock"
/** Names the socket of a data folder whose own path is too long for one. */
const POINTER = "admin.path"
const DRAFT = ".admin-"
// The address of a Unix socket has room for 107 bytes on Linux and 103 on macOS.
const LONGEST_PATH = 103
/** Whether this system has Unix sockets that file modes protect. */
export const hasSockets = process.platform !== "win32"

const fits = (path: string): boolean => Buffer.byteLength(path) <= LONGEST_PATH

/** A private folder for a socket, where paths are short: the user's runtime folder, or one for temporary files. */
const shortFolder = async (): Promise<string> => {
  const bases = [process.env.XDG_RUNTIME_DIR, tmpdir(), "/tmp"]
  for (const base of bases) {
    if (base === undefined || !fits(join(base, "consilium-admin-XXXXXX", `${DRAFT}0123abcd`, SOCKET)))
      continue
    try {
      return await mkdtemp(join(base, "consilium-admin-"))
    } catch (error) {
      if (base === bases.at(-1)) throw error
    }
  }
  throw new ConsiliumError("store/failed", "No folder for temporary files has a path that is short enough.")
}

/**
 * Listens on a Unix socket that only this user can connect to, from the first moment on: it is made in a folder that is
 * closed to others and moved into place with its mode set.
 */
const listenPrivately = async (server: Server, folder: string): Promise<string> => {
  const draft = join(folder, `${DRAFT}${toHex(randomBytes(4))}`)
  const path = join(folder, SOCKET)
  await makePrivateFolder(draft)
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen({ path: join(draft, SOCKET) }, () => {
      server.off("error", reject)
      resolve()
    })
  })
  await chmod(join(draft, SOCKET), 0o600)
  await rename(join(draft, SOCKET), path)
  await rmdir(draft)
  return path
}

export interface PrivateSocket {
  /** Where it is; null on systems without such sockets. */
  readonly path: string | null
  close(): Promise<void>
}

/** Opens the admin socket of a locked data folder, in the place of one that a crash has left. */
export const openSocket = async (
  folder: string,
  connected: (socket: Socket) => void,
): Promise<PrivateSocket> => {
  if (!hasSockets) return { path: null, close: async () => undefined }
  // A client may say that it sends no more and still wait for its answer.
  const server = createServer({ allowHalfOpen: true }, connected)
  server.maxConnections = 32
  let elsewhere: string | null = null
  try {
    await sweep(folder)
    if (!fits(join(folder, `${DRAFT}0123abcd`, SOCKET))) {
      elsewhere = await shortFolder()
      const path = await listenPrivately(server, elsewhere)
      await writeFileAtomic(join(folder, POINTER), utf8(path))
      return { path, close: () => closeSocket(server, folder, elsewhere) }
    }
    const path = await listenPrivately(server, folder)
    return { path, close: () => closeSocket(server, folder, null) }
  } catch (error) {
    await closeSocket(server, folder, elsewhere)
    throw storeError(error, `open the admin socket of ${folder}`)
  }
}

const closeSocket = async (server: Server, folder: string, elsewhere: string | null): Promise<void> => {
  await sweep(folder)
  if (elsewhere !== null) await rm(elsewhere, { recursive: true, force: true })
  if (server.listening) await new Promise<void>((resolve) => server.close(() => resolve()))
}

/** Deletes the socket of a data folder, and what interrupted attempts have left. */
const sweep = async (folder: string): Promise<void> => {
  const elsewhere = await pointer(folder)
  if (elsewhere !== null) {
    const holder = dirname(elsewhere)
    if (/[\\/]consilium-admin-[^\\/]{6}$/.test(holder) && (await isPrivate(holder)))
      await rm(holder, { recursive: true, force: true })
  }
  for (const name of await readdir(folder))
    if (name === SOCKET || name === POINTER || name.startsWith(DRAFT))
      await rm(join(folder, name), { recursive: true, force: true })
}

const pointer = async (folder: string): Promise<string | null> => {
  try {
    return await readFile(join(folder, POINTER), "utf8")
  } catch (error) {
    if (errno(error) === "ENOENT") return null
    throw error
  }
}

/** Whether a folder is this user's and closed to others: temporary folders are open to everybody. */
const isPrivate = async (folder: string): Promise<boolean> => {
  try {
    const { mode, uid } = await lstat(folder)
    return (mode & 0o170_077) === 0o040_000 && uid === process.getuid?.()
  } catch (error) {
    if (errno(error) === "ENOENT") return false
    throw error
  }
}

/** Where to reach the role that runs in a data folder; null if there is no trace of one. */
export const socketOf = async (folder: string): Promise<string | null> => {
  if (!hasSockets) return null
  try {
    const elsewhere = await pointer(folder)
    if (elsewhere !== null) return (await isPrivate(dirname(elsewhere))) ? elsewhere : null
    await lstat(join(folder, SOCKET))
    return join(folder, SOCKET)
  } catch (error) {
    if (errno(error) === "ENOENT" || errno(error) === "ENOTDIR") return null
    if (errno(error) === "EACCES")
      throw new ConsiliumError("admin/not-allowed", `The data folder ${folder} belongs to another user.`, {
        cause: error,
      })
    throw storeError(error, `look for the admin socket of ${folder}`)
  }
}
