import { execFile } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises"
import { createRequire } from "node:module"
import { homedir } from "node:os"
import { dirname, join } from "node:path"
import { promisify } from "node:util"
import { gunzip, gzip } from "node:zlib"
import { concatBytes, equalBytes, toHex } from "@consilium/base/bytes"
import { bytes, decode, type Encoded, encode, list, record, text } from "@consilium/base/encoding"
import { ConsiliumError } from "@consilium/base/errors"
import { errno, makePrivateFolder, sweepTemporary, syncFolder, writeFileAtomic, writeFully } from "./files.js"

/**
 * The image of an empty database folder. Making one takes seconds and most of a gigabyte, so it is made once, by a
 * process of its own, and kept in the user's cache:
 *
 *     file = SHA-256 of the rest (32), gzip of `imageCodec` bytes
 *
 * The hash finds damage, not malice: who can write the user's cache can do anything the user can.
 */
const imageCodec = record({
  folders: list(text(200), 1000),
  files: list(record({ path: text(200), body: bytes(2 ** 26) }), 20_000),
})
type Image = Encoded<typeof imageCodec>

/** Where this user's programs keep what can be made again. */
export const cacheFolder = (environment: NodeJS.ProcessEnv = process.env): string => {
  const { XDG_CACHE_HOME: cache } = environment
  return join(cache === undefined || cache === "" ? join(homedir(), ".cache") : cache, "consilium")
}

/** Makes the folder of an empty database, durably and whole, unless it is there. The caller holds the folder above. */
export const layDatabaseFolder = async (folder: string, cache: string | null): Promise<void> => {
  const above = dirname(folder)
  for (const name of await readdir(above))
    if (name.startsWith(UNFINISHED)) await rm(join(above, name), { recursive: true, force: true })
  if (await isThere(folder)) return
  const temporary = join(above, `${UNFINISHED}${toHex(randomBytes(6))}`)
  const image = await imageFrom(cache, temporary)
  await unpack(image, temporary)
  await rename(temporary, folder)
  await syncFolder(above)
}

const UNFINISHED = ".new-"
const require = createRequire(import.meta.url)

const isThere = async (path: string): Promise<boolean> => {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (errno(error) === "ENOENT") return false
    throw error
  }
}

/** The image in the cache; where there is none, or a damaged one, a new one that is kept if the cache lets it. */
const imageFrom = async (cache: string | null, scratch: string): Promise<Image> => {
  const entry = require.resolve("@electric-sql/pglite")
  const manifest: { readonly version: string } = JSON.parse(
    await readFile(join(dirname(entry), "..", "package.json"), "utf8"),
  )
  const path = cache === null ? null : join(cache, `pglite-${manifest.version}.image`)
  const kept = path === null ? null : await readImage(path)
  if (kept !== null) return kept
  const image = await makeImage(entry, scratch)
  if (path !== null) await keepImage(path, image)
  return image
}

/** Null if the file is not there, cannot be read, or is damaged: then it is made again. */
const readImage = async (path: string): Promise<Image | null> => {
  try {
    const file = await readFile(path)
    const packed = file.subarray(32)
    if (!equalBytes(file.subarray(0, 32), createHash("sha256").update(packed).digest())) return null
    return decode(imageCodec, await promisify(gunzip)(packed))
  } catch {
    return null
  }
}

const keepImage = async (path: string, image: Image): Promise<void> => {
  const packed = await promisify(gzip)(encode(imageCodec, image))
  try {
    await makePrivateFolder(dirname(path))
    await writeFileAtomic(path, concatBytes(createHash("sha256").update(packed).digest(), packed))
    await sweepTemporary(dirname(path))
  } catch {
    // A cache that cannot be written costs time at the next start, nothing else.
  }
}

const MAKE = `
  const [entry, folder] = process.argv.slice(1)
  const { PGlite } = require(entry)
  PGlite.create({ dataDir: folder }).then((database) => database.close())
`

const makeImage = async (entry: string, scratch: string): Promise<Image> => {
  const folder = `${scratch}-image`
  try {
    await promisify(execFile)(process.execPath, ["-e", MAKE, entry, folder])
    return await pack(folder)
  } catch (cause) {
    throw new ConsiliumError("store/failed", "The embedded database could not make an empty database.", {
      cause,
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const pack = async (folder: string): Promise<Image> => {
  const folders: string[] = []
  const files: { path: string; body: Uint8Array }[] = []
  const walk = async (inside: string): Promise<void> => {
    const entries = await readdir(join(folder, inside), { withFileTypes: true })
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = inside === "" ? entry.name : `${inside}/${entry.name}`
      if (entry.isDirectory()) {
        folders.push(path)
        await walk(path)
      } else files.push({ path, body: await readFile(join(folder, path)) })
    }
  }
  await walk("")
  return { folders, files }
}

const unpack = async (image: Image, folder: string): Promise<void> => {
  await makePrivateFolder(folder)
  for (const path of image.folders) await mkdir(join(folder, path), { mode: 0o700 })
  // Each sync waits for the disk, not for this process: a few at a time share the wait.
  const left = image.files.values()
  const writeRest = async (): Promise<void> => {
    for (const { path, body } of left) {
      const handle = await open(join(folder, path), "wx", 0o600)
      try {
        await writeFully(handle, body, 0)
        await handle.sync()
      } finally {
        await handle.close()
      }
    }
  }
  await Promise.all(Array.from({ length: 8 }, writeRest))
  for (const path of ["", ...image.folders]) await syncFolder(join(folder, path))
}
